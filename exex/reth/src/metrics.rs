//! Figures of the Execution Extension, beside those that the producer keeps for itself.

use bsp_codec::ReplicaKind;
use reth_metrics::{
    Metrics,
    metrics::{Counter, Gauge},
};

/// What was made of blocks.
#[derive(Clone, Metrics)]
#[metrics(scope = "exex.bsp")]
pub(crate) struct BlockMetrics {
    /// Blocks whose replica was made, by kind of replica
    pub(crate) blocks_total: Counter,
}

impl BlockMetrics {
    pub(crate) fn of(kind: ReplicaKind) -> Self {
        Self::new_with_labels(&[("kind", kind.as_str())])
    }
}

/// What the node and the Execution Extension tell each other.
#[derive(Metrics)]
#[metrics(scope = "exex.bsp")]
pub(crate) struct ExExMetrics {
    /// Notifications taken from the node's ExEx manager
    pub(crate) notifications_total: Counter,
    /// Height up to which the node was told that it may prune
    pub(crate) prunable_height: Gauge,
    /// 1 while the node's ExEx manager forwards no notifications although the chain continues
    pub(crate) forwarding_silent: Gauge,
    /// 1 while the node may delete what a target lacks
    pub(crate) history_at_risk: Gauge,
    /// 1 while the producer could not be started
    pub(crate) not_started: Gauge,
    /// When the chain's next fork begins that this version can't export, in Unix seconds; 0 if none
    /// has a time
    pub(crate) unknown_fork_time: Gauge,
    /// The block that the chain's next fork begins with that this version can't export; 0 if none
    /// has a height
    pub(crate) unknown_fork_height: Gauge,
}
