//! What an audit can find.

use super::fed::BlockRef;
use alloy_primitives::B256;
use std::path::PathBuf;

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A selected block has neither a proof nor a reason.
    #[error("{0}: neither proved nor skipped with a reason")]
    Unproved(BlockRef),
    /// A block has several proofs.
    #[error("{block}: proved {times} times: {proofs:?}")]
    ProvedAgain {
        /// The block.
        block: BlockRef,
        /// How often.
        times: usize,
        /// Transactions, or ledger entries.
        proofs: Vec<B256>,
    },
    /// A block was skipped that the contract would have taken.
    #[error("{block}: skipped for no reason of the test's: {reason}")]
    SkippedWithoutNeed {
        /// The block.
        block: BlockRef,
        /// The agent's reason.
        reason: String,
    },
    /// There is a proof of what was never fed, not selected, or poison.
    #[error("{network_id}-{number} {block_hash}: proved in {proof}, but not selected")]
    ProvedUnasked {
        /// The proof's chain id.
        network_id: u64,
        /// The proof's height.
        number: u64,
        /// The proof's block hash.
        block_hash: B256,
        /// The transaction or ledger entry.
        proof: B256,
    },
    /// A proved or skipped block has no file of its name.
    #[error("{block}: no file {name} in any folder")]
    FileMissing {
        /// The block.
        block: BlockRef,
        /// The expected name, or the beginning of it.
        name: String,
    },
    /// A file is not what it should be.
    #[error("{block}: {}: {fault}", path.display())]
    FileWrong {
        /// The block.
        block: BlockRef,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// The proof does not say what the file says.
    #[error("{block}: the proof's {what} is {proved}, the file's is {actual}")]
    ProofWrong {
        /// The block.
        block: BlockRef,
        /// Which field.
        what: &'static str,
        /// The proof's value.
        proved: String,
        /// What the file gives.
        actual: String,
    },
    /// Nobody can fetch what is proved.
    #[error("{block}: {cid} can't be fetched: {fault}")]
    NotRetrievable {
        /// The block.
        block: BlockRef,
        /// The CID of the proof's URL.
        cid: String,
        /// Why.
        fault: String,
    },
    /// The stream is not empty.
    #[error("the stream still has {entries} entries, {pending} of them pending")]
    StreamNotEmpty {
        /// `XLEN`.
        entries: u64,
        /// `XPENDING`.
        pending: u64,
    },
    /// A bad entry is not with the dead letters, or more than once.
    #[error("bad entry {id}: {times} dead letters")]
    PoisonNotBuried {
        /// The entry.
        id: String,
        /// How often.
        times: usize,
    },
    /// A good entry is with the dead letters.
    #[error("entry {id} is with the dead letters: {reason}")]
    BuriedUnasked {
        /// The entry.
        id: String,
        /// The agent's reason.
        reason: String,
    },
    /// A dead letter is not what came.
    #[error("dead letter of {id}: {fault}")]
    LetterWrong {
        /// The entry.
        id: String,
        /// What is wrong.
        fault: String,
    },
    /// A block that the divisor did not select is not kept.
    #[error("{block}: not selected, and not kept: {fault}")]
    UnselectedLost {
        /// The block.
        block: BlockRef,
        /// What is wrong.
        fault: String,
    },
    /// An entry was gone from the stream although its work was not done.
    #[error("entry {id} of {block}: acknowledged early: {fault}")]
    AcknowledgedEarly {
        /// The entry.
        id: String,
        /// The block.
        block: BlockRef,
        /// What was missing at that moment.
        fault: String,
    },
}
