//! What can go wrong while a block is captured.

use alloy_evm::block::BlockExecutionError;
use alloy_primitives::{B256, Bloom};
use std::error::Error;

/// How many generations before its block an uncle can be (yellow paper, section 11.1).
pub(crate) const MAX_OMMER_DEPTH: u64 = 6;

/// The recorder could not look something up. `E` is the error of the parent state's database.
#[derive(Debug, thiserror::Error)]
pub enum RecordError<E: Error + 'static> {
    /// The parent state could not be read.
    #[error("cannot read the parent state: {0}")]
    ParentState(#[source] E),
    /// The EVM's own database, which knows the changes since the parent, could not be read.
    #[error("cannot read the state within the block: {0}")]
    BlockState(#[source] Box<dyn Error + Send + Sync>),
}

/// A block could not be executed. `E` is the error of the parent state's database.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError<E: Error + 'static> {
    /// The parent state could not be read. The block itself may be fine: try again when the state
    /// is there.
    #[error("cannot read the parent state: {0}")]
    ParentState(#[source] E),
    /// The state within the block could not be read, for a reason other than the parent state.
    #[error("cannot read the state within the block: {0}")]
    BlockState(#[source] Box<dyn Error + Send + Sync>),
    /// A transaction or system call is invalid on this state.
    #[error("block {number} does not execute{}: {source}", at_transaction(.transaction))]
    Execution {
        /// Block number.
        number: u64,
        /// Index of the transaction, `None` for the block's own system calls and checks.
        transaction: Option<usize>,
        /// What the executor says.
        source: BlockExecutionError,
    },
    /// An uncle that no block of this number can have, for whose miner there is no reward.
    #[error(
        "ommers[{index}] has number {ommer}; the uncles of block {number} are of the {MAX_OMMER_DEPTH} generations before it"
    )]
    OmmerGeneration {
        /// Block number.
        number: u64,
        /// Position of the uncle.
        index: usize,
        /// Number of the uncle.
        ommer: u64,
    },
    /// The read order is only known from London on.
    #[error("block {number} is older than the London fork, from which on read lists are defined")]
    BeforeLondon {
        /// Block number.
        number: u64,
    },
}

fn at_transaction(index: &Option<usize>) -> String {
    index.map(|index| format!(" (transaction {index})")).unwrap_or_default()
}

impl<E: Error + 'static> From<RecordError<E>> for CaptureError<E> {
    fn from(error: RecordError<E>) -> Self {
        match error {
            RecordError::ParentState(error) => Self::ParentState(error),
            RecordError::BlockState(error) => Self::BlockState(error),
        }
    }
}

/// The outcome of an execution is not what the block's header promises: wrong parent state, or a
/// wrong block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutcomeMismatch {
    /// Gas used.
    #[error("gas used is {got}, the header has {expected}")]
    GasUsed {
        /// The header's.
        expected: u64,
        /// The execution's.
        got: u64,
    },
    /// Receipts root.
    #[error("receipts root is {got}, the header has {expected}")]
    ReceiptsRoot {
        /// The header's.
        expected: B256,
        /// The execution's.
        got: B256,
    },
    /// Logs bloom.
    #[error("logs bloom differs from the header's")]
    LogsBloom {
        /// The header's.
        expected: Box<Bloom>,
        /// The execution's.
        got: Box<Bloom>,
    },
    /// EIP-7685 requests hash.
    #[error("requests hash is {got:?}, the header has {expected:?}")]
    RequestsHash {
        /// The header's.
        expected: Option<B256>,
        /// The execution's.
        got: Option<B256>,
    },
}
