// Compiles the contract beside this file, and writes what tests need of it: see build.sh.

const fs = require('fs');
const path = require('path');
const solc = require('solc');

const name = 'BlockSpecimenProofChain';
const file = `${name}.sol`;
const input = {
  language: 'Solidity',
  sources: { [file]: { content: fs.readFileSync(path.join(__dirname, file), 'utf8') } },
  settings: {
    // Chains without the opcodes of later forks take it as well.
    evmVersion: 'paris',
    optimizer: { enabled: true, runs: 200 },
    // No metadata hash at the end of the code: the same source gives the same bytes.
    metadata: { appendCBOR: false },
    outputSelection: { '*': { [name]: ['abi', 'evm.bytecode.object'] } },
  },
};

const output = JSON.parse(solc.compile(JSON.stringify(input)));
for (const error of output.errors ?? []) {
  console.error(error.formattedMessage);
}
if ((output.errors ?? []).some((error) => error.severity === 'error')) {
  process.exit(1);
}

const contract = output.contracts[file][name];
const artefact = {
  contract: name,
  compiler: solc.version(),
  abi: contract.abi,
  bytecode: `0x${contract.evm.bytecode.object}`,
};
fs.writeFileSync(path.join(__dirname, `${name}.json`), `${JSON.stringify(artefact, null, 1)}\n`);
