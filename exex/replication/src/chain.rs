//! What a producer wants of a node.

use crate::target::Entry;
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use std::{fmt, time::Duration};

/// When a block is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DeliverAt {
    /// As soon as it is canonical.
    #[default]
    Committed,
    /// Once the node has it on disk.
    Persisted,
    /// Once the consensus client calls it safe.
    Safe,
    /// Once the consensus client calls it finalized.
    Finalized,
}

/// The node's chain, as far as a producer asks for it.
///
/// Every method may block, and none is called from an async task.
pub trait Chain: fmt::Debug + Send + Sync + 'static {
    /// The highest block that may be delivered; `None` if there is none yet.
    ///
    /// # Errors
    ///
    /// [`ChainError`], if the node's database does not answer.
    fn tip(&self, deliver: DeliverAt) -> Result<Option<BlockNumHash>, ChainError>;

    /// The highest finalized block; `None` if there is none yet.
    ///
    /// # Errors
    ///
    /// [`ChainError`], if the node's database does not answer.
    fn finalized(&self) -> Result<Option<BlockNumHash>, ChainError>;

    /// The hash that the node has at a height. Above the tip it may be that of an abandoned branch.
    ///
    /// # Errors
    ///
    /// [`ChainError`], if the node's database does not answer.
    fn hash_at(&self, number: u64) -> Result<Option<B256>, ChainError>;

    /// The lowest block for which a specimen is defined; on Ethereum's networks the first one of
    /// London. All blocks below it are passed over in one step, without [`Chain::produce`] being
    /// asked for them.
    ///
    /// # Errors
    ///
    /// [`ChainError`], if the node's database does not answer.
    fn first_block(&self) -> Result<u64, ChainError> {
        Ok(1)
    }

    /// Whether the node has finished its sync, and the time of its head is near that of the clock.
    /// A target that is to begin at the tip does not begin before that: until then the head is one
    /// of the past.
    ///
    /// # Errors
    ///
    /// [`ChainError`], if the node's database does not answer.
    fn is_at_tip(&self) -> Result<bool, ChainError> {
        Ok(true)
    }

    /// Executes a block again on its parent's state, checks the outcome against its header, and
    /// encodes the replica.
    ///
    /// No block is left out because this fails, but for [`ProduceError::BeforeDefinition`] and,
    /// where the operator wishes it, [`ProduceError::Pruned`]. For every other error the block is
    /// asked for again.
    ///
    /// # Errors
    ///
    /// [`ProduceError`] tells what may help. A block whose outcome differs from its header is never
    /// returned.
    fn produce(&self, block: BlockNumHash) -> Result<ProducedBlock, ProduceError>;
}

/// A block that is ready to be delivered.
#[derive(Debug, Clone)]
pub struct ProducedBlock {
    /// The parent's hash, as in the block's header.
    pub parent: B256,
    /// What goes to the targets.
    pub entry: Entry,
    /// Gas that the block used.
    pub gas_used: u64,
    /// How many transactions it has.
    pub transactions: usize,
    /// How long it took to execute it and to record what it read.
    pub capture_time: Duration,
    /// How long it took to encode.
    pub encode_time: Duration,
}

/// The node's database did not answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the node's database: {0}")]
pub struct ChainError(
    /// What it says.
    pub String,
);

/// Why a block could not be produced, by what helps.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// The node does not know the block, any longer or yet: check the chain again.
    #[error("the node does not have block {} {}", .0.number, .0.hash)]
    UnknownBlock(BlockNumHash),
    /// The parent's state is not there yet, or no longer because of a reorg: check the chain again,
    /// then retry.
    #[error("the state before block {number} is not ready: {reason}")]
    NotReady {
        /// The block.
        number: u64,
        /// What the node says.
        reason: String,
    },
    /// The node has deleted the parent's state, and nothing brings it back.
    #[error("the node has pruned the state before block {number}: {reason}")]
    Pruned {
        /// The block.
        number: u64,
        /// What the node says.
        reason: String,
    },
    /// The outcome is not what the header promises. Fresh state may give the right one.
    #[error("block {number} {hash} fails its check: {reason}")]
    Mismatch {
        /// The block.
        number: u64,
        /// Its hash.
        hash: B256,
        /// What differs.
        reason: String,
    },
    /// No specimen is defined for the block, in any version: it is the genesis block, or from
    /// before London. It is passed over permanently, so this must never be said of a block that a
    /// later version could export.
    #[error("no specimen is defined for block {number}: {reason}")]
    BeforeDefinition {
        /// The block.
        number: u64,
        /// Why.
        reason: String,
    },
    /// This version can't export the block, as one of a fork that it does not know. Delivery
    /// *holds* there, and an alarm is raised, until a version that can is installed: nothing is
    /// left out.
    #[error("this version can't export block {number}: {reason}")]
    Unsupported {
        /// The block.
        number: u64,
        /// Why.
        reason: String,
    },
    /// The format has no room for the block, in this version or any other. Delivery holds there,
    /// and an alarm is raised.
    #[error("block {number} does not fit in the network's format: {reason}")]
    TooLarge {
        /// The block.
        number: u64,
        /// What is too large.
        reason: String,
    },
    /// The node's database did not answer.
    #[error(transparent)]
    Chain(#[from] ChainError),
}
