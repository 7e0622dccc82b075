//! Opens the targets and starts the producer, however often that has to be tried.

use crate::{chain::limits::UnfitNetwork, handle::BspHandle, targets::Bsp};
use bsp_replication::{Chain, Producer, ProducerConfig, ProducerError, TargetError};
use std::{convert::Infallible, fs, path::PathBuf, sync::Arc, time::Duration};
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often it is said that there will be no producer.
const SAY_AGAIN: Duration = Duration::from_secs(24 * 3_600);

/// Why the producer could not be started.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("the folder {}: {source}; it is made by the producer and has to be writable", .path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Producer(#[from] ProducerError),
    #[error("the attempt to start ended in a panic")]
    Panic,
}

/// Returns once the producer runs. What is wrong may be put right while the node runs, and the node
/// must not stop for it.
///
/// `network` says whether the format has room for the chain; where it has not, this never returns.
pub(crate) async fn start_producer(
    chain: Arc<dyn Chain>,
    bsp: Bsp,
    config: ProducerConfig,
    handle: BspHandle,
    network: Result<(), UnfitNetwork>,
) -> Arc<Producer> {
    if let Err(unfit) = network {
        match refuse(&unfit, &handle).await {}
    }
    let mut pause = FIRST_PAUSE;
    loop {
        match attempt(&chain, &bsp, &config).await {
            Ok(producer) => {
                handle.started(&producer);
                info!(target: "exex::bsp", targets = producer.status().targets.len(), kind = %bsp.args().kind(), cursors = %config.cursors.display(), "Producing block replicas");
                return producer;
            }
            Err(error) => {
                error!(target: "exex::bsp", %error, again_in = ?pause, "The producer can't start");
                handle.failed(error.to_string());
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn refuse(unfit: &UnfitNetwork, handle: &BspHandle) -> Infallible {
    handle.failed(unfit.to_string());
    loop {
        error!(target: "exex::bsp", error = %unfit, "The producer can't start");
        sleep(SAY_AGAIN).await;
    }
}

/// On a thread that may block: a folder's files are read and repaired when it is opened.
async fn attempt(
    chain: &Arc<dyn Chain>,
    bsp: &Bsp,
    config: &ProducerConfig,
) -> Result<Arc<Producer>, StartError> {
    let (chain, bsp, config) = (Arc::clone(chain), bsp.clone(), config.clone());
    let start = spawn_blocking(move || start_once(chain, &bsp, config));
    start.await.unwrap_or(Err(StartError::Panic))
}

fn start_once(
    chain: Arc<dyn Chain>,
    bsp: &Bsp,
    config: ProducerConfig,
) -> Result<Arc<Producer>, StartError> {
    if let Some(folder) = config.cursors.parent() {
        let failed = |source| StartError::Folder { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let stop = CancellationToken::new();
    let targets = bsp.open(&stop)?;
    Ok(Arc::new(Producer::start(chain, targets, config, stop)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{args::BspArgs, handle::NotRunning};
    use alloy_eips::BlockNumHash;
    use alloy_primitives::B256;
    use bsp_replication::{ChainError, DeliverAt, ProduceError, ProducedBlock};
    use futures::FutureExt;

    /// A chain without blocks.
    #[derive(Debug)]
    struct Empty;

    impl Chain for Empty {
        fn tip(&self, _deliver: DeliverAt) -> Result<Option<BlockNumHash>, ChainError> {
            Ok(None)
        }

        fn finalized(&self) -> Result<Option<BlockNumHash>, ChainError> {
            Ok(None)
        }

        fn hash_at(&self, _number: u64) -> Result<Option<B256>, ChainError> {
            Ok(None)
        }

        fn produce(&self, block: BlockNumHash) -> Result<ProducedBlock, ProduceError> {
            Err(ProduceError::UnknownBlock(block))
        }
    }

    #[tokio::test]
    async fn a_network_that_the_format_has_no_room_for_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (args, handle) = (BspArgs::enabled(), BspHandle::default());
        let config = args.producer_config(folder.path());
        let unfit = Err(UnfitNetwork { chain_id: 1 << 31 });
        let starting = start_producer(Arc::new(Empty), args.into(), config, handle.clone(), unfit);
        assert!(starting.now_or_never().is_none());
        let NotRunning::Failed(reason) = handle.status().unwrap_err() else { panic!() };
        assert!(reason.contains("2147483648"), "{reason}");
    }
}
