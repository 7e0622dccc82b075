//! How often the chain is polled: about twice a block.

use std::time::{Duration, Instant};

/// Follows the time from block to block.
#[derive(Debug)]
pub(crate) struct LookInterval {
    shortest: Duration,
    longest: Duration,
    last: Option<(u64, Instant)>,
    block_time: Option<Duration>,
}

impl LookInterval {
    pub(crate) fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest: longest.max(shortest), last: None, block_time: None }
    }

    /// A look showed that head.
    pub(crate) fn saw(&mut self, head: u64, now: Instant) {
        let Some((before, since)) = self.last else {
            self.last = Some((head, now));
            return;
        };
        // A node that is behind, or no new block.
        let Some(blocks) = head.checked_sub(before).filter(|blocks| *blocks > 0) else { return };
        let blocks = u32::try_from(blocks).unwrap_or(u32::MAX);
        let sample = now.saturating_duration_since(since) / blocks;
        // Blocks come early and late: one alone tells little.
        self.block_time = Some(match self.block_time {
            None => sample,
            Some(known) => (known.saturating_mul(3).saturating_add(sample)) / 4,
        });
        self.last = Some((head, now));
    }

    /// The time until the next look.
    pub(crate) fn pause(&self) -> Duration {
        let half = self.block_time.unwrap_or_default() / 2;
        half.clamp(self.shortest, self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn after(heads: &[(u64, u64)]) -> Duration {
        let start = Instant::now();
        let mut pace = LookInterval::new(SECOND, 4 * SECOND);
        for (second, head) in heads {
            pace.saw(*head, start + SECOND * u32::try_from(*second).unwrap());
        }
        pace.pause()
    }

    #[test]
    fn it_looks_twice_a_block_within_bounds() {
        assert_eq!(after(&[]), SECOND);
        assert_eq!(after(&[(0, 10)]), SECOND);
        assert_eq!(after(&[(0, 10), (6, 11), (12, 12)]), 3 * SECOND);
        assert_eq!(after(&[(0, 10), (3, 10), (6, 11)]), 3 * SECOND, "no new block is no block");
        assert_eq!(after(&[(0, 10), (3, 9), (6, 11)]), 3 * SECOND, "a node that is behind");
        assert_eq!(after(&[(0, 10), (600, 110)]), 3 * SECOND, "after a pause without looks");
        assert_eq!(after(&[(0, 10), (1, 12)]), SECOND);
        assert_eq!(after(&[(0, 10), (600, 11)]), 4 * SECOND);
        assert_eq!(after(&[(0, 10), (1, u64::MAX)]), SECOND);
    }
}
