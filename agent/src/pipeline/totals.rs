//! What has become of blocks and messages in this process, for the metrics, `/status` and the log's
//! last line.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Counts by outcome: the stage at which a block was finished, `unselected`, or `dead`.
#[derive(Debug, Default)]
pub(super) struct Totals(Mutex<BTreeMap<&'static str, u64>>);

impl Totals {
    /// A block or message is handled.
    pub(super) fn count(&self, outcome: &'static str) {
        metrics::counter!("agent_blocks_total", "outcome" => outcome).increment(1);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(outcome).or_default() += 1;
    }

    /// All counts so far.
    pub(super) fn get(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
