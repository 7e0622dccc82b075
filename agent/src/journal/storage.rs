//! The database behind a journal, which is opened again after an I/O error: redb takes no more
//! changes after one, and a full disk must not outlast itself.

use super::{BLOCKS, FACTS, JournalError, MARKS, Mark, damaged, storage_error};
use crate::source::EntryId;
use bsp_common::database::{self, OpenError};
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableError};
use std::{
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

/// The layout of the tables and records.
const FORMAT: u64 = 1;
const FORMAT_FACT: &str = "format";

pub(super) type BlocksTable = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// One file, open but for the moments of a reopening.
#[derive(Debug)]
pub(super) struct Storage {
    path: PathBuf,
    database: RwLock<Option<Database>>,
}

impl Storage {
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let database = open_database(path, database::open_mended)?;
        Ok(Self { path: path.to_owned(), database: RwLock::new(Some(database)) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the file and opens it again, in the state of the last commit that succeeded. Readers
    /// wait, so the file is not read through as it is at the start.
    pub(super) fn reopen(&self) -> Result<(), JournalError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        *database = None;
        *database = Some(open_database(&self.path, database::open)?);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn close(&self) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Runs something on the database.
    pub(super) fn with<T>(
        &self,
        run: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, JournalError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or(JournalError::Closed)?;
        run(database).map_err(|error| storage_error(&self.path, error))
    }

    pub(super) fn blocks(&self) -> Result<BlocksTable, JournalError> {
        self.with(|database| Ok(database.begin_read()?.open_table(BLOCKS)?))
    }

    pub(super) fn marks(&self) -> Result<Vec<(EntryId, Mark)>, JournalError> {
        self.with(read_marks)
    }

    pub(super) fn fact(&self, name: &str) -> Result<Option<String>, JournalError> {
        self.with(|database| read_fact(database, name))
    }
}

fn read_marks(database: &Database) -> Result<Vec<(EntryId, Mark)>, redb::Error> {
    let table = match database.begin_read()?.open_table(MARKS) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut marks = Vec::new();
    for row in table.iter()? {
        let (entry, number) = row?;
        marks.push((EntryId(entry.value().to_owned()), Mark::from_number(number.value())));
    }
    Ok(marks)
}

fn open_database(
    path: &Path,
    open: impl FnOnce(&Path) -> Result<Database, OpenError>,
) -> Result<Database, JournalError> {
    let database = open(path).map_err(|error| open_error(path, error))?;
    // The database notices some damage by a panic, which must not be the operator's message.
    let checked = database::guarded(|| check_format(path, &database));
    checked.unwrap_or_else(|| Err(damaged(path, "it can't be read at all")))?;
    Ok(database)
}

fn open_error(path: &Path, error: OpenError) -> JournalError {
    let path = path.to_owned();
    match error {
        OpenError::InUse => JournalError::InUse { path },
        OpenError::Io(error) => JournalError::Storage { path, reason: error.to_string() },
        error => damaged(&path, error),
    }
}

fn check_format(path: &Path, database: &Database) -> Result<(), JournalError> {
    let found = read_fact(database, FORMAT_FACT).map_err(|error| storage_error(path, error))?;
    let Some(found) = found else {
        return write_format(database).map_err(|error| storage_error(path, error));
    };
    match found.parse() {
        Ok(FORMAT) => Ok(()),
        Ok(found) => {
            Err(JournalError::OtherFormat { path: path.to_owned(), found, expected: FORMAT })
        }
        Err(_) => Err(damaged(path, "its format is not a number")),
    }
}

fn write_format(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(FACTS)?.insert(FORMAT_FACT, FORMAT.to_string().as_str())?;
    transaction.open_table(BLOCKS)?;
    Ok(transaction.commit()?)
}

fn read_fact(database: &Database, name: &str) -> Result<Option<String>, redb::Error> {
    let table = match database.begin_read()?.open_table(FACTS) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(table.get(name)?.map(|value| value.value().to_owned()))
}
