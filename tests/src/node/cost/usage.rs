//! What a node uses.

use crate::node::process::Node;
use eyre::OptionExt;
use std::{fs, time::Duration};

/// What a node used.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Times from a block's `newPayload` to the answer to its fork choice.
    pub imports: Vec<Duration>,
    /// Times to the answer to its `newPayload`.
    pub payloads: Vec<Duration>,
    /// Times from the answer to a block's fork choice to its entry in Redis.
    pub deliveries: Vec<Duration>,
    /// How long the engine took for a fork choice on average, without the way of the answer.
    pub fork_choice: Duration,
    /// Time on processors, while it had its turns.
    pub processor: Duration,
    /// Memory at the end that is not of mapped files, bytes.
    pub memory: u64,
}

/// Linux counts a process's time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// User and system time (`proc(5)`, fields 14 and 15 of `stat`; the name before them may have
/// spaces).
pub(super) fn processor_time(node: &Node) -> eyre::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", node.id()?))?;
    let (_, fields) = stat.rsplit_once(')').ok_or_eyre("no name in stat")?;
    let fields: Vec<_> = fields.split_whitespace().collect();
    let field = |index: usize| -> eyre::Result<u32> {
        Ok(fields.get(index).ok_or_eyre("stat is short")?.parse()?)
    };
    Ok(TICK * (field(11)? + field(12)?))
}

/// `RssAnon` in bytes: what is not of the database's mapped file.
pub(super) fn memory(node: &Node) -> eyre::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", node.id()?))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or_eyre("no RssAnon")?;
    Ok(kilobytes.parse::<u64>()? << 10)
}

/// What a histogram of seconds among a node's metrics adds up to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Total {
    seconds: f64,
    count: f64,
}

impl Total {
    pub(super) fn read(metrics: &str, histogram: &str) -> eyre::Result<Self> {
        let value = |suffix: &str| -> eyre::Result<f64> {
            let name = format!("{histogram}_{suffix} ");
            let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
            Ok(value.ok_or_else(|| eyre::eyre!("the node has no metric {name}"))?.parse()?)
        };
        Ok(Self { seconds: value("sum")?, count: value("count")? })
    }

    /// The mean of what came after an earlier reading.
    pub(super) fn mean_since(self, earlier: Self) -> Duration {
        let count = (self.count - earlier.count).max(1.0);
        Duration::from_secs_f64((self.seconds - earlier.seconds).max(0.0) / count)
    }
}

/// The value that this many percent of all values do not exceed.
pub fn percentile(values: &[Duration], percent: usize) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let values: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 50), Duration::from_millis(100));
        assert_eq!(percentile(&values, 99), Duration::from_millis(198));
        assert_eq!(percentile(&values[..1], 99), Duration::from_millis(200));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }

    #[test]
    fn a_mean_is_of_what_came_since() {
        let metrics = "# TYPE x summary\nx{quantile=\"0\"} 1\nx_sum 0.5\nx_count 4\n";
        let [now, before] = [Total::read(metrics, "x").unwrap(), Total::default()];
        assert_eq!(now.mean_since(before), Duration::from_millis(125));
        assert_eq!(now.mean_since(now), Duration::ZERO);
        assert!(Total::read(metrics, "y").is_err());
    }
}
