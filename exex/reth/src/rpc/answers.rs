//! What the namespace answers.

use crate::{Deliver, handle::NotRunning, produce::ExecutedBlock};
use alloy_eips::BlockNumHash;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
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
    #[serde(flatten)]
    status: Status,
}

impl NodeStatus {
    pub(super) fn new(
        kind: ReplicaKind,
        deliver: Deliver,
        status: Result<Status, NotRunning>,
    ) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let (status, not_running) = match status {
            Ok(status) => (status, None),
            Err(reason) => (Status::default(), Some(reason.to_string())),
        };
        Self { version, kind: kind.as_str(), deliver, not_running, status }
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

/// `bsp_getReadSet`: what the block's execution read of the parent state, each list in the network's order.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadSet {
    number: U64,
    hash: B256,
    accounts: Vec<Account>,
    slots: Vec<Slot>,
    codes: Vec<Code>,
    block_hashes: Vec<BlockHash>,
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
        let lists = &executed.capture().reads.lists;
        Self {
            number: U64::from(block.number),
            hash: block.hash,
            accounts: lists.account_read.iter().map(Into::into).collect(),
            slots: lists.storage_read.iter().map(Into::into).collect(),
            codes: lists.code_read.iter().map(Into::into).collect(),
            block_hashes: lists.blockhash_read.iter().map(Into::into).collect(),
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

impl From<&BlockhashRead> for BlockHash {
    fn from(row: &BlockhashRead) -> Self {
        Self { number: U64::from(row.block_number), hash: row.block_hash }
    }
}
