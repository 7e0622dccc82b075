//! Waiting until a target's trouble has passed.

use crate::{health::TargetHealth, target::TargetError};
use bsp_common::backoff::pause_after;
use std::fmt::Display;
use tokio_util::sync::CancellationToken;

/// Attempts in a row that did not get ahead, and the pauses between them.
#[derive(Debug)]
pub(crate) struct Outage<'a> {
    target: &'a str,
    stop: &'a CancellationToken,
    health: &'a TargetHealth,
    failures: u32,
    pauses: u32,
}

impl<'a> Outage<'a> {
    /// None yet.
    pub(crate) const fn new(
        target: &'a str,
        stop: &'a CancellationToken,
        health: &'a TargetHealth,
    ) -> Self {
        Self { target, stop, health, failures: 0, pauses: 0 }
    }

    /// Whether the last attempt failed.
    pub(crate) const fn is_on(&self) -> bool {
        self.failures > 0
    }

    /// Notes a failure, and waits before the next attempt.
    pub(crate) async fn wait(&mut self, reason: &impl Display) -> Result<(), TargetError> {
        self.failures = self.failures.saturating_add(1);
        self.health.failed(reason);
        self.pause(reason).await
    }

    /// Waits for what is no failure.
    pub(crate) async fn hold(&mut self, reason: &impl Display) -> Result<(), TargetError> {
        self.health.waits_for(reason);
        self.pause(reason).await
    }

    async fn pause(&mut self, reason: &impl Display) -> Result<(), TargetError> {
        self.pauses = self.pauses.saturating_add(1);
        let pause = pause_after(self.pauses);
        let (target, failures) = (self.target, self.failures);
        // Not each time, nor once and never again.
        if self.pauses.is_power_of_two() {
            let pauses = self.pauses;
            tracing::warn!(
                target: "exex::bsp", target, failures, pauses,
                "Delivery waits {pause:.1?}: {reason}"
            );
        } else {
            tracing::debug!(target: "exex::bsp", target, failures, "Delivery waits {pause:.1?}: {reason}");
        }
        tokio::select! {
            () = self.stop.cancelled() => Err(self.stopped()),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    /// Notes a success.
    pub(crate) fn end(&mut self) {
        self.health.recovered();
        if self.pauses > 0 {
            tracing::info!(target: "exex::bsp", target = self.target, failures = self.failures, "Delivery resumed");
            (self.failures, self.pauses) = (0, 0);
        }
    }

    /// The error of a target that was stopped.
    pub(crate) fn stopped(&self) -> TargetError {
        TargetError::Stopped { target: self.target.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    use tracing::{
        Event, Level, Metadata, Subscriber,
        span::{Attributes, Id, Record},
    };

    /// Counts warnings.
    #[derive(Debug, Clone, Default)]
    struct Warnings(Arc<AtomicUsize>);

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == Level::WARN
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[tokio::test]
    async fn an_outage_is_warned_of_at_growing_distances() {
        let warnings = Warnings::default();
        let _guard = tracing::subscriber::set_default(warnings.clone());
        let (stop, health) = (CancellationToken::new(), TargetHealth::default());
        // So that no pause takes time.
        stop.cancel();
        let mut outage = Outage::new("there", &stop, &health);
        for _ in 0..100 {
            outage.wait(&"no answer").await.unwrap_err();
        }
        // The 1st, 2nd, 4th, … 64th.
        assert_eq!((warnings.0.load(Ordering::Relaxed), health.retries()), (7, 100));
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
