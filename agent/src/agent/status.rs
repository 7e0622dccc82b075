//! What the agent is doing, for `/status` and the metrics.

use crate::{
    alarm::{AlarmKind, Alarms},
    journal::{BlockQuery, BlockRecord, JournalError},
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

    /// Looks at the source and the pipeline from time to time.
    pub(super) async fn watch(self, pipeline: Pipeline, settlement: Arc<dyn Settlement>) {
        loop {
            if let Ok(backlog) = settlement.backlog().await {
                gauge("agent_stream_length", backlog.length);
                gauge("agent_stream_undelivered", backlog.undelivered);
                gauge("agent_stream_pending", backlog.pending);
                gauge("agent_dead_letters", backlog.dead);
                if backlog.dead == Some(0) {
                    self.alarms.clear(AlarmKind::DeadLetter);
                }
                *self.backlog.lock().unwrap_or_else(PoisonError::into_inner) = Some(backlog);
            }
            pipeline.record_gauges();
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
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
            "uptime_seconds": self.status.started.elapsed().as_secs(),
            "consumer": self.status.consumer,
            "prover": self.status.prover,
            "pinner": self.status.pinner,
            "backlog": backlog,
            "stages": pipeline.stages,
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
