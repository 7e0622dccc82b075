//! Metrics under the names that bsp-agent v1.9.2 gives them, for dashboards that are there.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// The timer `agent_blocks_success`: nanoseconds between blocks that were handled.
#[derive(Debug)]
pub struct CompletedBlocks(Mutex<Instant>);

impl CompletedBlocks {
    /// The first block is counted from now on.
    pub fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    /// A block was handled.
    pub fn record(&self) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = last.elapsed();
        *last = Instant::now();
        metrics::histogram!("agent_blocks_success").record(elapsed.as_secs_f64() * 1e9);
    }
}

impl Default for CompletedBlocks {
    fn default() -> Self {
        Self::new()
    }
}

/// An attempt to pin is over, well or not. Both are gauges there, though they only grow.
pub(super) fn record_pin(well: bool) {
    let name = if well { "agent_storage_ipfs_success" } else { "agent_storage_ipfs_failure" };
    metrics::gauge!(name).increment(1.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::rendered;

    #[test]
    fn names_and_quantiles_are_those_of_before() {
        let text = rendered(|| {
            let completed = CompletedBlocks::new();
            (0..3).for_each(|_| completed.record());
            record_pin(true);
            record_pin(true);
            record_pin(false);
        });
        for line in [
            "# TYPE agent_blocks_success summary",
            "agent_blocks_success{quantile=\"0.5\"} ",
            "agent_blocks_success{quantile=\"0.9999\"} ",
            "agent_blocks_success_count 3",
            "# TYPE agent_storage_ipfs_success gauge",
            "agent_storage_ipfs_success 2",
            "agent_storage_ipfs_failure 1",
        ] {
            assert!(text.contains(line), "{line}:\n{text}");
        }
    }
}
