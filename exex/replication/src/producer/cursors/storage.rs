//! The database behind the cursors. It is opened again after an I/O error: redb takes no more
//! changes after one, and a full disk must not outlast itself.

use crate::producer::ProducerError;
use bsp_common::database::{self, OpenError};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");
const FORMAT_FACT: &str = "format";
const FORMAT: u64 = 1;

/// One file.
#[derive(Debug)]
pub(crate) struct Storage {
    path: PathBuf,
    /// None after a failure, until the next call opens it.
    database: Mutex<Option<Database>>,
}

impl Storage {
    /// Opens the file, or makes it, with the tables that `make_tables` opens.
    pub(crate) fn open(
        path: &Path,
        make_tables: impl FnOnce(&WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<Self, ProducerError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| failed(path, error))?;
        }
        let storage = Self { path: path.to_owned(), database: Mutex::default() };
        storage.check_format()?;
        storage.write(make_tables)?;
        Ok(storage)
    }

    pub(crate) fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, ProducerError> {
        self.with(|database| read(&database.begin_read()?))
    }

    /// Does changes, and commits them. On return the disk has them.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, ProducerError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            let done = write(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
    }

    fn check_format(&self) -> Result<(), ProducerError> {
        let format = self.write(|transaction| {
            let mut facts = transaction.open_table(FACTS)?;
            let found = facts.get(FORMAT_FACT)?.map(|row| row.value());
            if found.is_none() {
                facts.insert(FORMAT_FACT, FORMAT)?;
            }
            Ok(found.unwrap_or(FORMAT))
        })?;
        if format != FORMAT {
            let reason = format!(
                "its format is {format}, this version reads {FORMAT}: use the version that wrote it, or move it away \
                 and set the start block"
            );
            return Err(ProducerError::Cursors { path: self.path.clone(), reason });
        }
        Ok(())
    }

    /// The database notices some damage by a panic, which must not end a thread.
    fn with<T>(
        &self,
        run: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, ProducerError> {
        let mut open = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = match open.take() {
            Some(database) => database,
            None => database::open(&self.path).map_err(|error| open_error(&self.path, error))?,
        };
        match database::guarded(|| run(&database)) {
            Some(Ok(done)) => {
                *open = Some(database);
                Ok(done)
            }
            Some(Err(redb::Error::Corrupted(reason))) => Err(damaged(&self.path, reason)),
            Some(Err(error)) => Err(failed(&self.path, error)),
            None => Err(damaged(&self.path, "a page of it can't be read")),
        }
    }
}

fn open_error(path: &Path, error: OpenError) -> ProducerError {
    match error {
        OpenError::InUse => failed(
            path,
            "it is in use by another process, such as a running node: stop that first, or give this one a file of its own",
        ),
        OpenError::Io(error) => failed(path, error),
        error => damaged(path, error),
    }
}

fn damaged(path: &Path, what: impl fmt::Display) -> ProducerError {
    failed(
        path,
        format!(
            "the file is damaged ({what}): move it away, and set the start block to the first block that a target \
             may lack. What a target has already is sent again then, consumers know it by its hash"
        ),
    )
}

fn failed(path: &Path, reason: impl fmt::Display) -> ProducerError {
    ProducerError::Cursors { path: path.to_owned(), reason: reason.to_string() }
}
