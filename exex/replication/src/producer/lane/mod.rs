//! What is done for one target: from its cursor to the tip, again and again.
//!
//! A turn begins with a comparison of cursor and chain, and ends when the tip is reached or
//! something is in the way. Nothing is carried over from one turn to the next but the cursor, so
//! whatever went wrong, the next turn begins with the truth.

mod delivery;
pub(crate) mod lookups;
pub(crate) mod reconcile;
mod skip;
mod start;
pub(crate) mod target_thread;
pub(crate) mod window;

use super::{
    ProducerConfig, TargetState,
    cursors::{CursorId, Cursors, history::DeliveryHistory},
    job_error::JobError,
    pool::{Pool, panic_message},
    report::{
        Report,
        failure::{Cause, Failure},
    },
    timing::{Attempts, Timing},
};
use crate::{chain::ProduceError, failpoint};
use alloy_eips::BlockNumHash;
use futures::FutureExt;
use lookups::Lookups;
use reconcile::Decision;
use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};
use target_thread::TargetThread;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use window::{Front, Limits, Window};

/// The producer is told to stop.
#[derive(Debug)]
struct Stopped;

/// What all lanes have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) config: ProducerConfig,
    pub(super) timing: Timing,
    pub(super) lookups: Lookups,
    pub(super) pool: Arc<Pool>,
    pub(super) cursors: Arc<Cursors>,
    pub(super) limits: Limits,
    /// Nothing new is begun after this.
    pub(super) halt: CancellationToken,
}

/// One target's.
#[derive(Debug)]
pub(super) struct Lane {
    common: Arc<Common>,
    target: TargetThread,
    report: Report,
    /// When there was the last news of the chain.
    wake: watch::Receiver<Instant>,
    cursor: Option<(CursorId, Arc<DeliveryHistory>)>,
    attempts: Attempts<Cause>,
}

impl Lane {
    pub(super) fn new(
        common: Arc<Common>,
        target: TargetThread,
        report: Report,
        wake: watch::Receiver<Instant>,
    ) -> Self {
        Self { common, target, report, wake, cursor: None, attempts: Attempts::none() }
    }

    /// Works until the producer is told to stop.
    pub(super) async fn run(mut self) {
        loop {
            let panic = match AssertUnwindSafe(self.work()).catch_unwind().await {
                Ok(Err(Stopped)) => break,
                Ok(Ok(never)) => match never {},
                Err(panic) => Failure::lane(&panic_message(&*panic)),
            };
            // What was in memory may be half done. The file is not.
            self.cursor = None;
            if self.fail(&panic).await.is_err() {
                break;
            }
        }
        tracing::debug!(target: "exex::bsp", target = self.report.name, "The delivery to the target ends");
    }

    async fn work(&mut self) -> Result<Infallible, Stopped> {
        loop {
            let (id, history) = match self.cursor.clone() {
                Some(cursor) => cursor,
                None => self.begin().await?,
            };
            self.turn(id, history).await?;
        }
    }

    /// From a look at the chain to the tip, or to something that is in the way.
    async fn turn(&mut self, id: CursorId, history: Arc<DeliveryHistory>) -> Result<(), Stopped> {
        let seen = *self.wake.borrow_and_update();
        let (tip, decision) = match self.common.lookups.reconcile(&history).await {
            Ok(answer) => answer,
            Err(error) => return self.fail(&Failure::chain(&error)).await,
        };
        self.report.tip(tip);
        match decision {
            Decision::NotBegun { tip } => {
                self.report.cursor(&history, tip);
                self.idle(TargetState::Following).await
            }
            Decision::UpToDate => {
                self.report.cursor(&history, history.cursor());
                self.idle(TargetState::Following).await
            }
            Decision::AheadOfNode { at } => {
                self.report.cursor(&history, Some(at));
                self.idle(TargetState::AheadOfNode).await
            }
            Decision::StepBack { to, depth } => self.step_back(history, to, depth).await,
            Decision::Next { before } => {
                self.report.cursor(&history, before);
                match self.common.lookups.last_undefined(history.next()).await {
                    Ok(None) => self.advance(id, history, seen).await,
                    Ok(Some(last)) => self.skip_undefined(id, history, last).await,
                    Err(error) => self.fail(&Failure::chain(&error)).await,
                }
            }
        }
    }

    /// Waits for news of the chain, but not for ever.
    async fn idle(&mut self, state: TargetState) -> Result<(), Stopped> {
        self.succeeded();
        self.report.state(state);
        self.wait_for_news().await
    }

    async fn wait_for_news(&mut self) -> Result<(), Stopped> {
        tokio::select! {
            biased;
            () = self.common.halt.cancelled() => return Err(Stopped),
            // The sender lives as long as the producer.
            _ = self.wake.changed() => {}
            () = tokio::time::sleep(self.common.timing.poll) => {}
        }
        Ok(())
    }

    async fn step_back(
        &mut self,
        mut history: Arc<DeliveryHistory>,
        to: Option<BlockNumHash>,
        depth: u64,
    ) -> Result<(), Stopped> {
        let from = history.cursor();
        Arc::make_mut(&mut history).step_back(to.map(|block| block.number));
        let (name, resume, to_number) =
            (self.report.name.clone(), history.next(), to.map(|block| block.number));
        // Before the file, so that the node forgets nothing meanwhile.
        self.report.cursor(&history, to);
        self.write(move |cursors| cursors.step_back(&name, to_number, resume)).await?;
        failpoint::hit("after_step_back");
        self.report.stepped_back(from, to, depth);
        self.set_ring(history);
        Ok(())
    }

    /// Delivers what follows the cursor.
    async fn advance(
        &mut self,
        id: CursorId,
        mut history: Arc<DeliveryHistory>,
        mut seen: Instant,
    ) -> Result<(), Stopped> {
        let common = Arc::clone(&self.common);
        let (lookups, pool) = (common.lookups.clone(), Arc::clone(&common.pool));
        let mut window = Window::new(lookups, pool, common.limits, history.next());
        loop {
            match window.fill(&history, seen).await {
                Ok(tip) => self.report.tip(tip),
                Err(error) => return self.fail(&Failure::chain(&error)).await,
            }
            self.report.waiting_bytes(window.held());
            match window.take(history.cursor()) {
                Front::Nothing => return Ok(()),
                Front::InProduction => self.wait_for_production(&mut window).await?,
                Front::Batch(batch) => match self.pass(id, history, batch, &mut window).await? {
                    Some(advanced) => history = advanced,
                    None => return Ok(()),
                },
                Front::OffBranch(block) => return self.retry_lookup(block).await,
                Front::Failed(block, error) => {
                    return self.not_produced(id, history, block, &error).await;
                }
            }
            seen = Instant::now();
        }
    }

    async fn wait_for_production(&mut self, window: &mut Window) -> Result<(), Stopped> {
        tokio::select! {
            () = window.progress() => Ok(()),
            _ = self.wake.changed() => Ok(()),
            () = self.common.halt.cancelled() => Err(Stopped),
        }
    }

    async fn not_produced(
        &mut self,
        id: CursorId,
        history: Arc<DeliveryHistory>,
        block: BlockNumHash,
        error: &JobError,
    ) -> Result<(), Stopped> {
        match error {
            JobError::Produce(ProduceError::UnknownBlock(_)) => self.retry_lookup(block).await,
            JobError::Produce(ProduceError::Pruned { .. }) if self.common.config.skip_pruned => {
                self.skip_pruned(id, history, block).await
            }
            error => self.fail(&Failure::production(block.hash, error)).await,
        }
    }

    /// The chain has changed since it was checked. That is no failure, unless it happens again and
    /// again.
    async fn retry_lookup(&mut self, block: BlockNumHash) -> Result<(), Stopped> {
        let failure = Failure::off_branch(block.number, block.hash);
        match self.attempts.failed(failure.cause) {
            1 => Ok(()),
            failures => {
                self.report.failed(&failure, failures);
                self.pause(failures, true).await
            }
        }
    }

    /// Tells of a failure, and waits before the next attempt.
    async fn fail(&mut self, failure: &Failure) -> Result<(), Stopped> {
        let failures = self.attempts.failed(failure.cause);
        self.report.failed(failure, failures);
        self.pause(failures, failure.may_end_with_news()).await
    }

    fn succeeded(&mut self) {
        if self.attempts.succeeded() {
            self.report.recovered();
        }
    }

    /// Waits after this many failures. News of the chain end a long pause, where they may have
    /// ended what failed, but however many there are, not before the chain would be checked anyway.
    async fn pause(&mut self, failures: u32, until_news: bool) -> Result<(), Stopped> {
        let Timing { poll, .. } = self.common.timing;
        let pause = self.common.timing.pause_after(failures);
        let (least, rest) = if until_news && pause > poll {
            (poll, pause.saturating_sub(poll))
        } else {
            (pause, Duration::ZERO)
        };
        let wake = &mut self.wake;
        let pause = async {
            tokio::time::sleep(least).await;
            if !rest.is_zero() {
                // The sender lives as long as the producer.
                let _ = tokio::time::timeout(rest, wake.changed()).await;
            }
        };
        tokio::select! {
            () = self.common.halt.cancelled() => Err(Stopped),
            () = pause => Ok(()),
        }
    }

    fn set_ring(&mut self, history: Arc<DeliveryHistory>) {
        if let Some((_, current)) = &mut self.cursor {
            *current = history;
        }
    }
}
