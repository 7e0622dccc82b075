//! When a failing RPC becomes an alarm.

use super::{Endpoint, RpcError};
use crate::alarm::{AlarmKind, Alarms};
use bsp_common::backoff::pause_after;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Failures in a row before somebody is told. One may be a restart of the node.
const FAILURES_BEFORE_ALARM: u32 = 3;

/// A pause that the RPC asks for is told at once from this length on.
const LONG_PAUSE: Duration = Duration::from_secs(30);

/// Counts failures in a row for each part of the work, so that the success of one does not hide the
/// failure of another.
#[derive(Debug, Clone)]
pub struct Health {
    endpoint: Endpoint,
    alarms: Alarms,
    failing: Arc<Mutex<BTreeMap<&'static str, u32>>>,
}

impl Health {
    /// Of an RPC.
    pub fn new(endpoint: Endpoint, alarms: Alarms) -> Self {
        Self { endpoint, alarms, failing: Arc::default() }
    }

    /// A part of the work got its answers.
    pub fn good(&self, part: &'static str) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.remove(part).is_some() && failing.is_empty() {
            self.alarms.clear(AlarmKind::RpcFailing);
        }
    }

    /// A part of the work got no answer, or none that can be used. Returns how long to wait before
    /// the next attempt.
    pub fn bad(&self, part: &'static str, error: &RpcError) -> Duration {
        metrics::counter!("agent_proof_rpc_errors_total", "part" => part).increment(1);
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = failing.entry(part).or_default();
        *failures = failures.saturating_add(1);
        tracing::warn!(rpc = %self.endpoint, part, failures = *failures, "{error}");
        let is_long = matches!(error, RpcError::RateLimited { pause, .. } if *pause >= LONG_PAUSE);
        if *failures >= FAILURES_BEFORE_ALARM || is_long {
            let message = format!("the RPC {} fails: {error}; proofs wait for it", self.endpoint);
            self.alarms.raise(AlarmKind::RpcFailing, message);
        }
        pause_after(*failures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_comes_in_time_and_ends_when_every_part_works_again() {
        let alarms = Alarms::default();
        let health =
            Health::new(Endpoint::parse("http://host/k3y-k3y-k3y").unwrap(), alarms.clone());
        let error = RpcError::HttpStatus { method: "eth_call", status: 503, hint: "" };
        let limited = |seconds| RpcError::RateLimited {
            method: "eth_call",
            reason: "HTTP status 429".into(),
            pause: Duration::from_secs(seconds),
        };
        health.bad("look", &limited(1));
        assert!(alarms.raised().is_empty());
        health.bad("look", &limited(60));
        assert!(alarms.raised()[&AlarmKind::RpcFailing].message.contains("60 s"));
        health.good("look");
        assert!(alarms.raised().is_empty());
        for part in ["look", "ask"] {
            for _ in 0..FAILURES_BEFORE_ALARM {
                health.bad(part, &error);
            }
        }
        let raised = alarms.raised();
        let alarm = &raised[&AlarmKind::RpcFailing];
        assert!(alarm.message.contains("http://host fails"), "{}", alarm.message);
        health.good("look");
        assert!(!alarms.raised().is_empty());
        health.good("ask");
        assert!(alarms.raised().is_empty());
    }
}
