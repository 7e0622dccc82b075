#!/usr/bin/env bash
# The one test command: formatting, lints, documentation, all tests, and the built tools on data. Runs every
# step whatever the others did, and ends with one line that counts them.
#
#   tests/run.sh
#
# Beside the repository, `../shared` may hold real data (mainnet segments, read-order vectors); what needs it is
# skipped, loudly, where it is not.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
shared=$root/../shared
cd "$root"

# Backtraces would push the messages out of what is shown of a failure.
export RUST_BACKTRACE=0

passed=0 failed=0 skipped=0 tests_run=0

# --- Requirements: one function each, which installs what is missing or says what to install -----------------

require_rust() {
    command -v cargo >/dev/null || give_up "there is no cargo: install rustup; it reads rust-toolchain.toml"
}

# The curve library that precompiles use is partly C.
require_c_compiler() {
    command -v cc >/dev/null || install_debian_package gcc || give_up "there is no C compiler: install gcc"
}

install_debian_package() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get install --yes --quiet "$1"
}

give_up() {
    echo "tests/run.sh: $1" >&2
    exit 1
}

# --- Steps ---------------------------------------------------------------------------------------------------

# step NAME COMMAND...: runs a command, and shows its output only if it fails.
step() {
    local name=$1 log begun=$SECONDS
    shift
    log=$logs/${name//[^a-z0-9]/-}.log
    echo "== $name"
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        echo "   ok, $((SECONDS - begun)) s"
    else
        failed=$((failed + 1))
        show_failure "$log" "$((SECONDS - begun))"
    fi
}

# tests NAME COMMAND...: as `step`, but counts the tests that cargo reports instead of the command.
tests() {
    local name=$1 log begun=$SECONDS status=0 good bad
    shift
    log=$logs/${name//[^a-z0-9]/-}.log
    echo "== $name"
    "$@" >"$log" 2>&1 || status=$?
    good=$(sum_of passed "$log")
    bad=$(sum_of failed "$log")
    # A command that failed without a failed test did not compile, or crashed.
    [ "$status" = 0 ] || [ "$bad" != 0 ] || bad=1
    passed=$((passed + good)) failed=$((failed + bad)) tests_run=$((tests_run + good + bad))
    if [ "$status" = 0 ]; then
        echo "   ok, $good tests, $((SECONDS - begun)) s"
    else
        show_failure "$log" "$((SECONDS - begun))"
    fi
}

# sum_of passed|failed LOG: adds up cargo's result lines ("test result: ok. 12 passed; 0 failed; …").
sum_of() {
    awk -v what="$1" '
        /^test result: / { for (i = 2; i <= NF; i++) if ($i ~ "^" what ";?$") sum += $(i - 1) }
        END { print sum + 0 }' "$2"
}

show_failure() {
    echo "   FAILED after $2 s; the end of $1, without what went well:"
    grep -Ev ' \.\.\. ok$|^ +(Compiling|Checking|Documenting) ' "$1" | tail -n 200 | sed 's/^/   | /' || true
}

# skip WHAT WHY
skip() {
    skipped=$((skipped + 1))
    echo "== SKIPPED: $1: $2"
}

documentation() {
    RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --locked
}

dev_chain() {
    local folder=$scratch/dev
    "$target/debug/bsp" dev --blocks 50 --seed 20260101 --data-dir "$folder" &&
        "$target/debug/bsp" verify "$folder"/segments/*
}

fuzz_targets() {
    (cd "$1" && cargo +nightly fuzz check)
}

# --- The run -------------------------------------------------------------------------------------------------

require_rust
require_c_compiler

target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
logs=$target/test-logs
mkdir -p "$logs"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

step "formatting" cargo fmt --all --check
step "lints" cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
step "documentation" documentation
tests "tests" cargo test --workspace --all-features --locked --no-fail-fast

# The steps below use what the tests have built, in the dev profile: together they take seconds there, and a release
# build would first compile everything again, for minutes on two cores.

step "dev chain, made and verified" dev_chain

if [ -f "$shared/read-order/vectors.jsonl" ]; then
    step "read order of real vectors" "$target/debug/examples/read_order" "$shared/read-order/vectors.jsonl"
else
    skip "read order of real vectors" "$shared/read-order is not there"
fi

if [ -d "$shared/mainnet" ]; then
    step "mainnet segments, verified" "$target/debug/bsp" verify "$shared"/mainnet/*.avro
else
    skip "mainnet segments" "$shared/mainnet is not there; the tests that read them passed without looking at one"
fi

for manifest in codec/fuzz/Cargo.toml exex/*/fuzz/Cargo.toml; do
    [ -f "$manifest" ] || continue
    crate=$(dirname "$(dirname "$manifest")")
    if cargo +nightly --version >/dev/null 2>&1 && cargo fuzz --version >/dev/null 2>&1; then
        step "fuzz targets of $crate" fuzz_targets "$crate"
    else
        skip "fuzz targets of $crate" "they need a nightly toolchain and cargo-fuzz"
    fi
done

if [ "$tests_run" = 0 ]; then
    failed=$((failed + 1))
    echo "No test ran."
fi

summary="$passed passed, $failed failed"
[ "$skipped" = 0 ] || summary="$summary, $skipped skipped"
echo
echo "$summary"
[ "$failed" = 0 ]
