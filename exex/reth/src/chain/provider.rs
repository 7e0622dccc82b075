//! What is asked of reth's provider.

use alloy_consensus::Header;
use reth_ethereum_primitives::Block;
use reth_provider::{
    BlockIdReader, BlockNumReader, BlockReader, ChangeSetReader, DatabaseProviderFactory,
    ProviderResult, PruneCheckpointReader, StageCheckpointReader, StateProviderFactory,
    StorageChangeSetReader,
};
use std::fmt;

/// A provider of an Ethereum node: blocks and states by hash, the tip, the checkpoints of stages
/// and of pruning, the changes of each block. Every provider that
/// a node or an offline command of reth v2.5.1 has is one.
pub trait NodeProvider:
    BlockReader<Block = Block, Header = Header>
    + BlockIdReader
    + StateProviderFactory
    + StageCheckpointReader
    + PruneCheckpointReader
    + ChangeSetReader
    + StorageChangeSetReader
    + Clone
    + fmt::Debug
    + Send
    + Sync
    + 'static
{
    /// The blocks on disk at this moment, whatever is in memory.
    ///
    /// # Errors
    ///
    /// Those of the database.
    fn on_disk(&self) -> ProviderResult<Box<dyn BlockNumReader>>;
}

impl<P> NodeProvider for P
where
    P: BlockReader<Block = Block, Header = Header>
        + BlockIdReader
        + StateProviderFactory
        + StageCheckpointReader
        + PruneCheckpointReader
        + ChangeSetReader
        + StorageChangeSetReader
        + DatabaseProviderFactory<Provider: BlockNumReader + 'static>
        + Clone
        + fmt::Debug
        + Send
        + Sync
        + 'static,
{
    fn on_disk(&self) -> ProviderResult<Box<dyn BlockNumReader>> {
        Ok(Box::new(self.database_provider_ro()?))
    }
}
