//! The blocks that a lane works on: the next ones after its cursor, in order, within its share of
//! the memory.

use super::{lookups::Lookups, target_thread::Positions};
use crate::{
    chain::{ChainError, ProduceError, ProducedBlock},
    producer::{
        cursors::history::{DeliveryHistory, Disposition, HandledBlock, Skip},
        job_error::JobError,
        pool::{Pool, Produced},
    },
    target::{Entry, StreamPosition},
};
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use std::{collections::VecDeque, sync::Arc, time::Instant};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

/// A replica of mainnet has 2 to 4 MB. Until the first one is there, a block counts for this many
/// bytes.
const FIRST_GUESS: usize = 4 << 20;
/// The most blocks in a window, and so in a batch, however small.
const MOST_BLOCKS: usize = 256;
/// The most bytes of a batch, if it has more than one block.
const MOST_BATCH_BYTES: usize = 32 << 20;

/// What a window may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Blocks in production at once.
    pub(crate) workers: usize,
    /// Bytes of replicas, those in delivery included. A single block may have more.
    pub(crate) bytes: usize,
}

/// The blocks.
#[derive(Debug)]
pub(crate) struct Window {
    lookups: Lookups,
    pool: Arc<Pool>,
    limits: Limits,
    next: u64,
    slots: VecDeque<Slot>,
    /// Bytes in slots and in the batch that was taken.
    held: usize,
    /// How many bytes a block in production will have, roughly. None before the first.
    guess: Option<usize>,
    sender: UnboundedSender<Produced>,
    receiver: UnboundedReceiver<Produced>,
}

#[derive(Debug)]
struct Slot {
    block: BlockNumHash,
    seen: Instant,
    state: SlotState,
}

#[derive(Debug)]
enum SlotState {
    InProduction,
    Ready(Arc<ProducedBlock>),
    HadAlready { parent: B256 },
    Failed(JobError),
}

/// What the front of a window is.
#[derive(Debug)]
pub(crate) enum Front {
    /// There is nothing: the tip is reached.
    Nothing,
    /// It is in production.
    InProduction,
    /// These are next.
    Batch(Batch),
    /// It is no child of the cursor.
    OffBranch(BlockNumHash),
    /// It can't be produced.
    Failed(BlockNumHash, JobError),
}

/// Blocks in a row that follow the cursor.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) handled: Vec<HandledBlock>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) bytes: usize,
    pub(crate) gas: u64,
    /// When the first of them was heard of.
    pub(crate) seen: Option<Instant>,
    /// What the target's consumers have acknowledged after the delivery, as far as it is known.
    pub(crate) acknowledged: Option<StreamPosition>,
}

impl Window {
    /// An empty one that begins at a height.
    pub(crate) fn new(lookups: Lookups, pool: Arc<Pool>, limits: Limits, next: u64) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (slots, held, guess) = (VecDeque::new(), 0, None);
        Self { lookups, pool, limits, next, slots, held, guess, sender, receiver }
    }

    /// Asks for as many blocks as there is room for. `seen` is when they were heard of. Returns the
    /// tip, if it was looked up.
    pub(crate) async fn fill(
        &mut self,
        history: &DeliveryHistory,
        seen: Instant,
    ) -> Result<Option<BlockNumHash>, ChainError> {
        let mut tip = None;
        loop {
            let room = self.room();
            if room == 0 {
                return Ok(tip);
            }
            let upcoming = self.lookups.blocks(self.next, room).await?;
            tip = upcoming.tip;
            let found = upcoming.blocks.len();
            let urgent = tip.is_some_and(|tip| {
                tip.number.saturating_sub(self.next) <= self.limits.workers as u64
            });
            for block in upcoming.blocks {
                self.ask_for(block, history, seen, urgent);
            }
            if found < room {
                return Ok(tip);
            }
        }
    }

    /// Waits until the state of a block changes. Cancel-safe.
    pub(crate) async fn progress(&mut self) {
        // The window has a sender itself, so the channel is never closed.
        let Some(Produced { block, result }) = self.receiver.recv().await else { return };
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.block == block) else { return };
        slot.state = match result {
            Ok(product) => {
                let bytes = product.entry.bytes();
                self.held = self.held.saturating_add(bytes);
                // Follows the largest at once, and forgets it slowly.
                let forgotten = self.guess.map_or(0, |guess| guess - guess / 16);
                self.guess = Some(bytes.max(forgotten));
                SlotState::Ready(product)
            }
            Err(error) => SlotState::Failed(error),
        };
    }

    /// Takes what is ready at the front and follows `cursor`.
    pub(crate) fn take(&mut self, cursor: Option<BlockNumHash>) -> Front {
        let mut batch = Batch::default();
        let mut last = cursor.map(|cursor| cursor.hash);
        while let Some(slot) = self.slots.pop_front() {
            let follows = |parent| last.is_none_or(|last| last == parent);
            let (block, size) = (slot.block, slot.size());
            let fits = batch.handled.is_empty()
                || batch.bytes.saturating_add(size) <= MOST_BATCH_BYTES.min(self.limits.bytes);
            let reason_to_end = match slot.state {
                SlotState::Ready(product) if fits && follows(product.parent) => {
                    batch.add_product(block, &product);
                    None
                }
                SlotState::HadAlready { parent } if fits && follows(parent) => {
                    batch
                        .handled
                        .push(HandledBlock { block, disposition: Disposition::HadAlready });
                    None
                }
                SlotState::Failed(JobError::Produce(ProduceError::BeforeDefinition {
                    reason,
                    ..
                })) => {
                    tracing::debug!(target: "exex::bsp", block = block.number, "Skipping a block: {reason}");
                    let disposition =
                        Disposition::Skipped { from: block.number, why: Skip::BeforeDefinition };
                    batch.handled.push(HandledBlock { block, disposition });
                    None
                }
                state => Some(state),
            };
            let Some(state) = reason_to_end else {
                last = Some(block.hash);
                batch.seen.get_or_insert(slot.seen);
                continue;
            };
            if !batch.handled.is_empty() {
                self.slots.push_front(Slot { state, ..slot });
                break;
            }
            return match state {
                SlotState::Failed(error) => Front::Failed(block, error),
                SlotState::Ready(_) | SlotState::HadAlready { .. } => Front::OffBranch(block),
                SlotState::InProduction => {
                    self.slots.push_front(Slot { state, ..slot });
                    Front::InProduction
                }
            };
        }
        if batch.handled.is_empty() { Front::Nothing } else { Front::Batch(batch) }
    }

    /// Gives room back that a batch had.
    pub(crate) const fn release(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// Bytes of replicas that are ready or in delivery.
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    fn room(&self) -> usize {
        if self.slots.iter().any(|slot| matches!(slot.state, SlotState::Failed(_))) {
            return 0;
        }
        let in_production = self.in_production();
        let bytes = self.limits.bytes.saturating_sub(self.held);
        let by_bytes =
            (bytes / self.guess.unwrap_or(FIRST_GUESS).max(1)).saturating_sub(in_production);
        // One block has to find room, however large.
        let least = usize::from(in_production == 0 && self.held == 0);
        by_bytes
            .max(least)
            .min(self.limits.workers.max(1).saturating_sub(in_production))
            .min(MOST_BLOCKS.saturating_sub(self.slots.len()))
    }

    fn in_production(&self) -> usize {
        self.slots.iter().filter(|slot| matches!(slot.state, SlotState::InProduction)).count()
    }

    fn ask_for(
        &mut self,
        block: BlockNumHash,
        history: &DeliveryHistory,
        seen: Instant,
        urgent: bool,
    ) {
        let state = match history.delivered_parent(block) {
            Some(parent) => SlotState::HadAlready { parent },
            None => {
                self.pool.request(block, urgent, &self.sender);
                SlotState::InProduction
            }
        };
        self.slots.push_back(Slot { block, seen, state });
        self.next = block.number.saturating_add(1);
    }
}

impl Slot {
    fn size(&self) -> usize {
        match &self.state {
            SlotState::Ready(product) => product.entry.bytes(),
            _ => 0,
        }
    }
}

impl Batch {
    fn add_product(&mut self, block: BlockNumHash, product: &ProducedBlock) {
        let disposition =
            Disposition::Delivered { parent: product.parent, position: StreamPosition::default() };
        self.handled.push(HandledBlock { block, disposition });
        self.entries.push(product.entry.clone());
        self.bytes = self.bytes.saturating_add(product.entry.bytes());
        self.gas = self.gas.saturating_add(product.gas_used);
    }

    /// Notes where the target is after the delivery.
    pub(crate) fn set_positions(&mut self, positions: Positions) {
        let at = positions.delivered.unwrap_or_default();
        self.acknowledged = positions.acknowledged;
        for handled in &mut self.handled {
            if let Disposition::Delivered { position, .. } = &mut handled.disposition {
                *position = at;
            }
        }
    }

    /// The last block.
    pub(crate) fn last(&self) -> Option<BlockNumHash> {
        self.handled.last().map(|handled| handled.block)
    }
}
