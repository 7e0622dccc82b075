//! The blocks in flight: each once, whatever the source repeats.

use crate::{journal::BlockKey, source::EntryId};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A block in flight.
#[derive(Debug)]
struct Work {
    stage: &'static str,
    /// Of the message, where it is at hand: another message with the same header may say something
    /// else.
    fingerprint: Option<u64>,
    /// The entries of the same message, first those that the work began with.
    entries: Vec<EntryId>,
    /// How many of them it began with.
    own: usize,
    /// Entries of other messages about the same block. They are delivered again when this is
    /// handled.
    waiting: Vec<EntryId>,
}

/// What waited for the end of the work on a block.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ended {
    /// Entries of the same message.
    pub(super) joined: Vec<EntryId>,
    /// Entries of other messages about the block, and of such as nothing is known about.
    pub(super) waiting: Vec<EntryId>,
}

/// What has become of a message that names a block.
#[derive(Debug)]
pub(super) enum Begun {
    /// Its work begins.
    Now,
    /// The same message is in flight, and the entry will be settled with it.
    Joined,
    /// Another message about the same block is in flight. The entry waits for its end, without its
    /// payload.
    Waits,
}

/// Which blocks are in flight in this process.
#[derive(Debug, Default)]
pub(super) struct WorkList(Mutex<HashMap<BlockKey, Work>>);

impl WorkList {
    /// Begins work on a message about a block.
    pub(super) fn begin(&self, key: BlockKey, entry: &EntryId, fingerprint: u64) -> Begun {
        let mut works = self.lock();
        match works.get_mut(&key) {
            None => {
                works.insert(key, Work::new(vec![entry.clone()], Some(fingerprint)));
                Begun::Now
            }
            Some(work) if work.entries.contains(entry) => Begun::Joined,
            Some(work) if work.fingerprint == Some(fingerprint) => {
                work.entries.push(entry.clone());
                Begun::Joined
            }
            Some(work) => {
                if !work.waiting.contains(entry) {
                    work.waiting.push(entry.clone());
                }
                Begun::Waits
            }
        }
    }

    /// Begins work on a block that the journal knows, whose message is not at hand; `false` if it
    /// is in flight.
    pub(super) fn resume(&self, key: BlockKey, entries: &[EntryId]) -> bool {
        let mut works = self.lock();
        let is_new = !works.contains_key(&key);
        works.entry(key).or_insert_with(|| Work::new(entries.to_vec(), None));
        is_new
    }

    /// Notes how far a block is.
    pub(super) fn reached(&self, key: &BlockKey, stage: &'static str) {
        if let Some(work) = self.lock().get_mut(key) {
            work.stage = stage;
        }
    }

    /// The entries that joined a block so far. They are the caller's to settle.
    pub(super) fn take_joined(&self, key: &BlockKey) -> Vec<EntryId> {
        let mut works = self.lock();
        works.get_mut(key).map(|work| work.entries.split_off(work.own)).unwrap_or_default()
    }

    /// Ends the work on a block. An entry that comes later begins again.
    pub(super) fn end(&self, key: &BlockKey) -> Ended {
        let Some(mut work) = self.lock().remove(key) else { return Ended::default() };
        Ended { joined: work.entries.split_off(work.own), waiting: work.waiting }
    }

    /// How many blocks are at each stage.
    pub(super) fn stages(&self) -> BTreeMap<&'static str, u64> {
        let mut stages = BTreeMap::new();
        for work in self.lock().values() {
            *stages.entry(work.stage).or_default() += 1;
        }
        stages
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BlockKey, Work>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    fn new(entries: Vec<EntryId>, fingerprint: Option<u64>) -> Self {
        let own = entries.len();
        Self { stage: "received", fingerprint, entries, own, waiting: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use bsp_codec::ReplicaKind;

    const KEY: BlockKey = BlockKey { hash: B256::ZERO, kind: ReplicaKind::Replica };

    fn entry(id: u64) -> EntryId {
        EntryId(format!("{id}-0"))
    }

    #[test]
    fn a_block_is_in_work_once_and_its_repetitions_join() {
        let works = WorkList::default();
        assert!(matches!(works.begin(KEY, &entry(1), 7), Begun::Now));
        for id in [1, 2, 3, 2] {
            assert!(matches!(works.begin(KEY, &entry(id), 7), Begun::Joined));
        }
        let other = BlockKey { kind: ReplicaKind::Result, ..KEY };
        assert!(matches!(works.begin(other, &entry(4), 7), Begun::Now));
        works.reached(&other, "stored");
        assert_eq!(works.stages(), BTreeMap::from([("received", 1), ("stored", 1)]));
        assert_eq!(works.end(&KEY).joined, [entry(2), entry(3)]);
        assert!(matches!(works.begin(KEY, &entry(5), 7), Begun::Now));
    }

    #[test]
    fn another_message_about_the_block_waits_for_the_end() {
        let works = WorkList::default();
        assert!(matches!(works.begin(KEY, &entry(1), 7), Begun::Now));
        for _ in 0..2 {
            assert!(matches!(works.begin(KEY, &entry(2), 8), Begun::Waits));
        }
        assert_eq!(works.end(&KEY), Ended { joined: Vec::new(), waiting: vec![entry(2)] });
    }

    #[test]
    fn a_resumed_block_knows_its_entries_and_no_others() {
        let works = WorkList::default();
        assert!(works.resume(KEY, &[entry(1), entry(2)]));
        assert!(!works.resume(KEY, &[]));
        assert!(matches!(works.begin(KEY, &entry(2), 7), Begun::Joined));
        // Nothing is known of its message. It may be a repetition, or another one.
        assert!(matches!(works.begin(KEY, &entry(3), 7), Begun::Waits));
        assert_eq!(works.end(&KEY), Ended { joined: Vec::new(), waiting: vec![entry(3)] });
    }
}
