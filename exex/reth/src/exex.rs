//! The producer's future in a node: it listens, wakes the producer, and tells the node what it may prune.

use crate::{
    Bsp, NodeChain, failpoint,
    finished::FinishedHeight,
    forwarding::{Change, Forwarding},
    handle::BspHandle,
    horizon::{Change as HorizonChange, Head, Horizon},
    metrics::ExExMetrics,
    pruning::kept,
    start::start_producer,
};
use alloy_consensus::Header;
use alloy_eips::BlockNumHash;
use bsp_replication::Producer;
use futures::StreamExt;
use reth_chain_state::{CanonStateSubscriptions, ForkChoiceSubscriptions};
use reth_chainspec::ChainSpec;
use reth_ethereum_primitives::EthPrimitives;
use reth_exex::{ExExContext, ExExEvent, ExExNotifications};
use reth_node_api::{FullNodeComponents, NodeTypes};
use reth_node_core::node_config::NodeConfig;
use reth_provider::{BlockIdReader, BlockReader};
use reth_tasks::TaskExecutor;
use std::{
    future::pending,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, error, info, warn};

/// How often everything is looked at, whatever else happens or does not.
const TICK: Duration = Duration::from_secs(2);

/// The node around the producer.
pub(crate) struct Host<N: FullNodeComponents<Types: NodeTypes<ChainSpec = ChainSpec>>> {
    pub(crate) components: N,
    pub(crate) config: NodeConfig<ChainSpec>,
    /// `None` if the producer is not registered there.
    pub(crate) manager: Option<Manager<N>>,
}

/// The node's manager of Execution Extensions, as one of them sees it.
pub(crate) struct Manager<N: FullNodeComponents> {
    notifications: ExExNotifications<N::Provider, N::Evm>,
    events: UnboundedSender<ExExEvent>,
}

impl<N: FullNodeComponents<Types: NodeTypes<ChainSpec = ChainSpec>>> From<ExExContext<N>>
    for Host<N>
{
    fn from(ctx: ExExContext<N>) -> Self {
        let ExExContext { components, config, notifications, events, .. } = ctx;
        Self { components, config, manager: Some(Manager { notifications, events }) }
    }
}

/// Runs for as long as the node does: reth stops the node when an Execution Extension ends.
///
/// What notifications say is not looked at. They, the canonical-state stream and a timer each wake the producer, which
/// finds out by itself what there is to do.
pub(crate) async fn run<N>(host: Host<N>, bsp: Bsp, handle: BspHandle) -> eyre::Result<()>
where
    N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
{
    let Host { components, config, mut manager } = host;
    info!(target: "exex::bsp", is_extension = manager.is_some(), "Starting the producer");
    let provider = components.provider();
    let args = bsp.args();
    let chain = NodeChain::new(provider.clone(), Arc::clone(&config.chain), args.kind());
    let data_dir = config.datadir();
    let horizon = kept(&config).map(|kept| Horizon::new(kept, manager.is_some()));
    let config = args.producer_config(data_dir.data_dir());
    let mut starting = pin!(start_producer(Arc::new(chain), bsp, config, handle));

    let mut producer: Option<Arc<Producer>> = None;
    let mut delivered = None;
    let mut listening = manager.is_some();
    let mut node = Listener::new(horizon);
    let mut chain_changes = provider.canonical_state_stream();
    let mut finalized = provider.finalized_block_stream();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut is_tick = false;
        let is_news = tokio::select! {
            started = &mut starting, if producer.is_none() => {
                delivered = Some(started.finished());
                stop_with_node(components.task_executor(), Arc::clone(&started));
                producer = Some(started);
                node.metrics.not_started.set(0);
                true
            }
            notification = next_notification(&mut manager), if listening => {
                listening = node.heard(notification);
                true
            }
            Some(_) = chain_changes.next() => {
                if manager.is_some() {
                    node.chain_changed();
                }
                true
            }
            Some(_) = finalized.next() => true,
            () = changed(&mut delivered) => false,
            _ = ticks.tick() => {
                is_tick = true;
                true
            }
        };
        let Some(producer) = &producer else { continue };
        if is_news {
            producer.wake();
        }
        let delivered = *producer.finished().borrow();
        if let Some(manager) = &manager {
            node.tell(provider, &manager.events, delivered);
        }
        if is_tick {
            node.look_at_horizon(provider, delivered, manager.is_some());
        }
    }
}

/// Waits for good where there is no manager.
async fn next_notification<N>(manager: &mut Option<Manager<N>>) -> Option<eyre::Result<()>>
where
    N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives>>,
{
    match manager {
        Some(manager) => Some(manager.notifications.next().await?.map(drop)),
        None => pending().await,
    }
}

/// The node waits some seconds for what ends in this way, so that targets can record what they have taken. It also
/// keeps the producer's threads from being waited for where nothing may block.
fn stop_with_node(tasks: &TaskExecutor, producer: Arc<Producer>) {
    tasks.spawn_with_graceful_shutdown_signal(async move |shutdown| {
        let _node_waits = shutdown.await;
        // An error would be a panic of that thread, and the node is stopping anyway.
        let _ = spawn_blocking(move || producer.stop()).await;
    });
}

async fn changed(delivered: &mut Option<watch::Receiver<Option<BlockNumHash>>>) {
    let changed = match delivered {
        Some(delivered) => delivered.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        pending::<()>().await;
    }
}

/// What is heard from the node, and said to it.
struct Listener {
    finished: FinishedHeight,
    forwarding: Forwarding,
    horizon: Option<Horizon>,
    metrics: ExExMetrics,
}

impl Listener {
    fn new(horizon: Option<Horizon>) -> Self {
        let metrics = ExExMetrics::default();
        metrics.not_started.set(1);
        metrics.forwarding_silent.set(0);
        metrics.history_at_risk.set(0);
        Self {
            finished: FinishedHeight::default(),
            forwarding: Forwarding::new(Instant::now()),
            horizon,
            metrics,
        }
    }

    /// Whether there may be more to hear.
    fn heard(&mut self, notification: Option<eyre::Result<()>>) -> bool {
        match notification {
            Some(Ok(())) => {
                failpoint::hit("on_notification");
                self.metrics.notifications_total.increment(1);
                let change = self.forwarding.notified(Instant::now());
                self.report(change);
            }
            Some(Err(error)) => {
                warn!(target: "exex::bsp", %error, "The node's notifications failed");
            }
            None => {
                self.metrics.forwarding_silent.set(1);
                error!(target: "exex::bsp", "The node has closed the channel of notifications; block replicas are not affected, pruning is: restart the node");
                return false;
            }
        }
        true
    }

    fn chain_changed(&mut self) {
        let change = self.forwarding.chain_changed(Instant::now());
        self.report(change);
    }

    fn report(&self, change: Option<Change>) {
        match change {
            None => {}
            Some(Change::Silent(changes)) => {
                self.metrics.forwarding_silent.set(1);
                warn!(target: "exex::bsp", changes, "The node forwards no notifications to its Execution Extensions any more; block replicas are not affected. If another extension is installed it has stalled: restart the node");
            }
            Some(Change::Back) => {
                self.metrics.forwarding_silent.set(0);
                info!(target: "exex::bsp", "The node forwards notifications again");
            }
        }
    }

    fn tell(
        &mut self,
        provider: &impl BlockIdReader,
        events: &UnboundedSender<ExExEvent>,
        delivered: Option<BlockNumHash>,
    ) {
        // From memory, so it does not block.
        let Ok(finalized) = provider.finalized_block_num_hash() else {
            return;
        };
        if let Some(height) = self.finished.next(finalized, delivered) {
            debug!(target: "exex::bsp", number = height.number, hash = %height.hash, "Everything up to here may be pruned");
            self.metrics.prunable_height.set(height.number as f64);
            // It fails only when the manager has ended, and the node with it.
            let _ = events.send(ExExEvent::FinishedHeight(height));
        }
    }

    fn look_at_horizon(
        &mut self,
        provider: &impl BlockReader<Header = Header>,
        delivered: Option<BlockNumHash>,
        node_asks: bool,
    ) {
        let (Some(horizon), Some(delivered)) = (&mut self.horizon, delivered) else { return };
        // The tip is in memory, but for the first moments after a start.
        let tip = provider.chain_info().and_then(|tip| provider.header(tip.best_hash));
        let Ok(Some(Header { number, timestamp, .. })) = tip else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        match horizon.look(Head { number, timestamp }, now, delivered.number) {
            None => {}
            Some(HorizonChange::TooNear { behind, safe }) => {
                self.metrics.history_at_risk.set(1);
                if node_asks {
                    warn!(target: "exex::bsp", behind, "Targets lack blocks as far back as this node keeps history. If it syncs in stages now, as after a pause of 7 minutes, reth deletes what they need: until they have it, run the node with --prune.account-history.distance {safe} --prune.storage-history.distance {safe}, and with --minimal --prune.bodies.distance {safe}");
                } else {
                    warn!(target: "exex::bsp", behind, "Targets lack blocks half as far back as this node keeps history, and with --exex.bsp.register never it does not ask before it deletes: until they have them, run it with --exex.bsp.register auto, or with --prune.account-history.distance {safe} --prune.storage-history.distance {safe}, and with --minimal --prune.bodies.distance {safe}");
                }
            }
            Some(HorizonChange::FarEnough) => {
                self.metrics.history_at_risk.set(0);
                info!(target: "exex::bsp", "The node keeps enough history for all targets again");
            }
        }
    }
}
