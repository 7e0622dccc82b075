//! What an operator has to look at: shown by `/health` and `/status`, counted in the metrics, logged when it begins and
//! ends.

use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// The kinds of trouble. One of each kind is raised at a time, with the latest message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AlarmKind {
    /// The source does not answer.
    SourceUnavailable,
    /// Entries went before they were handled.
    EntriesLost,
    /// Another process reads as the same consumer.
    ConsumerShared,
    /// A message went to the dead letters.
    DeadLetter,
    /// A segment can't be written: full disk, missing or read-only folder.
    StoreFailing,
    /// The journal can't be written.
    JournalFailing,
    /// The pinner does not answer, or with errors.
    PinnerFailing,
    /// The pinner keeps other content than it was given.
    PinnerOtherCid,
    /// The proof chain's RPC does not answer, or not plausibly.
    RpcFailing,
    /// Proofs wait for the operator: role, registration, wrong chain or contract.
    ProofsStopped,
    /// The balance is low, or too low.
    Balance,
    /// `--block-divisor` selects other blocks than the contract takes.
    BlockDivisor,
    /// A proof is not mined although its fee is at the ceiling, or its time is over.
    ProofStuck,
    /// The contract or the RPC has not let a claim go on for long.
    ProofWaits,
    /// A block waits for the operator.
    BlockHeld,
    /// This operator has proved another specimen, or another place, for a block.
    ProvedOtherwise,
    /// The ledger of proofs can't be written.
    LedgerFailing,
}

impl AlarmKind {
    /// The name in metrics, logs and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SourceUnavailable => "source_unavailable",
            Self::EntriesLost => "entries_lost",
            Self::ConsumerShared => "consumer_shared",
            Self::DeadLetter => "dead_letter",
            Self::StoreFailing => "store_failing",
            Self::JournalFailing => "journal_failing",
            Self::PinnerFailing => "pinner_failing",
            Self::PinnerOtherCid => "pinner_other_cid",
            Self::RpcFailing => "rpc_failing",
            Self::ProofsStopped => "proofs_stopped",
            Self::Balance => "balance",
            Self::BlockDivisor => "block_divisor",
            Self::ProofStuck => "proof_stuck",
            Self::ProofWaits => "proof_waits",
            Self::BlockHeld => "block_held",
            Self::ProvedOtherwise => "proved_otherwise",
            Self::LedgerFailing => "ledger_failing",
        }
    }
}

/// One alarm that is raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alarm {
    /// What is wrong, and what to do.
    pub message: String,
    /// When it was first raised, in milliseconds since 1970.
    pub since_ms: u64,
}

/// The alarms of a process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Alarms(Arc<Mutex<BTreeMap<AlarmKind, Alarm>>>);

impl Alarms {
    /// Raises an alarm, or replaces the message of one that is raised.
    pub fn raise(&self, kind: AlarmKind, message: impl Into<String>) {
        let message = message.into();
        let mut raised = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match raised.get_mut(&kind) {
            Some(alarm) => alarm.message = message,
            None => {
                tracing::error!(alarm = kind.as_str(), "{message}");
                metrics::gauge!("agent_alarm", "kind" => kind.as_str()).set(1.0);
                raised.insert(kind, Alarm { message, since_ms: now_ms() });
            }
        }
    }

    /// Ends an alarm, if it is raised.
    pub fn clear(&self, kind: AlarmKind) {
        let mut raised = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if raised.remove(&kind).is_some() {
            tracing::info!(alarm = kind.as_str(), "alarm is over");
            metrics::gauge!("agent_alarm", "kind" => kind.as_str()).set(0.0);
        }
    }

    /// Those that are raised.
    pub fn raised(&self) -> BTreeMap<AlarmKind, Alarm> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_keeps_its_beginning_and_its_latest_message() {
        let alarms = Alarms::default();
        alarms.raise(AlarmKind::Balance, "low");
        let since = alarms.raised()[&AlarmKind::Balance].since_ms;
        alarms.raise(AlarmKind::Balance, "lower");
        assert_eq!(
            alarms.raised(),
            BTreeMap::from([(
                AlarmKind::Balance,
                Alarm { message: "lower".to_owned(), since_ms: since }
            )])
        );
        alarms.clear(AlarmKind::Balance);
        assert!(alarms.raised().is_empty());
    }
}
