#!/usr/bin/env bash
# Breaks the recorder one rule at a time (see rules.txt) and checks that a test notices.
#
#   crates/capture/mutations/run.sh [NAME...]
#
# Works on a copy of the tree. Prints one line a mutation: "caught", or
#   MISSED              no test noticed
#   DOES NOT COMPILE    the changed code is no program
#   DOES NOT APPLY      the change no longer finds its place
# and exits with 1 if there was any of the latter three.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# With the tree's own target folder the dependencies need not be built again.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}
export RUST_BACKTRACE=0

(cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 tar -cf -) | tar -xf - -C "$work"
cd "$work"
source=crates/capture/src
cp -r "$source" "$work/original"

build() { cargo test --offline --quiet -p bsp-capture --lib --test suite --no-run >"$work/log" 2>&1; }
# The hand-written blocks take seconds and name the rule; the rest of the tests would add little.
check() {
    timeout 300 cargo test --offline --quiet -p bsp-capture --lib --test suite -- memory:: rules:: \
        >"$work/log" 2>&1
}

failures=0 mutations=0
report() { printf '%-18s %-42s %s\n' "$1" "$2" "$3"; }

# mutate NAME RULE FILE COMMANDS
mutate() {
    local name=$1 rule=$2 file=$3 commands=$4 outcome
    sed -E "$commands" "$work/original/$file" >"$source/$file"
    if cmp -s "$work/original/$file" "$source/$file"; then
        outcome='DOES NOT APPLY'
    elif ! build; then
        outcome='DOES NOT COMPILE'
    elif check; then
        outcome='MISSED'
    else
        outcome='caught'
    fi
    cp "$work/original/$file" "$source/$file"
    report "$outcome" "$name" "$rule"
    mutations=$((mutations + 1))
    [[ $outcome == caught ]] || failures=$((failures + 1))
}

wanted() {
    local name
    (($# > 1)) || return 0
    for name in "${@:2}"; do [[ $name == "$1" ]] && return 0; done
    return 1
}

if ! build || ! check; then
    tail -40 "$work/log"
    echo 'the tests fail without any mutation' >&2
    exit 1
fi

name='' rule='' file='' commands=''
finish_record() {
    if [[ -n $name ]] && wanted "$name" "$@"; then mutate "$name" "$rule" "$file" "$commands"; fi
    name='' rule='' file='' commands=''
}
while IFS= read -r line <&3; do
    case $line in
        '') finish_record "$@" ;;
        '#'*) ;;
        'name: '*) name=${line#*: } ;;
        'rule: '*) rule=${line#*: } ;;
        'file: '*) file=${line#*: } ;;
        'sed: '*) commands+=${line#*: }$'\n' ;;
        *) echo "rules.txt: cannot read: $line" >&2; exit 1 ;;
    esac
done 3<"$here/rules.txt"
finish_record "$@"

echo "$((mutations - failures)) of $mutations mutations caught"
((failures == 0))
