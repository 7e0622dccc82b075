//! What a header commits to, computed from what a replica holds.

use super::{ConvertError, SignedTransaction, rebuild_receipts};
use crate::replica::Replica;
use alloy_consensus::{Header, TxReceipt, proofs};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{B256, Bloom};

/// Root of the transactions' trie, to compare with `Header.transactionsRoot`.
pub fn transactions_root(transactions: &[SignedTransaction]) -> B256 {
    proofs::calculate_transaction_root(transactions)
}

/// Root of the withdrawals' trie, to compare with `Header.withdrawalsRoot`.
pub fn withdrawals_root(withdrawals: &[Withdrawal]) -> B256 {
    proofs::calculate_withdrawals_root(withdrawals)
}

/// Hash of the uncles' list, to compare with `Header.sha3Uncles`.
pub fn ommers_hash(ommers: &[Header]) -> B256 {
    proofs::calculate_ommers_root(ommers)
}

/// The two things that a header says of the receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptsSummary {
    /// Root of the receipts' trie, to compare with `Header.receiptsRoot`.
    pub root: B256,
    /// Bloom of all logs, to compare with `Header.logsBloom`.
    pub bloom: Bloom,
}

/// Root and bloom of a replica's receipts.
///
/// # Errors
///
/// Those of [`rebuild_receipts`]; a specimen has no receipts and is always refused unless it
/// has no transactions either.
pub fn summarize_receipts(replica: &Replica) -> Result<ReceiptsSummary, ConvertError> {
    let receipts = rebuild_receipts(replica)?;
    let bloom = receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom());
    Ok(ReceiptsSummary { root: proofs::calculate_receipt_root(&receipts), bloom })
}
