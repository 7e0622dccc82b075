//! The producer's future in a node: it listens, wakes the producer, and tells the node what it may
//! prune.

use super::{
    horizon::{Horizon, confirmed_by_all},
    listener::Listener,
    pruning::kept,
    start::start_producer,
    supervisor::{EndlessWork, Pauses, supervise},
};
use crate::{
    chain::{NodeChain, forks::unknown_forks, limits::check_network},
    handle::BspHandle,
    targets::Bsp,
};
use alloy_consensus::Header;
use alloy_eips::BlockNumHash;
use bsp_replication::Producer;
use futures::StreamExt;
use reth_chain_state::{CanonStateSubscriptions, ForkChoiceSubscriptions};
use reth_chainspec::ChainSpec;
use reth_ethereum_primitives::EthPrimitives;
use reth_exex::{ExExContext, ExExEvent, ExExNotifications};
use reth_network_api::NetworkInfo;
use reth_node_api::{FullNodeComponents, NodeTypes};
use reth_node_core::node_config::NodeConfig;
use reth_provider::BlockReader;
use reth_tasks::TaskExecutor;
use std::{convert::Infallible, future::pending, pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tracing::info;

/// How often everything is checked, whatever else happens or does not.
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

/// What continues around the producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// There may be something to produce.
    News,
    /// More is delivered than before.
    Delivery,
    /// Time has passed.
    Tick,
}

/// Runs for as long as the node does, whatever happens in here: reth stops the node when an
/// Execution Extension ends.
pub(crate) async fn run<N>(host: Host<N>, bsp: Bsp, handle: BspHandle) -> eyre::Result<()>
where
    N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
{
    let is_extension = host.manager.is_some();
    info!(target: "exex::bsp", is_extension, "Starting the producer");
    let work = Work { host, bsp, handle, producer: None, listening: is_extension };
    match supervise(work, Pauses::default()).await {}
}

/// What outlives a panic: the node's end of the channels, whose loss would end the node, and the
/// producer.
struct Work<N: FullNodeComponents<Types: NodeTypes<ChainSpec = ChainSpec>>> {
    host: Host<N>,
    bsp: Bsp,
    handle: BspHandle,
    producer: Option<Arc<Producer>>,
    /// Whether there may be more notifications to hear.
    listening: bool,
}

impl<N> EndlessWork for Work<N>
where
    N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
{
    /// The content of notifications is ignored. They, the canonical-state stream and a timer each
    /// wake the producer, which finds out on its own what there is to do.
    async fn work(&mut self) -> Infallible {
        let Self { host: Host { components, config, manager }, bsp, handle, producer, listening } =
            self;
        let provider = components.provider();
        let horizon = kept(config).map(|kept| Horizon::new(kept, manager.is_some()));
        let forks = unknown_forks(&config.chain);
        let mut node = Listener::new(horizon, forks, producer.is_some());
        let mut delivered = producer.as_ref().map(|producer| producer.finished());
        let chain = chain_of(components, config, bsp);
        let settings = bsp.args().producer_config(config.datadir().data_dir());
        let network = check_network(&config.chain);
        let starting =
            start_producer(Arc::new(chain), bsp.clone(), settings, handle.clone(), network);
        let mut starting = pin!(starting);
        let mut chain_changes = provider.canonical_state_stream();
        let mut finalized = provider.finalized_block_stream();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                started = &mut starting, if producer.is_none() => {
                    delivered = Some(started.finished());
                    stop_with_node(components.task_executor(), Arc::clone(&started));
                    *producer = Some(started);
                    node.started();
                    Event::News
                }
                notification = next_notification(manager), if *listening => {
                    *listening = node.on_notification(notification);
                    Event::News
                }
                Some(_) = chain_changes.next() => {
                    if manager.is_some() {
                        node.chain_changed();
                    }
                    Event::News
                }
                Some(_) = finalized.next() => Event::News,
                () = changed(&mut delivered) => Event::Delivery,
                _ = ticks.tick() => Event::Tick,
            };
            let head = if event == Event::Tick { head_of(provider) } else { None };
            if let Some(head) = &head {
                node.look_ahead(head);
            }
            let Some(producer) = producer.as_ref() else { continue };
            if event != Event::Delivery {
                producer.wake();
            }
            let delivered = *producer.finished().borrow();
            if let Some(manager) = manager.as_ref() {
                node.send_finished_height(provider, &manager.events, delivered);
            }
            if let Some(head) = &head {
                let status = producer.status();
                let lags = status.targets.iter().map(|target| target.lag);
                node.look_at_horizon(head, confirmed_by_all(status.tip, lags));
            }
        }
    }
}

/// The node's chain, with the node's own word on whether it follows it.
fn chain_of<N>(components: &N, config: &NodeConfig<ChainSpec>, bsp: &Bsp) -> NodeChain<N::Provider>
where
    N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
{
    let (network, mines) = (components.network().clone(), config.dev.dev);
    let (provider, spec) = (components.provider().clone(), Arc::clone(&config.chain));
    let chain = NodeChain::new(provider, spec, bsp.args().kind());
    chain.with_node_following(move || mines || !network.is_syncing())
}

/// The node's last block. It is in memory, but for the first moments after a start.
fn head_of(provider: &impl BlockReader<Header = Header>) -> Option<Header> {
    let tip = provider.chain_info().and_then(|tip| provider.header(tip.best_hash));
    tip.ok().flatten()
}

/// Waits for ever if there is no manager.
async fn next_notification<N>(manager: &mut Option<Manager<N>>) -> Option<eyre::Result<()>>
where
    N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives>>,
{
    match manager {
        Some(manager) => Some(manager.notifications.next().await?.map(drop)),
        None => pending().await,
    }
}

/// The node waits some seconds for what ends in this way, so that targets can record what they have
/// taken. It also keeps the producer's threads from being waited for where nothing may block.
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
