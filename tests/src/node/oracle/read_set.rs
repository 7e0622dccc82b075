//! What `bsp_getReadSet` answers.

use crate::rpc::JsonRpc;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::Deserialize;
use serde_json::json;

/// A block's reads, each list in the network's order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadSet {
    /// Accounts.
    pub accounts: Vec<AccountRow>,
    /// Slots.
    pub slots: Vec<SlotRow>,
    /// Codes, once for each account that loaded it.
    pub codes: Vec<CodeRow>,
    /// Block hashes.
    pub block_hashes: Vec<BlockHashRow>,
}

/// An account as it was before the block.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountRow {
    /// The account.
    pub address: Address,
    /// Its nonce.
    pub nonce: U64,
    /// Its balance in wei.
    pub balance: U256,
    /// The hash of its code.
    pub code_hash: B256,
}

/// A slot as it was before the block.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SlotRow {
    /// The account.
    pub address: Address,
    /// The slot.
    pub slot: B256,
    /// Its value.
    pub value: B256,
}

/// A code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CodeRow {
    /// Its hash.
    pub hash: B256,
    /// The code.
    pub code: Bytes,
}

/// A block hash that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BlockHashRow {
    /// The block.
    pub number: U64,
    /// Its hash, zero for a number out of range.
    pub hash: B256,
}

impl ReadSet {
    /// The read set of a canonical block, from the extension.
    ///
    /// # Errors
    ///
    /// Where the node does not answer.
    pub async fn of(rpc: &JsonRpc, number: u64) -> eyre::Result<Self> {
        rpc.call("bsp_getReadSet", json!([U64::from(number)])).await
    }

    /// The read set that a replica holds.
    pub fn of_replica(state: &bsp_codec::StateSpecimen) -> Self {
        let accounts = state.account_read.iter().map(|row| AccountRow {
            address: row.address,
            nonce: U64::from(row.nonce),
            balance: row.balance,
            code_hash: row.code_hash,
        });
        let slots = state.storage_read.iter().map(|row| SlotRow {
            address: row.account,
            slot: row.slot_key,
            value: row.value,
        });
        let codes =
            state.code_read.iter().map(|row| CodeRow { hash: row.hash, code: row.code.clone() });
        let block_hashes = state
            .blockhash_read
            .iter()
            .map(|row| BlockHashRow { number: U64::from(row.block_number), hash: row.block_hash });
        Self {
            accounts: accounts.collect(),
            slots: slots.collect(),
            codes: codes.collect(),
            block_hashes: block_hashes.collect(),
        }
    }
}
