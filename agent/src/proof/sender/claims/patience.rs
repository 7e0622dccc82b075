//! How long one claim is asked about without success.
//!
//! What all claims wait for (an RPC that is down, a contract that stands still) is waited for. A
//! claim that waits alone, while others get on, is held after some time: it would occupy one of the
//! open blocks for ever.

use crate::{
    alarm::{AlarmKind, Alarms},
    block::SegmentName,
    proof::{Claim, sender::metrics},
};
use alloy_primitives::B256;
use bsp_common::backoff::pause_after;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Questions without success after which there is an alarm.
const ASKS_BEFORE_ALARM: u32 = 10;

/// Questions without success, each while another claim got on, after which a claim is held.
const ASKS_BEFORE_HELD: u32 = 20;

/// Looks for our own proof before it is believed that there is none, however long each takes.
const LEAST_LOOKS: u32 = 3;

/// How often one claim was asked about without success.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    asks: u32,
    alone: u32,
    /// How many claims had got on when this one was last asked about.
    others: Option<u64>,
    /// Since when our own proof is missing, and how often it was looked for.
    missing: Option<(Instant, u32)>,
}

/// What becomes of a claim after a question without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is asked again after that pause. `long`: it has waited long enough for an alarm.
    Again { pause: Duration, long: bool },
    /// It waits alone, for too long.
    Over,
}

impl Patience {
    /// A question without success. `others` counts the claims that got on so far. Pauses grow to 30
    /// s, or to the longest.
    pub(crate) fn in_vain(&mut self, others: u64, longest_pause: Duration) -> Turn {
        self.asks = self.asks.saturating_add(1);
        if self.others.replace(others).is_some_and(|before| before != others) {
            self.alone = self.alone.saturating_add(1);
        }
        if self.alone >= ASKS_BEFORE_HELD {
            return Turn::Over;
        }
        let pause = pause_after(self.asks).min(longest_pause);
        Turn::Again { pause, long: self.asks >= ASKS_BEFORE_ALARM }
    }

    /// Our own proof has to be there, and is not found. Whether that is final: it was looked for
    /// again for so long.
    pub(crate) fn is_missing_for_good(&mut self, long: Duration, now: Instant) -> bool {
        let (since, looks) = self.missing.get_or_insert((now, 0));
        *looks = looks.saturating_add(1);
        *looks >= LEAST_LOOKS && now.saturating_duration_since(*since) >= long
    }

    /// How many questions were without success.
    pub(crate) const fn asks(&self) -> u32 {
        self.asks
    }
}

/// The claims that wait for long, and how many claims get on.
#[derive(Debug)]
pub(crate) struct Waiting {
    alarms: Alarms,
    got_on: AtomicU64,
    claims: Mutex<BTreeMap<Key, String>>,
}

/// Two blocks of one height have the same segment name.
type Key = (SegmentName, B256);

impl Waiting {
    pub(crate) fn new(alarms: Alarms) -> Self {
        Self { alarms, got_on: AtomicU64::new(0), claims: Mutex::default() }
    }

    /// A claim has got its answer.
    pub(crate) fn got_on(&self) {
        self.got_on.fetch_add(1, Ordering::Relaxed);
    }

    /// How many claims have got their answer.
    pub(crate) fn progress(&self) -> u64 {
        self.got_on.load(Ordering::Relaxed)
    }

    /// A claim has waited for long, from what this guard [says](WaitsLong::say) until it goes.
    pub(crate) fn raise_alarm(&self, claim: &Claim) -> WaitsLong<'_> {
        WaitsLong { waiting: self, claim: (claim.segment.clone(), claim.block.hash) }
    }

    fn forget(&self, claim: &Key) {
        let mut claims = self.lock();
        claims.remove(claim);
        metrics::waiting(claims.len());
        match claims.first_key_value() {
            None => self.alarms.clear(AlarmKind::ProofWaits),
            Some(((first, _), reason)) => {
                self.alarms.raise(AlarmKind::ProofWaits, message(claims.len(), first, reason));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, String>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn message(count: usize, named: &SegmentName, reason: &str) -> String {
    match count {
        1 => format!("the proof of {named} waits: {reason}"),
        _ => format!("{count} proofs wait, among them that of {named}: {reason}"),
    }
}

/// A claim that the alarm tells of, for as long as this is kept.
#[derive(Debug)]
pub(crate) struct WaitsLong<'a> {
    waiting: &'a Waiting,
    claim: Key,
}

impl WaitsLong<'_> {
    /// It waits for that reason now.
    pub(crate) fn say(&self, reason: &str) {
        let mut claims = self.waiting.lock();
        claims.insert(self.claim.clone(), reason.to_owned());
        metrics::waiting(claims.len());
        let message = message(claims.len(), &self.claim.0, reason);
        self.waiting.alarms.raise(AlarmKind::ProofWaits, message);
    }
}

impl Drop for WaitsLong<'_> {
    fn drop(&mut self) {
        self.waiting.forget(&self.claim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::tests::claim;

    #[test]
    fn what_all_wait_for_is_waited_for_with_growing_pauses_and_an_alarm() {
        let mut patience = Patience::default();
        for asks in 1..=1000 {
            let Turn::Again { pause, long } = patience.in_vain(7, Duration::MAX) else {
                panic!("{asks}")
            };
            assert_eq!(long, asks >= ASKS_BEFORE_ALARM);
            assert!(asks < 9 || pause >= Duration::from_secs(15), "{pause:?}");
        }
    }

    #[test]
    fn a_claim_that_waits_while_others_get_on_is_given_up() {
        let mut patience = Patience::default();
        // The first question has nothing to be compared with.
        for others in 0..=u64::from(ASKS_BEFORE_HELD - 1) {
            assert!(
                matches!(patience.in_vain(others, Duration::ZERO), Turn::Again { .. }),
                "{others}"
            );
        }
        assert_eq!(patience.in_vain(u64::from(ASKS_BEFORE_HELD), Duration::ZERO), Turn::Over);
    }

    #[test]
    fn a_missing_proof_is_looked_for_often_and_long() {
        let (start, long) = (Instant::now(), Duration::from_secs(60));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut patience = Patience::default();
        let looks = [0, 100, 100].map(|seconds| patience.is_missing_for_good(long, at(seconds)));
        assert_eq!(looks, [false, false, true]);
        let mut patience = Patience::default();
        let looks =
            [0, 1, 2, 59, 60].map(|seconds| patience.is_missing_for_good(long, at(seconds)));
        assert_eq!(looks, [false, false, false, false, true]);
    }

    #[test]
    fn the_alarm_lasts_as_long_as_a_claim_waits() {
        let alarms = Alarms::default();
        let waiting = Waiting::new(alarms.clone());
        let message = || alarms.raised().remove(&AlarmKind::ProofWaits).map(|alarm| alarm.message);
        let (one, two) = (claim(1), claim(2));
        let first = waiting.raise_alarm(&one);
        first.say("too new");
        first.say("still too new");
        assert_eq!(
            message().unwrap(),
            format!("the proof of {} waits: still too new", one.segment)
        );
        let second = waiting.raise_alarm(&two);
        second.say("not found");
        assert!(message().unwrap().starts_with("2 proofs wait"), "{:?}", message());
        drop(first);
        assert_eq!(message().unwrap(), format!("the proof of {} waits: not found", two.segment));
        drop(second);
        assert_eq!(message(), None);
    }
}
