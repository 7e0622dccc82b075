//! Metrics: collected through the `metrics` crate's macros all over the agent, shown by the
//! [server](crate::server).
//!
//! All are described in one place, `describe.rs`. Without a [`Metrics`] the macros do nothing and
//! cost nothing.

mod describe;
mod json;
mod legacy;
#[cfg(test)]
mod names;
mod system;

pub use legacy::CompletedBlocks;

use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use system::SystemMetrics;

/// Bounds of histograms whose name ends with `_seconds`: from a hash to a proof that waits for
/// minutes.
const SECONDS: [f64; 14] =
    [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// Those that geth's exporter gives for a timer.
const LEGACY_QUANTILES: [f64; 6] = [0.5, 0.75, 0.95, 0.99, 0.999, 0.9999];

/// Quantiles cover this time, three times: a block a minute should leave some.
const LEGACY_WINDOW: Duration = Duration::from_secs(300);

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The exporter refuses its settings.
    #[error("metrics can't be collected: {0}")]
    Exporter(#[from] BuildError),
    /// Another part of the process collects metrics.
    #[error("metrics are collected already")]
    Installed,
}

/// What was collected. Clones show the same.
#[derive(Debug, Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    system: Arc<SystemMetrics>,
}

impl Metrics {
    /// Starts collecting, for the rest of the process. `folders` are those whose disks are watched,
    /// each with a short name.
    ///
    /// # Errors
    ///
    /// If it was done before.
    pub fn install(folders: Vec<(&'static str, PathBuf)>) -> Result<Self, MetricsError> {
        let recorder = recorder()?;
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Installed)?;
        describe::all();
        Ok(Self { handle, system: Arc::new(SystemMetrics::new(folders)) })
    }

    /// Metrics of a recorder that is nobody's, with one counter, for tests.
    #[cfg(test)]
    pub(crate) fn detached() -> Self {
        let recorder = recorder().unwrap();
        metrics::with_local_recorder(&recorder, || metrics::counter!("test_total").increment(1));
        Self { handle: recorder.handle(), system: Arc::new(SystemMetrics::new(Vec::new())) }
    }

    /// All metrics in Prometheus' text format, those of the system read now. It blocks for as long
    /// as the system takes.
    pub fn render(&self) -> String {
        self.system.update();
        self.handle.render()
    }

    /// All metrics as one JSON object: series to value.
    pub fn render_json(&self) -> serde_json::Value {
        json::from_text(&self.render())
    }

    /// Folds what has come in, which would take more and more memory where nobody scrapes. To be
    /// called every few seconds.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

/// An attempt to pin is over, well or not.
pub(crate) fn record_pin(took: Duration, well: bool) {
    if well {
        metrics::histogram!("agent_pin_seconds").record(took.as_secs_f64());
    } else {
        metrics::counter!("agent_pin_failures_total").increment(1);
    }
    legacy::record_pin(well);
}

/// What is running, as a metric whose labels say it.
pub(crate) fn record_build(commit: &'static str) {
    let version = env!("CARGO_PKG_VERSION");
    metrics::gauge!("agent_build_info", "version" => version, "commit" => commit).set(1.0);
}

fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_quantiles(&LEGACY_QUANTILES)?
        .set_bucket_duration(LEGACY_WINDOW)?;
    Ok(builder.build_recorder())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is rendered after `work`, without the process-wide recorder.
    pub(super) fn rendered(work: impl FnOnce()) -> String {
        let recorder = recorder().unwrap();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe::all();
            work();
        });
        handle.render()
    }

    #[test]
    fn durations_are_histograms_with_units_of_their_own() {
        let text = rendered(|| metrics::histogram!("agent_pin_seconds").record(0.02));
        assert!(text.contains("# HELP agent_pin_seconds "), "{text}");
        assert!(text.contains("agent_pin_seconds_bucket{le=\"0.03\"} 1"), "{text}");
        assert!(text.contains("agent_pin_seconds_bucket{le=\"0.01\"} 0"), "{text}");
    }

    #[test]
    fn alarms_are_counted_as_metrics() {
        let text = rendered(|| {
            let alarms = crate::alarm::Alarms::default();
            alarms.raise(crate::alarm::AlarmKind::Balance, "low");
        });
        assert!(text.contains("agent_alarm{kind=\"balance\"} 1"), "{text}");
    }
}
