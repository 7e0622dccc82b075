//! From the cursor to the tip, for each target.
//!
//! Nothing is taken from notifications but that it is time to look. A [`lane`] for each target
//! compares its cursor with the node's chain ([`lane::reconcile`]), has the blocks that follow
//! executed by a [`pool`] of threads, several at once within a [`lane::window`], delivers them in
//! order, and writes the cursor ([`cursors`]) once the target has confirmed them.
//!
//! What is kept:
//!
//! - A target gets every canonical block from its start block on, a parent before its children.
//! - It gets each block once: one that becomes canonical again after a reorg is not sent again. The
//!   exception is a crash, or an error, between a delivery and the cursor; then the batch that was
//!   under way comes a second time.
//! - A block is delivered if it was canonical when its delivery began. After a reorg the new branch
//!   follows; consumers tell an orphan by the block of the same height that comes later.
//! - No block leaves that failed its check. It is re-executed on fresh state, for ever.
//! - Memory is bounded by the configuration and the largest block, whatever the backlog: what waits
//!   has a budget, but a block's size is not known before it was executed, and one that is larger
//!   than the budget is delivered by itself.
//! - Nothing is left out but blocks for which no specimen is defined, and pruned ones if so wished.
//!   Any other block that can't be produced keeps the cursor where it is.
//! - A target that blocks its thread holds up nobody else: each has [a thread of its
//!   own](lane::target_thread).
//! - Nothing here ends the process: panics of the chain, a target or a lane are caught, and it is
//!   tried again.

mod config;
mod cursors;
mod export;
mod finished;
mod job_error;
mod lane;
mod pool;
mod report;
mod threads;
mod timing;
mod watchdog;

pub use config::{ProducerConfig, ProducerError, StartBlock};
pub use cursors::inventory::{CursorFile, TargetCursor};
pub use export::{ExportError, ExportRange, ExportStopped, Exported, export_range};
pub use report::status::{SkippedRange, Status, TargetState, TargetStatus};

use crate::{chain::Chain, target::Target};
use alloy_eips::BlockNumHash;
use finished::Finished;
use report::status::StatusBoard;
use std::{sync::Arc, time::Instant};
use threads::Threads;
use timing::Timing;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Delivers every canonical block to every target, on threads of its own. Ends when it is dropped.
#[derive(Debug)]
pub struct Producer {
    wake: watch::Sender<Instant>,
    status: Arc<StatusBoard>,
    finished: Arc<Finished>,
    threads: Threads,
}

impl Producer {
    /// Starts the threads.
    ///
    /// `stop` is the token that the targets were opened with. The producer stops when it is
    /// cancelled, and cancels it itself when it is stopped and a target keeps it waiting.
    ///
    /// # Errors
    ///
    /// [`ProducerError`], if the cursors can't be read, two targets are the same, or no thread can
    /// be started.
    pub fn start(
        chain: Arc<dyn Chain>,
        targets: Vec<Box<dyn Target>>,
        config: ProducerConfig,
        stop: CancellationToken,
    ) -> Result<Self, ProducerError> {
        let timing = Timing::polling_every(config.poll_interval);
        Self::start_with(chain, targets, config, stop, timing)
    }

    fn start_with(
        chain: Arc<dyn Chain>,
        targets: Vec<Box<dyn Target>>,
        config: ProducerConfig,
        stop: CancellationToken,
        timing: Timing,
    ) -> Result<Self, ProducerError> {
        let names: Vec<_> = targets.iter().map(|target| target.name()).collect();
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|other| other == name) {
                return Err(ProducerError::SameTarget(name.clone()));
            }
        }
        report::metrics::describe();
        let status = Arc::new(StatusBoard::of_targets(names.into_iter()));
        let finished = Arc::new(Finished::of_lanes(targets.len()));
        let wake = watch::Sender::new(Instant::now());
        let parts = threads::Parts {
            chain,
            targets,
            config,
            timing,
            stop,
            wake: wake.subscribe(),
            board: Arc::clone(&status),
            finished: Arc::clone(&finished),
        };
        Ok(Self { wake, status, finished, threads: parts.start()? })
    }

    /// Makes the producer check the chain now. Cheap; never waits.
    pub fn wake(&self) {
        self.wake.send_replace(Instant::now());
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        self.status.read()
    }

    /// The highest canonical block up to which every target has confirmed every block that it is to
    /// get: the node needs nothing before it any more. A target that has nothing yet counts with
    /// the block before its start block, or with the tip while that is lower, so it holds nothing
    /// back that it does not need.
    ///
    /// It can go down after a reorg, which one target may notice later than another, so it has to
    /// be lowered to the finalized block. It is `None` until every target has been compared with
    /// the chain.
    pub fn finished(&self) -> watch::Receiver<Option<BlockNumHash>> {
        self.finished.watch()
    }

    /// Stops: nothing more is begun, a delivery that is under way gets some seconds to end, and
    /// what a target has taken is recorded. Returns when the threads have ended, or after about ten
    /// seconds.
    pub fn stop(&self) {
        self.threads.stop();
    }
}

#[cfg(test)]
mod tests;
