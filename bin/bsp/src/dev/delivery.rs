//! The task that makes blocks and delivers their replicas.

use super::producer::{Made, Producer};
use alloy_primitives::B256;
use bsp_replication::{Entry, Target, TargetError};
use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// How many blocks may be made and not finished by the agent: as many as it sends proofs for at
/// once.
const MAX_IN_WORK: usize = 16;

/// Which blocks to make, and when.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// How many; `None` for any number.
    pub(crate) blocks: Option<u64>,
    /// From one block's beginning to the next one's.
    pub(crate) block_time: Duration,
    /// Blocks that the agent is done with since an earlier run. They are not delivered again.
    pub(crate) settled: HashSet<B256>,
    /// Lets no more blocks be made.
    pub(crate) interrupt: CancellationToken,
}

/// What has happened to a block.
#[derive(Debug)]
pub(crate) enum Event {
    /// It is about to be delivered, if it has to be. The permit is its place among those in flight.
    Made(Box<Made>, OwnedSemaphorePermit),
    /// The target has durably taken the last one that was made.
    Delivered,
}

/// Makes and delivers blocks in their order, and returns the producer. Whoever reads the events
/// says how fast: it holds the permits. It ends after its interrupt with the block at hand
/// delivered, or without, when the target is stopped.
///
/// # Errors
///
/// A block that does not verify, or a target that refuses.
pub(crate) async fn run(
    mut producer: Producer,
    mut target: Box<dyn Target>,
    schedule: Schedule,
    events: mpsc::UnboundedSender<Event>,
) -> eyre::Result<Producer> {
    let places = Arc::new(Semaphore::new(MAX_IN_WORK));
    let mut made_blocks = 0;
    while schedule.blocks.is_none_or(|wanted| made_blocks < wanted) {
        let Some(place) = schedule.place(&places).await else { break };
        let begun = Instant::now();
        let (made, entry);
        (producer, made, entry) = make(producer).await?;
        made_blocks += 1;
        // Nobody may be listening any more, after an error there.
        let _ = events.send(Event::Made(Box::new(made), place));
        if !schedule.settled.contains(&entry.hash) {
            match target.deliver(std::slice::from_ref(&entry)).await {
                Ok(()) => _ = events.send(Event::Delivered),
                Err(TargetError::Stopped { .. }) => break,
                Err(error) => return Err(error.into()),
            }
        }
        let is_last = schedule.blocks == Some(made_blocks);
        if !is_last && !schedule.rest(begun).await {
            break;
        }
    }
    Ok(producer)
}

/// Makes a block on a thread that may be busy.
async fn make(mut producer: Producer) -> eyre::Result<(Producer, Made, Entry)> {
    tokio::task::spawn_blocking(move || {
        let (made, entry) = producer.advance()?;
        Ok((producer, made, entry))
    })
    .await?
}

impl Schedule {
    /// Waits until there is room for one more block; `None` if that is too late.
    async fn place(&self, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(places).acquire_owned();
        self.interrupt.run_until_cancelled(place).await?.ok()
    }

    /// Waits for the next block's time; `false` if there is to be none.
    async fn rest(&self, begun: Instant) -> bool {
        let rest = self.block_time.saturating_sub(begun.elapsed());
        self.interrupt.run_until_cancelled(tokio::time::sleep(rest)).await.is_some()
    }
}
