//! From a batch to the target, and to the cursor's file.

use super::{CursorId, Lane, Report, Ring, Stopped, Timing, Trouble, Window};
use crate::{
    Mark, ProducerError, SkippedRange, TargetError, failpoint,
    producer::{
        cursors::Cursors,
        ring::How,
        target_thread::{Failure, Position},
        window::Batch,
    },
};
use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

impl Lane {
    /// Delivers a batch, and moves the cursor over it. `None` if the chain has to be looked at first.
    pub(super) async fn pass(
        &mut self,
        id: CursorId,
        ring: Arc<Ring>,
        mut batch: Batch,
        window: &mut Window,
    ) -> Result<Option<Arc<Ring>>, Stopped> {
        // It was canonical when it was asked for, which may be long ago.
        let Some(last) = batch.last() else { return Ok(None) };
        match self.common.lookups.is_canonical(last).await {
            Ok(true) => {}
            Ok(false) => {
                self.look_again(last).await?;
                return Ok(None);
            }
            Err(error) => {
                self.fail(&Trouble::chain(&error)).await?;
                return Ok(None);
            }
        }
        if !batch.entries.is_empty() {
            let begun = Instant::now();
            failpoint::hit("before_deliver");
            match self.send(&batch, &ring, window).await {
                Ok(position) => {
                    failpoint::hit("after_deliver");
                    self.report.delivered(&batch, begun.elapsed());
                    batch.set_position(position);
                }
                Err(Failure::Target(TargetError::Lost { kept, .. })) => {
                    self.deliver_again(ring, kept).await?;
                    return Ok(None);
                }
                Err(failure) => {
                    self.target_failed(failure).await?;
                    return Ok(None);
                }
            }
        }
        let ring = self.record(id, ring, &batch).await?;
        window.release(batch.bytes);
        if self.common.halt.is_cancelled() {
            return Err(Stopped);
        }
        Ok(Some(ring))
    }

    /// Tells of a target that failed, and waits before the next attempt.
    pub(super) async fn target_failed(&mut self, failure: Failure) -> Result<(), Stopped> {
        let trouble = match &failure {
            Failure::Target(TargetError::Stopped { .. }) => return Err(Stopped),
            Failure::Target(error) => Trouble::target(error),
            Failure::Panicked(message) => Trouble::target_panicked(&self.report.name, message),
            Failure::Gone if self.common.halt.is_cancelled() => return Err(Stopped),
            Failure::Gone => Trouble::target_gone(&self.report.name),
        };
        self.fail(&trouble).await
    }

    /// Goes back to before what the target has lost.
    async fn deliver_again(&mut self, mut ring: Arc<Ring>, kept: Mark) -> Result<(), Stopped> {
        let lost = Arc::make_mut(&mut ring).lose(kept);
        let (name, resume) = (self.report.name.clone(), ring.next());
        // Before the file, so that the node forgets nothing meanwhile.
        self.report.cursor(&ring, ring.cursor());
        self.write(move |cursors| cursors.lose(&name, kept, resume)).await?;
        self.report.lost(lost, resume);
        self.set_ring(ring);
        Ok(())
    }

    /// Hands a batch to the target. The window is kept full meanwhile.
    async fn send(
        &mut self,
        batch: &Batch,
        ring: &Ring,
        window: &mut Window,
    ) -> Result<Position, Failure> {
        let Timing { slow_target, poll, .. } = self.common.timing;
        let (report, wake) = (&self.report, &mut self.wake);
        tokio::select! {
            biased;
            result = self.target.deliver(&batch.entries) => result,
            never = keep_full(window, ring, wake, poll) => match never {},
            never = tell_delay(report, slow_target) => match never {},
        }
    }

    /// Moves the cursor over a batch, in the file first of all.
    pub(super) async fn record(
        &mut self,
        id: CursorId,
        mut ring: Arc<Ring>,
        batch: &Batch,
    ) -> Result<Arc<Ring>, Stopped> {
        // With one owner, it is changed without a copy. Meanwhile the file is the truth.
        self.cursor = None;
        Arc::make_mut(&mut ring).advance(&batch.passed);
        let (passed, first_kept) = (Arc::new(batch.passed.clone()), ring.first_kept());
        let acknowledged = batch.acknowledged;
        failpoint::hit("before_cursor");
        self.write(move |cursors| cursors.advance(id, &passed, first_kept, acknowledged)).await?;
        failpoint::hit("after_cursor");
        self.cursor = Some((id, Arc::clone(&ring)));
        self.succeeded();
        self.report.cursor(&ring, ring.cursor());
        self.report.passed(batch);
        if batch.passed.iter().any(|passed| matches!(passed.how, How::Skipped { .. })) {
            self.show_skipped(id).await?;
        }
        Ok(ring)
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
                Ok(Err(error)) => self.fail(&Trouble::cursors(&error)).await?,
                Err(error) if error.is_panic() => {
                    self.fail(&Trouble::lane(&error.to_string())).await?;
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
    ring: &Ring,
    wake: &mut watch::Receiver<Instant>,
    poll: Duration,
) -> Infallible {
    loop {
        // If this fails it fails again, after the delivery.
        let _ = window.fill(ring, Instant::now()).await;
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
