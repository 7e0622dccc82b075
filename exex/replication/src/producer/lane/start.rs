//! Where a lane begins.

use super::{Lane, Stopped};
use crate::{
    failpoint,
    producer::{
        SkippedRange, StartBlock,
        cursors::{
            CursorId,
            history::{DeliveryHistory, Skip},
        },
        report::failure::Failure,
    },
};
use std::sync::Arc;

impl Lane {
    /// Reads the cursor. Where there is none, the start block is written down before anything else
    /// is done, so that a crash can't move it.
    pub(super) async fn begin(&mut self) -> Result<(CursorId, Arc<DeliveryHistory>), Stopped> {
        let name = self.report.name.clone();
        let known = self.write(move |cursors| cursors.read(&name)).await?;
        let (id, history) = match known {
            Some(known) => {
                self.tell_start(&known.1);
                known
            }
            None => {
                let start = self.start_block().await?;
                let name = self.report.name.clone();
                let begun = self.write(move |cursors| cursors.begin(&name, start)).await?;
                failpoint::hit("after_start_block");
                tracing::info!(target: "exex::bsp", target = self.report.name, start, "The target begins");
                begun
            }
        };
        if let Some(position) = history.position() {
            let acknowledged = self.write(move |cursors| cursors.acknowledged(id)).await?;
            while let Err(failure) = self.target.resume(position, acknowledged).await {
                self.target_failed(failure).await?;
            }
        }
        let skipped = self.show_skipped(id).await?;
        self.tell_skipped(&skipped).await;
        let history = Arc::new(history);
        self.cursor = Some((id, Arc::clone(&history)));
        Ok((id, history))
    }

    async fn start_block(&mut self) -> Result<u64, Stopped> {
        match self.common.config.start_block {
            StartBlock::Genesis => return Ok(1),
            StartBlock::Number(number) => return Ok(number.max(1)),
            StartBlock::Latest => {}
        }
        // While the node syncs its head is one of the past: from there the whole rest of the sync
        // would be delivered, or would already be pruned.
        let mut looks = 0_u32;
        loop {
            looks = looks.saturating_add(1);
            match self.common.lookups.head().await {
                Ok((Some(head), true)) => return Ok(head.number.saturating_add(1)),
                Ok((head, _)) => {
                    self.succeeded();
                    self.report.waits_for_sync(head, looks);
                    self.wait_for_news().await?;
                }
                Err(error) => self.fail(&Failure::chain(&error)).await?,
            }
        }
    }

    /// So that whoever wants such blocks after all knows which they are.
    async fn tell_skipped(&self, ranges: &[SkippedRange]) {
        // Earlier versions had one reason for all that can't be exported. If this is not answered,
        // more is told than has to be.
        let first = self.common.lookups.first_block().await.unwrap_or_default();
        let left_out = ranges
            .iter()
            .filter(|range| range.reason != Skip::BeforeDefinition.name() && range.last >= first);
        let left_out: Vec<_> = left_out.map(ToString::to_string).collect();
        if !left_out.is_empty() {
            tracing::warn!(
                target: "exex::bsp", target = self.report.name,
                "The target lacks blocks that were left out: {}. A node that has their states delivers them with \
                 `bsp-reth bsp export`",
                left_out.join(", ")
            );
        }
    }

    fn tell_start(&self, history: &DeliveryHistory) {
        let (name, next) = (&self.report.name, history.next());
        tracing::info!(target: "exex::bsp", target = name, next, "The target goes on from its cursor");
        if let (StartBlock::Number(asked), None) =
            (self.common.config.start_block, history.cursor())
            && asked.max(1) != next
        {
            tracing::warn!(
                target: "exex::bsp", target = name, next, asked,
                "The target has begun already, so the new start block is ignored"
            );
        }
    }
}
