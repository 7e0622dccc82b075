//! From the cursor to the tip, for each target.

mod status;

pub use status::{Status, TargetState, TargetStatus};

use crate::{Chain, DeliverAt, Target};
use alloy_eips::BlockNumHash;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::watch;

/// Where a target that has no cursor begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartBlock {
    /// After the block that is the tip at the first start.
    #[default]
    Latest,
    /// With block 1.
    Genesis,
    /// With this block.
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
    /// The most bytes of replicas that wait for a target, over all targets.
    pub memory_budget: usize,
    /// A target that is further behind than this many blocks, and gets no nearer, is reported.
    pub max_behind: u64,
    /// Whether blocks whose state the node has pruned are left out, instead of waited for.
    pub skip_pruned: bool,
    /// How often the chain is looked at when nothing wakes the producer.
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
    /// No thread could be started.
    #[error("no thread could be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Delivers every canonical block to every target, on threads of its own. Ends when it is dropped.
#[derive(Debug)]
pub struct Producer {
    wake: Arc<tokio::sync::Notify>,
    status: Arc<status::StatusBoard>,
    finished: watch::Receiver<Option<BlockNumHash>>,
}

impl Producer {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// [`ProducerError`], if the cursors can't be read, or no thread can be started.
    pub fn start(
        chain: Arc<dyn Chain>,
        targets: Vec<Box<dyn Target>>,
        config: ProducerConfig,
    ) -> Result<Self, ProducerError> {
        let _ = (chain, targets, config);
        let (_, finished) = watch::channel(None);
        Ok(Self { wake: Arc::default(), status: Arc::default(), finished })
    }

    /// Has the producer look at the chain now. Cheap, never waits.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        self.status.read()
    }

    /// The highest canonical block up to which every target has confirmed every block: the node needs nothing
    /// before it any more. Not yet lowered to the finalized block. It can go down after a reorg.
    pub fn finished(&self) -> watch::Receiver<Option<BlockNumHash>> {
        self.finished.clone()
    }

    /// Stops: what a target has taken is recorded, nothing more is begun. Returns when the threads have ended.
    pub fn stop(self) {}
}
