//! Official Ethereum tests of the form `BlockchainTests`: a genesis state and blocks on top of it.

use alloy_consensus::{
    Block,
    transaction::{Recovered, SignerRecoverable},
};
use alloy_genesis::Genesis;
use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256, map::HashMap};
use alloy_rlp::Decodable;
use bsp_capture::{BlockParts, ChainSpec, SignedTransaction, capture_with_changes};
use bsp_codec::{
    Profile, Replica, ReplicaKind,
    convert::{SourceBlock, export_block},
};
use revm::{
    DatabaseRef,
    bytecode::Bytecode,
    database::{BundleAccount, BundleState},
    state::AccountInfo,
};
use serde::Deserialize;
use std::{collections::BTreeMap, convert::Infallible};

/// A file: tests by name.
pub(crate) type File = BTreeMap<String, Case>;

/// One test.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Case {
    /// The rules, by their name in these tests.
    pub(crate) network: String,
    genesis_block_header: GenesisHeader,
    pre: BTreeMap<Address, PreAccount>,
    blocks: Vec<CaseBlock>,
}

#[derive(Debug, Deserialize)]
struct GenesisHeader {
    hash: B256,
}

#[derive(Debug, Deserialize)]
struct PreAccount {
    balance: U256,
    nonce: U64,
    code: Bytes,
    storage: BTreeMap<U256, U256>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CaseBlock {
    rlp: Bytes,
    expect_exception: Option<serde_json::Value>,
}

/// Why a test has no replica, or not the right one.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Its rules are older than London, or not known.
    Network,
    /// It is about a block that no client takes.
    InvalidBlock,
    /// The outcome is not the header's.
    Check(String),
    /// Anything else.
    Other(String),
}

impl Case {
    /// The replicas of the blocks, each captured on the state after the one before.
    pub(crate) fn replicas(&self) -> Result<Vec<Replica>, Trouble> {
        let spec = spec(&self.network).ok_or(Trouble::Network)?;
        let mut state = PreState::new(&self.pre);
        state.hashes.insert(0, self.genesis_block_header.hash);
        self.blocks.iter().map(|block| state.advance(&spec, block)).collect()
    }
}

/// Parts of the names of the tests that create at an address with storage but neither nonce nor
/// code.
const EIP_7610: [&str; 5] = [
    "InitCollisionParis",
    "create2collisionStorageParis",
    "RevertInCreateInInitCreate2Paris",
    "RevertInCreateInInit_Paris",
    "dynamicAccountOverwriteEmpty_Paris",
];

/// Whether the outcome of a test is not what revm makes of it, for that reason.
pub(crate) fn is_of_eip_7610(name: &str) -> bool {
    EIP_7610.iter().any(|part| name.contains(part))
}

/// The rules of a network of these tests, as a genesis file says them.
pub(crate) fn spec(network: &str) -> Option<ChainSpec> {
    const LATER: [&str; 4] = ["shanghaiTime", "cancunTime", "pragueTime", "osakaTime"];
    let at_start = |forks: usize, paris: bool| (forks, 0, paris, 0);
    // How many of the later forks are on, when the last of them comes, whether it is after the
    // merge, London's block.
    let (forks, last, paris, london) = match network {
        "London" => at_start(0, false),
        "Paris" | "Merge" => at_start(0, true),
        "Shanghai" => at_start(1, true),
        "Cancun" => at_start(2, true),
        "Prague" => at_start(3, true),
        "Osaka" => at_start(4, true),
        "ParisToShanghaiAtTime15k" => (1, 15_000, true, 0),
        "ShanghaiToCancunAtTime15k" => (2, 15_000, true, 0),
        "CancunToPragueAtTime15k" => (3, 15_000, true, 0),
        "BerlinToLondonAt5" => (0, 0, false, 5),
        _ => return None,
    };
    let mut config = serde_json::json!({
        "chainId": 1, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
        "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0,
        "berlinBlock": 0, "londonBlock": london,
    });
    let fields = config.as_object_mut()?;
    for (index, name) in LATER.into_iter().take(forks).enumerate() {
        let time = if index + 1 == forks { last } else { 0 };
        fields.insert(name.to_owned(), time.into());
    }
    if paris {
        fields.insert("terminalTotalDifficulty".to_owned(), 0.into());
        fields.insert("mergeNetsplitBlock".to_owned(), 0.into());
    }
    let genesis = serde_json::json!({
        "config": config, "nonce": "0x0", "timestamp": "0x0", "extraData": "0x", "gasLimit": "0x1",
        "difficulty": "0x0", "alloc": {},
    });
    let genesis: Genesis = serde_json::from_value(genesis).ok()?;
    Some(ChainSpec::from_genesis(&genesis))
}

/// A whole state in memory.
#[derive(Debug, Default)]
struct PreState {
    accounts: HashMap<Address, AccountInfo>,
    slots: HashMap<(Address, U256), U256>,
    codes: HashMap<B256, Bytecode>,
    hashes: HashMap<u64, B256>,
}

impl PreState {
    fn new(pre: &BTreeMap<Address, PreAccount>) -> Self {
        let mut state = Self::default();
        for (address, account) in pre {
            let code_hash = keccak256(&account.code);
            let (nonce, balance) = (account.nonce.to(), account.balance);
            let info = AccountInfo { nonce, balance, code_hash, ..Default::default() };
            // Without the code, so that the EVM has to ask for it by its hash.
            state.accounts.insert(*address, AccountInfo { code: None, ..info });
            let code = Bytecode::new_raw_checked(account.code.clone())
                .unwrap_or_else(|_| Bytecode::new_legacy(account.code.clone()));
            state.codes.insert(code_hash, code);
            for (slot, value) in &account.storage {
                state.slots.insert((*address, *slot), *value);
            }
        }
        state
    }

    fn advance(&mut self, spec: &ChainSpec, block: &CaseBlock) -> Result<Replica, Trouble> {
        let other = |error: &dyn std::fmt::Display| Trouble::Other(error.to_string());
        if block.expect_exception.is_some() {
            return Err(Trouble::InvalidBlock);
        }
        let block = Block::<SignedTransaction>::decode(&mut block.rlp.as_ref())
            .map_err(|error| other(&error))?;
        let body = &block.body;
        let senders: Vec<_> = body
            .transactions
            .iter()
            .map(SignerRecoverable::recover_signer)
            .collect::<Result<_, _>>()
            .map_err(|error| other(&error))?;
        let transactions = body.transactions.iter().zip(&senders);
        let recovered =
            transactions.map(|(tx, sender)| Recovered::new_unchecked(tx.clone(), *sender));
        let parts = BlockParts {
            header: &block.header,
            ommers: &body.ommers,
            withdrawals: body.withdrawals.as_ref().map(|list| list.as_slice()),
        };
        let (captured, changes) =
            capture_with_changes(spec, parts, recovered, &*self).map_err(|error| other(&error))?;
        captured.check(&block.header).map_err(|error| Trouble::Check(error.to_string()))?;
        self.apply(&changes);
        self.hashes.insert(block.header.number, block.header.hash_slow());
        let source = SourceBlock {
            network_id: 1,
            header: &block.header,
            transactions: &body.transactions,
            ommers: &body.ommers,
            withdrawals: body.withdrawals.as_ref(),
            senders: &senders,
            receipts: &captured.receipts,
        };
        let (kind, profile) = (ReplicaKind::Replica, Profile::Network);
        export_block(&source, captured.reads.lists, kind, profile).map_err(|error| other(&error))
    }

    fn apply(&mut self, changes: &BundleState) {
        for (hash, code) in &changes.contracts {
            self.codes.insert(*hash, code.clone());
        }
        for (address, change) in &changes.state {
            self.apply_account(*address, change);
        }
    }

    fn apply_account(&mut self, address: Address, change: &BundleAccount) {
        let info = change.info.as_ref().filter(|info| !info.is_empty());
        if change.was_destroyed() || info.is_none() {
            self.slots.retain(|(owner, _), _| *owner != address);
        }
        match info {
            Some(info) => {
                self.accounts.insert(address, AccountInfo { code: None, ..info.clone() });
                for (slot, value) in &change.storage {
                    self.slots.insert((address, *slot), value.present_value);
                }
            }
            None => {
                self.accounts.remove(&address);
            }
        }
    }
}

impl DatabaseRef for PreState {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.accounts.get(&address).cloned())
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.codes.get(&code_hash).cloned().unwrap_or_default())
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Infallible> {
        Ok(self.slots.get(&(address, slot)).copied().unwrap_or_default())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Infallible> {
        Ok(self.hashes.get(&number).copied().unwrap_or_default())
    }
}
