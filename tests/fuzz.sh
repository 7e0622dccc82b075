#!/usr/bin/env bash
# Runs the fuzz targets of a crate from the committed seeds on, guided by what code an input reaches. No nightly compiler
# and no cargo-fuzz is needed; those add the sanitizers, for longer runs.
#
#   tests/fuzz.sh codec                                         every target, on 50,000 inputs
#   tests/fuzz.sh codec rlp_replica -max_total_time=600         one of them, with options of libFuzzer
#
# An input that makes a target panic is kept in the folder `fuzz/artifacts` of the target folder, and named in the output.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
crate=$root/${1:?a crate with a folder fuzz, such as codec}
shift

# One folder for all crates: they share most of what is compiled.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}/fuzz
artifacts=$CARGO_TARGET_DIR/artifacts
mkdir -p "$artifacts"
corpus=$(mktemp -d)
trap 'rm -rf "$corpus"' EXIT

# As cargo-fuzz sets them. With --target they leave alone what runs while compiling.
host=$(rustc --version --verbose | sed -n 's/^host: //p')
export RUSTFLAGS="-Cpasses=sancov-module"
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    RUSTFLAGS+=" -Cllvm-args=-sanitizer-coverage-$option"
done

# fuzz TARGET OPTION...
fuzz() {
    local name=$1 folders=("$corpus/$1")
    shift
    mkdir "${folders[0]}"
    [ ! -d "seeds/$name" ] || folders+=("seeds/$name")
    echo "-- $name"
    cargo run --locked --quiet --target "$host" --bin "$name" -- \
        "-artifact_prefix=$artifacts/$name-" "$@" "${folders[@]}"
}

cd "$crate/fuzz"
cargo build --locked --quiet --target "$host"
if [ $# != 0 ]; then
    fuzz "$@"
else
    for source in fuzz_targets/*.rs; do
        # The same inputs each time: a run is no lottery.
        fuzz "$(basename "$source" .rs)" -runs=50000 -seed=1 -verbosity=0 -print_funcs=0
    done
fi
