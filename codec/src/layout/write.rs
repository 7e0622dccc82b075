//! The fields of a segment in the order in which they are written.

use crate::replica::{
    AccountRead, BlockhashRead, CodeRead, Replica, ReplicaAuthorization, ReplicaLog,
    ReplicaReceipt, ReplicaSidecar, ReplicaTransaction, Segment, StateSpecimen, StorageRead,
};
use alloy_consensus::Header;
use alloy_eips::{eip2930::AccessListItem, eip4895::Withdrawal};
use alloy_primitives::{Address, B256, Bytes, U256};

/// Writes fields in one form. Every method names the field, for the form's keys and for its errors.
pub(crate) trait FieldSink: Sized {
    /// Why a field could not be written.
    type Error;

    /// A 32-byte hash.
    fn hash(&mut self, name: &'static str, hash: &B256) -> Result<(), Self::Error>;
    /// A 20-byte address.
    fn address(&mut self, name: &'static str, address: &Address) -> Result<(), Self::Error>;
    /// A big number.
    fn number(&mut self, name: &'static str, number: &U256) -> Result<(), Self::Error>;
    /// A number that AVRO holds in 31 bits.
    fn int(&mut self, name: &'static str, value: u64) -> Result<(), Self::Error>;
    /// A number that AVRO holds in 63 bits.
    fn long(&mut self, name: &'static str, value: u64) -> Result<(), Self::Error>;
    /// The argument of a `BLOCKHASH`, any 64-bit number.
    fn blockhash_number(&mut self, name: &'static str, value: u64) -> Result<(), Self::Error>;
    /// The nonce of an authorization, any 64-bit number.
    fn authorization_nonce(&mut self, name: &'static str, value: u64) -> Result<(), Self::Error>;
    /// A boolean.
    fn flag(&mut self, name: &'static str, value: bool) -> Result<(), Self::Error>;
    /// A text.
    fn text(&mut self, name: &'static str, text: &str) -> Result<(), Self::Error>;
    /// Bytes in base64.
    fn base64(&mut self, name: &'static str, bytes: &[u8]) -> Result<(), Self::Error>;
    /// Bytes as a list of numbers.
    fn octets(&mut self, name: &'static str, bytes: &[u8]) -> Result<(), Self::Error>;
    /// A list of hashes.
    fn hashes(&mut self, name: &'static str, hashes: &[B256]) -> Result<(), Self::Error>;
    /// A list of addresses.
    fn addresses(&mut self, name: &'static str, addresses: &[Address]) -> Result<(), Self::Error>;
    /// A list of byte strings in hex.
    fn hex_list(&mut self, name: &'static str, items: &[Bytes]) -> Result<(), Self::Error>;
    /// A record.
    fn record(
        &mut self,
        name: &'static str,
        write: impl FnOnce(&mut Self) -> Result<(), Self::Error>,
    ) -> Result<(), Self::Error>;
    /// A list of records.
    fn list<T>(
        &mut self,
        name: &'static str,
        items: &[T],
        write: impl Fn(&mut Self, &T) -> Result<(), Self::Error>,
    ) -> Result<(), Self::Error>;
    /// A list of records that has no mark of its own when it is empty.
    fn list_unless_empty<T>(
        &mut self,
        name: &'static str,
        items: &[T],
        write: impl Fn(&mut Self, &T) -> Result<(), Self::Error>,
    ) -> Result<(), Self::Error>;

    /// The absent value of an optional field.
    fn null(&mut self, name: &'static str) -> Result<(), Self::Error>;
    /// Announces that the next field is the present value of an optional one.
    fn present(&mut self);
    /// An optional field: [`null`](Self::null), or `write` behind [`present`](Self::present).
    fn optional<T>(
        &mut self,
        name: &'static str,
        value: Option<T>,
        write: impl FnOnce(&mut Self, &'static str, T) -> Result<(), Self::Error>,
    ) -> Result<(), Self::Error> {
        let Some(value) = value else { return self.null(name) };
        self.present();
        write(self, name, value)
    }

    /// `v`, `r` or `s` of a transaction's signature.
    fn signature_number(
        &mut self,
        name: &'static str,
        value: Option<&U256>,
    ) -> Result<(), Self::Error>;
    /// A header's base fee, which only headers before London lack.
    fn base_fee(&mut self, name: &'static str, value: Option<u64>) -> Result<(), Self::Error>;
    /// Whether fields that the network's producer never fills are written when they hold a value.
    fn keeps_extensions(&self) -> bool;
    /// The label of the layout, at the end of a segment.
    fn codec_version(&mut self, name: &'static str, label: f64) -> Result<(), Self::Error>;
    /// The error for a value that the layout has no field for.
    fn not_in_layout(&self, name: &'static str) -> Self::Error;
}

/// The fields of a segment.
pub(crate) fn segment<S: FieldSink>(out: &mut S, segment: &Segment) -> Result<(), S::Error> {
    out.list("replicaEvent", std::slice::from_ref(segment), event)?;
    out.long("startBlock", segment.start_block)?;
    out.long("endBlock", segment.end_block)?;
    out.long("elements", segment.elements)?;
    out.codec_version("codecVersion", segment.codec_version)
}

fn event<S: FieldSink>(out: &mut S, segment: &Segment) -> Result<(), S::Error> {
    out.hash("hash", &segment.event_hash)?;
    out.record("data", |out| replica(out, &segment.replica))
}

/// The fields of a replica.
pub(crate) fn replica<S: FieldSink>(out: &mut S, replica: &Replica) -> Result<(), S::Error> {
    out.text("Type", replica.kind.as_str())?;
    out.int("NetworkId", replica.network_id)?;
    out.hash("Hash", &replica.hash)?;
    out.number("TotalDifficulty", &replica.total_difficulty)?;
    out.record("Header", |out| header(out, &replica.header))?;
    out.list("Transactions", &replica.transactions, transaction)?;
    out.list_unless_empty("uncles", &replica.uncles, header)?;
    out.list("Receipts", &replica.receipts, receipt)?;
    out.addresses("Senders", &replica.senders)?;
    out.record("State", |out| state(out, &replica.state))?;
    out.optional("Withdrawals", replica.withdrawals.as_deref(), |out, name, items| {
        out.list(name, items, withdrawal)
    })?;
    out.optional("BlobTxSidecars", replica.blob_sidecars.as_deref(), |out, name, items| {
        out.list(name, items, sidecar)
    })
}

fn header<S: FieldSink>(out: &mut S, header: &Header) -> Result<(), S::Error> {
    out.hash("parentHash", &header.parent_hash)?;
    out.hash("sha3Uncles", &header.ommers_hash)?;
    out.address("miner", &header.beneficiary)?;
    out.hash("stateRoot", &header.state_root)?;
    out.hash("transactionsRoot", &header.transactions_root)?;
    out.hash("receiptsRoot", &header.receipts_root)?;
    out.octets("logsBloom", header.logs_bloom.as_slice())?;
    out.number("difficulty", &header.difficulty)?;
    out.number("number", &U256::from(header.number))?;
    out.int("gasLimit", header.gas_limit)?;
    out.int("gasUsed", header.gas_used)?;
    out.int("timestamp", header.timestamp)?;
    out.base64("extraData", &header.extra_data)?;
    out.hash("mixHash", &header.mix_hash)?;
    out.octets("nonce", header.nonce.as_slice())?;
    out.base_fee("baseFeePerGas", header.base_fee_per_gas)?;
    header_tail(out, header)
}

/// The header fields that came with upgrades after London.
fn header_tail<S: FieldSink>(out: &mut S, header: &Header) -> Result<(), S::Error> {
    out.optional("withdrawalsRoot", header.withdrawals_root.as_ref(), S::hash)?;
    out.optional("blobGasUsed", header.blob_gas_used, S::int)?;
    out.optional("excessBlobGas", header.excess_blob_gas, S::int)?;
    out.optional("parentBeaconBlockRoot", header.parent_beacon_block_root.as_ref(), S::hash)?;
    out.optional("requestsHash", header.requests_hash.as_ref(), S::hash)?;
    if header.block_access_list_hash.is_some() {
        return Err(out.not_in_layout("blockAccessListHash"));
    }
    if header.slot_number.is_some() {
        return Err(out.not_in_layout("slotNumber"));
    }
    Ok(())
}

fn transaction<S: FieldSink>(out: &mut S, tx: &ReplicaTransaction) -> Result<(), S::Error> {
    out.int("type", tx.tx_type.into())?;
    out.list("accessList", &tx.access_list.0, access_list_item)?;
    out.number("chainId", &tx.chain_id)?;
    out.long("nonce", tx.nonce)?;
    out.number("gasPrice", &tx.gas_price)?;
    out.number("gasTipCap", &tx.gas_tip_cap)?;
    out.number("gasFeeCap", &tx.gas_fee_cap)?;
    out.long("gas", tx.gas)?;
    out.optional("from", tx.from.as_ref(), S::address)?;
    out.optional("to", tx.to.as_ref(), S::address)?;
    out.signature_number("v", tx.v.as_ref())?;
    out.signature_number("r", tx.r.as_ref())?;
    out.signature_number("s", tx.s.as_ref())?;
    out.number("value", &tx.value)?;
    out.base64("input", &tx.input)?;
    out.optional("blobFeeCap", tx.blob_fee_cap.as_ref(), S::number)?;
    out.optional("blobHashes", tx.blob_hashes.as_deref(), S::hashes)?;
    out.optional("blobGas", tx.blob_gas, S::int)?;
    transaction_extensions(out, tx)
}

/// The transaction fields that the network's producer leaves null.
fn transaction_extensions<S: FieldSink>(
    out: &mut S,
    tx: &ReplicaTransaction,
) -> Result<(), S::Error> {
    let keep = out.keeps_extensions();
    let data = tx.data.as_deref().filter(|_| keep);
    let authorizations = tx.authorization_list.as_deref().filter(|_| keep);
    out.optional("Data", data, S::text)?;
    out.optional("AuthList", authorizations, |out, name, items| {
        out.list(name, items, authorization)
    })
}

fn access_list_item<S: FieldSink>(out: &mut S, item: &AccessListItem) -> Result<(), S::Error> {
    out.address("address", &item.address)?;
    out.hashes("storageKeys", &item.storage_keys)
}

fn authorization<S: FieldSink>(out: &mut S, item: &ReplicaAuthorization) -> Result<(), S::Error> {
    out.number("chainId", &item.chain_id)?;
    out.address("address", &item.address)?;
    out.authorization_nonce("nonce", item.nonce)?;
    out.number("yParity", &item.y_parity)?;
    out.number("r", &item.r)?;
    out.number("s", &item.s)
}

fn receipt<S: FieldSink>(out: &mut S, receipt: &ReplicaReceipt) -> Result<(), S::Error> {
    out.base64("PostStateOrStatus", &receipt.post_state_or_status)?;
    out.int("CumulativeGasUsed", receipt.cumulative_gas_used)?;
    out.hash("TxHash", &receipt.tx_hash)?;
    out.address("ContractAddress", &receipt.contract_address)?;
    out.list("Logs", &receipt.logs, log)?;
    out.int("GasUsed", receipt.gas_used)
}

fn log<S: FieldSink>(out: &mut S, log: &ReplicaLog) -> Result<(), S::Error> {
    out.address("address", &log.address)?;
    out.hashes("topics", &log.topics)?;
    out.base64("data", &log.data)?;
    out.long("blockNumber", log.block_number)?;
    out.hash("transactionHash", &log.tx_hash)?;
    out.int("transactionIndex", log.tx_index)?;
    out.hash("blockHash", &log.block_hash)?;
    out.int("logIndex", log.log_index)?;
    out.flag("removed", log.removed)
}

fn state<S: FieldSink>(out: &mut S, state: &StateSpecimen) -> Result<(), S::Error> {
    out.list("AccountRead", &state.account_read, account_read)?;
    out.list("StorageRead", &state.storage_read, storage_read)?;
    out.list("CodeRead", &state.code_read, code_read)?;
    out.list("BlockhashRead", &state.blockhash_read, blockhash_read)
}

fn account_read<S: FieldSink>(out: &mut S, read: &AccountRead) -> Result<(), S::Error> {
    out.address("Address", &read.address)?;
    out.long("Nonce", read.nonce)?;
    out.number("Balance", &read.balance)?;
    out.hash("CodeHash", &read.code_hash)
}

fn storage_read<S: FieldSink>(out: &mut S, read: &StorageRead) -> Result<(), S::Error> {
    out.address("Account", &read.account)?;
    out.hash("SlotKey", &read.slot_key)?;
    out.hash("Value", &read.value)
}

fn code_read<S: FieldSink>(out: &mut S, read: &CodeRead) -> Result<(), S::Error> {
    out.hash("Hash", &read.hash)?;
    out.base64("Code", &read.code)
}

fn blockhash_read<S: FieldSink>(out: &mut S, read: &BlockhashRead) -> Result<(), S::Error> {
    out.blockhash_number("BlockNumber", read.block_number)?;
    out.hash("BlockHash", &read.block_hash)
}

fn withdrawal<S: FieldSink>(out: &mut S, withdrawal: &Withdrawal) -> Result<(), S::Error> {
    out.long("index", withdrawal.index)?;
    out.long("validatorIndex", withdrawal.validator_index)?;
    out.address("address", &withdrawal.address)?;
    out.long("amount", withdrawal.amount)
}

fn sidecar<S: FieldSink>(out: &mut S, sidecar: &ReplicaSidecar) -> Result<(), S::Error> {
    out.hex_list("Blobs", &sidecar.blobs)?;
    out.hex_list("Commitments", &sidecar.commitments)?;
    out.hex_list("Proofs", &sidecar.proofs)
}
