//! The `apache-avro` crate as an independent writer and reader of the same schema.
//!
//! It is given the semantic value of every field, made with other text routines than the writer's.

use super::SCHEMA;
use crate::replica::{
    Replica, ReplicaAuthorization, ReplicaLog, ReplicaReceipt, ReplicaSidecar, ReplicaTransaction,
    Segment, StateSpecimen,
};
use alloy_consensus::Header;
use alloy_eips::{eip2930::AccessListItem, eip4895::Withdrawal};
use alloy_primitives::{B256, U256};
use apache_avro::{
    Schema, reader::datum::GenericDatumReader, types::Value, writer::datum::GenericDatumWriter,
};
use data_encoding::{BASE64, HEXLOWER};
use std::sync::LazyLock;

static PARSED: LazyLock<Schema> = LazyLock::new(|| Schema::parse_str(SCHEMA).unwrap());

/// The bytes that `apache-avro` writes for a value.
pub(super) fn encode(value: Value) -> Vec<u8> {
    let writer = GenericDatumWriter::builder(&PARSED).build().unwrap();
    writer.write_value_to_vec(value).unwrap()
}

/// The value that `apache-avro` reads, which must use up the bytes.
pub(crate) fn decode(mut bytes: &[u8]) -> Value {
    let reader = GenericDatumReader::builder(&PARSED).build().unwrap();
    let value = reader.read_value(&mut bytes).unwrap();
    assert!(bytes.is_empty(), "{} bytes left", bytes.len());
    value
}

/// A segment as `apache-avro` holds it, all fields kept.
pub(crate) fn value(segment: &Segment) -> Value {
    let event = record([("hash", hex(segment.event_hash)), ("data", replica(&segment.replica))]);
    record([
        ("replicaEvent", Value::Array(vec![event])),
        ("startBlock", long(segment.start_block)),
        ("endBlock", long(segment.end_block)),
        ("elements", long(segment.elements)),
        ("codecVersion", Value::Double(segment.codec_version)),
    ])
}

fn record<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Record(fields.map(|(name, value)| (name.to_owned(), value)).into())
}

fn list<'a, T>(items: &'a [T], item: impl Fn(&'a T) -> Value) -> Value {
    Value::Array(items.iter().map(item).collect())
}

fn optional<T>(value: Option<T>, present: impl FnOnce(T) -> Value) -> Value {
    match value {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(value) => Value::Union(1, Box::new(present(value))),
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(format!("0x{}", HEXLOWER.encode(bytes.as_ref())))
}

fn hex_bytes(bytes: impl AsRef<[u8]>) -> Value {
    Value::Bytes(format!("0x{}", HEXLOWER.encode(bytes.as_ref())).into_bytes())
}

fn base64(bytes: &[u8]) -> Value {
    Value::String(BASE64.encode(bytes))
}

fn number(number: U256) -> Value {
    Value::Bytes(format!("{number:#x}").into_bytes())
}

fn int(value: u64) -> Value {
    Value::Int(value.try_into().unwrap())
}

fn long(value: u64) -> Value {
    Value::Long(value.try_into().unwrap())
}

fn octets(bytes: &[u8]) -> Value {
    list(bytes, |byte| Value::Int((*byte).into()))
}

fn hashes(items: &[B256]) -> Value {
    list(items, hex)
}

fn replica(replica: &Replica) -> Value {
    let uncles = Some(&replica.uncles).filter(|uncles| !uncles.is_empty());
    record([
        ("Type", Value::String(replica.kind.to_string())),
        ("NetworkId", int(replica.network_id)),
        ("Hash", hex(replica.hash)),
        ("TotalDifficulty", number(replica.total_difficulty)),
        ("Header", header(&replica.header)),
        ("Transactions", list(&replica.transactions, transaction)),
        ("uncles", optional(uncles, |uncles| list(uncles, header))),
        ("Receipts", list(&replica.receipts, receipt)),
        ("Senders", list(&replica.senders, hex)),
        ("State", state(&replica.state)),
        ("Withdrawals", optional(replica.withdrawals.as_ref(), |w| list(w, withdrawal))),
        ("BlobTxSidecars", optional(replica.blob_sidecars.as_ref(), |s| list(s, sidecar))),
    ])
}

fn header(header: &Header) -> Value {
    record([
        ("parentHash", hex(header.parent_hash)),
        ("sha3Uncles", hex(header.ommers_hash)),
        ("miner", hex(header.beneficiary)),
        ("stateRoot", hex(header.state_root)),
        ("transactionsRoot", hex(header.transactions_root)),
        ("receiptsRoot", hex(header.receipts_root)),
        ("logsBloom", octets(header.logs_bloom.as_slice())),
        ("difficulty", number(header.difficulty)),
        ("number", number(U256::from(header.number))),
        ("gasLimit", int(header.gas_limit)),
        ("gasUsed", int(header.gas_used)),
        ("timestamp", int(header.timestamp)),
        ("extraData", base64(&header.extra_data)),
        ("mixHash", hex(header.mix_hash)),
        ("nonce", octets(header.nonce.as_slice())),
        ("baseFeePerGas", number(U256::from(header.base_fee_per_gas.unwrap()))),
        ("withdrawalsRoot", optional(header.withdrawals_root, hex)),
        ("blobGasUsed", optional(header.blob_gas_used, int)),
        ("excessBlobGas", optional(header.excess_blob_gas, int)),
        ("parentBeaconBlockRoot", optional(header.parent_beacon_block_root, hex)),
        ("requestsHash", optional(header.requests_hash, hex)),
    ])
}

fn transaction(tx: &ReplicaTransaction) -> Value {
    record([
        ("type", int(tx.tx_type.into())),
        ("accessList", list(&tx.access_list.0, access_list_item)),
        ("chainId", number(tx.chain_id)),
        ("nonce", long(tx.nonce)),
        ("gasPrice", number(tx.gas_price)),
        ("gasTipCap", number(tx.gas_tip_cap)),
        ("gasFeeCap", number(tx.gas_fee_cap)),
        ("gas", long(tx.gas)),
        ("from", optional(tx.from, hex)),
        ("to", optional(tx.to, hex)),
        ("v", optional(tx.v, number)),
        ("r", optional(tx.r, number)),
        ("s", optional(tx.s, number)),
        ("value", number(tx.value)),
        ("input", base64(&tx.input)),
        ("blobFeeCap", optional(tx.blob_fee_cap, number)),
        ("blobHashes", optional(tx.blob_hashes.as_deref(), hashes)),
        ("blobGas", optional(tx.blob_gas, int)),
        ("Data", optional(tx.data.clone(), Value::String)),
        ("AuthList", optional(tx.authorization_list.as_ref(), |a| list(a, authorization))),
    ])
}

fn access_list_item(item: &AccessListItem) -> Value {
    record([("address", hex(item.address)), ("storageKeys", hashes(&item.storage_keys))])
}

fn authorization(item: &ReplicaAuthorization) -> Value {
    record([
        ("chainId", number(item.chain_id)),
        ("address", hex(item.address)),
        ("nonce", long(item.nonce)),
        ("yParity", number(item.y_parity)),
        ("r", number(item.r)),
        ("s", number(item.s)),
    ])
}

fn receipt(receipt: &ReplicaReceipt) -> Value {
    record([
        ("PostStateOrStatus", base64(&receipt.post_state_or_status)),
        ("CumulativeGasUsed", int(receipt.cumulative_gas_used)),
        ("TxHash", hex(receipt.tx_hash)),
        ("ContractAddress", hex(receipt.contract_address)),
        ("Logs", list(&receipt.logs, log)),
        ("GasUsed", int(receipt.gas_used)),
    ])
}

fn log(log: &ReplicaLog) -> Value {
    record([
        ("address", hex(log.address)),
        ("topics", hashes(&log.topics)),
        ("data", base64(&log.data)),
        ("blockNumber", long(log.block_number)),
        ("transactionHash", hex(log.tx_hash)),
        ("transactionIndex", int(log.tx_index)),
        ("blockHash", hex(log.block_hash)),
        ("logIndex", int(log.log_index)),
        ("removed", Value::Boolean(log.removed)),
    ])
}

fn state(state: &StateSpecimen) -> Value {
    let accounts = list(&state.account_read, |read| {
        record([
            ("Address", hex(read.address)),
            ("Nonce", long(read.nonce)),
            ("Balance", number(read.balance)),
            ("CodeHash", hex(read.code_hash)),
        ])
    });
    let slots = list(&state.storage_read, |read| {
        record([
            ("Account", hex(read.account)),
            ("SlotKey", hex(read.slot_key)),
            ("Value", hex(read.value)),
        ])
    });
    let codes = list(&state.code_read, |read| {
        record([("Hash", hex(read.hash)), ("Code", base64(&read.code))])
    });
    let blockhashes = list(&state.blockhash_read, |read| {
        record([("BlockNumber", long(read.block_number)), ("BlockHash", hex(read.block_hash))])
    });
    record([
        ("AccountRead", accounts),
        ("StorageRead", slots),
        ("CodeRead", codes),
        ("BlockhashRead", blockhashes),
    ])
}

fn withdrawal(withdrawal: &Withdrawal) -> Value {
    record([
        ("index", long(withdrawal.index)),
        ("validatorIndex", long(withdrawal.validator_index)),
        ("address", hex(withdrawal.address)),
        ("amount", long(withdrawal.amount)),
    ])
}

fn sidecar(sidecar: &ReplicaSidecar) -> Value {
    record([
        ("Blobs", list(&sidecar.blobs, hex_bytes)),
        ("Commitments", list(&sidecar.commitments, hex_bytes)),
        ("Proofs", list(&sidecar.proofs, hex_bytes)),
    ])
}
