//! A block as the engine API takes it, so that any client can be driven along the chain.

use crate::{block::DevBlock, genesis::DevFork};
use alloy_consensus::Transaction as _;
use alloy_eips::{eip2718::Encodable2718, eip7685::Requests};
use alloy_primitives::{B256, Bytes, U64, U256};
use serde::Serialize;
use serde_json::{Value, json};

/// One call of the engine API that gives a client a block. Its JSON form is a line of a payload
/// file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewPayload {
    /// Number of the block.
    pub number: u64,
    /// Hash of the block.
    pub hash: B256,
    /// The method: `engine_newPayloadV3` at Cancun, `engine_newPayloadV4` from Prague on.
    pub method: &'static str,
    /// The method's parameters: payload, blob hashes, beacon root and, in V4, the requests.
    pub params: Value,
}

impl NewPayload {
    /// The call for a sealed block of a chain with this newest fork.
    pub fn new(sealed: &DevBlock, fork: DevFork) -> Self {
        let header = &sealed.block.header;
        let beacon_root = header.parent_beacon_block_root.unwrap_or_default();
        let (payload, blob_hashes) = (execution_payload(sealed), blob_hashes(sealed));
        let (method, params) = if fork >= DevFork::Prague {
            let requests = requests(&sealed.requests);
            ("engine_newPayloadV4", json!([payload, blob_hashes, beacon_root, requests]))
        } else {
            ("engine_newPayloadV3", json!([payload, blob_hashes, beacon_root]))
        };
        Self { number: header.number, hash: sealed.hash, method, params }
    }
}

fn execution_payload(sealed: &DevBlock) -> Value {
    let (header, body) = (&sealed.block.header, &sealed.block.body);
    let transactions: Vec<_> =
        body.transactions.iter().map(|it| Bytes::from(it.encoded_2718())).collect();
    json!({
        "parentHash": header.parent_hash,
        "feeRecipient": header.beneficiary,
        "stateRoot": header.state_root,
        "receiptsRoot": header.receipts_root,
        "logsBloom": header.logs_bloom,
        "prevRandao": header.mix_hash,
        "blockNumber": U64::from(header.number),
        "gasLimit": U64::from(header.gas_limit),
        "gasUsed": U64::from(header.gas_used),
        "timestamp": U64::from(header.timestamp),
        "extraData": header.extra_data,
        "baseFeePerGas": U256::from(header.base_fee_per_gas.unwrap_or_default()),
        "blockHash": sealed.hash,
        "transactions": transactions,
        "withdrawals": body.withdrawals,
        "blobGasUsed": U64::from(header.blob_gas_used.unwrap_or_default()),
        "excessBlobGas": U64::from(header.excess_blob_gas.unwrap_or_default()),
    })
}

fn blob_hashes(sealed: &DevBlock) -> Vec<B256> {
    let transactions = sealed.block.body.transactions.iter();
    transactions.filter_map(|it| it.blob_versioned_hashes()).flatten().copied().collect()
}

/// The engine API leaves out requests that are nothing but their type.
fn requests(requests: &Requests) -> Vec<&Bytes> {
    requests.iter().filter(|request| request.len() > 1).collect()
}
