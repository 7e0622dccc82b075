//! What has happened to each block, across crashes.
//!
//! One file, a [redb](https://docs.rs/redb) database. One thread writes: it takes all changes that wait, commits
//! them at once, syncs, and only then lets their authors go on. So the cost of a sync is shared by the blocks in work, and
//! a change that was reported as written survives a crash. If a commit fails, for want of room on the disk, its
//! authors wait, with an alarm, until it succeeds.

mod entry;
mod error;
mod record;
mod storage;
mod writer;

pub use error::JournalError;
pub use record::{BlockKey, BlockRecord, SegmentFacts, Stage, Verification};

use crate::alarm::Alarms;
use alloy_primitives::B256;
use redb::{ReadableTable, TableDefinition};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};
use storage::Storage;
use writer::{Change, Writer};

const BLOCKS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("blocks");
const FACTS: TableDefinition<'_, &str, &str> = TableDefinition::new("facts");

/// A journal that is open. Clones share it; the file is closed with the last.
#[derive(Debug, Clone)]
pub struct Journal {
    // Before the storage: its thread ends first, and the file is closed then.
    writer: Writer,
    storage: Arc<Storage>,
}

impl Journal {
    /// Opens a journal, or makes an empty one. All records are read once, so that damage is found now and not at
    /// the block it concerns.
    pub fn open(path: &Path, alarms: Alarms) -> Result<Self, JournalError> {
        let storage = Arc::new(Storage::open(path)?);
        let journal = Self { writer: Writer::start(Arc::clone(&storage), alarms), storage };
        journal.read_all()?;
        Ok(journal)
    }

    /// The database notices some damage by a panic.
    fn read_all(&self) -> Result<(), JournalError> {
        let read = catch_unwind(AssertUnwindSafe(|| self.for_each(|_| ())));
        read.unwrap_or_else(|_| Err(damaged(self.storage.path(), "a page of it can't be read")))
    }

    /// Writes a record in place of the block's former one. On return it survives a crash. Where the disk does not
    /// take it, this waits until it does.
    pub async fn put(&self, key: BlockKey, record: &BlockRecord) -> Result<(), JournalError> {
        self.writer.write(Change::put(&key, record)).await
    }

    /// Notes a record without waiting: it becomes durable with the next change that does.
    pub fn note(&self, key: BlockKey, record: &BlockRecord) {
        self.writer.note(Change::put(&key, record));
    }

    /// Forgets a block.
    pub async fn remove(&self, key: BlockKey) -> Result<(), JournalError> {
        self.writer.write(Change::remove(&key)).await
    }

    /// Forgets blocks that were dealt with before a time, in milliseconds since 1970. Returns how many.
    pub async fn forget_before(&self, time_ms: u64) -> Result<usize, JournalError> {
        let mut old = Vec::new();
        self.for_each(|record| {
            if record.stage.is_final() && record.updated_ms < time_ms {
                old.extend(record.key());
            }
        })?;
        for key in &old {
            self.writer.note(Change::remove(key));
        }
        self.writer.write(Change::nothing()).await?;
        Ok(old.len())
    }

    /// The record of a block.
    pub fn get(&self, key: &BlockKey) -> Result<Option<BlockRecord>, JournalError> {
        let table = self.storage.blocks()?;
        let found = table.get(entry::encode_key(key).as_slice());
        let found = found.map_err(|error| self.storage(error))?;
        found.map(|bytes| self.decode(bytes.value())).transpose()
    }

    /// Whether there is a record of a block in any of its kinds.
    pub fn knows(&self, hash: B256) -> Result<bool, JournalError> {
        let table = self.storage.blocks()?;
        let (first, last) = entry::key_range(hash);
        let mut found =
            table.range(first.as_slice()..=last.as_slice()).map_err(|error| self.storage(error))?;
        Ok(found.next().is_some())
    }

    /// The blocks that something remains to be done for.
    pub fn unfinished(&self) -> Result<Vec<BlockRecord>, JournalError> {
        let mut records = Vec::new();
        self.for_each(|record| {
            if !record.stage.is_final() {
                records.push(record);
            }
        })?;
        records.sort_by_key(|record| (record.block.network_id, record.block.number));
        Ok(records)
    }

    /// Calls for each record, in no order that means anything.
    pub fn for_each(&self, mut call: impl FnMut(BlockRecord)) -> Result<(), JournalError> {
        for row in self.storage.blocks()?.iter().map_err(|error| self.storage(error))? {
            let (_, bytes) = row.map_err(|error| self.storage(error))?;
            call(self.decode(bytes.value())?);
        }
        Ok(())
    }

    /// A fact about this folder, such as the consumer's name.
    pub fn fact(&self, name: &str) -> Result<Option<String>, JournalError> {
        self.storage.fact(name)
    }

    /// Writes a fact. On return it survives a crash.
    pub async fn set_fact(&self, name: &str, value: &str) -> Result<(), JournalError> {
        self.writer.write(Change::fact(name, value)).await
    }

    fn decode(&self, bytes: &[u8]) -> Result<BlockRecord, JournalError> {
        entry::decode_record(bytes).map_err(|reason| damaged(self.storage.path(), reason))
    }

    fn storage(&self, error: impl Into<redb::Error>) -> JournalError {
        storage_error(self.storage.path(), error)
    }
}

fn damaged(path: &Path, reason: impl fmt::Display) -> JournalError {
    JournalError::Damaged { path: path.to_owned(), reason: format!("{reason}") }
}

fn storage_error(path: &Path, error: impl Into<redb::Error>) -> JournalError {
    match error.into() {
        redb::Error::Corrupted(reason) => damaged(path, reason),
        error => JournalError::Storage { path: path.to_owned(), reason: error.to_string() },
    }
}

#[cfg(test)]
mod tests;
