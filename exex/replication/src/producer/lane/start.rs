//! Where a lane begins.

use super::{CursorId, Lane, Ring, Stopped, Trouble};
use crate::{StartBlock, TargetState, failpoint};
use std::sync::Arc;

impl Lane {
    /// Reads the cursor. Where there is none, the start block is written down before anything else is done, so that
    /// a crash can't move it.
    pub(super) async fn begin(&mut self) -> Result<(CursorId, Arc<Ring>), Stopped> {
        let name = self.report.name.clone();
        let known = self.write(move |cursors| cursors.read(&name)).await?;
        let (id, ring) = match known {
            Some(known) => {
                self.tell_start(&known.1);
                known
            }
            None => {
                let start = self.start_block().await?;
                let name = self.report.name.clone();
                let begun = self.write(move |cursors| cursors.begin(&name, start)).await?;
                failpoint::hit("after_start_block");
                tracing::info!(target: "exex::bsp", name = self.report.name, start, "target begins");
                begun
            }
        };
        let ring = Arc::new(ring);
        self.cursor = Some((id, Arc::clone(&ring)));
        Ok((id, ring))
    }

    async fn start_block(&mut self) -> Result<u64, Stopped> {
        match self.common.config.start_block {
            StartBlock::Genesis => return Ok(1),
            StartBlock::Number(number) => return Ok(number.max(1)),
            StartBlock::Latest => {}
        }
        loop {
            match self.common.lookups.head().await {
                Ok(Some(tip)) => return Ok(tip.number.saturating_add(1)),
                Ok(None) => self.idle(TargetState::Starting).await?,
                Err(error) => self.fail(&Trouble::chain(&error)).await?,
            }
        }
    }

    fn tell_start(&self, ring: &Ring) {
        let (name, next) = (&self.report.name, ring.next());
        tracing::info!(target: "exex::bsp", name, next, "target goes on");
        if let (StartBlock::Number(asked), None) = (self.common.config.start_block, ring.cursor())
            && asked.max(1) != next
        {
            tracing::warn!(
                target: "exex::bsp", name, next, asked,
                "the start block of a target that has begun is not changed"
            );
        }
    }
}
