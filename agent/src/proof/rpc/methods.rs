//! The methods that proving needs, with answers checked against the question.

use super::{Answer, Call, Rpc, RpcError, transport::read};
use crate::proof::{Confirmations, fees::Market};
use alloy_primitives::{Address, B256, Bytes, LogData, TxKind, U64, U128, U256};
use alloy_sol_types::SolCall;
use serde::Deserialize;
use serde_json::json;

/// What is read of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// In wei for each gas, on chains that have one.
    pub base_fee: Option<u128>,
}

/// What is read of a receipt. It is of the transaction that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction.
    pub transaction: B256,
    /// The block that holds it.
    pub block: (u64, B256),
    /// Whether it did not revert.
    pub success: bool,
    /// The gas that it used, where the node says so.
    pub gas_used: Option<u64>,
    /// The contract that it created, if it created one.
    pub created: Option<Address>,
    /// Its logs, each with the contract that emitted it.
    pub logs: Vec<(Address, LogData)>,
}

/// A log that a filter found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLog {
    /// The transaction.
    pub transaction: B256,
    /// The block that holds it.
    pub block: (u64, B256),
    /// The contract that emitted it.
    pub emitter: Address,
    /// What it says.
    pub data: LogData,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireBlock {
    number: Option<U64>,
    hash: Option<B256>,
    base_fee_per_gas: Option<U128>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReceipt {
    transaction_hash: B256,
    block_number: Option<U64>,
    block_hash: Option<B256>,
    status: Option<U64>,
    gas_used: Option<U64>,
    contract_address: Option<Address>,
    #[serde(default)]
    logs: Vec<WireLog>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    transaction_hash: Option<B256>,
    block_number: Option<U64>,
    block_hash: Option<B256>,
    #[serde(default)]
    removed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTransaction {
    hash: B256,
    from: Address,
}

#[derive(Deserialize)]
struct WireTime {
    timestamp: U64,
}

/// How many blocks are looked back at for what a block takes.
const BLOCKS_TO_AVERAGE: u64 = 1000;

/// No log has more topics (EVM: `LOG4`).
const MAX_TOPICS: usize = 4;

impl WireLog {
    fn data(&self) -> Option<LogData> {
        (self.topics.len() <= MAX_TOPICS)
            .then(|| LogData::new_unchecked(self.topics.clone(), self.data.clone()))
    }
}

/// The questions.
impl Call {
    /// Any method, for what no other function here asks.
    pub const fn new(method: &'static str, params: serde_json::Value) -> Self {
        Self { method, params }
    }

    pub(in crate::proof) const fn method(&self) -> &'static str {
        self.method
    }

    pub(in crate::proof) fn latest_block() -> Self {
        Self { method: "eth_getBlockByNumber", params: json!(["latest", false]) }
    }

    /// The newest block that the chain will not take back, where the RPC has that tag.
    pub(in crate::proof) fn finalized_block() -> Self {
        Self { method: "eth_getBlockByNumber", params: json!(["finalized", false]) }
    }

    pub(in crate::proof) fn block(number: u64) -> Self {
        Self { method: "eth_getBlockByNumber", params: json!([U64::from(number), false]) }
    }

    pub(in crate::proof) fn transaction_count(of: Address, at: &'static str) -> Self {
        Self { method: "eth_getTransactionCount", params: json!([of, at]) }
    }

    pub(in crate::proof) fn receipt(hash: B256) -> Self {
        Self { method: "eth_getTransactionReceipt", params: json!([hash]) }
    }

    pub(in crate::proof) fn transaction(hash: B256) -> Self {
        Self { method: "eth_getTransactionByHash", params: json!([hash]) }
    }

    pub(in crate::proof) fn execute(from: Address, to: Address, input: &Bytes) -> Self {
        let transaction = json!({"from": from, "to": to, "data": input, "input": input});
        Self { method: "eth_call", params: json!([transaction, "latest"]) }
    }

    pub(in crate::proof) fn estimate_gas(
        from: Address,
        to: impl Into<TxKind>,
        input: &Bytes,
    ) -> Self {
        let mut transaction = json!({"from": from, "data": input, "input": input});
        if let TxKind::Call(to) = to.into() {
            transaction["to"] = json!(to);
        }
        Self { method: "eth_estimateGas", params: json!([transaction, "latest"]) }
    }

    pub(in crate::proof) fn gas_price() -> Self {
        Self { method: "eth_gasPrice", params: json!([]) }
    }

    pub(in crate::proof) fn priority_fee() -> Self {
        Self { method: "eth_maxPriorityFeePerGas", params: json!([]) }
    }
}

/// The answers.
pub(in crate::proof) mod answers {
    use super::*;

    pub(in crate::proof) fn quantity(call: &Call, answer: &Answer) -> Result<u64, RpcError> {
        let value: U64 = value(call, answer)?;
        Ok(value.to())
    }

    pub(in crate::proof) fn price(call: &Call, answer: &Answer) -> Result<u128, RpcError> {
        let value: U128 = value(call, answer)?;
        Ok(value.to())
    }

    /// The block, or `None` if there is none of that number (yet).
    pub(in crate::proof) fn block(call: &Call, answer: &Answer) -> Result<Option<Head>, RpcError> {
        let Some(block) = value::<Option<WireBlock>>(call, answer)? else { return Ok(None) };
        let (Some(number), Some(hash)) = (block.number, block.hash) else {
            return Err(implausible(call, "a block without number or hash"));
        };
        let head = Head {
            number: number.to(),
            hash,
            base_fee: block.base_fee_per_gas.map(|fee| fee.to()),
        };
        match call.params.get(0) {
            Some(asked) if asked != "latest" && asked != "finalized" && *asked != json!(number) => {
                Err(implausible(call, "another block than asked for"))
            }
            _ => Ok(Some(head)),
        }
    }

    /// When a block was made, in seconds since 1970.
    pub(super) fn timestamp(call: &Call, answer: &Answer) -> Result<u64, RpcError> {
        let block: WireTime = value(call, answer)?;
        Ok(block.timestamp.to())
    }

    pub(in crate::proof) fn head(call: &Call, answer: &Answer) -> Result<Head, RpcError> {
        block(call, answer)?.ok_or_else(|| implausible(call, "no latest block"))
    }

    /// The receipt of a mined transaction. `None`: not mined, as far as the node knows.
    pub(in crate::proof) fn receipt(
        call: &Call,
        answer: &Answer,
        hash: B256,
    ) -> Result<Option<Receipt>, RpcError> {
        let Some(receipt) = value::<Option<WireReceipt>>(call, answer)? else { return Ok(None) };
        if receipt.transaction_hash != hash {
            return Err(implausible(call, "another transaction's receipt"));
        }
        let (Some(number), Some(block)) = (receipt.block_number, receipt.block_hash) else {
            return Ok(None);
        };
        let Some(status) = receipt.status else {
            return Err(implausible(call, "a receipt without status"));
        };
        let logs = receipt.logs.iter().filter_map(|log| Some((log.address, log.data()?))).collect();
        Ok(Some(Receipt {
            transaction: hash,
            block: (number.to(), block),
            success: status == U64::from(1),
            gas_used: receipt.gas_used.map(|gas| gas.to()),
            created: receipt.contract_address,
            logs,
        }))
    }

    /// The sender of a transaction; `None` if the node does not know it.
    pub(in crate::proof) fn sender(
        call: &Call,
        answer: &Answer,
        hash: B256,
    ) -> Result<Option<Address>, RpcError> {
        match value::<Option<WireTransaction>>(call, answer)? {
            Some(transaction) if transaction.hash != hash => {
                Err(implausible(call, "another transaction"))
            }
            transaction => Ok(transaction.map(|transaction| transaction.from)),
        }
    }

    /// What a view of the contract returns.
    pub(in crate::proof) fn view<C: SolCall>(
        call: &Call,
        answer: &Answer,
    ) -> Result<C::Return, RpcError> {
        let bytes: Bytes = value(call, answer)?;
        C::abi_decode_returns(&bytes).map_err(|error| RpcError::Malformed {
            method: call.method,
            reason: format!("{}: {error}: is this the proof-chain contract?", C::SIGNATURE),
        })
    }

    fn value<T: serde::de::DeserializeOwned>(call: &Call, answer: &Answer) -> Result<T, RpcError> {
        match answer {
            Ok(raw) => read(call.method, raw),
            Err(error) => Err(error.clone()),
        }
    }
}

fn implausible(call: &Call, reason: &str) -> RpcError {
    RpcError::Implausible { method: call.method, reason: reason.to_owned() }
}

impl Rpc {
    /// `eth_chainId`.
    pub async fn chain_id(&self) -> Result<u64, RpcError> {
        let id: U64 = self.call(&Call { method: "eth_chainId", params: json!([]) }).await?;
        Ok(id.to())
    }

    /// An account's balance at the latest block, in wei.
    pub async fn balance(&self, of: Address) -> Result<U256, RpcError> {
        self.call(&Call { method: "eth_getBalance", params: json!([of, "latest"]) }).await
    }

    /// The code at an address, empty if there is none.
    pub async fn code(&self, at: Address) -> Result<Bytes, RpcError> {
        self.call(&Call { method: "eth_getCode", params: json!([at, "latest"]) }).await
    }

    /// Asks a view of a contract.
    pub async fn view<C: SolCall>(
        &self,
        from: Address,
        to: Address,
        view: &C,
    ) -> Result<C::Return, RpcError> {
        let call = Call::execute(from, to, &view.abi_encode().into());
        let answers = self.batch(std::slice::from_ref(&call)).await?;
        match answers.first() {
            Some(answer) => answers::view::<C>(&call, answer),
            None => Err(implausible(&call, "no answer")),
        }
    }

    /// The gas that a transaction would use now. It reverts here as it would on the chain.
    pub async fn estimate(
        &self,
        from: Address,
        to: TxKind,
        input: &Bytes,
    ) -> Result<u64, RpcError> {
        let call = Call::estimate_gas(from, to, input);
        let answer = self.single(&call).await;
        answers::quantity(&call, &answer)
    }

    /// The nonce that an account's next transaction has, with those that wait in the node's pool.
    pub async fn next_nonce(&self, of: Address) -> Result<u64, RpcError> {
        let call = Call::transaction_count(of, "pending");
        let answer = self.single(&call).await;
        answers::quantity(&call, &answer)
    }

    /// The receipt of a mined transaction. `None`: not mined, as far as the node knows.
    pub async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, RpcError> {
        let call = Call::receipt(hash);
        let answer = self.single(&call).await;
        answers::receipt(&call, &answer, hash)
    }

    /// A block by its number, or `None` if there is none (yet).
    pub async fn block(&self, number: u64) -> Result<Option<Head>, RpcError> {
        let call = Call::block(number);
        let answer = self.single(&call).await;
        answers::block(&call, &answer)
    }

    /// The latest block that is as deep as is asked for. `None`: the chain is not that long.
    pub async fn settled(&self, depth: Confirmations) -> Result<Option<u64>, RpcError> {
        let finalized = match depth {
            Confirmations::Finalized => {
                let call = Call::finalized_block();
                match self.single(&call).await {
                    // A node that does not know the tag.
                    Err(RpcError::Node { .. }) => None,
                    answer => answers::block(&call, &answer)?.map(|block| block.number),
                }
            }
            Confirmations::Blocks(_) => None,
        };
        Ok(depth.settled(self.head().await?.number, finalized))
    }

    /// What the chain's last blocks took on average, in whole seconds.
    pub async fn seconds_per_block(&self) -> Result<u64, RpcError> {
        let head = self.head().await?.number;
        let back = head.min(BLOCKS_TO_AVERAGE);
        let calls = [Call::block(head - back), Call::block(head)];
        let answers = self.batch(&calls).await?;
        match answers.as_slice() {
            [old, new] => {
                let old = answers::timestamp(&calls[0], old)?;
                let new = answers::timestamp(&calls[1], new)?;
                Ok(new.saturating_sub(old).checked_div(back).unwrap_or(0))
            }
            _ => Err(implausible(&calls[0], "fewer answers than questions")),
        }
    }

    /// A word of an account's storage at the latest block.
    pub async fn storage(&self, of: Address, slot: B256) -> Result<B256, RpcError> {
        self.call(&Call { method: "eth_getStorageAt", params: json!([of, slot, "latest"]) }).await
    }

    /// Hands a signed transaction to the node. On success it has the hash that was computed here.
    pub async fn broadcast(&self, raw: &Bytes, hash: B256) -> Result<(), RpcError> {
        let call = Call { method: "eth_sendRawTransaction", params: json!([raw]) };
        let answered: B256 = self.call(&call).await?;
        if answered == hash {
            Ok(())
        } else {
            Err(implausible(&call, "another hash than the transaction's"))
        }
    }

    /// The latest block.
    pub async fn head(&self) -> Result<Head, RpcError> {
        let call = Call::latest_block();
        let answers = self.batch(std::slice::from_ref(&call)).await?;
        answers.first().map_or_else(
            || Err(implausible(&call, "no answer")),
            |answer| answers::head(&call, answer),
        )
    }

    /// What the node says about prices.
    pub async fn market(&self) -> Result<Market, RpcError> {
        let calls = [Call::latest_block(), Call::priority_fee(), Call::gas_price()];
        match self.batch(&calls).await?.as_slice() {
            [head, tip, price] => Ok(Market {
                base_fee: answers::head(&calls[0], head)?.base_fee,
                tip: answers::price(&calls[1], tip).ok(),
                gas_price: answers::price(&calls[2], price).ok(),
            }),
            _ => Err(implausible(&calls[0], "fewer answers than questions")),
        }
    }

    /// Logs with a first topic that a contract emitted in a range of blocks, both ends included.
    pub async fn logs(
        &self,
        emitter: Address,
        topic: B256,
        blocks: std::ops::RangeInclusive<u64>,
    ) -> Result<Vec<FoundLog>, RpcError> {
        let filter = json!({
            "address": emitter,
            "topics": [topic],
            "fromBlock": U64::from(*blocks.start()),
            "toBlock": U64::from(*blocks.end()),
        });
        let call = Call { method: "eth_getLogs", params: json!([filter]) };
        let logs: Vec<WireLog> = self.call(&call).await?;
        let found = logs.into_iter().filter(|log| !log.removed).filter_map(|log| {
            let data = log.data()?;
            let block = (log.block_number?.to(), log.block_hash?);
            Some(FoundLog { transaction: log.transaction_hash?, block, emitter: log.address, data })
        });
        // A node that ignores the filter would not make a proof of something else.
        Ok(found
            .filter(|log| log.emitter == emitter && log.data.topics().first() == Some(&topic))
            .collect())
    }
}
