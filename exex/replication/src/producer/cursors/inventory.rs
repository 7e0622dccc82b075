//! What is in the file of cursors, for an operator whose node is stopped.

use super::{ACKNOWLEDGED, CANONICAL, CursorId, Cursors, DELIVERED, SKIPPED, TARGETS};
use crate::producer::{ProducerError, SkippedRange};
use alloy_eips::BlockNumHash;
use redb::ReadableTable;
use serde::Serialize;
use std::{fmt, path::Path};

/// A target that has a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetCursor {
    /// Its URL, without the password, or the name of a target of one's own.
    pub target: String,
    /// The block that it began with.
    pub first: u64,
    /// The last canonical block that it has confirmed or that was left out; `None` if there is
    /// none, or none is remembered.
    pub cursor: Option<BlockNumHash>,
    /// The block that it goes on with.
    pub next: u64,
    /// All ranges of blocks that were left out.
    pub skipped: Vec<SkippedRange>,
}

impl fmt::Display for TargetCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, first, cursor, next, skipped } = self;
        writeln!(f, "{target}")?;
        writeln!(f, "  first block  {first}")?;
        if let Some(cursor) = cursor {
            writeln!(f, "  last block   {} {}", cursor.number, cursor.hash)?;
        }
        write!(f, "  next block   {next}")?;
        for range in skipped {
            write!(f, "\n  left out     {range}")?;
        }
        Ok(())
    }
}

/// A file of cursors that no producer uses.
#[derive(Debug)]
pub struct CursorFile(Cursors);

impl CursorFile {
    /// Opens a file that is there. While it is open, no producer can use it.
    ///
    /// # Errors
    ///
    /// [`ProducerError::Cursors`], if it is missing or damaged, or a process uses it.
    pub fn open(path: &Path) -> Result<Self, ProducerError> {
        if !path.is_file() {
            let reason =
                "there is no such file: name the data directory of a node that has delivered"
                    .to_owned();
            return Err(ProducerError::Cursors { path: path.to_owned(), reason });
        }
        Cursors::open(path).map(Self)
    }

    /// Every target in it, by name.
    ///
    /// # Errors
    ///
    /// [`ProducerError::Cursors`], if it can't be read.
    pub fn targets(&self) -> Result<Vec<TargetCursor>, ProducerError> {
        let rows = self.0.storage.read(|transaction| {
            let mut rows = Vec::new();
            for row in transaction.open_table(TARGETS)?.iter()? {
                let (name, value) = row?;
                let (id, first, _) = value.value();
                rows.push((name.value().to_owned(), CursorId(id), first));
            }
            Ok(rows)
        })?;
        let of_row = |(target, id, first): (String, CursorId, u64)| {
            let history = self.0.read(&target)?.map(|(_, history)| history).unwrap_or_default();
            let skipped = self.0.last_skipped(id, usize::MAX)?;
            Ok(TargetCursor {
                target,
                first,
                cursor: history.cursor(),
                next: history.next(),
                skipped,
            })
        };
        rows.into_iter().map(of_row).collect()
    }

    /// Forgets a target, so that it begins with the start block at the next start. Returns whether
    /// it was there.
    ///
    /// # Errors
    ///
    /// [`ProducerError::Cursors`], if it can't be written.
    pub fn reset(&self, target: &str) -> Result<bool, ProducerError> {
        self.0.storage.write(|transaction| {
            let removed = transaction.open_table(TARGETS)?.remove(target)?.map(|row| row.value());
            let Some((id, ..)) = removed else { return Ok(false) };
            // Another target may get the number.
            let heights = (id, 0)..=(id, u64::MAX);
            transaction.open_table(CANONICAL)?.retain_in(heights.clone(), |_, _| false)?;
            transaction.open_table(SKIPPED)?.retain_in(heights, |_, _| false)?;
            let blocks = (id, 0, &[0; 32])..=(id, u64::MAX, &[u8::MAX; 32]);
            transaction.open_table(DELIVERED)?.retain_in(blocks, |_, _| false)?;
            transaction.open_table(ACKNOWLEDGED)?.remove(id)?;
            Ok(true)
        })
    }
}
