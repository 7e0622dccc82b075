#!/usr/bin/env bash
# The one test command: formatting, lints, documentation, all tests, the built tools on data, and short campaigns that
# break agent and node. Runs every step whatever the others did, and ends with one line that counts them.
#
#   tests/run.sh
#
# Redis, a development chain and Helia are installed if that can be done. The first two are found as REDIS_SERVER and
# ANVIL, in PATH, and the chain under tests/node_modules as well. The node is built and tested where its dependency,
# reth's git repository, can be reached, which takes half an hour more; BSP_RETH_BIN names one that is built already.
# Beside the repository, `../shared` may hold real data (mainnet segments, read-order vectors). What needs something that
# is not there is skipped, loudly, and counted.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
shared=$root/../shared
cd "$root"

# Backtraces would push the messages out of what is shown of a failure.
export RUST_BACKTRACE=0
# Nothing is compiled twice here, and what that would save takes a third of the disk.
export CARGO_INCREMENTAL=0

# Of the target folders, with the node.
space_wanted_gb=30

passed=0 failed=0 skipped=0 tests_run=0

# --- Requirements: one function each, which installs what is missing or says what to install -----------------

require_rust() {
    command -v cargo >/dev/null || give_up "there is no cargo: install rustup; it reads rust-toolchain.toml"
}

# The curve library that precompiles use is partly C.
require_c_compiler() {
    command -v cc >/dev/null || install_debian_package gcc || give_up "there is no C compiler: install gcc"
}

# The two below are for some tests alone, which skip themselves without.
want_redis() {
    has_redis || install_debian_package redis-server ||
        advise "there is no redis-server: install the Debian package redis-server, or name its file in REDIS_SERVER"
}

want_anvil() {
    has_anvil || install_npm_packages tests ||
        advise "there is no anvil: install Node.js 20 with npm and run this again, or name anvil's file in ANVIL"
}

# An IPFS client of others, which fetches from the pinner.
want_helia() {
    [ -n "${HELIA_MODULES:-}" ] || [ -d agent/pinner/tests/interop/node_modules ] ||
        install_npm_packages agent/pinner/tests/interop ||
        advise "there is no Helia, which a test of the pinner needs: install Node.js 20 with npm and run this again"
}

# reth's database is C, and the bindings to it are made with libclang.
want_libclang() {
    ldconfig -p | grep -q 'libclang[-.]' || [ -n "${LIBCLANG_PATH:-}" ] || install_debian_package libclang-dev ||
        advise "there is no libclang, which the node needs: install the Debian package libclang-dev"
}

has_redis() {
    [ -n "${REDIS_SERVER:-}" ] || command -v redis-server >/dev/null
}

has_anvil() {
    [ -n "${ANVIL:-}" ] || command -v anvil >/dev/null || [ -x tests/node_modules/.bin/anvil ]
}

install_debian_package() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return
    export DEBIAN_FRONTEND=noninteractive
    apt-get install --yes --quiet "$1" || { apt-get update --quiet && apt-get install --yes --quiet "$1"; }
}

# install_npm_packages FOLDER: not `npm ci`, which wants the packages of other systems in the lock file too.
install_npm_packages() {
    command -v npm >/dev/null &&
        (cd "$1" && npm install --no-save --no-audit --no-fund --ignore-scripts --silent)
}

# A full disk fails in ways that do not look like one.
want_space() {
    local free
    free=$(df -Pk "$target" | awk 'NR == 2 { print $4 }')
    [ "$free" -ge $((space_wanted_gb * 1000000)) ] ||
        advise "$target has $((free / 1000000)) GB left, and a first run takes up to $space_wanted_gb GB: make room, or" \
            "name another folder in CARGO_TARGET_DIR"
}

advise() {
    echo "tests/run.sh: $*" >&2
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

# tests NAME COMMAND...: as `step`, but counts the tests that cargo reports instead of the command. The command has to
# show what tests print: one that lacks something says so, and is skipped, though it counts as passed for cargo.
tests() {
    local name=$1 log begun=$SECONDS status=0 good bad idle
    shift
    log=$logs/${name//[^a-z0-9]/-}.log
    echo "== $name"
    "$@" >"$log" 2>&1 || status=$?
    good=$(sum_of passed "$log")
    bad=$(sum_of failed "$log")
    idle=$(tests_skipped "$log")
    good=$((good - idle))
    # A command that failed without a failed test did not compile, or crashed.
    [ "$status" = 0 ] || [ "$bad" != 0 ] || bad=1
    passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + idle)) tests_run=$((tests_run + good + bad))
    if [ "$idle" != 0 ]; then
        echo "   $idle tests SKIPPED themselves:"
        grep '^SKIPPED: ' "$log" | sort | uniq -c
    fi
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

# tests_skipped LOG: how many tests printed a line that says so, each counted once.
tests_skipped() {
    awk '
        /^---- .* stdout ----$/ { counted = 0 }
        /^SKIPPED: / && !counted { counted = 1; sum++ }
        END { print sum + 0 }' "$1"
}

show_failure() {
    echo "   FAILED after $2 s; the end of $1, without what went well:"
    awk '/^successes:$/ { hidden = 1 } /^failures:$/ || /^test result: / { hidden = 0 } !hidden' "$1" |
        grep -Ev ' \.\.\. ok$|^ +(Compiling|Checking|Documenting) ' | tail -n 200 | sed 's/^/   | /' || true
}

# skip WHAT WHY
skip() {
    skipped=$((skipped + 1))
    echo "== SKIPPED: $1: $2"
}

# rustfmt leaves comments as wide as they are. Tables can't be wrapped.
comment_width() {
    git ls-files -z '*.rs' | xargs -0 perl -CSD -ne '
        chomp;
        if (/^\s*\/\// && length > 100 && !/^\s*\/\/[\/!]? \|/) { print "$ARGV:$.: over 100 columns\n"; $wide = 1 }
        close ARGV if eof;
        END { exit($wide ? 1 : 0) }'
}

documentation() {
    RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --locked
}

# With all features the programs have points at which they die on demand, which do nothing unless one is asked for. To build
# all of it once more without them takes minutes; that it compiles without is checked above.
all_tests() {
    BSP_AGENT_BIN=$programs/bsp-agent BSP_BIN=$programs/bsp \
        cargo test --workspace --all-features --locked --no-fail-fast -- --show-output
}

# node COMMAND...: cargo in the node's own workspace.
node() {
    (cd bin/bsp-reth && cargo "$@")
}

# Whether everything that the node's lock file names is here or can be fetched. Says why not.
node_resolves() {
    CARGO_NET_RETRY=0 node fetch --locked >"$logs/node-fetch.log" 2>&1 || {
        grep -m 1 -A 1 '^error' "$logs/node-fetch.log"
        return 1
    }
}

node_documentation() {
    RUSTDOCFLAGS=-Dwarnings node doc --workspace --no-deps --locked
}

# With the points at which it dies on demand, as the other programs.
node_program() {
    node build --locked --features failpoints --bin bsp-reth
}

# As an author would have it: in a folder of its own, beside a checkout. Its lock file has to fit. Its code is compiled as
# a test of the library's documentation; to compile all of reth once more, with fewer features, would take too long.
template() {
    local folder=$scratch/elsewhere
    mkdir "$folder" && cp -r examples/template "$folder/my-node" && ln -s "$root" "$folder/bsp-reth" &&
        (cd "$folder/my-node" && cargo fmt --check && cargo metadata --locked --format-version 1 >/dev/null)
}

dev_chain() {
    local folder=$scratch/dev
    "$programs/bsp" dev --blocks 50 --seed 20260101 --data-dir "$folder" &&
        "$programs/bsp" verify "$folder"/segments/*/*
}

crash_campaign() {
    BSP_AGENT_BIN=$programs/bsp-agent BSP_BIN=$programs/bsp "$programs/crash-campaign" --kills 20 --seed 1
}

# A few of the faults that take no long chain; node-campaign without --only has all of them.
node_campaign() {
    "$programs/node-campaign" --seed 1 --rounds 1 --only "sigterm,kill-at-random,ahead-other-blocks,cursor-orphaned,flip-flops"
}

node_failpoints() {
    local report status=0
    report=$("$programs/node-campaign" --only kill-at-failpoints) || status=$?
    echo "$report"
    [ "$status" = 0 ] && [[ $report != *SKIPPED* ]]
}

# For the difference of read sets and traces: 100 blocks; the published run has 1,000.
node_oracle() {
    "$programs/node-oracle" --blocks 100 --seed 1
}

# --- The run -------------------------------------------------------------------------------------------------

require_rust
require_c_compiler
want_redis
want_anvil
want_helia

target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
logs=$target/test-logs
programs=$target/debug
mkdir -p "$logs"
[ -x "$programs/bsp" ] || want_space
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

step "formatting" cargo fmt --all --check
step "comments are at most 100 columns wide" comment_width
step "lints" cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
step "documentation" documentation
step "as it ships, checked" cargo clippy --workspace --locked -- -D warnings

if node_resolves; then
    want_libclang
    node_target=$(node metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    step "node: formatting" node fmt --all --check
    step "node: lints" node clippy --workspace --all-targets --features failpoints --locked -- -D warnings
    step "node: as it ships, checked" node clippy --workspace --locked -- -D warnings
    step "node: documentation" node_documentation
    if [ -z "${BSP_RETH_BIN:-}" ]; then
        step "node: program" node_program
        [ ! -x "$node_target/debug/bsp-reth" ] || export BSP_RETH_BIN=$node_target/debug/bsp-reth
    fi
    step "node: the template, copied elsewhere" template
    tests "node: tests" node test --workspace --features failpoints --locked --no-fail-fast -- --show-output
else
    skip "THE NODE, its build and all of its tests" "its dependencies can't be fetched, see above"
fi

tests "tests" all_tests

# The steps below use what is built by now, in the dev profile: together they take a few minutes there, and a release
# build would first compile everything again, for longer than that on two cores.

step "dev chain, made and verified" dev_chain

if has_redis && has_anvil; then
    step "crash campaign of 20 kills" crash_campaign
else
    skip "crash campaign" "it needs redis-server and anvil"
fi

if has_redis && [ -n "${BSP_RETH_BIN:-}" ]; then
    step "node campaign" node_campaign
    [ "$BSP_RETH_BIN" != "${node_target:-}/debug/bsp-reth" ] || step "node killed at every failpoint" node_failpoints
    step "read sets against reth's tracers" node_oracle
else
    skip "node campaign, read sets against reth's tracers" "they need redis-server, and bsp-reth in BSP_RETH_BIN"
fi

if command -v npm >/dev/null && git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    step "proof-chain contract is what its source gives" contracts/build.sh --check
else
    skip "build of the proof-chain contract" "it needs Node.js with npm, and the git repository to compare with"
fi

if [ -f "$shared/read-order/vectors.jsonl" ]; then
    step "read order of real vectors" "$programs/examples/read_order" "$shared/read-order/vectors.jsonl"
else
    skip "read order of real vectors" "$shared/read-order is not there"
fi

if [ -d "$shared/mainnet" ]; then
    step "mainnet segments, verified" "$programs/bsp" verify "$shared"/mainnet/*.avro
else
    skip "mainnet segments" "$shared/mainnet is not there"
fi

# Not those of agent/pinner, whose HTTP client and server would be compiled once more, for longer than all of these take.
for crate in codec crates/capture; do
    if command -v c++ >/dev/null; then
        step "fuzz targets of $crate" tests/fuzz.sh "$crate"
    else
        skip "fuzz targets of $crate" "they need a C++ compiler"
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
