//! RLP to a replica: the layout of each record, with the tolerance of bsp-agent v1.9.2.

use super::{
    error::{RlpDecodeError, RlpErrorKind},
    read::{Items, Record, Result},
};
use crate::{
    AccountRead, BlockhashRead, CodeRead, Replica, ReplicaAuthorization, ReplicaLog,
    ReplicaReceipt, ReplicaSidecar, ReplicaTransaction, StateSpecimen, StorageRead,
    limits::{DecodeLimits, RecordBudget},
};
use alloy_consensus::Header;
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4895::Withdrawal,
};
use alloy_primitives::{B64, Bloom, Bytes};

/// Length of a blob: 4096 field elements of 32 bytes (EIP-4844).
pub const BLOB_BYTES: usize = 131_072;

/// Length of a KZG commitment (EIP-4844).
pub const COMMITMENT_BYTES: usize = 48;

/// Length of a KZG proof (EIP-4844).
pub const PROOF_BYTES: usize = 48;

/// Reads what bsp-agent v1.9.2 accepts from a stream (after snappy), and nothing else.
///
/// That is stricter than what bsp-geth could write: a header before London (no base fee) is
/// refused, and so is an absent `parentBeaconBlockRoot` before a present `requestsHash`.
/// Transactions may have 16 to 20 items.
///
/// It is also a little stricter than the agent where the record types are: header numbers have to
/// fit 64 bits and all others 256 bits, the type has to be a known one, and `Data` has to be UTF-8.
///
/// # Errors
///
/// [`RlpDecodeError`] with the field's path and offset.
pub fn decode_replica(bytes: &[u8]) -> Result<Replica> {
    decode_replica_within(bytes, DecodeLimits::default())
}

/// [`decode_replica`] with other limits than the default.
///
/// # Errors
///
/// The same as [`decode_replica`].
pub fn decode_replica_within(bytes: &[u8], limits: DecodeLimits) -> Result<Replica> {
    check_input_len(bytes.len(), limits)?;
    let budget = RecordBudget::new(limits.max_record_bytes);
    Items::of(bytes, &budget).only_list(read_replica)
}

/// [`decode_replica`] without copying code, call data and logs: they are slices of `bytes` and keep
/// all of it in memory for as long as one of them lives.
///
/// # Errors
///
/// The same as [`decode_replica`].
pub fn decode_replica_bytes(bytes: &Bytes) -> Result<Replica> {
    decode_replica_bytes_within(bytes, DecodeLimits::default())
}

/// [`decode_replica_bytes`] with other limits than the default.
///
/// # Errors
///
/// The same as [`decode_replica`].
pub fn decode_replica_bytes_within(bytes: &Bytes, limits: DecodeLimits) -> Result<Replica> {
    check_input_len(bytes.len(), limits)?;
    let budget = RecordBudget::new(limits.max_record_bytes);
    Items::of_shared(bytes, &budget).only_list(read_replica)
}

fn check_input_len(len: usize, limits: DecodeLimits) -> Result<()> {
    let max = limits.max_input_bytes;
    if len > max {
        return Err(RlpDecodeError::new(0, RlpErrorKind::InputTooLong { len, max }));
    }
    Ok(())
}

fn read_replica(items: &mut Items<'_>) -> Result<Replica> {
    Ok(Replica {
        kind: items.text_as("Type", |text| text.parse().map_err(RlpErrorKind::UnknownKind))?,
        network_id: items.uint("NetworkId")?,
        hash: items.hash("Hash")?,
        total_difficulty: items.uint256("TotalDifficulty")?,
        header: items.list("Header", Header::read)?,
        transactions: items.list_of("Transactions")?,
        uncles: items.list_of("uncles")?,
        receipts: items.list_of("Receipts")?,
        senders: items.list_of_fixed::<20, _>("Senders")?,
        state: items.list("State", read_state)?,
        withdrawals: Some(items.list_of("Withdrawals")?),
        blob_sidecars: Some(items.list_of("BlobTxSidecars")?),
    })
}

impl Record for Header {
    const MIN_BYTES: usize = 497;

    fn read(items: &mut Items<'_>) -> Result<Self> {
        Ok(Self {
            parent_hash: items.hash("parentHash")?,
            ommers_hash: items.hash("sha3Uncles")?,
            beneficiary: items.address("miner")?,
            state_root: items.hash("stateRoot")?,
            transactions_root: items.hash("transactionsRoot")?,
            receipts_root: items.hash("receiptsRoot")?,
            logs_bloom: Bloom::new(items.fixed("logsBloom")?),
            difficulty: items.uint256("difficulty")?,
            number: items.uint("number")?,
            gas_limit: items.uint("gasLimit")?,
            gas_used: items.uint("gasUsed")?,
            timestamp: items.uint("timestamp")?,
            extra_data: items.bytes("extraData")?,
            mix_hash: items.hash("mixHash")?,
            nonce: B64::new(items.fixed("nonce")?),
            base_fee_per_gas: Some(items.uint("baseFeePerGas")?),
            withdrawals_root: items
                .unless_empty(|items| items.optional_hash("withdrawalsRoot"))?
                .flatten(),
            blob_gas_used: items.unless_empty(|items| items.uint("blobGasUsed"))?,
            excess_blob_gas: items.unless_empty(|items| items.uint("excessBlobGas"))?,
            parent_beacon_block_root: items
                .unless_empty(|items| items.hash("parentBeaconBlockRoot"))?,
            requests_hash: items.unless_empty(|items| items.hash("requestsHash"))?,
            // Later forks' fields: the layout has no place for them.
            block_access_list_hash: None,
            slot_number: None,
        })
    }
}

impl Record for ReplicaTransaction {
    const MIN_BYTES: usize = 17;

    fn read(items: &mut Items<'_>) -> Result<Self> {
        let mut transaction = Self {
            tx_type: items.uint8("type")?,
            access_list: AccessList(items.list_of("accessList")?),
            chain_id: items.uint256("chainId")?,
            nonce: items.uint("nonce")?,
            gas_price: items.uint256("gasPrice")?,
            gas: items.uint("gas")?,
            gas_tip_cap: items.uint256("gasTipCap")?,
            gas_fee_cap: items.uint256("gasFeeCap")?,
            from: items.optional_address("from")?,
            to: items.optional_address("to")?,
            value: items.uint256("value")?,
            input: items.bytes("input")?,
            v: items.nonzero_uint256("v")?,
            r: items.nonzero_uint256("r")?,
            s: items.nonzero_uint256("s")?,
            blob_fee_cap: Some(items.uint256("blobFeeCap")?),
            ..Self::default()
        };
        read_transaction_tail(items, &mut transaction)?;
        Ok(transaction)
    }
}

/// The items that a transaction may end before.
fn read_transaction_tail(
    items: &mut Items<'_>,
    transaction: &mut ReplicaTransaction,
) -> Result<()> {
    let blob_hashes = items.unless_empty(|items| items.list_of_fixed::<32, _>("blobHashes"))?;
    let blob_gas = items.unless_empty(|items| items.uint("blobGas"))?;
    let data = items.unless_empty(|items| items.text("Data"))?;
    let authorization_list = items.unless_empty(|items| items.list_of("AuthList"))?;

    transaction.blob_hashes = blob_hashes;
    transaction.blob_gas = Some(blob_gas.unwrap_or_default());
    // An authorization list can't be written without the item before it.
    transaction.data =
        data.filter(|data| authorization_list.is_none() || !data.is_empty()).map(str::to_owned);
    transaction.authorization_list = authorization_list;
    Ok(())
}

impl Record for AccessListItem {
    const MIN_BYTES: usize = 23;

    fn read(items: &mut Items<'_>) -> Result<Self> {
        Ok(Self {
            address: items.address("address")?,
            storage_keys: items.list_of_fixed::<32, _>("storageKeys")?,
        })
    }
}

impl Record for ReplicaAuthorization {
    const MIN_BYTES: usize = 27;

    fn read(items: &mut Items<'_>) -> Result<Self> {
        Ok(Self {
            chain_id: items.uint256("chainId")?,
            address: items.address("address")?,
            nonce: items.uint("nonce")?,
            y_parity: items.uint256("yParity")?,
            r: items.uint256("r")?,
            s: items.uint256("s")?,
        })
    }
}

impl Record for ReplicaReceipt {
    const MIN_BYTES: usize = 60;

    fn read(items: &mut Items<'_>) -> Result<Self> {
        Ok(Self {
            post_state_or_status: items.bytes("PostStateOrStatus")?,
            cumulative_gas_used: items.uint("CumulativeGasUsed")?,
            tx_hash: items.hash("TxHash")?,
            contract_address: items.address("ContractAddress")?,
            logs: items.list_of("Logs")?,
            gas_used: items.uint("GasUsed")?,
        })
    }
}

impl Record for ReplicaLog {
    const MIN_BYTES: usize = 95;

    fn read(items: &mut Items<'_>) -> Result<Self> {
        Ok(Self {
            address: items.address("address")?,
            topics: items.list_of_fixed::<32, _>("topics")?,
            data: items.bytes("data")?,
            block_number: items.uint("blockNumber")?,
            tx_hash: items.hash("transactionHash")?,
            tx_index: items.uint("transactionIndex")?,
            block_hash: items.hash("blockHash")?,
            log_index: items.uint("logIndex")?,
            removed: items.bool("removed")?,
        })
    }
}

fn read_state(items: &mut Items<'_>) -> Result<StateSpecimen> {
    Ok(StateSpecimen {
        account_read: items.list_of("AccountRead")?,
        storage_read: items.list_of("StorageRead")?,
        code_read: items.list_of("CodeRead")?,
        blockhash_read: items.list_of("BlockhashRead")?,
    })
}

impl Record for AccountRead {
    const MIN_BYTES: usize = 58;

    fn read(items: &mut Items<'_>) -> Result<Self> {
        Ok(Self {
            address: items.address("Address")?,
            nonce: items.uint("Nonce")?,
            balance: items.uint256("Balance")?,
            code_hash: items.hash("CodeHash")?,
        })
    }
}

impl Record for StorageRead {
    const MIN_BYTES: usize = 89;

    fn read(items: &mut Items<'_>) -> Result<Self> {
        Ok(Self {
            account: items.address("Account")?,
            slot_key: items.hash("SlotKey")?,
            value: items.hash("Value")?,
        })
    }
}

impl Record for CodeRead {
    const MIN_BYTES: usize = 35;

    fn read(items: &mut Items<'_>) -> Result<Self> {
        Ok(Self { hash: items.hash("Hash")?, code: items.bytes("Code")? })
    }
}

impl Record for BlockhashRead {
    const MIN_BYTES: usize = 35;

    fn read(items: &mut Items<'_>) -> Result<Self> {
        Ok(Self { block_number: items.uint("BlockNumber")?, block_hash: items.hash("BlockHash")? })
    }
}

impl Record for Withdrawal {
    const MIN_BYTES: usize = 25;

    fn read(items: &mut Items<'_>) -> Result<Self> {
        Ok(Self {
            index: items.uint("index")?,
            validator_index: items.uint("validatorIndex")?,
            address: items.address("address")?,
            amount: items.uint("amount")?,
        })
    }
}

impl Record for ReplicaSidecar {
    const MIN_BYTES: usize = 4;

    fn read(items: &mut Items<'_>) -> Result<Self> {
        Ok(Self {
            blobs: items.list_of_bytes("Blobs", BLOB_BYTES)?,
            commitments: items.list_of_bytes("Commitments", COMMITMENT_BYTES)?,
            proofs: items.list_of_bytes("Proofs", PROOF_BYTES)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rlp::write::{Fields, encoded_list_len};

    fn check<T: Record + Fields>(least: &T) {
        assert_eq!(encoded_list_len(least), T::MIN_BYTES);
    }

    #[test]
    fn no_record_has_fewer_than_its_least_bytes() {
        check(&Header { base_fee_per_gas: Some(0), ..Header::default() });
        check(&AccessListItem::default());
        check(&ReplicaAuthorization::default());
        check(&ReplicaReceipt::default());
        check(&ReplicaLog::default());
        check(&AccountRead::default());
        check(&StorageRead::default());
        check(&CodeRead::default());
        check(&BlockhashRead::default());
        check(&Withdrawal::default());
        check(&ReplicaSidecar::default());
        // 16 items of one byte each, and the prefix.
        assert_eq!(ReplicaTransaction::MIN_BYTES, 17);
    }
}
