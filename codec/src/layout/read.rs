//! The fields of a segment in the order in which they are read.

use crate::replica::{
    AccountRead, BlockhashRead, CodeRead, Replica, ReplicaAuthorization, ReplicaKind, ReplicaLog,
    ReplicaReceipt, ReplicaSidecar, ReplicaTransaction, Segment, StateSpecimen, StorageRead,
};
use alloy_consensus::Header;
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4895::Withdrawal,
};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};

/// Reads fields in one form. Every method names the field, for the form's keys and for its errors.
pub(crate) trait FieldSource: Sized {
    /// Why a field could not be read.
    type Error;

    /// A 32-byte hash.
    fn hash(&mut self, name: &'static str) -> Result<B256, Self::Error>;
    /// A 20-byte address.
    fn address(&mut self, name: &'static str) -> Result<Address, Self::Error>;
    /// A big number.
    fn number(&mut self, name: &'static str) -> Result<U256, Self::Error>;
    /// A big number that must fit 64 bits.
    fn number_u64(&mut self, name: &'static str) -> Result<u64, Self::Error>;
    /// A number below 256.
    fn byte(&mut self, name: &'static str) -> Result<u8, Self::Error>;
    /// A number that AVRO holds in 31 bits.
    fn int(&mut self, name: &'static str) -> Result<u64, Self::Error>;
    /// A number that AVRO holds in 63 bits.
    fn long(&mut self, name: &'static str) -> Result<u64, Self::Error>;
    /// The nonce of an authorization, any 64-bit number.
    fn authorization_nonce(&mut self, name: &'static str) -> Result<u64, Self::Error>;
    /// A boolean.
    fn flag(&mut self, name: &'static str) -> Result<bool, Self::Error>;
    /// A text.
    fn text(&mut self, name: &'static str) -> Result<String, Self::Error>;
    /// The kind of a replica.
    fn kind(&mut self, name: &'static str) -> Result<ReplicaKind, Self::Error>;
    /// Bytes in base64.
    fn base64(&mut self, name: &'static str) -> Result<Bytes, Self::Error>;
    /// Exactly `N` bytes as a list of numbers.
    fn octets<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], Self::Error>;
    /// A list of hashes.
    fn hashes(&mut self, name: &'static str) -> Result<Vec<B256>, Self::Error>;
    /// A list of addresses.
    fn addresses(&mut self, name: &'static str) -> Result<Vec<Address>, Self::Error>;
    /// A list of byte strings in hex.
    fn hex_list(&mut self, name: &'static str) -> Result<Vec<Bytes>, Self::Error>;
    /// A record.
    fn record<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, Self::Error>,
    ) -> Result<T, Self::Error>;
    /// A list of records, none of which takes less than `min_len` bytes in AVRO.
    fn list<T>(
        &mut self,
        name: &'static str,
        min_len: usize,
        read: impl Fn(&mut Self) -> Result<T, Self::Error>,
    ) -> Result<Vec<T>, Self::Error>;
    /// A list of records that has no mark of its own when it is empty.
    fn list_unless_empty<T>(
        &mut self,
        name: &'static str,
        min_len: usize,
        read: impl Fn(&mut Self) -> Result<T, Self::Error>,
    ) -> Result<Vec<T>, Self::Error>;
    /// A list of exactly one record.
    fn only_item<T>(
        &mut self,
        name: &'static str,
        min_len: usize,
        read: impl Fn(&mut Self) -> Result<T, Self::Error>,
    ) -> Result<T, Self::Error>;

    /// An optional field.
    fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Result<T, Self::Error>,
    ) -> Result<Option<T>, Self::Error>;
    /// A header's base fee, which only headers before London lack.
    fn base_fee(&mut self, name: &'static str) -> Result<Option<u64>, Self::Error>;
    /// The label of the layout at the end of a segment; the form may derive it from the replica.
    fn codec_version(&mut self, name: &'static str, replica: &Replica) -> Result<f64, Self::Error>;
}

/// The fewest bytes that each record takes in AVRO: what bounds a list by the bytes that remain.
///
/// Every one is above zero, so no count can promise more items than there are bytes.
pub(crate) mod min_len {
    /// A length of two bytes and 66 characters.
    pub(crate) const HASH: usize = 68;
    /// A length byte and 42 characters.
    pub(crate) const ADDRESS: usize = 43;
    /// A length byte and `0x0`.
    const NUMBER: usize = 4;
    /// A length byte and `0x`.
    pub(crate) const HEX: usize = 3;
    /// An int, a long, a boolean, a null, an empty list, text or base64.
    const BYTE: usize = 1;

    pub(crate) const HEADER: usize =
        6 * HASH + ADDRESS + (256 + 2 + 1) + 3 * NUMBER + 3 * BYTE + BYTE + (8 + 1 + 1) + 5 * BYTE;
    pub(crate) const ACCESS_LIST_ITEM: usize = ADDRESS + BYTE;
    pub(crate) const AUTHORIZATION: usize = 4 * NUMBER + ADDRESS + BYTE;
    pub(crate) const TRANSACTION: usize = 5 * NUMBER + 15 * BYTE;
    pub(crate) const LOG: usize = ADDRESS + 2 * HASH + 6 * BYTE;
    pub(crate) const RECEIPT: usize = ADDRESS + HASH + 4 * BYTE;
    pub(crate) const ACCOUNT_READ: usize = ADDRESS + BYTE + NUMBER + HASH;
    pub(crate) const STORAGE_READ: usize = ADDRESS + 2 * HASH;
    pub(crate) const CODE_READ: usize = HASH + BYTE;
    pub(crate) const BLOCKHASH_READ: usize = BYTE + HASH;
    pub(crate) const WITHDRAWAL: usize = ADDRESS + 3 * BYTE;
    pub(crate) const SIDECAR: usize = 3 * BYTE;
    /// A kind (`block-result`), the hashes, a header, and nothing in any list.
    pub(crate) const EVENT: usize = HASH + 13 + BYTE + HASH + NUMBER + HEADER + 10 * BYTE;
}

/// The fields of a segment.
pub(crate) fn segment<S: FieldSource>(source: &mut S) -> Result<Segment, S::Error> {
    let (event_hash, replica) = source.only_item("replicaEvent", min_len::EVENT, event)?;
    Ok(Segment {
        event_hash,
        start_block: source.long("startBlock")?,
        end_block: source.long("endBlock")?,
        elements: source.long("elements")?,
        codec_version: source.codec_version("codecVersion", &replica)?,
        replica,
    })
}

fn event<S: FieldSource>(source: &mut S) -> Result<(B256, Replica), S::Error> {
    Ok((source.hash("hash")?, source.record("data", replica)?))
}

/// The fields of a replica.
pub(crate) fn replica<S: FieldSource>(source: &mut S) -> Result<Replica, S::Error> {
    Ok(Replica {
        kind: source.kind("Type")?,
        network_id: source.int("NetworkId")?,
        hash: source.hash("Hash")?,
        total_difficulty: source.number("TotalDifficulty")?,
        header: source.record("Header", header)?,
        transactions: source.list("Transactions", min_len::TRANSACTION, transaction)?,
        uncles: source.list_unless_empty("uncles", min_len::HEADER, header)?,
        receipts: source.list("Receipts", min_len::RECEIPT, receipt)?,
        senders: source.addresses("Senders")?,
        state: source.record("State", state)?,
        withdrawals: source.optional("Withdrawals", |source, name| {
            source.list(name, min_len::WITHDRAWAL, withdrawal)
        })?,
        blob_sidecars: source.optional("BlobTxSidecars", |source, name| {
            source.list(name, min_len::SIDECAR, sidecar)
        })?,
    })
}

fn header<S: FieldSource>(source: &mut S) -> Result<Header, S::Error> {
    Ok(Header {
        parent_hash: source.hash("parentHash")?,
        ommers_hash: source.hash("sha3Uncles")?,
        beneficiary: source.address("miner")?,
        state_root: source.hash("stateRoot")?,
        transactions_root: source.hash("transactionsRoot")?,
        receipts_root: source.hash("receiptsRoot")?,
        logs_bloom: Bloom::from(source.octets::<256>("logsBloom")?),
        difficulty: source.number("difficulty")?,
        number: source.number_u64("number")?,
        gas_limit: source.int("gasLimit")?,
        gas_used: source.int("gasUsed")?,
        timestamp: source.int("timestamp")?,
        extra_data: source.base64("extraData")?,
        mix_hash: source.hash("mixHash")?,
        nonce: B64::from(source.octets::<8>("nonce")?),
        base_fee_per_gas: source.base_fee("baseFeePerGas")?,
        withdrawals_root: source.optional("withdrawalsRoot", S::hash)?,
        blob_gas_used: source.optional("blobGasUsed", S::int)?,
        excess_blob_gas: source.optional("excessBlobGas", S::int)?,
        parent_beacon_block_root: source.optional("parentBeaconBlockRoot", S::hash)?,
        requests_hash: source.optional("requestsHash", S::hash)?,
        block_access_list_hash: None,
        slot_number: None,
    })
}

fn transaction<S: FieldSource>(source: &mut S) -> Result<ReplicaTransaction, S::Error> {
    Ok(ReplicaTransaction {
        tx_type: source.byte("type")?,
        access_list: AccessList(source.list(
            "accessList",
            min_len::ACCESS_LIST_ITEM,
            access_list_item,
        )?),
        chain_id: source.number("chainId")?,
        nonce: source.long("nonce")?,
        gas_price: source.number("gasPrice")?,
        gas_tip_cap: source.number("gasTipCap")?,
        gas_fee_cap: source.number("gasFeeCap")?,
        gas: source.long("gas")?,
        from: source.optional("from", S::address)?,
        to: source.optional("to", S::address)?,
        v: source.optional("v", S::number)?,
        r: source.optional("r", S::number)?,
        s: source.optional("s", S::number)?,
        value: source.number("value")?,
        input: source.base64("input")?,
        blob_fee_cap: source.optional("blobFeeCap", S::number)?,
        blob_hashes: source.optional("blobHashes", S::hashes)?,
        blob_gas: source.optional("blobGas", S::int)?,
        data: source.optional("Data", S::text)?,
        authorization_list: source.optional("AuthList", |source, name| {
            source.list(name, min_len::AUTHORIZATION, authorization)
        })?,
    })
}

fn access_list_item<S: FieldSource>(source: &mut S) -> Result<AccessListItem, S::Error> {
    Ok(AccessListItem {
        address: source.address("address")?,
        storage_keys: source.hashes("storageKeys")?,
    })
}

fn authorization<S: FieldSource>(source: &mut S) -> Result<ReplicaAuthorization, S::Error> {
    Ok(ReplicaAuthorization {
        chain_id: source.number("chainId")?,
        address: source.address("address")?,
        nonce: source.authorization_nonce("nonce")?,
        y_parity: source.number("yParity")?,
        r: source.number("r")?,
        s: source.number("s")?,
    })
}

fn receipt<S: FieldSource>(source: &mut S) -> Result<ReplicaReceipt, S::Error> {
    Ok(ReplicaReceipt {
        post_state_or_status: source.base64("PostStateOrStatus")?,
        cumulative_gas_used: source.int("CumulativeGasUsed")?,
        tx_hash: source.hash("TxHash")?,
        contract_address: source.address("ContractAddress")?,
        logs: source.list("Logs", min_len::LOG, log)?,
        gas_used: source.int("GasUsed")?,
    })
}

fn log<S: FieldSource>(source: &mut S) -> Result<ReplicaLog, S::Error> {
    Ok(ReplicaLog {
        address: source.address("address")?,
        topics: source.hashes("topics")?,
        data: source.base64("data")?,
        block_number: source.long("blockNumber")?,
        tx_hash: source.hash("transactionHash")?,
        tx_index: source.int("transactionIndex")?,
        block_hash: source.hash("blockHash")?,
        log_index: source.int("logIndex")?,
        removed: source.flag("removed")?,
    })
}

fn state<S: FieldSource>(source: &mut S) -> Result<StateSpecimen, S::Error> {
    Ok(StateSpecimen {
        account_read: source.list("AccountRead", min_len::ACCOUNT_READ, account_read)?,
        storage_read: source.list("StorageRead", min_len::STORAGE_READ, storage_read)?,
        code_read: source.list("CodeRead", min_len::CODE_READ, code_read)?,
        blockhash_read: source.list("BlockhashRead", min_len::BLOCKHASH_READ, blockhash_read)?,
    })
}

fn account_read<S: FieldSource>(source: &mut S) -> Result<AccountRead, S::Error> {
    Ok(AccountRead {
        address: source.address("Address")?,
        nonce: source.long("Nonce")?,
        balance: source.number("Balance")?,
        code_hash: source.hash("CodeHash")?,
    })
}

fn storage_read<S: FieldSource>(source: &mut S) -> Result<StorageRead, S::Error> {
    Ok(StorageRead {
        account: source.address("Account")?,
        slot_key: source.hash("SlotKey")?,
        value: source.hash("Value")?,
    })
}

fn code_read<S: FieldSource>(source: &mut S) -> Result<CodeRead, S::Error> {
    Ok(CodeRead { hash: source.hash("Hash")?, code: source.base64("Code")? })
}

fn blockhash_read<S: FieldSource>(source: &mut S) -> Result<BlockhashRead, S::Error> {
    Ok(BlockhashRead {
        block_number: source.long("BlockNumber")?,
        block_hash: source.hash("BlockHash")?,
    })
}

fn withdrawal<S: FieldSource>(source: &mut S) -> Result<Withdrawal, S::Error> {
    Ok(Withdrawal {
        index: source.long("index")?,
        validator_index: source.long("validatorIndex")?,
        address: source.address("address")?,
        amount: source.long("amount")?,
    })
}

fn sidecar<S: FieldSource>(source: &mut S) -> Result<ReplicaSidecar, S::Error> {
    Ok(ReplicaSidecar {
        blobs: source.hex_list("Blobs")?,
        commitments: source.hex_list("Commitments")?,
        proofs: source.hex_list("Proofs")?,
    })
}
