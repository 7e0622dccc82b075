//! Leaving out blocks whose state the node has pruned, or for which no specimen is defined.

use super::{Lane, Stopped, window::Batch};
use crate::{
    chain::ProduceError,
    producer::{
        cursors::{
            CursorId,
            history::{DeliveryHistory, Disposition, HandledBlock, Skip},
        },
        job_error::JobError,
        report::failure::Failure,
    },
};
use alloy_eips::BlockNumHash;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a block says about where pruning ends.
enum Probe {
    Pruned(BlockNumHash),
    There(BlockNumHash),
    /// Nothing: the chain changes, or does not answer.
    Nothing,
}

impl Lane {
    /// Moves the cursor to the last block in a row that is pruned, without looking at each: a node
    /// prunes from below.
    pub(super) async fn skip_pruned(
        &mut self,
        id: CursorId,
        history: Arc<DeliveryHistory>,
        first: BlockNumHash,
    ) -> Result<(), Stopped> {
        let tip = match self.common.lookups.tip().await {
            Ok(tip) => tip.map_or(first.number, |tip| tip.number),
            Err(error) => return self.fail(&Failure::chain(&error)).await,
        };
        let mut pruned = first;
        let mut there: Option<BlockNumHash> = None;
        let mut step = 1_u64;
        loop {
            let number = match there {
                Some(there) if there.number.saturating_sub(pruned.number) <= 1 => break,
                Some(there) => pruned.number + (there.number - pruned.number) / 2,
                None if pruned.number >= tip => {
                    return self.fail(&Failure::all_pruned(first.hash, first.number, tip)).await;
                }
                None => pruned.number.saturating_add(step).min(tip),
            };
            match self.probe(number).await? {
                Probe::Pruned(block) => pruned = block,
                Probe::There(block) => there = Some(block),
                Probe::Nothing => return self.retry_lookup(first).await,
            }
            step = step.saturating_mul(2);
        }
        let disposition = Disposition::Skipped { from: first.number, why: Skip::Pruned };
        tracing::warn!(
            target: "exex::bsp", target = self.report.name, from = first.number, to = pruned.number,
            "Skipping blocks permanently: the node has pruned their state"
        );
        let handled = vec![HandledBlock { block: pruned, disposition }];
        self.record(id, history, &Batch { handled, ..Batch::default() }).await.map(drop)
    }

    /// Moves the cursor to the last block before the first that has a specimen, without looking at
    /// each.
    pub(super) async fn skip_undefined(
        &mut self,
        id: CursorId,
        history: Arc<DeliveryHistory>,
        last: BlockNumHash,
    ) -> Result<(), Stopped> {
        let disposition =
            Disposition::Skipped { from: history.next(), why: Skip::BeforeDefinition };
        let handled = vec![HandledBlock { block: last, disposition }];
        self.record(id, history, &Batch { handled, ..Batch::default() }).await.map(drop)
    }

    async fn probe(&self, number: u64) -> Result<Probe, Stopped> {
        let Ok(found) = self.common.lookups.blocks(number, 1).await else {
            return Ok(Probe::Nothing);
        };
        let Some(&block) = found.blocks.first() else { return Ok(Probe::Nothing) };
        let (sender, mut receiver) = mpsc::unbounded_channel();
        self.common.pool.request(block, false, &sender);
        let produced = tokio::select! {
            () = self.common.halt.cancelled() => return Err(Stopped),
            produced = receiver.recv() => produced,
        };
        Ok(match produced.map(|produced| produced.result) {
            Some(Err(JobError::Produce(ProduceError::Pruned { .. }))) => Probe::Pruned(block),
            Some(
                Ok(_)
                | Err(JobError::Produce(
                    ProduceError::Mismatch { .. }
                    | ProduceError::BeforeDefinition { .. }
                    | ProduceError::Unsupported { .. }
                    | ProduceError::TooLarge { .. },
                )),
            ) => Probe::There(block),
            _ => Probe::Nothing,
        })
    }
}
