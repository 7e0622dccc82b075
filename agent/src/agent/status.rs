//! What the agent is doing, for `/status` and the metrics.

use crate::{
    alarm::{AlarmKind, Alarms},
    journal::{BlockQuery, BlockRecord, Journal, JournalError},
    pipeline::Pipeline,
    server::StatusSource,
    source::{Backlog, Settlement},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Between two readings of the source's backlog.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// What does not change while the agent runs, and the latest reading of the backlog.
#[derive(Debug, Clone)]
pub struct AgentStatus {
    consumer: String,
    prover: String,
    pinner: String,
    alarms: Alarms,
    started: Instant,
    backlog: Arc<Mutex<Option<Backlog>>>,
}

impl AgentStatus {
    pub(super) fn new(consumer: String, prover: String, pinner: String, alarms: Alarms) -> Self {
        let (started, backlog) = (Instant::now(), Arc::default());
        Self { consumer, prover, pinner, alarms, started, backlog }
    }

    /// Since the start.
    pub(super) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Looks at the source and the pipeline from time to time.
    pub(super) async fn watch(
        self,
        pipeline: Pipeline,
        settlement: Arc<dyn Settlement>,
        journal: Journal,
    ) {
        loop {
            if let Ok(backlog) = settlement.backlog().await {
                gauge("agent_stream_length", backlog.length);
                gauge("agent_stream_undelivered", backlog.undelivered);
                gauge("agent_stream_pending", backlog.pending);
                gauge("agent_dead_letters", backlog.dead);
                if let Some(age) = oldest_age(&backlog) {
                    metrics::gauge!("agent_stream_oldest_age_seconds").set(age.as_secs_f64());
                }
                if backlog.dead == Some(0) {
                    self.alarms.clear(AlarmKind::DeadLetter);
                }
                *self.backlog.lock().unwrap_or_else(PoisonError::into_inner) = Some(backlog);
            }
            pipeline.record_gauges();
            let journal = journal.clone();
            // Where it can't be read, there is an alarm.
            let _ = tokio::task::spawn_blocking(move || record_journal(&journal)).await;
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

/// The age of the oldest entry that is not handled: none is zero, and `None` is not known.
fn oldest_age(backlog: &Backlog) -> Option<Duration> {
    let none_waits = backlog.undelivered == Some(0) && backlog.pending == Some(0);
    backlog.oldest_age_ms.or(none_waits.then_some(0)).map(Duration::from_millis)
}

fn record_journal(journal: &Journal) {
    gauge("agent_journal_records", journal.count().ok());
    gauge("agent_journal_bytes", journal.file_len().ok());
}

fn gauge(name: &'static str, value: Option<u64>) {
    if let Some(value) = value {
        metrics::gauge!(name).set(value as f64);
    }
}

/// An agent at work, as the HTTP server shows it.
#[derive(Debug)]
pub struct Observed {
    pub(super) status: AgentStatus,
    pub(super) pipeline: Pipeline,
}

impl StatusSource for Observed {
    fn status(&self) -> Value {
        let pipeline = self.pipeline.status();
        let backlog = self.status.backlog.lock().unwrap_or_else(PoisonError::into_inner).clone();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.status.uptime().as_secs(),
            "consumer": self.status.consumer,
            "prover": self.status.prover,
            "pinner": self.status.pinner,
            "backlog": backlog,
            "stages": pipeline.stages,
            "finished": pipeline.finished,
            "held": pipeline.held,
            "left": pipeline.left,
            "bytes_in_use": pipeline.bytes_in_use,
            "last_proof": pipeline.last_proof,
            "proofs_executed": pipeline.proofs_executed,
            "alarms": self.status.alarms.raised(),
        })
    }

    fn blocks(&self, wanted: BlockQuery) -> Result<Vec<BlockRecord>, JournalError> {
        self.pipeline.recorded(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_zero_if_nothing_waits_and_unknown_if_the_source_does_not_tell() {
        let waiting = Backlog { pending: Some(1), oldest_age_ms: Some(1500), ..Backlog::default() };
        assert_eq!(oldest_age(&waiting), Some(Duration::from_millis(1500)));
        let empty = Backlog { pending: Some(0), undelivered: Some(0), ..Backlog::default() };
        assert_eq!(oldest_age(&empty), Some(Duration::ZERO));
        assert_eq!(oldest_age(&Backlog::default()), None);
    }
}
