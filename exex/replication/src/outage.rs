//! Waiting until a target's trouble has passed.

use crate::{TargetError, TargetHealth};
use rand::Rng;
use std::{fmt::Display, time::Duration};
use tokio_util::sync::CancellationToken;

/// The first pause is about this long, each further one twice the one before…
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// …up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Failures in a row, and the pauses between them.
#[derive(Debug)]
pub(crate) struct Outage<'a> {
    target: &'a str,
    stop: &'a CancellationToken,
    health: &'a TargetHealth,
    failures: u32,
}

impl<'a> Outage<'a> {
    /// None yet.
    pub(crate) const fn new(
        target: &'a str,
        stop: &'a CancellationToken,
        health: &'a TargetHealth,
    ) -> Self {
        Self { target, stop, health, failures: 0 }
    }

    /// Whether the last attempt failed.
    pub(crate) const fn is_on(&self) -> bool {
        self.failures > 0
    }

    /// Notes a failure, and waits before the next attempt.
    pub(crate) async fn wait(&mut self, reason: &impl Display) -> Result<(), TargetError> {
        let pause = pause_after(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.health.failed(reason);
        let (target, failures) = (self.target, self.failures);
        tracing::warn!(target_url = target, failures, "delivery waits {pause:.1?}: {reason}");
        tokio::select! {
            () = self.stop.cancelled() => Err(self.stopped()),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    /// Notes a success.
    pub(crate) fn end(&mut self) {
        self.health.recovered();
        if self.is_on() {
            let failures = std::mem::take(&mut self.failures);
            tracing::info!(target_url = self.target, failures, "delivery goes on");
        }
    }

    /// The error of a target that was stopped.
    pub(crate) fn stopped(&self) -> TargetError {
        TargetError::Stopped { target: self.target.to_owned() }
    }
}

/// Between half of the full pause and all of it, so that those who failed together don't come back together.
fn pause_after(failures: u32) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
    full.mul_f64(rand::rng().random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        for (failures, full) in [(0, 250), (1, 500), (6, 16_000), (7, 30_000), (u32::MAX, 30_000)] {
            let pause = pause_after(failures).as_millis();
            assert!((full / 2..=full).contains(&pause), "{failures}: {pause}");
        }
    }

    #[tokio::test]
    async fn a_stop_ends_the_wait() {
        let stop = CancellationToken::new();
        stop.cancel();
        let health = TargetHealth::default();
        let mut outage = Outage::new("there", &stop, &health);
        let error = outage.wait(&"no answer").await.unwrap_err();
        assert_eq!(error.to_string(), "there: stopped before it took all of the batch");
        assert!(outage.is_on());
        assert_eq!((health.trouble().as_deref(), health.retries()), (Some("no answer"), 1));
        outage.end();
        assert_eq!(health.trouble(), None);
    }
}
