//! A replica to RLP: the layout of each record.

use super::error::RlpEncodeError;
use super::write::{Fields, Sink, Strings, encode_list, encoded_list_len};
use crate::{
    AccountRead, BlockhashRead, CodeRead, Profile, Replica, ReplicaAuthorization, ReplicaLog,
    ReplicaReceipt, ReplicaSidecar, ReplicaTransaction, StateSpecimen, StorageRead,
    path::FieldPath,
};
use alloy_consensus::Header;
use alloy_eips::{eip2930::AccessListItem, eip4895::Withdrawal};
use alloy_primitives::B256;

/// Writes `replica` as bsp-geth v2.2.0 does, or with the additions of [`Profile::Complete`].
///
/// [`Profile::Network`] leaves `data` and `authorization_list` out even if they are present;
/// [`Profile::Complete`] writes them as items 19 and 20 of the transactions that have them.
///
/// # Errors
///
/// [`RlpEncodeError::NotInLayout`] if a header has a field of a later fork than Prague.
pub fn encode_replica(replica: &Replica, profile: Profile) -> Result<Vec<u8>, RlpEncodeError> {
    check_headers(replica)?;
    Ok(encode_list(&ReplicaFields { replica, profile }))
}

/// The length in bytes of what [`encode_replica`] writes, without writing it.
///
/// # Errors
///
/// The same as [`encode_replica`].
pub fn encoded_replica_len(replica: &Replica, profile: Profile) -> Result<usize, RlpEncodeError> {
    check_headers(replica)?;
    Ok(encoded_list_len(&ReplicaFields { replica, profile }))
}

fn check_headers(replica: &Replica) -> Result<(), RlpEncodeError> {
    check_header(&replica.header, || FieldPath::field("Header"))?;
    for (index, uncle) in replica.uncles.iter().enumerate() {
        check_header(uncle, || FieldPath::item("uncles", index))?;
    }
    Ok(())
}

fn check_header(header: &Header, path: impl FnOnce() -> FieldPath) -> Result<(), RlpEncodeError> {
    let field = if header.block_access_list_hash.is_some() {
        "blockAccessListHash"
    } else if header.slot_number.is_some() {
        "slotNumber"
    } else {
        return Ok(());
    };
    Err(RlpEncodeError::NotInLayout { path: FieldPath::field(field).inside(path()) })
}

struct ReplicaFields<'a> {
    replica: &'a Replica,
    profile: Profile,
}

impl Fields for ReplicaFields<'_> {
    fn walk(&self, out: &mut impl Sink) {
        let replica = self.replica;
        out.string(replica.kind.as_str().as_bytes());
        out.uint(replica.network_id);
        out.string(replica.hash.as_slice());
        out.uint256(&replica.total_difficulty);
        out.list(&replica.header);
        out.list(&Transactions { transactions: &replica.transactions, profile: self.profile });
        out.list_of(&replica.uncles);
        out.list_of(&replica.receipts);
        out.list(&Strings(&replica.senders));
        out.list(&replica.state);
        out.list_of(replica.withdrawals.as_deref().unwrap_or_default());
        out.list_of(replica.blob_sidecars.as_deref().unwrap_or_default());
    }
}

impl Fields for Header {
    fn walk(&self, out: &mut impl Sink) {
        out.string(self.parent_hash.as_slice());
        out.string(self.ommers_hash.as_slice());
        out.string(self.beneficiary.as_slice());
        out.string(self.state_root.as_slice());
        out.string(self.transactions_root.as_slice());
        out.string(self.receipts_root.as_slice());
        out.string(self.logs_bloom.as_slice());
        out.uint256(&self.difficulty);
        out.uint(self.number);
        out.uint(self.gas_limit);
        out.uint(self.gas_used);
        out.uint(self.timestamp);
        out.string(&self.extra_data);
        out.string(self.mix_hash.as_slice());
        out.string(self.nonce.as_slice());
        walk_header_tail(self, out);
    }
}

/// The fields that forks since London added: up to the last one that is present, holes as nil.
fn walk_header_tail(header: &Header, out: &mut impl Sink) {
    let tail = [
        header.base_fee_per_gas.map(TailField::Uint),
        header.withdrawals_root.map(TailField::Hash),
        header.blob_gas_used.map(TailField::Uint),
        header.excess_blob_gas.map(TailField::Uint),
        header.parent_beacon_block_root.map(TailField::Hash),
        header.requests_hash.map(TailField::Hash),
    ];
    let len = tail.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    for field in tail.iter().take(len) {
        match field {
            Some(TailField::Uint(value)) => out.uint(*value),
            Some(TailField::Hash(hash)) => out.string(hash.as_slice()),
            None => out.string(&[]),
        }
    }
}

enum TailField {
    Uint(u64),
    Hash(B256),
}

struct Transactions<'a> {
    transactions: &'a [ReplicaTransaction],
    profile: Profile,
}

impl Fields for Transactions<'_> {
    fn walk(&self, out: &mut impl Sink) {
        for transaction in self.transactions {
            out.list(&TransactionFields { transaction, profile: self.profile });
        }
    }
}

struct TransactionFields<'a> {
    transaction: &'a ReplicaTransaction,
    profile: Profile,
}

impl Fields for TransactionFields<'_> {
    fn walk(&self, out: &mut impl Sink) {
        let tx = self.transaction;
        out.uint(u64::from(tx.tx_type));
        out.list_of(&tx.access_list.0);
        out.uint256(&tx.chain_id);
        out.uint(tx.nonce);
        out.uint256(&tx.gas_price);
        out.uint(tx.gas);
        out.uint256(&tx.gas_tip_cap);
        out.uint256(&tx.gas_fee_cap);
        out.optional_string(tx.from.as_ref().map(|from| from.as_slice()));
        out.optional_string(tx.to.as_ref().map(|to| to.as_slice()));
        out.uint256(&tx.value);
        out.string(&tx.input);
        out.optional_uint256(tx.v.as_ref());
        out.optional_uint256(tx.r.as_ref());
        out.optional_uint256(tx.s.as_ref());
        out.optional_uint256(tx.blob_fee_cap.as_ref());
        walk_transaction_tail(tx, self.profile, out);
    }
}

/// The items that are cut after the last one that isn't nil: `blobHashes`, `blobGas`, `Data`,
/// `AuthList`.
///
/// The producer's `blobHashes` is never nil (an empty list isn't), so its transactions have 17 or
/// 18 items.
fn walk_transaction_tail(tx: &ReplicaTransaction, profile: Profile, out: &mut impl Sink) {
    let (data, authorizations) = match profile {
        Profile::Network => (None, None),
        Profile::Complete => (tx.data.as_deref(), tx.authorization_list.as_deref()),
    };
    let blob_gas = tx.blob_gas.unwrap_or_default();
    let with_data = data.is_some() || authorizations.is_some();
    let with_blob_gas = with_data || blob_gas != 0;

    if with_blob_gas || tx.blob_hashes.is_some() {
        out.list(&Strings(tx.blob_hashes.as_deref().unwrap_or_default()));
    }
    if with_blob_gas {
        out.uint(blob_gas);
    }
    if with_data {
        out.optional_string(data.map(str::as_bytes));
    }
    if let Some(authorizations) = authorizations {
        out.list_of(authorizations);
    }
}

impl Fields for AccessListItem {
    fn walk(&self, out: &mut impl Sink) {
        out.string(self.address.as_slice());
        out.list(&Strings(&self.storage_keys));
    }
}

impl Fields for ReplicaAuthorization {
    fn walk(&self, out: &mut impl Sink) {
        out.uint256(&self.chain_id);
        out.string(self.address.as_slice());
        out.uint(self.nonce);
        out.uint256(&self.y_parity);
        out.uint256(&self.r);
        out.uint256(&self.s);
    }
}

impl Fields for ReplicaReceipt {
    fn walk(&self, out: &mut impl Sink) {
        out.string(&self.post_state_or_status);
        out.uint(self.cumulative_gas_used);
        out.string(self.tx_hash.as_slice());
        out.string(self.contract_address.as_slice());
        out.list_of(&self.logs);
        out.uint(self.gas_used);
    }
}

impl Fields for ReplicaLog {
    fn walk(&self, out: &mut impl Sink) {
        out.string(self.address.as_slice());
        out.list(&Strings(&self.topics));
        out.string(&self.data);
        out.uint(self.block_number);
        out.string(self.tx_hash.as_slice());
        out.uint(self.tx_index);
        out.string(self.block_hash.as_slice());
        out.uint(self.log_index);
        out.bool(self.removed);
    }
}

impl Fields for StateSpecimen {
    fn walk(&self, out: &mut impl Sink) {
        out.list_of(&self.account_read);
        out.list_of(&self.storage_read);
        out.list_of(&self.code_read);
        out.list_of(&self.blockhash_read);
    }
}

impl Fields for AccountRead {
    fn walk(&self, out: &mut impl Sink) {
        out.string(self.address.as_slice());
        out.uint(self.nonce);
        out.uint256(&self.balance);
        out.string(self.code_hash.as_slice());
    }
}

impl Fields for StorageRead {
    fn walk(&self, out: &mut impl Sink) {
        out.string(self.account.as_slice());
        out.string(self.slot_key.as_slice());
        out.string(self.value.as_slice());
    }
}

impl Fields for CodeRead {
    fn walk(&self, out: &mut impl Sink) {
        out.string(self.hash.as_slice());
        out.string(&self.code);
    }
}

impl Fields for BlockhashRead {
    fn walk(&self, out: &mut impl Sink) {
        out.uint(self.block_number);
        out.string(self.block_hash.as_slice());
    }
}

impl Fields for Withdrawal {
    fn walk(&self, out: &mut impl Sink) {
        out.uint(self.index);
        out.uint(self.validator_index);
        out.string(self.address.as_slice());
        out.uint(self.amount);
    }
}

impl Fields for ReplicaSidecar {
    fn walk(&self, out: &mut impl Sink) {
        out.list(&Strings(&self.blobs));
        out.list(&Strings(&self.commitments));
        out.list(&Strings(&self.proofs));
    }
}
