//! What the node's own tracers say of a block.

use crate::rpc::JsonRpc;
use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A block by three tracers.
#[derive(Debug, Default)]
pub struct BlockTraces {
    /// What transactions touched, as it was at the first touch.
    pub accounts: BTreeMap<Address, TracedAccount>,
    /// Accounts whose own code a frame was entered with.
    pub entered: BTreeSet<Address>,
    /// Who gets withdrawals.
    pub withdrawals: BTreeSet<Address>,
    /// Addresses and slots that the whole block read, by `debug_executionWitness`.
    pub witness_keys: BTreeSet<Bytes>,
    /// How many transactions there are of each type.
    pub types: BTreeMap<u8, usize>,
}

/// An account at the first transaction of a block that touched it.
#[derive(Debug, Clone, Default)]
pub struct TracedAccount {
    /// Balance in wei.
    pub balance: U256,
    /// Nonce.
    pub nonce: u64,
    /// Code, of the first transaction that shows one.
    pub code: Bytes,
    /// Slots.
    pub slots: BTreeMap<B256, TracedSlot>,
    /// The first transaction that touched the account.
    pub transaction: usize,
}

/// A slot at the first transaction of a block that touched it.
#[derive(Debug, Clone, Copy)]
pub struct TracedSlot {
    /// Its value.
    pub value: B256,
    /// That transaction.
    pub transaction: usize,
}

#[derive(Deserialize)]
struct Traced<T> {
    result: T,
}

#[derive(Deserialize)]
struct PreState {
    #[serde(default)]
    balance: U256,
    #[serde(default)]
    nonce: u64,
    #[serde(default)]
    code: Bytes,
    #[serde(default)]
    storage: BTreeMap<B256, B256>,
}

/// A frame of the `flatCallTracer`: the nested form of a deep recursion is too deep for a JSON
/// reader.
#[derive(Deserialize)]
struct Frame {
    action: Action,
    error: Option<String>,
}

/// A call has a `to`; a creation and a destruction have none.
#[derive(Deserialize)]
struct Action {
    to: Option<Address>,
}

#[derive(Deserialize)]
struct Witness {
    keys: Vec<Bytes>,
}

#[derive(Deserialize)]
struct Block {
    transactions: Vec<BlockTransaction>,
    #[serde(default)]
    withdrawals: Vec<BlockWithdrawal>,
}

#[derive(Deserialize)]
struct BlockTransaction {
    #[serde(rename = "type")]
    kind: U64,
}

#[derive(Deserialize)]
struct BlockWithdrawal {
    address: Address,
}

impl TracedAccount {
    /// Whether it may not have existed before the block. Its code can be one that the block has
    /// given it.
    pub fn is_new(&self) -> bool {
        self.balance.is_zero() && self.nonce == 0
    }

    /// The hash of its code.
    pub fn code_hash(&self) -> B256 {
        keccak256(&self.code)
    }
}

impl BlockTraces {
    /// Has the node trace a canonical block.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub async fn of(rpc: &JsonRpc, number: u64) -> eyre::Result<Self> {
        let number = U64::from(number);
        let mut traces = Self::default();
        let block: Block = rpc.call("eth_getBlockByNumber", json!([number, true])).await?;
        traces.withdrawals.extend(block.withdrawals.iter().map(|it| it.address));
        for transaction in &block.transactions {
            *traces.types.entry(transaction.kind.to()).or_default() += 1;
        }
        let pre_states: Vec<Traced<BTreeMap<Address, PreState>>> =
            trace(rpc, number, "prestateTracer").await?;
        for (transaction, it) in pre_states.into_iter().enumerate() {
            traces.add_pre_state(transaction, it.result);
        }
        let frames: Vec<Traced<Vec<Frame>>> = trace(rpc, number, "flatCallTracer").await?;
        frames.iter().flat_map(|it| &it.result).for_each(|frame| traces.add_frame(frame));
        let witness: Witness = rpc.call("debug_executionWitness", json!([number])).await?;
        traces.witness_keys.extend(witness.keys);
        Ok(traces)
    }

    fn add_pre_state(&mut self, transaction: usize, accounts: BTreeMap<Address, PreState>) {
        for (address, pre) in accounts {
            let account = self.accounts.entry(address).or_insert_with(|| TracedAccount {
                balance: pre.balance,
                nonce: pre.nonce,
                transaction,
                ..TracedAccount::default()
            });
            if account.code.is_empty() {
                account.code = pre.code;
            }
            for (slot, value) in pre.storage {
                account.slots.entry(slot).or_insert(TracedSlot { value, transaction });
            }
        }
    }

    /// A frame that failed for its depth or its caller's balance was never entered.
    fn add_frame(&mut self, frame: &Frame) {
        let error = frame.error.as_deref().unwrap_or_default();
        let entered = !error.contains("balance") && !error.contains("TooDeep");
        self.entered.extend(frame.action.to.filter(|_| entered));
    }

    /// Whether the witness has an address or a slot.
    pub fn witnessed(&self, key: &[u8]) -> bool {
        self.witness_keys.contains(key)
    }
}

async fn trace<T: serde::de::DeserializeOwned>(
    rpc: &JsonRpc,
    number: U64,
    tracer: &str,
) -> eyre::Result<T> {
    let options: Value = json!({ "tracer": tracer });
    rpc.call("debug_traceBlockByNumber", json!([number, options])).await
}
