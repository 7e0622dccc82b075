//! The blocks in work: each once, whatever the source repeats.

use crate::{journal::BlockKey, source::EntryId};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A block in work.
#[derive(Debug)]
struct Work {
    stage: &'static str,
    /// Entries that came with the block while it was in work.
    joined: Vec<EntryId>,
}

/// Which blocks are in work in this process.
#[derive(Debug, Default)]
pub(super) struct WorkList(Mutex<HashMap<BlockKey, Work>>);

impl WorkList {
    /// Begins work on a block. If it is in work already, the entry joins it, and `false` is returned.
    pub(super) fn begin(&self, key: BlockKey, entry: Option<&EntryId>) -> bool {
        let mut works = self.lock();
        if let Some(work) = works.get_mut(&key) {
            work.joined.extend(entry.cloned());
            return false;
        }
        works.insert(key, Work { stage: "received", joined: Vec::new() });
        true
    }

    /// Notes how far a block is.
    pub(super) fn reached(&self, key: &BlockKey, stage: &'static str) {
        if let Some(work) = self.lock().get_mut(key) {
            work.stage = stage;
        }
    }

    /// Ends the work on a block. Returns the entries that joined it. One that comes later begins anew.
    pub(super) fn end(&self, key: &BlockKey) -> Vec<EntryId> {
        self.lock().remove(key).map(|work| work.joined).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use bsp_codec::ReplicaKind;

    #[test]
    fn a_block_is_in_work_once_and_its_repetitions_join() {
        let works = WorkList::default();
        let key = BlockKey { hash: B256::ZERO, kind: ReplicaKind::Replica };
        let entries: Vec<_> = (1..4).map(|id| EntryId(format!("{id}-0"))).collect();
        assert!(works.begin(key, Some(&entries[0])));
        assert!(!works.begin(key, Some(&entries[1])));
        assert!(!works.begin(key, Some(&entries[2])));
        let other = BlockKey { kind: ReplicaKind::Result, ..key };
        assert!(works.begin(other, None));
        works.reached(&other, "stored");
        assert_eq!(works.stages(), BTreeMap::from([("received", 1), ("stored", 1)]));
        assert_eq!(works.end(&key), entries[1..]);
        assert!(works.begin(key, None));
    }
}
