// Compiles the proof-chain contract and the one that tests derive from it, and writes what others need of them: see
// build.sh.

const fs = require('fs');
const path = require('path');
const solc = require('solc');

const root = path.join(__dirname, '..');
const contracts = [
  ['contracts', 'BlockSpecimenProofChain'],
  ['tests/contract', 'ProofChainWithHooks'],
];

const source = ([folder, name]) => `${folder}/${name}.sol`;
const input = {
  language: 'Solidity',
  sources: Object.fromEntries(
    contracts.map((contract) => [
      source(contract),
      { content: fs.readFileSync(path.join(root, source(contract)), 'utf8') },
    ]),
  ),
  settings: {
    // Chains without the opcodes of later forks take it as well.
    evmVersion: 'paris',
    optimizer: { enabled: true, runs: 200 },
    // No metadata hash at the end of the code: the same source gives the same bytes.
    metadata: { appendCBOR: false },
    outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
  },
};

const output = JSON.parse(solc.compile(JSON.stringify(input)));
for (const error of output.errors ?? []) {
  console.error(error.formattedMessage);
}
// A warning is a failure as well: there is none to get used to.
if ((output.errors ?? []).length !== 0) {
  process.exit(1);
}

for (const contract of contracts) {
  const [folder, name] = contract;
  const built = output.contracts[source(contract)][name];
  const artefact = {
    contract: name,
    compiler: solc.version(),
    abi: built.abi,
    bytecode: `0x${built.evm.bytecode.object}`,
    deployedBytecode: `0x${built.evm.deployedBytecode.object}`,
  };
  fs.writeFileSync(path.join(root, folder, `${name}.json`), `${JSON.stringify(artefact, null, 1)}\n`);
}
