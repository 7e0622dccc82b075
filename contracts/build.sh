#!/usr/bin/env bash
# Builds the proof-chain contract, and the one that tests derive from it, from their Solidity sources. Needs node and npm.
#
#   contracts/build.sh            writes BlockSpecimenProofChain.json here, and ProofChainWithHooks.json in tests/contract
#   contracts/build.sh --check    fails if a committed file is not what its source gives
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

npm ci --no-audit --no-fund --silent
node build.js
if [ "${1:-}" = --check ]; then
    git diff --exit-code -- BlockSpecimenProofChain.json ../tests/contract/ProofChainWithHooks.json
fi
