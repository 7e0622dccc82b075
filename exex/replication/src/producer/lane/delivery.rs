//! From a batch to the target, and to the cursor's file.

use super::{CursorId, Lane, Ring, Stopped, Trouble, Window};
use crate::{
    ProducerError, TargetError, failpoint,
    producer::{cursors::Cursors, window::Batch},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

impl Lane {
    /// Delivers a batch, and moves the cursor over it. `None` if the chain has to be looked at first.
    pub(super) async fn pass(
        &mut self,
        id: CursorId,
        ring: Arc<Ring>,
        batch: Batch,
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
                Ok(()) => self.report.confirmed(&batch, begun.elapsed()),
                Err(TargetError::Stopped { .. }) => return Err(Stopped),
                Err(error) => {
                    self.fail(&Trouble::target(&error)).await?;
                    return Ok(None);
                }
            }
            failpoint::hit("after_deliver");
        }
        let ring = self.record(id, ring, &batch).await?;
        window.release(batch.bytes);
        if self.common.halt.is_cancelled() {
            return Err(Stopped);
        }
        Ok(Some(ring))
    }

    /// Hands a batch to the target. The window is kept full meanwhile.
    async fn send(
        &mut self,
        batch: &Batch,
        ring: &Ring,
        window: &mut Window,
    ) -> Result<(), TargetError> {
        let begun = Instant::now();
        let slow = self.common.timing.slow_target;
        let mut look =
            tokio::time::interval_at((begun + slow).into(), slow.min(Duration::from_secs(1)));
        let delivery = self.target.deliver(&batch.entries);
        tokio::pin!(delivery);
        loop {
            tokio::select! {
                biased;
                result = &mut delivery => return result,
                () = window.progress() => {
                    // If this fails it fails again, after the delivery.
                    let _ = window.fill(ring, Instant::now()).await;
                }
                _ = look.tick() => self.report.waiting_for_target(begun.elapsed()),
            }
        }
    }

    /// Moves the cursor over a batch, in the file first of all.
    pub(super) async fn record(
        &mut self,
        id: CursorId,
        mut ring: Arc<Ring>,
        batch: &Batch,
    ) -> Result<Arc<Ring>, Stopped> {
        Arc::make_mut(&mut ring).advance(&batch.passed);
        let (passed, first_kept) = (Arc::new(batch.passed.clone()), ring.first_kept());
        failpoint::hit("before_cursor");
        self.write(move |cursors| cursors.advance(id, &passed, first_kept)).await?;
        failpoint::hit("after_cursor");
        self.set_ring(Arc::clone(&ring));
        self.succeeded();
        self.report.cursor(&ring, ring.cursor());
        self.report.passed(batch);
        Ok(ring)
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
