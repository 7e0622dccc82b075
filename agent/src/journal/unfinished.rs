//! Which blocks something remains to be done for: few of many, so they are known without a look at
//! every record.

use super::writer::Change;
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

/// Keys of the records that are not final, as of the last commit.
#[derive(Debug, Default)]
pub(super) struct UnfinishedKeys(Mutex<BTreeSet<[u8; 33]>>);

impl UnfinishedKeys {
    pub(super) fn insert(&self, key: [u8; 33]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
    }

    /// Takes note of changes that were committed.
    pub(super) fn follow<'a>(&self, changes: impl Iterator<Item = &'a Change>) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change {
                Change::Put { key, is_final: false, .. } => {
                    keys.insert(*key);
                }
                Change::Put { key, is_final: true, .. } | Change::Remove(key) => {
                    keys.remove(key);
                }
                Change::Fact(..) | Change::Mark(..) | Change::Nothing => {}
            }
        }
    }

    pub(super) fn all(&self) -> Vec<[u8; 33]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}
