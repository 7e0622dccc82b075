//! A range of blocks, delivered once, without cursors.

use crate::{
    chain::{Chain, ChainError, ProduceError, ProducedBlock},
    target::{Entry, Target, TargetError},
};
use futures::{FutureExt, StreamExt, stream};
use std::{fmt, sync::Arc};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// The most blocks that go to a target at once…
const BATCH_BLOCKS: usize = 16;
/// …and the most of their bytes, if it is more than one block.
const BATCH_BYTES: usize = 32 << 20;

/// Blocks that are to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportRange {
    /// The first block.
    pub first: u64,
    /// The last block.
    pub last: u64,
    /// How many blocks are executed at once.
    pub workers: usize,
}

/// How far an export is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Blocks that every target has taken.
    pub blocks: u64,
    /// Their gas.
    pub gas: u64,
}

/// Why an export ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// It was told to.
    #[error("the export was interrupted")]
    Interrupted,
    /// The chain ends before the range does.
    #[error("block {0} is not in the data directory")]
    MissingBlock(u64),
    /// A block can't be produced.
    #[error(transparent)]
    Produce(#[from] ProduceError),
    /// A target can't take a block.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The execution of a block panicked.
    #[error("the execution of block {0} panicked, please report this")]
    Panicked(u64),
}

/// An export that ended before its last block, and where another one goes on.
#[derive(Debug)]
pub struct ExportStopped {
    /// What was delivered.
    pub exported: Exported,
    /// The first block that some target may not have.
    pub next: u64,
    /// Why it ended.
    pub reason: ExportError,
}

impl fmt::Display for ExportStopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { exported, next, reason } = self;
        write!(f, "{reason}. {} blocks were delivered; go on with --from {next}", exported.blocks)
    }
}

impl std::error::Error for ExportStopped {}

impl From<ChainError> for ExportError {
    fn from(error: ChainError) -> Self {
        Self::Produce(error.into())
    }
}

/// Delivers the blocks of a range to every target, in order. `told` hears after each batch how far
/// it is.
///
/// `stop` is the token that the targets were opened with. Once it is cancelled nothing more is
/// begun, and a target that waits gives up; a batch that is already on its way still counts if the
/// target takes it.
///
/// # Errors
///
/// [`ExportStopped`], if not every block was delivered to every target.
pub async fn export_range(
    chain: Arc<dyn Chain>,
    targets: &mut [Box<dyn Target>],
    range: ExportRange,
    stop: &CancellationToken,
    mut told: impl FnMut(Exported),
) -> Result<Exported, ExportStopped> {
    let mut exported = Exported::default();
    let products = stream::iter(range.first..=range.last)
        .map(|number| produce(Arc::clone(&chain), number))
        .buffered(range.workers.max(1));
    let mut products = std::pin::pin!(products);
    let reason = loop {
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => break ExportError::Interrupted,
            product = products.next() => product,
        };
        // What is ready goes along, within bounds; a failure ends the range behind it.
        let (mut batch, mut bytes, mut end) = (Vec::new(), 0_usize, None);
        let mut upcoming = Some(first);
        while let Some(product) = upcoming.take() {
            match product {
                Some(Ok(product)) => {
                    bytes = bytes.saturating_add(product.entry.bytes());
                    batch.push(product);
                    if batch.len() < BATCH_BLOCKS && bytes < BATCH_BYTES {
                        upcoming = products.next().now_or_never();
                    }
                }
                Some(Err(error)) => end = Some(Err(error)),
                None => end = Some(Ok(())),
            }
        }
        if let Err(error) = deliver(targets, &batch).await {
            break if stop.is_cancelled() { ExportError::Interrupted } else { error.into() };
        }
        exported.blocks += batch.len() as u64;
        exported.gas += batch.iter().map(|product| product.gas_used).sum::<u64>();
        told(exported);
        match end {
            None => {}
            Some(Ok(())) => return Ok(exported),
            Some(Err(error)) => break error,
        }
    };
    let next = range.first.saturating_add(exported.blocks);
    Err(ExportStopped { exported, next, reason })
}

async fn produce(chain: Arc<dyn Chain>, number: u64) -> Result<ProducedBlock, ExportError> {
    let product = spawn_blocking(move || {
        let hash = chain.hash_at(number)?.ok_or(ExportError::MissingBlock(number))?;
        Ok(chain.produce((number, hash).into())?)
    });
    product.await.unwrap_or(Err(ExportError::Panicked(number)))
}

async fn deliver(
    targets: &mut [Box<dyn Target>],
    batch: &[ProducedBlock],
) -> Result<(), TargetError> {
    let entries: Vec<Entry> = batch.iter().map(|product| product.entry.clone()).collect();
    if entries.is_empty() {
        return Ok(());
    }
    for target in targets {
        target.deliver(&entries).await?;
    }
    Ok(())
}
