//! From a block to its replica, with the values that bsp-geth v2.2.0 gives every field.

use super::SignedTransaction;
use crate::replica::{
    Profile, Replica, ReplicaAuthorization, ReplicaKind, ReplicaLog, ReplicaReceipt,
    ReplicaTransaction, StateSpecimen,
};
use alloy_consensus::{
    Eip658Value, Header, Transaction, TxReceipt, Typed2718, transaction::to_eip155_value,
};
use alloy_eips::{eip4844::DATA_GAS_PER_BLOB, eip4895::Withdrawals, eip7702::SignedAuthorization};
use alloy_primitives::{Address, Bytes, Log, U256};

/// A block with what execution made of it, borrowed from wherever it is.
#[derive(Debug, Clone, Copy)]
pub struct SourceBlock<'a, R> {
    /// Chain id.
    pub network_id: u64,
    /// The header; the block hash is computed from it.
    pub header: &'a Header,
    /// The transactions, in order.
    pub transactions: &'a [SignedTransaction],
    /// The uncles; empty since the merge.
    pub ommers: &'a [Header],
    /// The withdrawals; `None` before Shanghai.
    pub withdrawals: Option<&'a Withdrawals>,
    /// One recovered sender a transaction.
    pub senders: &'a [Address],
    /// One receipt a transaction. Not looked at for a specimen.
    pub receipts: &'a [R],
}

/// Why a block cannot be exported: a sender or a receipt for each transaction is needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("block {block} has {transactions} transactions but {found} {list}")]
pub struct ExportError {
    /// Block number.
    pub block: u64,
    /// Number of transactions.
    pub transactions: usize,
    /// `senders` or `receipts`.
    pub list: &'static str,
    /// Its length.
    pub found: usize,
}

/// Makes the replica of a block.
///
/// The `kind` decides what goes in: a specimen has no receipts; a result has no state, no
/// withdrawals, and no signatures. In every kind total difficulty is zero, sidecars are an empty
/// list, and withdrawals are never `None`. `state` is moved in as it is, its order included, or
/// dropped where the kind has none. Under [`Profile::Complete`] type-4 transactions have their
/// authorization lists.
///
/// # Errors
///
/// [`ExportError`] where senders, or the receipts that the kind needs, are not one a transaction.
pub fn export_block<R: TxReceipt<Log = Log>>(
    block: &SourceBlock<'_, R>,
    state: StateSpecimen,
    kind: ReplicaKind,
    profile: Profile,
) -> Result<Replica, ExportError> {
    check_len(block, "senders", block.senders.len())?;
    if kind.has_receipts() {
        check_len(block, "receipts", block.receipts.len())?;
    }
    let transactions = block.transactions.iter().zip(block.senders);
    let base_fee = block.header.base_fee_per_gas;
    Ok(Replica {
        kind,
        network_id: block.network_id,
        hash: block.header.hash_slow(),
        total_difficulty: U256::ZERO,
        header: block.header.clone(),
        transactions: transactions
            .map(|(tx, sender)| export_transaction(tx, *sender, base_fee, kind, profile))
            .collect(),
        uncles: block.ommers.to_vec(),
        receipts: if kind.has_receipts() {
            block.receipts.iter().map(export_receipt).collect()
        } else {
            Vec::new()
        },
        senders: block.senders.to_vec(),
        state: if kind.has_state() { state } else { StateSpecimen::default() },
        withdrawals: Some(match block.withdrawals {
            Some(withdrawals) if kind.has_state() => withdrawals.to_vec(),
            _ => Vec::new(),
        }),
        blob_sidecars: Some(Vec::new()),
    })
}

const fn check_len<R>(
    block: &SourceBlock<'_, R>,
    list: &'static str,
    found: usize,
) -> Result<(), ExportError> {
    let transactions = block.transactions.len();
    if found == transactions {
        return Ok(());
    }
    Err(ExportError { block: block.header.number, transactions, list, found })
}

/// A transaction as bsp-geth v2.2.0 exports it: the *effective* gas price (without a base fee the
/// fee cap), the caps of types 0 and 1 filled with their gas price, `v` of a legacy transaction
/// with its chain id, zero `v`, `r`, `s` absent. The signature is left out of a
/// [`ReplicaKind::Result`], the authorization list of [`Profile::Network`].
pub fn export_transaction(
    tx: &SignedTransaction,
    sender: Address,
    base_fee: Option<u64>,
    kind: ReplicaKind,
    profile: Profile,
) -> ReplicaTransaction {
    let [v, r, s] = match kind {
        ReplicaKind::Result => [None; 3],
        ReplicaKind::Specimen | ReplicaKind::Replica => signature_values(tx),
    };
    let blob_hashes = tx.blob_versioned_hashes().unwrap_or_default();
    ReplicaTransaction {
        tx_type: tx.ty(),
        access_list: tx.access_list().cloned().unwrap_or_default(),
        chain_id: U256::from(tx.chain_id().unwrap_or_default()),
        nonce: tx.nonce(),
        gas_price: U256::from(tx.effective_gas_price(base_fee)),
        gas: tx.gas_limit(),
        // Types 0 and 1 have no caps, both accessors then give the gas price.
        gas_tip_cap: U256::from(tx.priority_fee_or_price()),
        gas_fee_cap: U256::from(tx.max_fee_per_gas()),
        from: Some(sender),
        to: tx.to(),
        value: tx.value(),
        input: tx.input().clone(),
        v,
        r,
        s,
        blob_fee_cap: Some(U256::from(tx.max_fee_per_blob_gas().unwrap_or_default())),
        blob_hashes: Some(blob_hashes.to_vec()),
        blob_gas: Some(blob_hashes.len() as u64 * DATA_GAS_PER_BLOB),
        data: None,
        authorization_list: match profile {
            Profile::Network => None,
            Profile::Complete => {
                tx.authorization_list().map(|list| list.iter().map(export_authorization).collect())
            }
        },
    }
}

/// `v`, `r` and `s`. RLP and the agent cannot tell zero from absent, so zero is absent here too:
/// the same block is then the same replica, whichever way it came.
fn signature_values(tx: &SignedTransaction) -> [Option<U256>; 3] {
    let signature = tx.signature();
    let v = match tx {
        SignedTransaction::Legacy(legacy) => to_eip155_value(signature.v(), legacy.tx().chain_id),
        _ => u128::from(signature.v()),
    };
    [U256::from(v), signature.r(), signature.s()].map(|value| Some(value).filter(|v| !v.is_zero()))
}

fn export_authorization(signed: &SignedAuthorization) -> ReplicaAuthorization {
    ReplicaAuthorization {
        chain_id: signed.chain_id,
        address: signed.address,
        nonce: signed.nonce,
        y_parity: U256::from(signed.y_parity()),
        r: signed.r(),
        s: signed.s(),
    }
}

/// A receipt as the producer reads it from its database, where derived fields are not stored.
pub fn export_receipt<R: TxReceipt<Log = Log>>(receipt: &R) -> ReplicaReceipt {
    ReplicaReceipt {
        post_state_or_status: match receipt.status_or_post_state() {
            Eip658Value::Eip658(true) => Bytes::from_static(&[1]),
            Eip658Value::Eip658(false) => Bytes::new(),
            Eip658Value::PostState(root) => Bytes::copy_from_slice(root.as_slice()),
        },
        cumulative_gas_used: receipt.cumulative_gas_used(),
        logs: receipt.logs().iter().map(export_log).collect(),
        ..ReplicaReceipt::default()
    }
}

fn export_log(log: &Log) -> ReplicaLog {
    ReplicaLog {
        address: log.address,
        topics: log.topics().to_vec(),
        data: log.data.data.clone(),
        ..ReplicaLog::default()
    }
}
