//! The steps of one block, from its segment to its end.
//!
//! Each step begins at the stage that the former one journalled, and is safe to repeat: that is all
//! that a restart needs.

use super::{
    Services,
    held::HeldBlocks,
    open_block::{OpenBlock, Step, Unfinished},
    settle::Settler,
    steps::Steps,
    totals::Totals,
    work::{Ended, WorkList},
};
use crate::{
    failpoint,
    journal::{BlockKey, BlockRecord, Stage},
    metrics::CompletedBlocks,
    source::EntryId,
};
use std::sync::Arc;

/// Takes blocks from stage to stage.
#[derive(Debug)]
pub(super) struct BlockDriver {
    pub(super) services: Services,
    pub(super) works: Arc<WorkList>,
    pub(super) held: HeldBlocks,
    pub(super) completed: CompletedBlocks,
    pub(super) totals: Arc<Totals>,
    pub(super) steps: Steps,
    pub(super) settler: Settler,
}

impl BlockDriver {
    /// Takes a block from the stage it is at to its end.
    pub(super) async fn finish(self: Arc<Self>, mut block: OpenBlock) {
        let outcome = loop {
            self.works.reached(&block.key, block.record.stage.as_str());
            if block.record.stage.is_final() {
                break Ok(());
            }
            if let Err(unfinished) = self.step(&mut block).await {
                break Err(unfinished);
            }
        };
        let OpenBlock { key, record, slot, judging, .. } = block;
        drop(judging);
        match outcome {
            Ok(()) => self.close(key, record).await,
            Err(unfinished) => self.leave(key, &record, unfinished),
        }
        drop(slot);
    }

    /// One step: what the stage asks for, and the journal's word that it was done.
    async fn step(&self, block: &mut OpenBlock) -> Step<()> {
        let next = match block.record.stage.clone() {
            // Without its segment on disk a block begins at its source.
            Stage::Received => return Err(Unfinished::Stopped),
            Stage::Encoded { segment } => self.steps.store(block, segment).await?,
            Stage::Stored { segment } => self.steps.pin_if_it_counts(block, segment).await?,
            Stage::Pinned { segment } => self.steps.verify(block, segment).await?,
            Stage::Verified { segment, verification } => {
                self.steps.prove(block, segment, verification, Vec::new()).await?
            }
            Stage::ProofSent { segment, verification, attempts } => {
                self.steps.prove(block, segment, verification, attempts).await?
            }
            Stage::ProofConfirmed { segment, verification, proof } => {
                self.settler.proved(block, segment, verification, proof).await?
            }
            Stage::Skipped { segment, reason, .. } => {
                self.settler.skipped(block, segment, reason).await?
            }
            Stage::Refused { segment, reason, .. } => {
                self.settler.refused(block, segment, reason).await?
            }
            Stage::Acknowledged { .. } => return Ok(()),
        };
        self.advance(block, next).await
    }

    /// Journals a stage. The block is there then.
    async fn advance(&self, block: &mut OpenBlock, stage: Stage) -> Step<()> {
        let record = block.record.at(stage);
        let written = self.services.journal.put(block.key, &record).await;
        written.map_err(|_| Unfinished::Stopped)?;
        block.record = record;
        match &block.record.stage {
            Stage::Stored { .. } => failpoint::hit("after_store_journal"),
            Stage::Pinned { .. } => failpoint::hit("after_pin_journal"),
            Stage::Verified { .. } => failpoint::hit("after_verify_journal"),
            Stage::ProofConfirmed { .. } => failpoint::hit("after_proof_journal"),
            Stage::Acknowledged { .. } => failpoint::hit("after_acknowledge_journal"),
            Stage::Skipped { acknowledged: false, .. } => failpoint::hit("after_skip_journal"),
            _ => {}
        }
        Ok(())
    }

    /// A block that is handled: entries of the same message that came while it was in flight go
    /// too.
    async fn close(&self, key: BlockKey, record: BlockRecord) {
        let was_refused = matches!(record.stage, Stage::Refused { .. });
        for entry in self.end(&key) {
            if was_refused {
                // It came too late for the dead letters, and will be refused for itself.
                self.services.settlement.release(&entry);
            } else {
                self.settler.acknowledge(&entry).await;
            }
        }
        self.held.finished(&key);
        self.totals.count(record.stage.as_str());
        self.completed.record();
        if let Some(finished) = &self.services.finished {
            // The caller may have stopped listening.
            let _ = finished.send(record);
        }
    }

    /// A block that this process does not finish: its entries may be delivered again.
    fn leave(&self, key: BlockKey, record: &BlockRecord, unfinished: Unfinished) {
        let joined = self.end(&key);
        let own = match unfinished {
            Unfinished::Left => &[],
            Unfinished::Stopped => &record.entries[..],
            Unfinished::Held(alarm, reason) => {
                metrics::counter!("agent_blocks_held_total").increment(1);
                tracing::warn!("Block {} is held: {reason}", record.block);
                self.held.hold(key, record.block, alarm, &reason);
                &record.entries[..]
            }
        };
        for entry in joined.iter().chain(own) {
            self.services.settlement.release(entry);
        }
    }

    /// Ends the work on a block. Other messages about it come again; those of the same one are the
    /// caller's to settle.
    pub(super) fn end(&self, key: &BlockKey) -> Vec<EntryId> {
        let Ended { joined, waiting } = self.works.end(key);
        for entry in &waiting {
            self.services.settlement.redeliver(entry);
        }
        joined
    }
}
