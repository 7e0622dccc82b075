#!/usr/bin/env bash
# Builds and tests the node with another reth than the tag in its manifest, to learn early what a release will break.
#
#   tests/reth-main.sh                 reth's branch main
#   tests/reth-main.sh v2.6.0          a tag, a branch or a commit
#
# It works on a copy of the last commit, below the target folder. The copy takes reth's lock file of that commit, and asks
# for the versions of alloy and revm in it, because types unify only if they are the same. Then each stage is run until one
# fails. What was changed, and the compiler's errors, are printed, in Markdown, and go to the job's summary where
# GITHUB_STEP_SUMMARY names one.
set -euo pipefail

ref=${1:-main}
reth=https://github.com/paradigmxyz/reth
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
base=${CARGO_TARGET_DIR:-$root/target}/reth-main
copy=$base/source
log=$base/log
summary=${GITHUB_STEP_SUMMARY:-/dev/null}

# Crates whose version is reth's choice. Its own that are published are among them.
theirs='^(alloy-|alloy$|revm|reth-)'

report() {
    printf '%s\n' "$@" | tee -a "$summary"
}

# versions LOCK: each crate with its highest version, a line each.
versions() {
    awk -F'"' '/^name = / { name = $2 } /^version = / { print name, $2 }' "$1" | sort -k1,1 -k2,2V |
        awk '{ highest[$1] = $2 } END { for (name in highest) print name, highest[name] }' | sort
}

# take_version MANIFEST NAME VERSION: where the manifest asks for a version of the crate, let it be this one.
take_version() {
    sed -i -E \
        -e "s/^($2 = )\"[^\"]*\"/\1\"$3\"/" \
        -e "s/^($2 = \{ version = )\"[^\"]*\"/\1\"$3\"/" "$1"
}

# What MANIFEST asks for, of the crates whose version is reth's choice: a name and a version a line.
asked_for() {
    sed -n -E 's/^([a-z0-9-]+) = (\{ version = )?"([0-9][^"]*)".*/\1 \3/p' "$1" | grep -E "$theirs"
}

fetch_reth() {
    rm -rf "$base/reth.git"
    git init --quiet --bare "$base/reth.git"
    git -C "$base/reth.git" fetch --quiet --depth 1 "$reth" "$ref"
    commit=$(git -C "$base/reth.git" rev-parse 'FETCH_HEAD^{commit}')
    git -C "$base/reth.git" show "$commit:Cargo.lock" >"$base/reth.lock"
}

copy_source() {
    rm -rf "$copy"
    mkdir -p "$copy"
    git -C "$root" archive HEAD | tar -x -C "$copy"
    # It would choose another compiler than the caller.
    rm -f "$copy/rust-toolchain.toml"
    cp "$base/reth.lock" "$copy/bin/bsp-reth/Cargo.lock"
    sed -i -E "s/(git = \"${reth//\//\\/}\", )tag = \"[^\"]*\"/\1rev = \"$commit\"/" "$copy/bin/bsp-reth/Cargo.toml"
}

# A version that is compatible is chosen by the lock file. Only another one has to be asked for.
move_versions() {
    local manifest name asked there moved=0
    versions "$base/reth.lock" >"$base/reth.versions"
    for manifest in "$copy/Cargo.toml" "$copy/bin/bsp-reth/Cargo.toml"; do
        while read -r name asked; do
            there=$(awk -v name="$name" '$1 == name { print $2 }' "$base/reth.versions")
            [ -n "$there" ] && [ "$(compatible "$asked")" != "$(compatible "$there")" ] || continue
            [ "$moved" = 1 ] || report "| crate | asked for in | here | in that reth |" "|---|---|---|---|"
            moved=1
            report "| \`$name\` | \`${manifest#"$copy"/}\` | $asked | $there |"
            take_version "$manifest" "$name" "$there"
        done < <(asked_for "$manifest")
    done
    [ "$moved" = 1 ] || report "All versions of alloy and revm are compatible with those here."
    report ""
}

# The part of a version in which two must be equal for cargo to take one for the other.
compatible() {
    awk -F. '{ print ($1 != "0") ? $1 : ($2 != "0") ? "0." $2 : $0 }' <<<"$1"
}

# stage NAME COMMAND...: stops everything if it fails, with the errors alone.
stage() {
    local name=$1
    shift
    echo "== $name"
    if (cd "$copy/bin/bsp-reth" && "$@") >"$log" 2>&1; then
        report "- $name: ok"
        return
    fi
    report "- **$name: failed**" "" '```text'
    report "$(errors)"
    report '```'
    exit 1
}

# The compiler's errors with their places, or what failed in tests, else the end of all of it.
errors() {
    if grep -qE '^error(\[|:)' "$log"; then
        grep -E -A 6 '^error(\[|:)' "$log" | head -n 300
    elif grep -q '^failures:$' "$log"; then
        sed -n '/^failures:$/,$p' "$log" | head -n 300
    else
        tail -n 60 "$log"
    fi
}

mkdir -p "$base"
export CARGO_TARGET_DIR=$base/target
fetch_reth
copy_source
report "### The node with reth \`$ref\`" "" "reth is at commit \`$commit\`." ""
move_versions
stage "dependencies resolve" cargo fetch
stage "the extension compiles" cargo check --package bsp-exex --features failpoints
stage "the program, examples and tests compile" cargo test --workspace --features failpoints --no-run
stage "tests pass" cargo test --workspace --features failpoints --no-fail-fast
