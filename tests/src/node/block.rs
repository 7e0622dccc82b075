//! A block as the engine API takes it, with what must arrive at the targets.

use crate::{audit::fed::sha256, messages::dev::DevBlocks};
use alloy_consensus::{Transaction, Typed2718};
use alloy_eips::{
    BlockNumHash, eip2718::Encodable2718, eip7685::Requests, eip7702::SignedAuthorization,
};
use alloy_primitives::{B256, Bytes, U64, U256};
use bsp_capture::RecoveredAuthorizations;
use bsp_codec::{Profile, rlp};
use bsp_devchain::DevBlock;
use eyre::OptionExt;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A block that is ready to be imported.
#[derive(Debug, Clone)]
pub struct EngineBlock {
    /// Number and hash.
    pub id: BlockNumHash,
    /// The parent's hash.
    pub parent: B256,
    /// SHA-256 of the replica's RLP, as every target has to hold it.
    pub replica: [u8; 32],
    /// How many transactions it has of each type.
    pub types: BTreeMap<u8, usize>,
    /// How many of its transactions create a contract.
    pub creations: usize,
    /// How many withdrawals it has.
    pub withdrawals: usize,
    /// What the network's replica leaves out and a verification needs (EIP-7702).
    pub authorizations: RecoveredAuthorizations,
    /// Gas that it uses.
    pub gas_used: u64,
    /// Parameters of `engine_newPayloadV4`.
    pub payload: Value,
}

impl EngineBlock {
    /// The next block of a chain.
    ///
    /// # Errors
    ///
    /// Where the chain's own block does not execute.
    pub fn next(blocks: &mut DevBlocks) -> eyre::Result<Self> {
        let (sealed, replica) = blocks.next_block()?;
        let header = &sealed.block.header;
        let (mut types, mut creations) = (BTreeMap::new(), 0);
        for transaction in &sealed.block.body.transactions {
            *types.entry(transaction.ty()).or_default() += 1;
            creations += usize::from(transaction.is_create());
        }
        Ok(Self {
            id: BlockNumHash::new(header.number, sealed.hash),
            parent: header.parent_hash,
            replica: sha256(&rlp::encode_replica(&replica, Profile::Network)?),
            types,
            creations,
            withdrawals: sealed.block.body.withdrawals.as_ref().map_or(0, |list| list.len()),
            authorizations: authorizations(&sealed),
            gas_used: header.gas_used,
            payload: payload(&sealed)?,
        })
    }
}

fn authorizations(sealed: &DevBlock) -> RecoveredAuthorizations {
    let lists = sealed.block.body.transactions.iter().enumerate().filter_map(|(index, it)| {
        let list = it.authorization_list()?;
        Some((index, list.iter().cloned().map(SignedAuthorization::into_recovered).collect()))
    });
    lists.collect()
}

/// The four parameters of `engine_newPayloadV4` (Prague and Osaka).
fn payload(sealed: &DevBlock) -> eyre::Result<Value> {
    let header = &sealed.block.header;
    let body = &sealed.block.body;
    let transactions: Vec<_> =
        body.transactions.iter().map(|it| Bytes::from(it.encoded_2718())).collect();
    let blob_hashes: Vec<_> = body
        .transactions
        .iter()
        .filter_map(|it| it.blob_versioned_hashes())
        .flatten()
        .copied()
        .collect();
    let payload = json!({
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
    });
    let beacon_root = header.parent_beacon_block_root.ok_or_eyre("a block without beacon root")?;
    Ok(json!([payload, blob_hashes, beacon_root, requests(&sealed.requests)]))
}

/// The engine API leaves out requests that are nothing but their type.
fn requests(requests: &Requests) -> Vec<&Bytes> {
    requests.iter().filter(|request| request.len() > 1).collect()
}
