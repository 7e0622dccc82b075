//! How long things are waited for.

use bsp_common::backoff;
use std::time::Duration;

/// The pauses of a producer. Tests have shorter ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// The longest time between two polls of the chain.
    pub(super) poll: Duration,
    /// The pause after the first failure; each further one is twice the one before…
    pub(super) first_pause: Duration,
    /// …up to this.
    pub(super) longest_pause: Duration,
    /// A target that gets no nearer to the tip for so long is reported, and a block that is in
    /// production for so long is given up.
    pub(super) stall: Duration,
    /// Between two looks of the watchdog.
    pub(super) watch: Duration,
    /// A target that takes longer than this for a batch is shown as the one that is waited for.
    pub(super) slow_target: Duration,
    /// Between two lines of progress in the log.
    pub(super) progress: Duration,
    /// What a delivery that has begun gets to end, once the producer is told to stop.
    pub(super) grace: Duration,
}

impl Timing {
    pub(super) const fn polling_every(poll: Duration) -> Self {
        Self {
            poll,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(30),
            stall: Duration::from_secs(60),
            watch: Duration::from_secs(5),
            slow_target: Duration::from_secs(5),
            progress: Duration::from_secs(10),
            grace: Duration::from_secs(3),
        }
    }

    /// The pause after this many failures in a row.
    pub(super) fn pause_after(&self, failures: u32) -> Duration {
        backoff::doubled(self.first_pause, failures.saturating_sub(1), self.longest_pause)
    }
}

/// How often the same thing has failed.
#[derive(Debug)]
pub(super) struct Attempts<T> {
    of: Option<T>,
    failed: u32,
}

impl<T: PartialEq> Attempts<T> {
    pub(super) const fn none() -> Self {
        Self { of: None, failed: 0 }
    }

    /// Notes a failure, and returns how many there were in a row.
    pub(super) fn failed(&mut self, what: T) -> u32 {
        if self.of.as_ref() != Some(&what) {
            *self = Self { of: Some(what), failed: 0 };
        }
        self.failed = self.failed.saturating_add(1);
        self.failed
    }

    /// Notes a success. Returns whether there was a failure before.
    pub(super) fn succeeded(&mut self) -> bool {
        self.of = None;
        std::mem::take(&mut self.failed) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let timing = Timing::polling_every(Duration::from_secs(1));
        for (failures, full) in [(1, 100), (2, 200), (9, 25_600), (10, 30_000), (u32::MAX, 30_000)]
        {
            let pause = timing.pause_after(failures).as_millis();
            assert!((full / 2..=full).contains(&pause), "{failures}: {pause}");
        }
    }

    #[test]
    fn failures_of_different_things_are_counted_apart() {
        let mut attempts = Attempts::none();
        assert_eq!([attempts.failed('a'), attempts.failed('a'), attempts.failed('b')], [1, 2, 1]);
        assert!(attempts.succeeded());
        assert!(!attempts.succeeded());
        assert_eq!(attempts.failed('b'), 1);
    }
}
