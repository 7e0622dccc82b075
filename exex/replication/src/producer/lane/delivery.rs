//! From a batch to the target, and to the cursor's file.

use super::{
    Lane, Stopped,
    target_thread::{Positions, TargetFailure},
    window::{Batch, Window},
};
use crate::{
    failpoint,
    producer::{
        ProducerError, SkippedRange,
        cursors::{
            CursorId, Cursors,
            history::{DeliveryHistory, Disposition},
        },
        report::{Report, failure::Failure},
        timing::Timing,
    },
    target::{StreamPosition, TargetError},
};
use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

impl Lane {
    /// Delivers a batch, and moves the cursor over it. `None` if the chain has to be checked first.
    pub(super) async fn pass(
        &mut self,
        id: CursorId,
        history: Arc<DeliveryHistory>,
        mut batch: Batch,
        window: &mut Window,
    ) -> Result<Option<Arc<DeliveryHistory>>, Stopped> {
        // It was canonical when it was asked for, which may be long ago.
        let Some(last) = batch.last() else { return Ok(None) };
        match self.common.lookups.is_canonical(last).await {
            Ok(true) => {}
            Ok(false) => {
                self.retry_lookup(last).await?;
                return Ok(None);
            }
            Err(error) => {
                self.fail(&Failure::chain(&error)).await?;
                return Ok(None);
            }
        }
        if !batch.entries.is_empty() {
            let begun = Instant::now();
            failpoint::hit("before_deliver");
            match self.send(&batch, &history, window).await {
                Ok(positions) => {
                    failpoint::hit("after_deliver");
                    self.report.delivered(&batch, begun.elapsed());
                    batch.set_positions(positions);
                }
                Err(TargetFailure::Target(TargetError::Lost { kept, .. })) => {
                    self.deliver_again(history, kept).await?;
                    return Ok(None);
                }
                Err(failure) => {
                    self.target_failed(failure).await?;
                    return Ok(None);
                }
            }
        }
        let history = self.record(id, history, &batch).await?;
        window.release(batch.bytes);
        if self.common.halt.is_cancelled() {
            return Err(Stopped);
        }
        Ok(Some(history))
    }

    /// Tells of a target that failed, and waits before the next attempt.
    pub(super) async fn target_failed(&mut self, failure: TargetFailure) -> Result<(), Stopped> {
        let trouble = match &failure {
            TargetFailure::Target(TargetError::Stopped { .. }) => return Err(Stopped),
            TargetFailure::Target(error) => Failure::target(error),
            TargetFailure::Panicked(message) => {
                Failure::target_panicked(&self.report.name, message)
            }
            TargetFailure::Gone if self.common.halt.is_cancelled() => return Err(Stopped),
            TargetFailure::Gone => Failure::target_gone(&self.report.name),
        };
        self.fail(&trouble).await
    }

    /// Goes back to before what the target has lost.
    async fn deliver_again(
        &mut self,
        mut history: Arc<DeliveryHistory>,
        kept: StreamPosition,
    ) -> Result<(), Stopped> {
        let lost = Arc::make_mut(&mut history).lose(kept);
        let (name, resume) = (self.report.name.clone(), history.next());
        // Before the file, so that the node forgets nothing meanwhile.
        self.report.cursor(&history, history.cursor());
        self.write(move |cursors| cursors.lose(&name, kept, resume)).await?;
        self.report.lost(lost, resume);
        self.set_ring(history);
        Ok(())
    }

    /// Hands a batch to the target. The window is kept full meanwhile.
    async fn send(
        &mut self,
        batch: &Batch,
        history: &DeliveryHistory,
        window: &mut Window,
    ) -> Result<Positions, TargetFailure> {
        let Timing { slow_target, poll, .. } = self.common.timing;
        let (report, wake) = (&self.report, &mut self.wake);
        tokio::select! {
            biased;
            result = self.target.deliver(&batch.entries) => result,
            never = keep_full(window, history, wake, poll) => match never {},
            never = tell_delay(report, slow_target) => match never {},
        }
    }

    /// Moves the cursor over a batch, in the file first of all.
    pub(super) async fn record(
        &mut self,
        id: CursorId,
        mut history: Arc<DeliveryHistory>,
        batch: &Batch,
    ) -> Result<Arc<DeliveryHistory>, Stopped> {
        // With one owner, it is changed without a copy. Meanwhile the file is the truth.
        self.cursor = None;
        Arc::make_mut(&mut history).advance(&batch.handled);
        let (handled, first_kept) = (Arc::new(batch.handled.clone()), history.first_kept());
        let acknowledged = batch.acknowledged;
        failpoint::hit("before_cursor");
        self.write(move |cursors| cursors.advance(id, &handled, first_kept, acknowledged)).await?;
        failpoint::hit("after_cursor");
        self.cursor = Some((id, Arc::clone(&history)));
        self.succeeded();
        self.report.cursor(&history, history.cursor());
        self.report.handled(batch);
        if batch
            .handled
            .iter()
            .any(|handled| matches!(handled.disposition, Disposition::Skipped { .. }))
        {
            self.show_skipped(id).await?;
        }
        Ok(history)
    }

    /// Shows which blocks were left out so far.
    pub(super) async fn show_skipped(
        &mut self,
        id: CursorId,
    ) -> Result<Vec<SkippedRange>, Stopped> {
        let ranges = self.write(move |cursors| cursors.skipped(id)).await?;
        self.report.skipped_ranges(ranges.clone());
        Ok(ranges)
    }

    /// Does something with the file of cursors until it succeeds.
    pub(super) async fn write<T: Send + 'static>(
        &mut self,
        write: impl Fn(&Cursors) -> Result<T, ProducerError> + Send + Sync + 'static,
    ) -> Result<T, Stopped> {
        let write = Arc::new(write);
        loop {
            let (write, cursors) = (Arc::clone(&write), Arc::clone(&self.common.cursors));
            match tokio::task::spawn_blocking(move || write(&cursors)).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) => self.fail(&Failure::cursors(&error)).await?,
                Err(error) if error.is_panic() => {
                    self.fail(&Failure::lane(&error.to_string())).await?;
                }
                // The runtime is shutting down.
                Err(_) => return Err(Stopped),
            }
        }
    }
}

/// Asks for blocks as room and blocks come up.
async fn keep_full(
    window: &mut Window,
    history: &DeliveryHistory,
    wake: &mut watch::Receiver<Instant>,
    poll: Duration,
) -> Infallible {
    loop {
        // If this fails it fails again, after the delivery.
        let _ = window.fill(history, Instant::now()).await;
        tokio::select! {
            () = window.progress() => {}
            _ = wake.changed() => {}
            () = tokio::time::sleep(poll) => {}
        }
    }
}

/// Tells that a delivery takes longer than it should, as long as it does.
async fn tell_delay(report: &Report, slow: Duration) -> Infallible {
    let begun = Instant::now();
    loop {
        tokio::time::sleep(slow.min(Duration::from_secs(1))).await;
        if begun.elapsed() >= slow {
            report.waiting_for_target(begun.elapsed());
        }
    }
}
