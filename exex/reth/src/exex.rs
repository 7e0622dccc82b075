//! The producer's future in a node: it listens, wakes the producer, and tells the node what it may prune.

use crate::{
    Bsp, NodeChain, handle::BspHandle, horizon::Horizon, listener::Listener, pruning::kept,
    start::start_producer,
};
use alloy_eips::BlockNumHash;
use bsp_replication::Producer;
use futures::StreamExt;
use reth_chain_state::{CanonStateSubscriptions, ForkChoiceSubscriptions};
use reth_chainspec::ChainSpec;
use reth_ethereum_primitives::EthPrimitives;
use reth_exex::{ExExContext, ExExEvent, ExExNotifications};
use reth_node_api::{FullNodeComponents, NodeTypes};
use reth_node_core::node_config::NodeConfig;
use reth_tasks::TaskExecutor;
use std::{future::pending, pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};
use tracing::info;

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

/// What goes on around the producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// There may be something to produce.
    News,
    /// More is delivered than before.
    Delivery,
    /// Time has passed.
    Tick,
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
        let event = tokio::select! {
            started = &mut starting, if producer.is_none() => {
                delivered = Some(started.finished());
                stop_with_node(components.task_executor(), Arc::clone(&started));
                producer = Some(started);
                node.started();
                Event::News
            }
            notification = next_notification(&mut manager), if listening => {
                listening = node.heard(notification);
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
        let Some(producer) = &producer else { continue };
        if event != Event::Delivery {
            producer.wake();
        }
        let delivered = *producer.finished().borrow();
        if let Some(manager) = &manager {
            node.tell(provider, &manager.events, delivered);
        }
        if event == Event::Tick {
            node.look_at_horizon(provider, delivered);
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
