//! Questions to the node's chain that a lane waits for.
//!
//! One takes about a tenth of a millisecond, so they need no threads of their own. But a database
//! that does not answer must neither stop the other lanes nor the watchdog: they are asked from the
//! runtime's blocking threads, with a deadline.

use super::reconcile::{Decision, no_hash, reconcile};
use crate::{
    chain::{Chain, ChainError, DeliverAt},
    producer::cursors::history::DeliveryHistory,
};
use alloy_eips::BlockNumHash;
use std::{sync::Arc, time::Duration};

/// No answer for so long is a failure.
const DEADLINE: Duration = Duration::from_secs(30);

/// The chain, asked from async tasks.
#[derive(Debug, Clone)]
pub(crate) struct Lookups {
    chain: Arc<dyn Chain>,
    deliver: DeliverAt,
}

/// Blocks in a row that may be delivered.
#[derive(Debug, Default)]
pub(crate) struct Upcoming {
    pub(crate) tip: Option<BlockNumHash>,
    pub(crate) blocks: Vec<BlockNumHash>,
}

impl Lookups {
    pub(crate) const fn new(chain: Arc<dyn Chain>, deliver: DeliverAt) -> Self {
        Self { chain, deliver }
    }

    /// The highest block that may be delivered.
    pub(crate) async fn tip(&self) -> Result<Option<BlockNumHash>, ChainError> {
        self.ask(<dyn Chain>::tip).await
    }

    /// The highest canonical block, and whether the node's sync has ended there.
    pub(crate) async fn head(&self) -> Result<(Option<BlockNumHash>, bool), ChainError> {
        self.ask(|chain, _| {
            // In this order: a head that is read afterwards is at the tip, too.
            let at_tip = chain.is_at_tip()?;
            Ok((chain.tip(DeliverAt::Committed)?, at_tip))
        })
        .await
    }

    /// The lowest block for which a specimen is defined.
    pub(crate) async fn first_block(&self) -> Result<u64, ChainError> {
        self.ask(|chain, _| chain.first_block()).await
    }

    /// The last of the blocks from a height on for which no specimen is defined, as far as the
    /// chain goes; `None` if one is defined for the first of them.
    pub(crate) async fn last_undefined(
        &self,
        from: u64,
    ) -> Result<Option<BlockNumHash>, ChainError> {
        self.ask(move |chain, deliver| {
            let Some(last) = chain.first_block()?.checked_sub(1) else { return Ok(None) };
            let Some(tip) = chain.tip(deliver)? else { return Ok(None) };
            let number = last.min(tip.number);
            if number < from {
                return Ok(None);
            }
            let hash = chain.hash_at(number)?.ok_or_else(|| no_hash(number, tip.number))?;
            Ok(Some(BlockNumHash { number, hash }))
        })
        .await
    }

    /// Where a lane stands, and the tip.
    pub(crate) async fn reconcile(
        &self,
        history: &Arc<DeliveryHistory>,
    ) -> Result<(Option<BlockNumHash>, Decision), ChainError> {
        let history = Arc::clone(history);
        self.ask(move |chain, deliver| reconcile(chain, deliver, &history)).await
    }

    /// The blocks from a height on, up to the tip, and not more than `most`.
    ///
    /// A reorg between two lookups can mix branches. The parents tell.
    pub(crate) async fn blocks(&self, from: u64, most: usize) -> Result<Upcoming, ChainError> {
        self.ask(move |chain, deliver| {
            let Some(tip) = chain.tip(deliver)? else { return Ok(Upcoming::default()) };
            let numbers = (from..=tip.number).take(most);
            let block = |number| {
                let hash = chain.hash_at(number)?.ok_or_else(|| no_hash(number, tip.number))?;
                Ok(BlockNumHash { number, hash })
            };
            Ok(Upcoming { tip: Some(tip), blocks: numbers.map(block).collect::<Result<_, _>>()? })
        })
        .await
    }

    /// Whether a block is canonical, and may be delivered.
    pub(crate) async fn is_canonical(&self, block: BlockNumHash) -> Result<bool, ChainError> {
        self.ask(move |chain, deliver| {
            let below = chain.tip(deliver)?.is_some_and(|tip| block.number <= tip.number);
            Ok(below && chain.hash_at(block.number)? == Some(block.hash))
        })
        .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Chain, DeliverAt) -> Result<T, ChainError> + Send + 'static,
    ) -> Result<T, ChainError> {
        let Self { chain, deliver } = self.clone();
        let answer = tokio::task::spawn_blocking(move || question(&*chain, deliver));
        match tokio::time::timeout(DEADLINE, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Err(ChainError(format!("a lookup panicked: {error}"))),
            Err(_) => Err(ChainError(format!("no answer in {} s", DEADLINE.as_secs()))),
        }
    }
}
