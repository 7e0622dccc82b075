//! What the namespace answers.

use crate::{
    args::Deliver,
    chain::{forks::UnknownFork, produce::ExecutedBlock},
    handle::NotRunning,
};
use alloy_eips::BlockNumHash;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use bsp_capture::SizeOnlyCode;
use bsp_codec::{AccountRead, BlockhashRead, CodeRead, ReplicaKind, StorageRead};
use bsp_replication::Status;
use serde::Serialize;

/// `bsp_status`
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    version: &'static str,
    kind: &'static str,
    deliver: Deliver,
    /// Why nothing is produced, if nothing is.
    not_running: Option<String>,
    /// Forks that the chain is to have, or has, and that this version can't export.
    unknown_forks: Vec<UnknownFork>,
    #[serde(flatten)]
    status: Status,
}

impl NodeStatus {
    pub(super) fn new(
        kind: ReplicaKind,
        deliver: Deliver,
        unknown_forks: Vec<UnknownFork>,
        status: Result<Status, NotRunning>,
    ) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let (status, not_running) = match status {
            Ok(status) => (status, None),
            Err(reason) => (Status::default(), Some(reason.to_string())),
        };
        Self { version, kind: kind.as_str(), deliver, not_running, unknown_forks, status }
    }
}

/// `bsp_getBlockReplica`
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockReplica {
    pub(super) number: U64,
    pub(super) hash: B256,
    pub(super) kind: &'static str,
    /// As it stands in a stream's entry, before compression.
    pub(super) rlp: Bytes,
}

/// `bsp_getReadSet`: what the block's execution read of the parent state, each list in the
/// network's order.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadSet {
    number: U64,
    hash: B256,
    accounts: Vec<Account>,
    slots: Vec<Slot>,
    codes: Vec<Code>,
    block_hashes: Vec<BlockHash>,
    /// Codes whose size was asked for, and nothing else: the one read that the network's format has
    /// no row for. Whoever executes the block from the lists needs these sizes too.
    size_only_codes: Vec<SizedCode>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct SizedCode {
    address: Address,
    code_hash: B256,
    /// In bytes.
    size: U64,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Account {
    address: Address,
    nonce: U64,
    balance: U256,
    code_hash: B256,
}

#[derive(Debug, Clone, Serialize)]
struct Slot {
    address: Address,
    slot: B256,
    value: B256,
}

#[derive(Debug, Clone, Serialize)]
struct Code {
    hash: B256,
    code: Bytes,
}

#[derive(Debug, Clone, Serialize)]
struct BlockHash {
    number: U64,
    hash: B256,
}

impl ReadSet {
    pub(super) fn of(block: BlockNumHash, executed: &ExecutedBlock) -> Self {
        let reads = &executed.capture().reads;
        let lists = &reads.lists;
        Self {
            number: U64::from(block.number),
            hash: block.hash,
            accounts: lists.account_read.iter().map(Into::into).collect(),
            slots: lists.storage_read.iter().map(Into::into).collect(),
            codes: lists.code_read.iter().map(Into::into).collect(),
            block_hashes: lists.blockhash_read.iter().map(Into::into).collect(),
            size_only_codes: reads.size_only_codes.iter().map(Into::into).collect(),
        }
    }
}

impl From<&AccountRead> for Account {
    fn from(row: &AccountRead) -> Self {
        let (nonce, balance) = (U64::from(row.nonce), row.balance);
        Self { address: row.address, nonce, balance, code_hash: row.code_hash }
    }
}

impl From<&StorageRead> for Slot {
    fn from(row: &StorageRead) -> Self {
        Self { address: row.account, slot: row.slot_key, value: row.value }
    }
}

impl From<&CodeRead> for Code {
    fn from(row: &CodeRead) -> Self {
        Self { hash: row.hash, code: row.code.clone() }
    }
}

impl From<&SizeOnlyCode> for SizedCode {
    fn from(code: &SizeOnlyCode) -> Self {
        Self { address: code.account, code_hash: code.hash, size: U64::from(code.size) }
    }
}

impl From<&BlockhashRead> for BlockHash {
    fn from(row: &BlockhashRead) -> Self {
        Self { number: U64::from(row.block_number), hash: row.block_hash }
    }
}
