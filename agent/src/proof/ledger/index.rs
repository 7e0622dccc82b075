//! Where in the ledger each block's entry is.
//!
//! It is a file of its own, a [redb](https://docs.rs/redb) database, so that memory does not grow
//! with the ledger. All of it follows from the ledger: where it is missing, damaged, or of another
//! ledger, it is made again.

use alloy_primitives::B256;
use bsp_common::database::{self, OpenError};
use redb::{
    Database, Durability, Error, ReadableDatabase, ReadableTable, TableDefinition, TableError,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A block's hash, and the offset of its first line in the ledger.
const PLACES: TableDefinition<'_, [u8; 32], u64> = TableDefinition::new("places");
/// How far the ledger is indexed, and the id of the entry that ends there.
const COVERED: TableDefinition<'_, &str, (u64, [u8; 32])> = TableDefinition::new("covered");
const COVERED_ROW: &str = "covered";

/// Commits are synced this rarely: what a crash takes away is read from the ledger again.
const COMMITS_PER_SYNC: u32 = 256;

/// The part of a ledger that is indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Covered {
    /// Its length in bytes.
    pub(super) length: u64,
    /// The id of its last entry, or zero.
    pub(super) last: B256,
}

impl Covered {
    const NOTHING: Self = Self { length: 0, last: B256::ZERO };
}

/// Where the entry of a block begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) block: B256,
    pub(super) offset: u64,
}

/// An index that is open.
#[derive(Debug)]
pub(super) struct LedgerIndex {
    database: Database,
    commits: u32,
}

impl LedgerIndex {
    /// Opens the index of a ledger. One that can't be read is made again.
    pub(super) fn open(ledger: &Path) -> Result<Self, OpenError> {
        let path = path_of(ledger);
        let database = match database::open_mended(&path) {
            Err(OpenError::Damaged(reason)) => {
                let path = path.display();
                tracing::warn!(%path, reason, "The ledger's index is damaged; it is made again");
                fs::remove_file(path_of(ledger)).map_err(OpenError::Io)?;
                database::open_mended(&path_of(ledger))?
            }
            opened => opened?,
        };
        Ok(Self { database, commits: 0 })
    }

    pub(super) fn covered(&self) -> Result<Covered, Error> {
        let table = match self.database.begin_read()?.open_table(COVERED) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Covered::NOTHING),
            table => table?,
        };
        let row = table.get(COVERED_ROW)?.map(|row| row.value());
        Ok(row.map_or(Covered::NOTHING, |(length, last)| Covered { length, last: last.into() }))
    }

    /// The offset of a block's first entry.
    pub(super) fn find(&self, block: B256) -> Result<Option<u64>, Error> {
        match self.database.begin_read()?.open_table(PLACES) {
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            table => Ok(table?.get(block.0)?.map(|offset| offset.value())),
        }
    }

    /// Indexes entries that follow what is covered. Of a block with several, the first counts.
    pub(super) fn add(&mut self, places: &[Place], covered: Covered) -> Result<(), Error> {
        let mut transaction = self.database.begin_write()?;
        self.commits = self.commits.wrapping_add(1);
        if !self.commits.is_multiple_of(COMMITS_PER_SYNC) {
            transaction.set_durability(Durability::None)?;
        }
        {
            let mut table = transaction.open_table(PLACES)?;
            for Place { block, offset } in places {
                if table.get(block.0)?.is_none() {
                    table.insert(block.0, offset)?;
                }
            }
            let row = (covered.length, covered.last.0);
            transaction.open_table(COVERED)?.insert(COVERED_ROW, row)?;
        }
        Ok(transaction.commit()?)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) -> Result<(), Error> {
        let transaction = self.database.begin_write()?;
        transaction.delete_table(PLACES)?;
        transaction.delete_table(COVERED)?;
        Ok(transaction.commit()?)
    }
}

/// The index's file: the ledger's name with another ending.
pub(super) fn path_of(ledger: &Path) -> PathBuf {
    ledger.with_extension("index.redb")
}
