//! Metrics of a producer, in the style of reth v2.5.1: reth's exporter adds its own prefix.

use crate::{
    chain::{ProduceError, ProducedBlock},
    producer::{cursors::history::Skip, job_error::JobError},
};
use metrics::{Counter, Gauge, Histogram};
use metrics_derive::Metrics;
use std::sync::Arc;

/// What is the same for all targets.
#[derive(Metrics, Clone)]
#[metrics(scope = "exex.bsp")]
pub(crate) struct ProductionMetrics {
    /// Seconds that it took to execute a block and to record what it read
    capture_seconds: Histogram,
    /// Seconds that it took to encode a replica
    encode_seconds: Histogram,
    /// Bytes of a replica before compression
    replica_bytes: Histogram,
    /// Gas of the blocks that were executed
    executed_gas_total: Counter,
    /// Executions whose outcome was not what the header promises
    check_failures_total: Counter,
    /// Executions that failed for any other reason, and are tried again
    production_failures_total: Counter,
}

impl ProductionMetrics {
    pub(crate) fn note(&self, result: &Result<Arc<ProducedBlock>, JobError>) {
        match result {
            Ok(product) => {
                self.capture_seconds.record(product.capture_time);
                self.encode_seconds.record(product.encode_time);
                self.replica_bytes.record(product.entry.replica.len() as f64);
                self.executed_gas_total.increment(product.gas_used);
            }
            Err(JobError::Produce(ProduceError::Mismatch { .. })) => {
                self.check_failures_total.increment(1);
            }
            Err(JobError::Produce(ProduceError::BeforeDefinition { .. })) => {}
            Err(_) => self.production_failures_total.increment(1),
        }
    }
}

/// What is the same for all targets, and follows the chain.
#[derive(Metrics, Clone)]
#[metrics(scope = "exex.bsp")]
pub(crate) struct ChainMetrics {
    /// Height of the highest block that may be delivered
    pub(crate) tip_height: Gauge,
    /// Height up to which every target has confirmed every block
    pub(crate) finished_height: Gauge,
}

/// What each target has of its own.
#[derive(Metrics, Clone)]
#[metrics(scope = "exex.bsp")]
pub(crate) struct TargetMetrics {
    /// Height of the last block that the target has confirmed, with all before it
    pub(crate) cursor_height: Gauge,
    /// How many blocks the target is behind the tip
    pub(crate) lag_blocks: Gauge,
    /// Entries that the target has confirmed
    pub(crate) delivered_total: Counter,
    /// Bytes of replicas that the target has confirmed, before compression
    pub(crate) delivered_bytes_total: Counter,
    /// Entries that were not sent because the target had them already
    pub(crate) already_delivered_total: Counter,
    /// Entries that the target had confirmed and has lost since
    pub(crate) lost_entries_total: Counter,
    /// Seconds that a delivery took, of one or several blocks
    pub(crate) deliver_seconds: Histogram,
    /// Seconds from the news of a block to the target's confirmation, while it is near the tip
    pub(crate) latency_seconds: Histogram,
    /// Bytes of replicas that wait for the target
    pub(crate) waiting_bytes: Gauge,
    /// Failures after which something was tried again
    pub(crate) retries_total: Counter,
    /// Reorgs that the target's cursor went through
    pub(crate) reorgs_total: Counter,
    /// Blocks that were abandoned by a reorg
    pub(crate) reorg_depth_blocks: Histogram,
    /// 1 while somebody has to do something
    pub(crate) stuck: Gauge,
    /// 1 while the target has not begun because the node is not at the tip
    pub(crate) starting: Gauge,
    /// 1 while the target is too far behind and gets no nearer
    pub(crate) stalled: Gauge,
}

impl TargetMetrics {
    pub(crate) fn of(target: &str) -> Self {
        Self::new_with_labels(&[("target", target.to_owned())])
    }
}

/// Blocks that were left out.
pub(crate) fn skipped(target: &str, why: Skip, blocks: u64) {
    let labels = [("target", target.to_owned()), ("reason", why.name().to_owned())];
    metrics::counter!("exex.bsp_skipped_total", &labels).increment(blocks);
}

/// Says what the counters without a struct are.
pub(crate) fn describe() {
    metrics::describe_counter!("exex.bsp_skipped_total", "Blocks that were left out, by reason");
}
