//! The node's chain, as a producer sees it.

pub(crate) mod at_tip;
pub(crate) mod fault;
pub(crate) mod forks;
pub(crate) mod history;
pub(crate) mod limits;
pub(crate) mod parent;
pub(crate) mod produce;
pub(crate) mod provider;
pub(crate) mod spec;

use crate::metrics::BlockMetrics;
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use at_tip::Follows;
use bsp_codec::ReplicaKind;
use bsp_replication::{Chain, ChainError, DeliverAt, Entry, ProduceError, ProducedBlock};
use fault::chain_error;
use history::is_syncing_in_stages;
use produce::{ExecutedBlock, execute};
use provider::NodeProvider;
use spec::NodeSpec;
use std::time::Instant;

/// [`Chain`] on reth's provider: by hash wherever that is possible, because on reth v2.5.1 what a
/// height stands for changes with every reorg, at different moments in memory and on disk.
#[derive(Debug, Clone)]
pub struct NodeChain<P> {
    provider: P,
    spec: NodeSpec,
    kind: ReplicaKind,
    follows: Option<Follows>,
    metrics: BlockMetrics,
}

impl<P: NodeProvider> NodeChain<P> {
    /// `kind` is what [`Chain::produce`] makes of a block.
    pub fn new(provider: P, spec: impl Into<NodeSpec>, kind: ReplicaKind) -> Self {
        let metrics = BlockMetrics::of(kind);
        Self { provider, spec: spec.into(), kind, follows: None, metrics }
    }

    /// With a running node's word on whether it follows its chain block by block.
    /// [`Chain::is_at_tip`] asks for it where the clock does not tell, which is on any chain but
    /// Ethereum's public networks.
    #[must_use]
    pub fn with_node_following(
        mut self,
        follows: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        self.follows = Some(Follows::new(follows));
        self
    }

    /// The chain's rules.
    pub const fn spec(&self) -> &NodeSpec {
        &self.spec
    }

    /// The node's provider.
    pub const fn provider(&self) -> &P {
        &self.provider
    }

    /// What [`Chain::produce`] makes of a block.
    pub const fn kind(&self) -> ReplicaKind {
        self.kind
    }

    /// Executes a block again on its parent's state and checks the outcome against its header.
    ///
    /// # Errors
    ///
    /// [`ProduceError`] tells what may help.
    pub fn execute(&self, block: BlockNumHash) -> Result<ExecutedBlock, ProduceError> {
        execute(&self.provider, &self.spec, block)
    }

    fn canonical_tip(&self) -> Result<BlockNumHash, ChainError> {
        let tip = self.provider.chain_info().map_err(chain_error)?;
        Ok(BlockNumHash::new(tip.best_number, tip.best_hash))
    }

    /// The highest block that is on disk and canonical. After a reorg the disk has the old branch
    /// for a while, so this may be some way below its highest block.
    fn persisted_tip(&self) -> Result<Option<BlockNumHash>, ChainError> {
        let disk = self.provider.on_disk().map_err(chain_error)?;
        let highest = disk.best_block_number().map_err(chain_error)?;
        let highest = highest.min(self.canonical_tip()?.number);
        for number in (0..=highest).rev() {
            let stored = disk.block_hash(number).map_err(chain_error)?;
            if let Some(hash) = stored
                && self.hash_at(number)? == Some(hash)
            {
                return Ok(Some(BlockNumHash::new(number, hash)));
            }
        }
        Ok(None)
    }
}

impl<P: NodeProvider> Chain for NodeChain<P> {
    fn tip(&self, deliver: DeliverAt) -> Result<Option<BlockNumHash>, ChainError> {
        match deliver {
            DeliverAt::Committed => self.canonical_tip().map(Some),
            DeliverAt::Persisted => self.persisted_tip(),
            DeliverAt::Safe => self.provider.safe_block_num_hash().map_err(chain_error),
            DeliverAt::Finalized => self.finalized(),
        }
    }

    fn finalized(&self) -> Result<Option<BlockNumHash>, ChainError> {
        self.provider.finalized_block_num_hash().map_err(chain_error)
    }

    fn hash_at(&self, number: u64) -> Result<Option<B256>, ChainError> {
        self.provider.block_hash(number).map_err(chain_error)
    }

    /// That of London. A chain that never gets there has none, and is passed over block by block.
    fn first_block(&self) -> Result<u64, ChainError> {
        Ok(self.spec.first_block().unwrap_or(1))
    }

    /// No sync in stages is under way, and the head's time is near the clock. A private chain may
    /// stand still: there the node itself tells whether it follows.
    fn is_at_tip(&self) -> Result<bool, ChainError> {
        if is_syncing_in_stages(&self.provider)?.is_some() {
            return Ok(false);
        }
        let head = self.canonical_tip()?;
        let Some(header) = self.provider.header(head.hash).map_err(chain_error)? else {
            // A reorg since the question before: the next time it is asked, there is another head.
            return Ok(false);
        };
        let (is_public, follows) = (self.spec.is_public(), self.follows.as_ref());
        Ok(at_tip::is_tip(header.timestamp, at_tip::now(), is_public, follows))
    }

    fn produce(&self, block: BlockNumHash) -> Result<ProducedBlock, ProduceError> {
        let begun = Instant::now();
        let executed = self.execute(block)?;
        let capture_time = begun.elapsed();
        let replica = executed.replica(self.kind)?;
        let supplement = executed.supplement(self.kind);
        self.metrics.blocks_total.increment(1);
        Ok(ProducedBlock {
            parent: executed.block().parent_hash,
            entry: Entry { hash: block.hash, number: block.number, replica, supplement },
            gas_used: executed.block().gas_used,
            transactions: executed.block().body().transactions.len(),
            capture_time,
            encode_time: begun.elapsed().saturating_sub(capture_time),
        })
    }
}
