//! What has happened to each block, across crashes.
//!
//! One file, a [redb](https://docs.rs/redb) database. One thread writes: it takes all changes that wait, commits
//! them at once, syncs, and only then lets their authors go on. So the cost of a sync is shared by the blocks in work, and
//! a change that was reported as written survives a crash.

mod entry;
mod error;
mod record;
mod writer;

pub use error::JournalError;
pub use record::{BlockKey, BlockRecord, SegmentFacts, Stage, Verification};

use alloy_primitives::B256;
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};
use writer::{Change, Writer};

/// The layout of this module's tables and records.
const FORMAT: u64 = 1;
const BLOCKS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("blocks");
type BlocksTable = ReadOnlyTable<&'static [u8], &'static [u8]>;
const FACTS: TableDefinition<'_, &str, &str> = TableDefinition::new("facts");

/// A journal that is open. Clones share it; the file is closed with the last.
#[derive(Debug, Clone)]
pub struct Journal {
    path: Arc<PathBuf>,
    database: Arc<Database>,
    writer: Writer,
}

impl Journal {
    /// Opens a journal, or makes an empty one. All records are read once, so that damage is found now and not at
    /// the block it concerns.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let database = Arc::new(open_database(path)?);
        check_format(path, &database)?;
        let writer = Writer::start(path, Arc::clone(&database));
        let journal = Self { path: Arc::new(path.to_owned()), database, writer };
        journal.for_each(|_| ())?;
        Ok(journal)
    }

    /// Writes a record in place of the block's former one. On return it survives a crash.
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
        let table = self.blocks()?;
        let found = table.get(entry::encode_key(key).as_slice());
        let found = found.map_err(|error| self.storage(error))?;
        found.map(|bytes| self.decode(bytes.value())).transpose()
    }

    /// Whether there is a record of a block in any of its kinds.
    pub fn knows(&self, hash: B256) -> Result<bool, JournalError> {
        let table = self.blocks()?;
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
        for row in self.blocks()?.iter().map_err(|error| self.storage(error))? {
            let (_, bytes) = row.map_err(|error| self.storage(error))?;
            call(self.decode(bytes.value())?);
        }
        Ok(())
    }

    /// A fact about this folder, such as the consumer's name.
    pub fn fact(&self, name: &str) -> Result<Option<String>, JournalError> {
        read_fact(&self.path, &self.database, name)
    }

    /// Writes a fact. On return it survives a crash.
    pub async fn set_fact(&self, name: &str, value: &str) -> Result<(), JournalError> {
        self.writer.write(Change::fact(name, value)).await
    }

    fn blocks(&self) -> Result<BlocksTable, JournalError> {
        let transaction = self.database.begin_read().map_err(|error| self.storage(error))?;
        transaction.open_table(BLOCKS).map_err(|error| damaged(&self.path, error))
    }

    fn decode(&self, bytes: &[u8]) -> Result<BlockRecord, JournalError> {
        entry::decode_record(bytes).map_err(|reason| damaged(&self.path, reason))
    }

    fn storage(&self, error: impl Into<redb::Error>) -> JournalError {
        storage_error(&self.path, error)
    }
}

fn open_database(path: &Path) -> Result<Database, JournalError> {
    // A damaged file must not take the process down with a message about a library's internals.
    let opened = std::panic::catch_unwind(|| Database::create(path));
    match opened {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(redb::DatabaseError::DatabaseAlreadyOpen)) => {
            Err(JournalError::InUse { path: path.to_owned() })
        }
        Ok(Err(redb::DatabaseError::Storage(redb::StorageError::Io(error))))
            if error.kind() != std::io::ErrorKind::InvalidData =>
        {
            Err(JournalError::Storage { path: path.to_owned(), reason: error.to_string() })
        }
        Ok(Err(error)) => Err(damaged(path, error)),
        Err(_) => Err(damaged(path, "it can't be read at all")),
    }
}

fn check_format(path: &Path, database: &Database) -> Result<(), JournalError> {
    match read_fact(path, database, "format")? {
        None => {
            let write = || -> Result<(), redb::Error> {
                let transaction = database.begin_write()?;
                transaction.open_table(FACTS)?.insert("format", FORMAT.to_string().as_str())?;
                transaction.open_table(BLOCKS)?;
                Ok(transaction.commit()?)
            };
            write().map_err(|error| storage_error(path, error))
        }
        Some(found) if found == FORMAT.to_string() => Ok(()),
        Some(found) => match found.parse() {
            Ok(found) => {
                Err(JournalError::OtherFormat { path: path.to_owned(), found, expected: FORMAT })
            }
            Err(_) => Err(damaged(path, "its format is not a number")),
        },
    }
}

fn read_fact(path: &Path, database: &Database, name: &str) -> Result<Option<String>, JournalError> {
    let read = || -> Result<Option<String>, redb::Error> {
        let table = match database.begin_read()?.open_table(FACTS) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(table.get(name)?.map(|value| value.value().to_owned()))
    };
    read().map_err(|error| storage_error(path, error))
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
