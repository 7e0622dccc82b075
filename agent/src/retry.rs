//! Trying again what may pass by itself, for as long as it takes.

use crate::alarm::{AlarmKind, Alarms};
use rand::Rng;
use std::{fmt, future::Future, time::Duration};
use tokio_util::sync::CancellationToken;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// One failure may be a hiccup. From this one on it is an operator's business.
pub(crate) const FAILURES_BEFORE_ALARM: u32 = 2;

/// Pauses that double from 250 ms to 30 s, each shortened by up to a half at random, so that many do not come back at once.
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

/// The pause after so many failures in a row, see [`Backoff`].
pub(crate) fn pause_after(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    pause.mul_f64(rand::rng().random_range(0.5..=1.0))
}

/// What keeps a step from being done, and whether to raise an alarm about it.
#[derive(Debug, Clone)]
pub struct Retry {
    /// The alarm that is raised while it fails.
    pub alarm: AlarmKind,
    /// Raised and cleared.
    pub alarms: Alarms,
    /// Ends the waiting.
    pub stop: CancellationToken,
}

impl Retry {
    /// Does something until it succeeds. `None` when it was told to stop between two attempts.
    pub async fn until_done<T, E, F>(
        &self,
        what: impl fmt::Display,
        mut attempt: impl FnMut() -> F,
    ) -> Option<T>
    where
        F: Future<Output = Result<T, E>>,
        E: fmt::Display,
    {
        let mut backoff = Backoff::default();
        loop {
            match attempt().await {
                Ok(done) => {
                    if backoff.failures() > 0 {
                        self.alarms.clear(self.alarm);
                    }
                    return Some(done);
                }
                // What an attempt says then is that it was told to stop.
                Err(_) if self.stop.is_cancelled() => return None,
                Err(error) => {
                    let pause = backoff.next_pause();
                    tracing::warn!("{what}: {error}; trying again in {} ms", pause.as_millis());
                    if backoff.failures() >= FAILURES_BEFORE_ALARM {
                        self.alarms.raise(self.alarm, format!("{what}: {error}"));
                    }
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.stop.cancelled() => return None,
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn pauses_grow_to_half_a_minute_and_not_beyond() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..40).map(|_| backoff.next_pause()).collect();
        assert!(pauses[0] <= FIRST_PAUSE && pauses[0] >= FIRST_PAUSE / 2);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE));
        assert!(pauses[39] >= LONGEST_PAUSE / 2);
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        assert!(pause_after(1) <= FIRST_PAUSE);
        assert!(pause_after(u32::MAX) <= LONGEST_PAUSE);
        assert!(pause_after(u32::MAX) >= LONGEST_PAUSE / 2);
    }

    fn retry() -> Retry {
        Retry {
            alarm: AlarmKind::StoreFailing,
            alarms: Alarms::default(),
            stop: CancellationToken::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_alarm_lasts_as_long_as_the_trouble() {
        let retry = retry();
        let attempts = Cell::new(0);
        let done = retry
            .until_done("writing", || {
                attempts.set(attempts.get() + 1);
                let raised = retry.alarms.raised().contains_key(&AlarmKind::StoreFailing);
                assert_eq!(raised, attempts.get() > FAILURES_BEFORE_ALARM, "{}", attempts.get());
                let outcome = if attempts.get() < 6 { Err("full") } else { Ok(attempts.get()) };
                async move { outcome }
            })
            .await;
        assert_eq!(done, Some(6));
        assert!(retry.alarms.raised().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_waiting() {
        let retry = retry();
        retry.stop.cancel();
        let done: Option<()> = retry.until_done("writing", || async { Err("full") }).await;
        assert_eq!(done, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_because_of_the_stop_is_no_trouble() {
        let retry = retry();
        let attempts = Cell::new(0);
        let done: Option<()> = retry
            .until_done("writing", || {
                attempts.set(attempts.get() + 1);
                if attempts.get() == FAILURES_BEFORE_ALARM {
                    retry.stop.cancel();
                }
                async { Err("the agent stops") }
            })
            .await;
        assert_eq!(done, None);
        assert!(retry.alarms.raised().is_empty());
    }
}
