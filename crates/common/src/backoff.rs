//! The pauses between attempts at what may pass on its own.

use rand::Rng;
use std::time::Duration;

/// The first pause.
pub const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Pauses that double from 250 ms to 30 s, each shortened by up to a half at random, so that many
/// clients do not come back at once.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How many failures there were in a row.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// The next pause.
    pub fn next_pause(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        pause_after(self.failures)
    }
}

/// The pause after a number of failures in a row, see [`Backoff`].
pub fn pause_after(failures: u32) -> Duration {
    doubled(FIRST_PAUSE, failures.saturating_sub(1), LONGEST_PAUSE)
}

/// Doubles a pause a number of times, up to the longest, and shortens it by up to a half at random.
pub fn doubled(first: Duration, doublings: u32, longest: Duration) -> Duration {
    let full = first.saturating_mul(1 << doublings.min(16)).min(longest);
    full.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        for (failures, full) in
            [(0, 250), (1, 250), (2, 500), (7, 16_000), (8, 30_000), (u32::MAX, 30_000)]
        {
            let pause = pause_after(failures).as_millis();
            assert!((full / 2..=full).contains(&pause), "{failures}: {pause}");
        }
    }

    #[test]
    fn each_failure_makes_the_next_pause_longer() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..40).map(|_| backoff.next_pause()).collect();
        assert!(pauses[0] <= FIRST_PAUSE && pauses[0] >= FIRST_PAUSE / 2);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE));
        assert!(pauses[39] >= LONGEST_PAUSE / 2);
        assert_eq!(backoff.failures(), 40);
    }
}
