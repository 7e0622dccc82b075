#!/usr/bin/env bash
# Builds BlockSpecimenProofChain.json from the Solidity source beside it. Needs node and npm.
#
#   tests/contract/build.sh            rebuilds the file
#   tests/contract/build.sh --check    fails if the committed file is not what the source gives
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

npm ci --no-audit --no-fund --silent
node build.js
if [ "${1:-}" = --check ]; then
    git diff --exit-code -- BlockSpecimenProofChain.json
fi
