//! What needs the operator's attention: shown by `/health` and `/status`, counted in the metrics,
//! logged when it begins and ends.

use futures::FutureExt;
use serde::Serialize;
use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio_util::sync::CancellationToken;

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
    /// Messages stay in the source: their fork or network is not known.
    MessagesHeld,
    /// Many messages in a row were refused: the agent may be wrong.
    RefusalsInRow,
    /// The file of a block that is handled was gone before it had its final name.
    SegmentMissing,
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
    /// All kinds.
    pub const ALL: [Self; 20] = [
        Self::SourceUnavailable,
        Self::EntriesLost,
        Self::ConsumerShared,
        Self::DeadLetter,
        Self::MessagesHeld,
        Self::RefusalsInRow,
        Self::SegmentMissing,
        Self::StoreFailing,
        Self::JournalFailing,
        Self::PinnerFailing,
        Self::PinnerOtherCid,
        Self::RpcFailing,
        Self::ProofsStopped,
        Self::Balance,
        Self::BlockDivisor,
        Self::ProofStuck,
        Self::ProofWaits,
        Self::BlockHeld,
        Self::ProvedOtherwise,
        Self::LedgerFailing,
    ];

    /// The name in metrics, logs and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SourceUnavailable => "source_unavailable",
            Self::EntriesLost => "entries_lost",
            Self::ConsumerShared => "consumer_shared",
            Self::DeadLetter => "dead_letter",
            Self::MessagesHeld => "messages_held",
            Self::RefusalsInRow => "refusals_in_row",
            Self::SegmentMissing => "segment_missing",
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

/// A part of the agent that ended by a panic. The agent ends with it: what a part does not do any
/// more, nobody does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{part} has failed ({reason}), so the agent ends. Nothing is lost: start it again, and report this with the lines \
     before it, since it is a defect"
)]
pub struct PartFailed {
    /// Which part.
    part: &'static str,
    /// The panic's message.
    reason: String,
}

/// The alarms of a process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Alarms {
    state: Arc<Mutex<AlarmState>>,
    failed: Arc<OnceLock<PartFailed>>,
    /// Cancelled once a part has failed.
    failing: CancellationToken,
}

impl Alarms {
    /// Raises an alarm, or replaces the message of one that is raised.
    pub fn raise(&self, kind: AlarmKind, message: impl Into<String>) {
        self.state().raise(kind, message.into());
    }

    /// Ends an alarm, if it is raised and no [trouble](Self::trouble) of its kind lasts.
    pub fn clear(&self, kind: AlarmKind) {
        let mut state = self.state();
        if !state.troubles.contains_key(&kind) {
            state.clear(kind);
        }
    }

    /// One of several places that may report the same kind of trouble at the same time: the alarm
    /// ends with the last of them. Nothing is raised before it [is reported](Trouble::report).
    pub fn trouble(&self, kind: AlarmKind) -> Trouble {
        Trouble { kind, alarms: self.clone(), is_reported: false }
    }

    /// Those that are raised.
    pub fn raised(&self) -> BTreeMap<AlarmKind, Alarm> {
        self.state().raised.clone()
    }

    fn state(&self) -> MutexGuard<'_, AlarmState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct AlarmState {
    raised: BTreeMap<AlarmKind, Alarm>,
    /// How many reported troubles of each kind last.
    troubles: BTreeMap<AlarmKind, usize>,
}

impl AlarmState {
    fn raise(&mut self, kind: AlarmKind, message: String) {
        match self.raised.get_mut(&kind) {
            Some(alarm) => alarm.message = message,
            None => {
                tracing::error!(alarm = kind.as_str(), "{message}");
                metrics::gauge!("agent_alarm", "kind" => kind.as_str()).set(1.0);
                self.raised.insert(kind, Alarm { message, since_ms: now_ms() });
            }
        }
    }

    fn clear(&mut self, kind: AlarmKind) {
        if self.raised.remove(&kind).is_some() {
            tracing::info!(alarm = kind.as_str(), "The alarm is over");
            metrics::gauge!("agent_alarm", "kind" => kind.as_str()).set(0.0);
        }
    }
}

/// A trouble at one place. It is over when this is dropped, and so is the alarm, unless another
/// place reports the same.
#[derive(Debug)]
pub struct Trouble {
    kind: AlarmKind,
    alarms: Alarms,
    is_reported: bool,
}

impl Trouble {
    /// Raises the alarm, or replaces its message.
    pub fn report(&mut self, message: impl Into<String>) {
        let mut state = self.alarms.state();
        if !std::mem::replace(&mut self.is_reported, true) {
            *state.troubles.entry(self.kind).or_default() += 1;
        }
        state.raise(self.kind, message.into());
    }

    /// The process ends before the trouble does: the alarm stays.
    pub fn outlasts_this_process(mut self) {
        self.is_reported = false;
    }
}

impl Drop for Trouble {
    fn drop(&mut self) {
        if !self.is_reported {
            return;
        }
        let mut state = self.alarms.state();
        let lasting = state.troubles.get(&self.kind).map_or(0, |count| count.saturating_sub(1));
        if lasting == 0 {
            state.troubles.remove(&self.kind);
            state.clear(self.kind);
        } else {
            state.troubles.insert(self.kind, lasting);
        }
    }
}

/// The end of the agent by a failure of one of its parts.
impl Alarms {
    /// A task's future, for a part that the agent can't go on without: if it panics,
    /// [`Alarms::failed`] returns. An orderly end is not a failure.
    pub async fn guard<T>(self, part: &'static str, work: impl Future<Output = T>) -> Option<T> {
        let done = AssertUnwindSafe(work).catch_unwind().await;
        done.inspect_err(|panic| self.part_failed(part, panic_message(&**panic))).ok()
    }

    /// The same for a thread's work.
    pub fn guard_thread<T>(&self, part: &'static str, work: impl FnOnce() -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(work));
        done.inspect_err(|panic| self.part_failed(part, panic_message(&**panic))).ok()
    }

    /// Waits until a part has failed.
    pub async fn failed(&self) -> PartFailed {
        loop {
            self.failing.cancelled().await;
            // It is set before the token is cancelled.
            if let Some(failed) = self.failed.get() {
                return failed.clone();
            }
        }
    }

    /// Whether a part has failed.
    pub fn have_failed(&self) -> bool {
        self.failing.is_cancelled()
    }

    fn part_failed(&self, part: &'static str, reason: String) {
        let failed = PartFailed { part, reason };
        tracing::error!("{failed}");
        let _ = self.failed.set(failed);
        self.failing.cancel();
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_is_told_and_one_that_ends_is_not() {
        let alarms = Alarms::default();
        assert_eq!(alarms.clone().guard("the reader", async { 7 }).await, Some(7));
        assert!(alarms.failed().now_or_never().is_none());
        let panics = async { panic!("no {}", "way") };
        assert_eq!(alarms.clone().guard("the reader", panics).await, None::<()>);
        let told = alarms.failed().await.to_string();
        assert!(
            told.contains("the reader has failed (no way)") && told.contains("start it again"),
            "{told}"
        );
        // The first one is what the operator has to know.
        assert_eq!(alarms.guard_thread("the writer", || panic!("late")), None::<()>);
        assert!(alarms.failed().await.to_string().contains("the reader"));
    }

    #[test]
    fn an_alarm_ends_with_the_last_of_its_troubles() {
        let alarms = Alarms::default();
        let message = || alarms.raised().remove(&AlarmKind::PinnerFailing).map(|it| it.message);
        let (mut one, mut two) =
            (alarms.trouble(AlarmKind::PinnerFailing), alarms.trouble(AlarmKind::PinnerFailing));
        assert_eq!(message(), None, "nothing is reported yet");
        one.report("one");
        one.report("one again");
        two.report("two");
        drop(one);
        assert_eq!(message().as_deref(), Some("two"), "the other one lasts");
        alarms.clear(AlarmKind::PinnerFailing);
        assert_eq!(message().as_deref(), Some("two"));
        drop(two);
        assert_eq!(message(), None);

        let mut last = alarms.trouble(AlarmKind::PinnerFailing);
        last.report("still down");
        last.outlasts_this_process();
        assert_eq!(message().as_deref(), Some("still down"));
    }

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
