//! How a producer is told to work.

use crate::chain::DeliverAt;
use std::{path::PathBuf, time::Duration};

/// Where a target that has no cursor begins. The block is looked up once, and written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartBlock {
    /// After the block that is the tip at the first start, or once the node's sync has ended if
    /// that is later: see [`Chain::is_at_tip`](crate::Chain::is_at_tip).
    #[default]
    Latest,
    /// With the first block that has a specimen, see
    /// [`Chain::first_block`](crate::Chain::first_block). The genesis block is never delivered, as
    /// it is not executed.
    Genesis,
    /// With this block, or with block 1 if it is 0.
    Number(u64),
}

/// How a producer works.
#[derive(Debug, Clone)]
pub struct ProducerConfig {
    /// Where cursors are kept: a file that no other process uses.
    pub cursors: PathBuf,
    /// Where a target without a cursor begins.
    pub start_block: StartBlock,
    /// When a block is delivered.
    pub deliver: DeliverAt,
    /// How many blocks are executed at once while a target is behind.
    pub workers: usize,
    /// The most bytes of replicas that wait for a target, over all targets. A single block may have
    /// more; on top come those that are executed at the moment, and compressed copies of a batch
    /// that is on its way.
    pub memory_budget: usize,
    /// A target that is further behind than this many blocks, and gets no nearer, is reported.
    pub max_behind: u64,
    /// Whether blocks whose state the node has pruned are left out, instead of waited for.
    pub skip_pruned: bool,
    /// How often the chain is polled when nothing wakes the producer.
    pub poll_interval: Duration,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            cursors: PathBuf::from("cursors.redb"),
            start_block: StartBlock::default(),
            deliver: DeliverAt::default(),
            workers: 2,
            memory_budget: 256 << 20,
            max_behind: 64,
            skip_pruned: false,
            poll_interval: Duration::from_secs(1),
        }
    }
}

/// A producer could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProducerError {
    /// The file of cursors can't be used.
    #[error("cursors in {}: {reason}", .path.display())]
    Cursors {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// Two targets are the same.
    #[error("{0} is given twice as a target: leave one of them out")]
    SameTarget(String),
    /// No thread could be started.
    #[error("no thread could be started: {0}")]
    Thread(#[from] std::io::Error),
}
