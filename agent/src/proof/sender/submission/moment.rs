//! Points in time that no change of the machine's clock moves.

use crate::alarm::now_ms;
use std::time::{Duration, Instant};

/// A point in time of this run, or so long before one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    at: Instant,
    /// The age it had then.
    before: Duration,
}

impl Moment {
    /// This very moment.
    pub(crate) const fn at(now: Instant) -> Self {
        Self { at: now, before: Duration::ZERO }
    }

    /// So long before now. What lies before the machine's start has no [`Instant`].
    pub(crate) const fn ago(now: Instant, before: Duration) -> Self {
        Self { at: now, before }
    }

    /// A moment that an earlier run wrote down, in milliseconds since 1970. Only the wall clock can
    /// tell how long ago that is, and it tells it once; a moment in the future is now.
    pub(crate) fn of_earlier_run(now: Instant, since_1970_ms: u64) -> Self {
        Self::ago(now, Duration::from_millis(now_ms().saturating_sub(since_1970_ms)))
    }

    /// How long ago it is.
    pub(crate) fn age(self, now: Instant) -> Duration {
        now.saturating_duration_since(self.at).saturating_add(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_runs_moment_ages_by_this_runs_clock_alone() {
        let now = Instant::now();
        let later = now + Duration::from_secs(5);
        assert_eq!(Moment::at(now).age(later), Duration::from_secs(5));
        assert_eq!(Moment::at(later).age(now), Duration::ZERO);
        assert_eq!(Moment::ago(now, Duration::from_secs(7)).age(later), Duration::from_secs(12));
        assert_eq!(Moment::ago(now, Duration::MAX).age(later), Duration::MAX);
        // The clock was set back since: that moment is in the future.
        let ahead = Moment::of_earlier_run(now, now_ms() + 86_400_000);
        assert_eq!(ahead.age(later), Duration::from_secs(5));
    }
}
