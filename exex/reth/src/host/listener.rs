//! What the node says to the producer, and is told.

use super::{
    finished::FinishedHeight,
    forwarding::{Forwarding, ForwardingChange},
    horizon::{Head, Horizon, HorizonChange},
    notices::{Notice, Notices},
};
use crate::{
    chain::{
        at_tip::now,
        forks::{ForkBegin, UnknownFork},
    },
    failpoint,
    metrics::ExExMetrics,
};
use alloy_consensus::Header;
use alloy_eips::BlockNumHash;
use reth_exex::ExExEvent;
use reth_provider::BlockIdReader;
use std::time::Instant;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{debug, error, info, warn};

/// What is heard from the node, and said to it.
pub(crate) struct Listener {
    finished: FinishedHeight,
    forwarding: Forwarding,
    horizon: Option<Horizon>,
    notices: Notices,
    metrics: ExExMetrics,
}

impl Listener {
    /// There is no horizon where nothing is pruned by distance. `forks` are those that this version
    /// does not know.
    pub(crate) fn new(horizon: Option<Horizon>, forks: Vec<UnknownFork>, is_started: bool) -> Self {
        let metrics = ExExMetrics::default();
        metrics.not_started.set(if is_started { 0 } else { 1 });
        metrics.forwarding_silent.set(0);
        metrics.history_at_risk.set(0);
        let begins = forks.iter().map(|fork| fork.begins);
        let (time, height) = first_of_each(begins);
        // One that begins with the genesis block is there too.
        let shown = |first: Option<u64>| first.map_or(0.0, |first| first.max(1) as f64);
        metrics.unknown_fork_time.set(shown(time));
        metrics.unknown_fork_height.set(shown(height));
        Self {
            finished: FinishedHeight::default(),
            forwarding: Forwarding::new(Instant::now()),
            horizon,
            notices: Notices::new(forks),
            metrics,
        }
    }

    /// The producer runs.
    pub(crate) fn started(&self) {
        self.metrics.not_started.set(0);
    }

    /// A notification, or the end of them. Whether there may be more to hear.
    pub(crate) fn on_notification(&mut self, notification: Option<eyre::Result<()>>) -> bool {
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

    /// The chain has changed, of which a notification has to tell.
    pub(crate) fn chain_changed(&mut self) {
        let change = self.forwarding.chain_changed(Instant::now());
        self.report(change);
    }

    fn report(&self, change: Option<ForwardingChange>) {
        match change {
            None => {}
            Some(ForwardingChange::Silent(changes)) => {
                self.metrics.forwarding_silent.set(1);
                warn!(target: "exex::bsp", changes, "The node forwards no notifications to its Execution Extensions any more; block replicas are not affected. If another extension is installed it has stalled: restart the node");
            }
            Some(ForwardingChange::Back) => {
                self.metrics.forwarding_silent.set(0);
                info!(target: "exex::bsp", "The node forwards notifications again");
            }
        }
    }

    /// Tells the node up to where it may prune, if that has changed.
    pub(crate) fn send_finished_height(
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
            debug!(target: "exex::bsp", block = height.number, hash = %height.hash, "Everything up to here may be pruned");
            self.metrics.prunable_height.set(height.number as f64);
            // It fails only when the manager has ended, and the node with it.
            let _ = events.send(ExExEvent::FinishedHeight(height));
        }
    }

    /// Tells of what will end the deliveries, or has.
    pub(crate) fn look_ahead(&mut self, head: &Header) {
        self.notices.due(head, Instant::now()).iter().for_each(Notice::log);
    }

    /// Warns where the node is about to delete what a target lacks. `confirmed` is the height up to
    /// which every target has what it wants; `None` if that is not known.
    pub(crate) fn look_at_horizon(&mut self, head: &Header, confirmed: Option<u64>) {
        let (Some(horizon), Some(confirmed)) = (&mut self.horizon, confirmed) else { return };
        let Header { number, timestamp, .. } = *head;
        match horizon.look(Head { number, timestamp }, now(), confirmed) {
            None => {}
            Some(HorizonChange::TooNear { behind, safe }) => {
                self.metrics.history_at_risk.set(1);
                if horizon.asks() {
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

/// The first fork by time, and the first by height.
fn first_of_each(begins: impl Iterator<Item = ForkBegin>) -> (Option<u64>, Option<u64>) {
    begins.fold((None, None), |(time, height), begin| match begin {
        ForkBegin::Time(first) => (Some(time.map_or(first, |time: u64| time.min(first))), height),
        ForkBegin::Height(first) => {
            (time, Some(height.map_or(first, |height: u64| height.min(first))))
        }
    })
}
