//! What has happened to each block, across crashes.
//!
//! One file, a [redb](https://docs.rs/redb) database. One thread writes: it takes all changes that
//! wait, commits them at once, syncs, and only then lets their authors go on. So the cost of a sync
//! is shared by the blocks in flight, and a change that was reported as written survives a crash.
//! If a commit fails, for want of room on the disk, its authors wait, with an alarm, until it
//! succeeds.

mod entry;
mod error;
mod query;
mod record;
mod storage;
mod unfinished;
mod writer;

pub use error::JournalError;
pub use query::{BlockQuery, InvalidBlockQuery};
pub use record::{BlockKey, BlockRecord, SegmentFacts, Stage, Verification};

use crate::{alarm::Alarms, source::EntryId};
use alloy_primitives::B256;
use bsp_codec::ReplicaKind;
use redb::{ReadableTable, ReadableTableMetadata, TableDefinition};
use std::{
    fmt, fs, io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};
use storage::Storage;
use unfinished::UnfinishedKeys;
use writer::{Change, JournalWriter};

const BLOCKS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("blocks");
const FACTS: TableDefinition<'_, &str, &str> = TableDefinition::new("facts");
/// Entries of the source, each with twice the number of its [ends](Mark::ends), and one more while
/// it is in flight.
const MARKS: TableDefinition<'_, &str, u64> = TableDefinition::new("marks");

/// What a block may have arrived as.
const KINDS: [ReplicaKind; 3] = [ReplicaKind::Replica, ReplicaKind::Specimen, ReplicaKind::Result];

/// An entry of the source that was in flight when a process may have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Ends of processes that were counted so far.
    pub ends: u32,
    /// Whether it was in flight when this was written.
    pub in_flight: bool,
}

impl Mark {
    const fn to_number(self) -> u64 {
        ((self.ends as u64) << 1) | self.in_flight as u64
    }

    fn from_number(number: u64) -> Self {
        let ends = u32::try_from(number >> 1).unwrap_or(u32::MAX);
        Self { ends, in_flight: number & 1 == 1 }
    }
}

/// A journal that is open. Clones share it; the file is closed with the last.
#[derive(Debug, Clone)]
pub struct Journal {
    // Before the storage: its thread ends first, and the file is closed then.
    writer: JournalWriter,
    storage: Arc<Storage>,
    unfinished: Arc<UnfinishedKeys>,
}

impl Journal {
    /// Opens a journal, or makes an empty one. All records are read once, so that damage is found
    /// now and not at the block it concerns.
    pub fn open(path: &Path, alarms: Alarms) -> Result<Self, JournalError> {
        let storage = Arc::new(Storage::open(path)?);
        let unfinished = Arc::new(UnfinishedKeys::default());
        let writer = JournalWriter::start(Arc::clone(&storage), Arc::clone(&unfinished), alarms);
        let journal = Self { writer, storage, unfinished };
        journal.read_all()?;
        Ok(journal)
    }

    /// Reads each record, and notes which are not final. The database notices some damage by a
    /// panic.
    fn read_all(&self) -> Result<(), JournalError> {
        let note = |key: &[u8], record: BlockRecord| {
            if !record.stage.is_final()
                && let Ok(key) = key.try_into()
            {
                self.unfinished.insert(key);
            }
        };
        let read = catch_unwind(AssertUnwindSafe(|| self.for_each_row(note)));
        read.unwrap_or_else(|_| Err(damaged(self.storage.path(), "a page of it can't be read")))
    }

    /// Writes a record in place of the block's former one. On return it survives a crash. Where the
    /// disk does not take it, this waits until it does.
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

    /// Forgets that a block was handled, in each of its kinds, so that a message about it is taken
    /// up as if it were the first. On return that survives a crash. Returns what was forgotten.
    ///
    /// A record of a block that is still in flight stays: its attempts may be on the proof chain,
    /// and only the record knows of them.
    pub async fn forget(&self, hash: B256) -> Result<Vec<BlockRecord>, JournalError> {
        let mut forgotten = Vec::new();
        for kind in KINDS {
            let key = BlockKey { hash, kind };
            if let Some(record) = self.get(&key)?.filter(|record| record.stage.is_final()) {
                self.remove(key).await?;
                forgotten.push(record);
            }
        }
        Ok(forgotten)
    }

    /// Forgets blocks that were handled before a time, in milliseconds since 1970, and those whose
    /// work began before it and left nothing on disk: their entries went before they could be
    /// handled. Returns how many.
    pub async fn forget_before(&self, time_ms: u64) -> Result<usize, JournalError> {
        let journal = self.clone();
        // It reads every record: no task of the runtime should wait for that.
        let old = tokio::task::spawn_blocking(move || journal.handled_before(time_ms)).await;
        let old = old.map_err(|_| JournalError::Closed)??;
        for key in &old {
            self.writer.note(Change::remove(key));
        }
        self.writer.write(Change::nothing()).await?;
        Ok(old.len())
    }

    fn handled_before(&self, time_ms: u64) -> Result<Vec<BlockKey>, JournalError> {
        let mut old = Vec::new();
        self.for_each(|record| {
            let is_over = record.stage.is_final() || !record.stage.is_stored();
            if is_over && record.updated_ms < time_ms {
                old.extend(record.key());
            }
        })?;
        Ok(old)
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

    /// The records of the blocks that are asked for, in the order of their heights. A height costs
    /// a walk through all records, a hash does not.
    ///
    /// # Errors
    ///
    /// A file that can't be read.
    pub fn find(&self, wanted: BlockQuery) -> Result<Vec<BlockRecord>, JournalError> {
        let mut found = Vec::new();
        match wanted {
            BlockQuery::Hash(hash) => {
                for kind in KINDS {
                    found.extend(self.get(&BlockKey { hash, kind })?);
                }
            }
            BlockQuery::Height(_) => self.for_each(|record| {
                if wanted.matches(&record) {
                    found.push(record);
                }
            })?,
        }
        found.sort_by_key(|record| (record.block, record.kind.clone()));
        Ok(found)
    }

    /// The blocks that something remains to be done for, by height. Reads no others.
    pub fn unfinished(&self) -> Result<Vec<BlockRecord>, JournalError> {
        let table = self.storage.blocks()?;
        let mut records = Vec::new();
        for key in self.unfinished.all() {
            let row = table.get(key.as_slice()).map_err(|error| self.storage(error))?;
            let record = row.map(|bytes| self.decode(bytes.value())).transpose()?;
            // The database may be a commit ahead of the keys.
            records.extend(record.filter(|record| !record.stage.is_final()));
        }
        records.sort_by_key(|record| (record.block.network_id, record.block.number));
        Ok(records)
    }

    /// How many records there are.
    pub fn count(&self) -> Result<u64, JournalError> {
        self.storage.blocks()?.len().map_err(|error| self.storage(error))
    }

    /// Bytes of the file.
    pub fn file_len(&self) -> io::Result<u64> {
        Ok(fs::metadata(self.storage.path())?.len())
    }

    /// Calls for each record, in no order that means anything.
    pub fn for_each(&self, mut call: impl FnMut(BlockRecord)) -> Result<(), JournalError> {
        self.for_each_row(|_, record| call(record))
    }

    fn for_each_row(&self, mut call: impl FnMut(&[u8], BlockRecord)) -> Result<(), JournalError> {
        for row in self.storage.blocks()?.iter().map_err(|error| self.storage(error))? {
            let (key, bytes) = row.map_err(|error| self.storage(error))?;
            call(key.value(), self.decode(bytes.value())?);
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

    /// Writes a fact without waiting: it becomes durable with the next change that does.
    pub fn note_fact(&self, name: &str, value: &str) {
        self.writer.note(Change::fact(name, value));
    }

    /// Marks an entry. On return the mark survives a crash.
    pub async fn mark(&self, entry: &EntryId, mark: Mark) -> Result<(), JournalError> {
        self.writer.write(Change::mark(&entry.0, Some(mark))).await
    }

    /// Writes a mark, or removes it, without waiting.
    pub fn note_mark(&self, entry: &EntryId, mark: Option<Mark>) {
        self.writer.note(Change::mark(&entry.0, mark));
    }

    /// The entries that are marked.
    pub fn marks(&self) -> Result<Vec<(EntryId, Mark)>, JournalError> {
        self.storage.marks()
    }

    /// From now on nothing can be read or written.
    #[cfg(test)]
    pub(crate) fn make_unreadable(&self) {
        self.storage.close();
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
