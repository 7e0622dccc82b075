//! Whether a refusal is about one message, or about this agent.
//!
//! A message that can't be taken says nothing about the next one, as long as others pass: it goes
//! to the dead letters, and the line moves on. Where none passes any more, the cause may as well be
//! this agent: a fork that it does not know, wrong rules, a defect. So after [`REFUSALS_IN_ROW`]
//! refusals without a success the agent is in doubt. What it refuses then stays in the source,
//! unsettled. As soon as a message passes, the doubt is over, and those that were left are judged
//! again. What this version or its settings can't judge at all, an unknown fork or network, is left
//! in the source in any case.
//!
//! Without a success the agent looks at [`LOOK_AHEAD`] messages, then takes no more, and tries one
//! more after each pause. The pauses grow.

use crate::{
    alarm::{AlarmKind, Alarms},
    journal::Journal,
    source::{EntryId, Settlement},
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// Refusals in a row from which on they count as a sign that the agent is wrong.
pub(super) const REFUSALS_IN_ROW: u32 = 16;
/// Messages in a row without a success after which the agent takes no more.
pub(super) const LOOK_AHEAD: usize = 256;
/// Entries that are left in the source and kept from being delivered again. Beyond that the oldest
/// may be.
const MOST_LEFT: usize = 1024;
/// Networks that are told apart. Whoever writes messages chooses their number.
const MOST_NETWORKS: usize = 64;

const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// The journal's fact that outlasts a restart: without it each restart would bury some of those
/// that are left.
const DOUBT: &str = "refusals_in_doubt";

/// What a verdict is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    /// Whether the bytes are a replica.
    Bytes,
    /// Whether a block says what its network says.
    Content {
        /// The network's chain id.
        network: u64,
        /// The block's number.
        number: u64,
    },
}

/// What is to be done with a message that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sentence {
    /// It goes to the dead letters.
    Bury,
    /// It stays in the source. There is nothing to be done.
    Leave,
}

/// The verdicts so far.
#[derive(Debug)]
pub(super) struct Verdicts {
    state: Mutex<RefusalState>,
    changed: Notify,
    journal: Journal,
    settlement: Arc<dyn Settlement>,
    alarms: Alarms,
}

#[derive(Debug, Default)]
struct RefusalState {
    bytes: Run,
    content: HashMap<u64, Run>,
    /// With what a run begins: an earlier process may have been in doubt.
    begin_with: u32,
    held: VecDeque<EntryId>,
    /// Left in doubt, and refused for themselves after it: they count for nothing more.
    cleared: HashSet<EntryId>,
    /// Messages that were taken and have no verdict yet.
    open: usize,
    /// Messages in a row that led to nothing.
    barren: usize,
    /// Messages tried one by one since.
    trials: u32,
    /// The alarm that says why.
    latest: Option<(AlarmKind, String)>,
}

/// Refusals in a row of one kind.
#[derive(Debug, Default)]
struct Run {
    refusals: u32,
    /// The lowest block that was refused. One that passes below it may be from before a fork, and
    /// proves nothing.
    lowest: u64,
    left: VecDeque<EntryId>,
}

impl Run {
    const fn is_in_doubt(&self) -> bool {
        self.refusals >= REFUSALS_IN_ROW
    }
}

/// A message that has no verdict yet. To drop it is to give none.
#[derive(Debug)]
pub(super) struct Judging(Arc<Verdicts>);

impl Drop for Judging {
    fn drop(&mut self) {
        self.0.state().open -= 1;
        self.0.changed.notify_one();
    }
}

impl Verdicts {
    /// In doubt, if an earlier process ended in doubt.
    pub(super) fn new(journal: Journal, settlement: Arc<dyn Settlement>, alarms: Alarms) -> Self {
        // If it can't be read, to bury nothing at first is on the safe side.
        let doubted = journal.fact(DOUBT).map_or(true, |fact| fact.as_deref() == Some("yes"));
        let begin_with = if doubted { REFUSALS_IN_ROW } else { 0 };
        let bytes = Run { refusals: begin_with, lowest: u64::MAX, ..Run::default() };
        let state = Mutex::new(RefusalState { bytes, begin_with, ..RefusalState::default() });
        Self { state, changed: Notify::new(), journal, settlement, alarms }
    }

    fn state(&self) -> MutexGuard<'_, RefusalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until another message may be taken.
    pub(super) async fn admit(self: &Arc<Self>) -> Judging {
        loop {
            let Some(pause) = self.try_admit() else { return Judging(Arc::clone(self)) };
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(pause) => {
                    let mut state = self.state();
                    // Another verdict may have come meanwhile, and nothing else is taken but by
                    // this.
                    state.open += 1;
                    state.trials = state.trials.saturating_add(1);
                    return Judging(Arc::clone(self));
                }
            }
        }
    }

    /// Admits a message, or says how long to wait at most.
    fn try_admit(&self) -> Option<Duration> {
        let mut state = self.state();
        if state.barren + state.open < LOOK_AHEAD {
            state.open += 1;
            return None;
        }
        if state.open > 0 {
            return Some(LONGEST_PAUSE);
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << state.trials.min(4)).min(LONGEST_PAUSE);
        if let Some((kind, message)) = &state.latest {
            let message = format!(
                "{message}. None of the last {} messages passed, so no more are taken; one more is tried in {} s",
                state.barren,
                pause.as_secs()
            );
            if state.trials == 0 {
                tracing::error!("{message}");
            }
            self.alarms.raise(*kind, message);
        }
        Some(pause)
    }

    /// A message was handled.
    pub(super) fn passed(&self, what: Checked) {
        let again = {
            let mut state = self.state();
            if what != Checked::Bytes {
                state.begin_with = 0;
                state.fruitful();
            }
            state.clear(what)
        };
        self.changed.notify_one();
        if again.doubt_is_over {
            tracing::info!(
                "Messages pass again, so refusals are verdicts on single messages; {} that were left are judged again",
                again.entries.len()
            );
            self.alarms.clear(AlarmKind::RefusalsInRow);
            self.journal.note_fact(DOUBT, "no");
        }
        for entry in &again.entries {
            self.settlement.redeliver(entry);
        }
    }

    /// A message was handled that says nothing about its content: left out by the divisor, or known
    /// already.
    pub(super) fn was_harmless(&self) {
        self.state().fruitful();
        self.changed.notify_one();
    }

    /// A message is refused.
    pub(super) fn refused(&self, what: Checked, entries: &[EntryId], reason: &str) -> Sentence {
        let mut state = self.state();
        let mut was_cleared = false;
        for entry in entries {
            was_cleared |= state.cleared.remove(entry);
        }
        if was_cleared {
            return Sentence::Bury;
        }
        state.barren += 1;
        let run = state.run(what);
        run.refusals = run.refusals.saturating_add(1);
        if let Checked::Content { number, .. } = what {
            run.lowest = run.lowest.min(number);
        }
        if !run.is_in_doubt() {
            return Sentence::Bury;
        }
        let begins = run.left.is_empty();
        run.left.extend(entries.iter().cloned());
        let surplus = surplus(&mut run.left);
        let message = format!(
            "{} messages in a row were refused, the last one because: {reason}. So the fault may be the agent's: they \
             stay in the source from now on. Upgrade bsp-agent if its network had an upgrade, and check --genesis; \
             if the messages are wrong, let their producer send good ones, and those that were left go to the dead \
             letters",
            run.refusals
        );
        state.latest = Some((AlarmKind::RefusalsInRow, message.clone()));
        drop(state);
        if begins {
            self.journal.note_fact(DOUBT, "yes");
        }
        self.alarms.raise(AlarmKind::RefusalsInRow, message);
        self.let_go(&surplus);
        self.changed.notify_one();
        Sentence::Leave
    }

    /// A message can't be judged by this version, or with these settings. It stays in the source.
    pub(super) fn held(&self, entries: &[EntryId], reason: &str) {
        let mut state = self.state();
        state.barren += 1;
        state.held.extend(entries.iter().cloned());
        let surplus = surplus(&mut state.held);
        let message = format!("{reason}. {} such entries stay in the source", state.held.len());
        state.latest = Some((AlarmKind::MessagesHeld, message.clone()));
        drop(state);
        self.alarms.raise(AlarmKind::MessagesHeld, message);
        self.let_go(&surplus);
        self.changed.notify_one();
    }

    fn let_go(&self, entries: &[EntryId]) {
        for entry in entries {
            self.settlement.release(entry);
        }
    }

    /// How many entries are left in the source, and whether more are taken.
    pub(super) fn left(&self) -> Left {
        let state = self.state();
        let runs = std::iter::once(&state.bytes).chain(state.content.values());
        Left {
            held: state.held.len() as u64,
            in_doubt: runs.map(|run| run.left.len() as u64).sum(),
            taking: state.barren < LOOK_AHEAD,
        }
    }
}

/// Entries that were taken and are left in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Left {
    /// Of a fork or network that is not known.
    pub held: u64,
    /// Refused in doubt.
    pub in_doubt: u64,
    /// Whether further messages are taken without a pause.
    pub taking: bool,
}

/// What is to be done after a success.
#[derive(Debug, Default)]
struct Again {
    entries: Vec<EntryId>,
    doubt_is_over: bool,
}

impl RefusalState {
    fn run(&mut self, what: Checked) -> &mut Run {
        let Checked::Content { network, .. } = what else { return &mut self.bytes };
        let network = if self.content.len() < MOST_NETWORKS { network } else { 0 };
        let begin_with = self.begin_with;
        let new = || Run { refusals: begin_with, lowest: u64::MAX, left: VecDeque::new() };
        self.content.entry(network).or_insert_with(new)
    }

    fn fruitful(&mut self) {
        self.barren = 0;
        self.trials = 0;
    }

    /// Ends a run of refusals.
    fn clear(&mut self, what: Checked) -> Again {
        let run = match what {
            Checked::Bytes => {
                let new = Run { lowest: u64::MAX, ..Run::default() };
                Some(std::mem::replace(&mut self.bytes, new))
            }
            Checked::Content { network, number } => match self.content.get(&network) {
                Some(run) if run.lowest == u64::MAX || number >= run.lowest => {
                    self.content.remove(&network)
                }
                _ => None,
            },
        };
        let Some(run) = run else { return Again::default() };
        let (was_in_doubt, entries) = (run.is_in_doubt(), Vec::from(run.left));
        self.cleared.extend(entries.iter().cloned());
        let in_doubt = self.bytes.is_in_doubt() || self.content.values().any(Run::is_in_doubt);
        Again { entries, doubt_is_over: was_in_doubt && !in_doubt }
    }
}

/// Takes out the oldest that are too many.
fn surplus(left: &mut VecDeque<EntryId>) -> Vec<EntryId> {
    left.drain(..left.len().saturating_sub(MOST_LEFT)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Backlog, DeadLetter, SourceError};
    use async_trait::async_trait;
    use futures::FutureExt;
    use tempfile::TempDir;

    #[derive(Debug, Default)]
    struct Noted(Mutex<Vec<String>>);

    #[async_trait]
    impl Settlement for Noted {
        async fn acknowledge(&self, _entry: &EntryId) -> Result<(), SourceError> {
            Ok(())
        }
        async fn bury(&self, _letter: &DeadLetter) -> Result<(), SourceError> {
            Ok(())
        }
        fn release(&self, entry: &EntryId) {
            self.0.lock().unwrap().push(format!("release {entry}"));
        }
        fn redeliver(&self, entry: &EntryId) {
            self.0.lock().unwrap().push(format!("redeliver {entry}"));
        }
        async fn backlog(&self) -> Result<Backlog, SourceError> {
            Ok(Backlog::default())
        }
    }

    struct Scene {
        verdicts: Arc<Verdicts>,
        noted: Arc<Noted>,
        journal: Journal,
        alarms: Alarms,
        _folder: TempDir,
    }

    fn scene() -> Scene {
        let folder = TempDir::new().unwrap();
        let alarms = Alarms::default();
        let journal = Journal::open(&folder.path().join("journal"), alarms.clone()).unwrap();
        let noted = Arc::new(Noted::default());
        let verdicts = Arc::new(Verdicts::new(journal.clone(), noted.clone(), alarms.clone()));
        Scene { verdicts, noted, journal, alarms, _folder: folder }
    }

    fn entry(id: usize) -> EntryId {
        EntryId(format!("{id}-0"))
    }

    const fn block(network: u64, number: u64) -> Checked {
        Checked::Content { network, number }
    }

    impl Scene {
        fn refuse(&self, what: Checked, ids: impl IntoIterator<Item = usize>) -> Vec<Sentence> {
            let one = |id| self.verdicts.refused(what, &[entry(id)], "wrong");
            ids.into_iter().map(one).collect()
        }

        fn noted(&self) -> Vec<String> {
            std::mem::take(&mut *self.noted.0.lock().unwrap())
        }

        fn raised(&self, kind: AlarmKind) -> bool {
            self.alarms.raised().contains_key(&kind)
        }
    }

    #[tokio::test]
    async fn refusals_in_a_row_are_left_until_a_message_passes() {
        let scene = scene();
        let sentences = scene.refuse(Checked::Bytes, 1..=18);
        assert_eq!(sentences[..15], [Sentence::Bury; 15]);
        assert_eq!(sentences[15..], [Sentence::Leave; 3]);
        assert!(scene.raised(AlarmKind::RefusalsInRow));
        assert_eq!(scene.verdicts.left(), Left { held: 0, in_doubt: 3, taking: true });
        assert!(scene.noted().is_empty(), "they are not let go");

        scene.verdicts.passed(Checked::Bytes);
        assert!(!scene.raised(AlarmKind::RefusalsInRow));
        assert_eq!(scene.noted(), ["redeliver 16-0", "redeliver 17-0", "redeliver 18-0"]);
        // Judged again, they go to the dead letters, and raise no new doubt.
        let sentences = scene.refuse(Checked::Bytes, (16..=18).chain(19..=33));
        assert_eq!(sentences, [Sentence::Bury; 18]);
        assert_eq!(scene.refuse(Checked::Bytes, [34]), [Sentence::Leave]);
    }

    #[tokio::test]
    async fn one_network_says_nothing_about_another_and_a_block_before_a_fork_nothing_about_those_after()
     {
        let scene = scene();
        for id in 0..20 {
            scene.refuse(block(2, 1000 + id as u64), [id]);
            scene.verdicts.passed(Checked::Bytes);
            scene.verdicts.passed(block(1, 5000));
            scene.verdicts.passed(block(2, 999));
        }
        assert_eq!(scene.verdicts.left().in_doubt, 5);
        assert!(scene.noted().is_empty());
        scene.verdicts.passed(block(2, 1003));
        assert_eq!(scene.noted().len(), 5);
        assert!(!scene.raised(AlarmKind::RefusalsInRow));
    }

    #[tokio::test]
    async fn a_doubt_outlasts_the_process() {
        let scene = scene();
        scene.refuse(block(1, 7), 0..16);
        scene.journal.set_fact("flush", "").await.unwrap();
        let again = || {
            let (journal, noted) = (scene.journal.clone(), scene.noted.clone());
            Arc::new(Verdicts::new(journal, noted, scene.alarms.clone()))
        };
        let next = again();
        next.passed(Checked::Bytes);
        assert_eq!(next.refused(block(1, 7), &[entry(1)], "wrong"), Sentence::Leave);
        next.passed(block(1, 8));
        scene.journal.set_fact("flush", "").await.unwrap();
        assert_eq!(again().refused(block(1, 7), &[entry(1)], "wrong"), Sentence::Bury);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_success_no_more_are_taken_but_one_after_each_pause() {
        let scene = scene();
        for id in 0..LOOK_AHEAD {
            let judging = scene.verdicts.admit().now_or_never().expect("there is room");
            scene.verdicts.held(&[entry(id)], "an unknown fork");
            drop(judging);
        }
        assert!(!scene.verdicts.left().taking);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let begin = tokio::time::Instant::now();
            let judging = scene.verdicts.admit().await;
            pauses.push(begin.elapsed().as_secs());
            scene.verdicts.held(&[entry(1000)], "an unknown fork");
            drop(judging);
        }
        assert_eq!(pauses, [60, 120, 240, 480, 600, 600]);
        let message = &scene.alarms.raised()[&AlarmKind::MessagesHeld].message;
        assert!(message.contains("an unknown fork"), "{message}");
        assert!(scene.noted().is_empty());

        let judging = scene.verdicts.admit().await;
        scene.verdicts.passed(block(1, 1));
        drop(judging);
        assert!(scene.verdicts.admit().now_or_never().is_some());
    }

    #[tokio::test]
    async fn messages_in_work_count_for_what_may_be_taken() {
        let scene = scene();
        let mut judging = Vec::new();
        for _ in 0..LOOK_AHEAD {
            judging.push(scene.verdicts.admit().now_or_never().unwrap());
        }
        assert!(scene.verdicts.admit().now_or_never().is_none());
        judging.pop();
        assert!(scene.verdicts.admit().now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_is_left_is_bounded() {
        let scene = scene();
        for id in 0..MOST_LEFT + 2 {
            scene.verdicts.held(&[entry(id)], "unknown");
        }
        assert_eq!(scene.noted(), ["release 0-0", "release 1-0"]);
        assert_eq!(scene.verdicts.left().held, MOST_LEFT as u64);
    }
}
