//! Between a replica and the consensus types that Ethereum's own rules are written in.
//!
//! [`export_block`] makes a replica of a block the way bsp-geth v2.2.0 does.
//! [`rebuild_transactions`] and [`recover_block`] go back, as far as what was exported allows. The
//! functions of [`roots`] compute from a replica what its header must commit to.

mod export;
mod rebuild;
pub mod roots;
#[cfg(test)]
mod tests;

pub use export::{ExportError, SourceBlock, export_block, export_receipt, export_transaction};
pub use rebuild::{
    AuthorizationLists, RebuiltTransaction, rebuild_receipts, rebuild_transactions, recover_block,
    recover_senders,
};

/// A signed transaction as it stands in a block, blobs left behind; reth's `TransactionSigned`.
pub type SignedTransaction = alloy_consensus::EthereumTxEnvelope<alloy_consensus::TxEip4844>;

/// Why a replica is not that of a block. `field` is the path of the field at fault in the names of
/// the replica's JSON form, `Transactions[3].gasPrice` for instance, with indices from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A transaction type that the format does not know.
    #[error("{field}: transaction type {found}, expected 0 to 4")]
    UnknownTransactionType {
        /// The `type` of a transaction.
        field: String,
        /// What it holds.
        found: u8,
    },
    /// A signature was not exported: `block-result` blanks them.
    #[error("{field}: the transaction has no signature, as in a block-result")]
    MissingSignature {
        /// The transaction.
        field: String,
    },
    /// A `v` that no signature has: not 27, 28 or at least 35 for a legacy transaction, not 0 or 1
    /// for another, or one that leaves more than 64 bits of chain id.
    #[error("{field}: {found} is no signature parity of a type {tx_type} transaction")]
    InvalidParity {
        /// The `v` of a transaction or the `yParity` of an authorization.
        field: String,
        /// What it holds.
        found: alloy_primitives::U256,
        /// The transaction's type.
        tx_type: u8,
    },
    /// The chain id of a legacy transaction is not the one that its `v` says.
    #[error("{field}: chain id {found}, but the signature's v is of chain {signed}")]
    ChainIdMismatch {
        /// The `chainId` of a transaction.
        field: String,
        /// What it holds.
        found: u64,
        /// What `v` says; zero before EIP-155.
        signed: u64,
    },
    /// A number has more bits than the consensus type has.
    #[error("{field}: {found} has more than {bits} bits")]
    NumberTooLarge {
        /// The field.
        field: String,
        /// What it holds.
        found: alloy_primitives::U256,
        /// What the consensus type has room for.
        bits: u32,
    },
    /// A field that transactions of this type must have is absent.
    #[error("{field} is absent, a type {tx_type} transaction has one")]
    MissingField {
        /// The field.
        field: String,
        /// The transaction's type.
        tx_type: u8,
    },
    /// A field that transactions of this type cannot have is there.
    #[error("{field} is not empty, a type {tx_type} transaction has none")]
    UnexpectedField {
        /// The field.
        field: String,
        /// The transaction's type.
        tx_type: u8,
    },
    /// The authorization list of a type-4 transaction is not known. bsp-geth v2.2.0 does not export
    /// it.
    #[error("{field} was not exported, the type 4 transaction is incomplete without")]
    AuthorizationListNotExported {
        /// The `AuthList` of a transaction.
        field: String,
    },
    /// The blob hashes of a type-3 transaction are not known. Producers of codec 0.36 did not
    /// export them.
    #[error("{field} were not exported, the type 3 transaction is incomplete without")]
    BlobHashesNotExported {
        /// The `blobHashes` of a transaction.
        field: String,
    },
    /// A receipt's status is none of the three forms.
    #[error("{field}: {found}, expected 0x01, nothing, or a state root of 32 bytes")]
    InvalidStatus {
        /// The `PostStateOrStatus` of a receipt.
        field: String,
        /// Its first bytes, 33 at most.
        found: alloy_primitives::Bytes,
    },
    /// A log has more than the four topics that an instruction can give it.
    #[error("{field}: {found} topics, at most 4 are possible")]
    TooManyTopics {
        /// The `topics` of a log.
        field: String,
        /// How many there are.
        found: usize,
    },
    /// Two lists that go together have different lengths.
    #[error("{field} has {found} entries for {expected} transactions")]
    LengthMismatch {
        /// The list.
        field: &'static str,
        /// Its length.
        found: usize,
        /// Number of transactions.
        expected: usize,
    },
    /// There are withdrawals, but the header has no withdrawals root.
    #[error("Withdrawals has {found} entries, but Header.withdrawalsRoot is absent")]
    UncommittedWithdrawals {
        /// How many there are.
        found: usize,
    },
}
