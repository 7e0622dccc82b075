//! The cursors of all targets in a file, so that a start continues where the last one ended.
//!
//! A [redb](https://docs.rs/redb) database. Everything about a delivered batch is written in one
//! transaction, synced, after the target has confirmed it. So a crash can only leave a target ahead
//! of its cursor, never behind it.
//!
//! | table | key | value |
//! |---|---|---|
//! | `facts` | `format` | 1, the layout described here |
//! | `targets` | name of the target | its number in the other tables, the first block ever, the block to go on at while `canonical` is empty |
//! | `canonical` | target, height | hash of the block that was canonical when it was passed |
//! | `delivered` | target, height, hash | hash of the parent, and the target's position afterwards; for every block that the target has confirmed, orphaned or not |
//! | `acknowledged` | target | up to which position its consumers have acknowledged everything |
//! | `skipped` | target, first height | last height, why: see [`Skip`]; `unsupported` was written
//! by versions that left out what they could not export |
//!
//! The cursor is the highest row of `canonical`. Both `canonical` and `delivered` go back
//! [`REMEMBERED`] heights from there.

pub(crate) mod history;
pub(crate) mod inventory;
pub(crate) mod storage;

use super::{ProducerError, SkippedRange};
use crate::target::StreamPosition;
use alloy_eips::BlockNumHash;
use history::{Delivered, DeliveryHistory, Disposition, HandledBlock};
use redb::{ReadableTable, TableDefinition, WriteTransaction};
use std::path::Path;
use storage::Storage;

#[cfg(doc)]
use history::{REMEMBERED, Skip};

type Hash = &'static [u8; 32];

const TARGETS: TableDefinition<'_, &str, (u32, u64, u64)> = TableDefinition::new("targets");
const CANONICAL: TableDefinition<'_, (u32, u64), Hash> = TableDefinition::new("canonical");
const DELIVERED: TableDefinition<'_, (u32, u64, Hash), (Hash, u128)> =
    TableDefinition::new("delivered");
const ACKNOWLEDGED: TableDefinition<'_, u32, u128> = TableDefinition::new("acknowledged");
const SKIPPED: TableDefinition<'_, (u32, u64), (u64, &str)> = TableDefinition::new("skipped");

/// So many ranges of blocks that were left out are shown.
const MOST_RANGES: usize = 64;

/// A target in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CursorId(u32);

/// The open file. Every method blocks, those that write until the disk has it.
#[derive(Debug)]
pub(super) struct Cursors {
    storage: Storage,
}

impl Cursors {
    /// Opens the file, or makes an empty one.
    pub(super) fn open(path: &Path) -> Result<Self, ProducerError> {
        let storage = Storage::open(path, |transaction| {
            transaction.open_table(TARGETS)?;
            transaction.open_table(CANONICAL)?;
            transaction.open_table(DELIVERED)?;
            transaction.open_table(ACKNOWLEDGED)?;
            transaction.open_table(SKIPPED)?;
            Ok(())
        })?;
        Ok(Self { storage })
    }

    /// What is remembered of a target, if it has begun.
    pub(super) fn read(
        &self,
        target: &str,
    ) -> Result<Option<(CursorId, DeliveryHistory)>, ProducerError> {
        self.storage.read(|transaction| {
            let targets = transaction.open_table(TARGETS)?;
            let Some((id, _, resume)) = targets.get(target)?.map(|row| row.value()) else {
                return Ok(None);
            };
            let mut history = DeliveryHistory::starting_at(resume);
            for row in transaction.open_table(CANONICAL)?.range((id, 0)..=(id, u64::MAX))? {
                let (key, hash) = row?;
                history.remember_canonical(block(key.value().1, hash.value()));
            }
            let delivered = transaction.open_table(DELIVERED)?;
            for row in delivered.range((id, 0, &[0; 32])..=(id, u64::MAX, &[u8::MAX; 32]))? {
                let (key, value) = row?;
                let ((_, number, hash), (parent, position)) = (key.value(), value.value());
                let delivered =
                    Delivered { parent: parent.into(), position: StreamPosition(position) };
                history.remember_delivered(block(number, hash), delivered);
            }
            Ok(Some((CursorId(id), history)))
        })
    }

    /// Writes down where a target begins.
    pub(super) fn begin(
        &self,
        target: &str,
        start: u64,
    ) -> Result<(CursorId, DeliveryHistory), ProducerError> {
        self.storage.write(|transaction| {
            let mut targets = transaction.open_table(TARGETS)?;
            let mut id = 0;
            for row in targets.iter()? {
                id = id.max(row?.1.value().0.saturating_add(1));
            }
            targets.insert(target, (id, start, start))?;
            Ok((CursorId(id), DeliveryHistory::starting_at(start)))
        })
    }

    /// Up to where a target's consumers had acknowledged everything, if that is known.
    pub(super) fn acknowledged(
        &self,
        CursorId(id): CursorId,
    ) -> Result<Option<StreamPosition>, ProducerError> {
        self.storage.read(|transaction| {
            let acknowledged = transaction.open_table(ACKNOWLEDGED)?;
            Ok(acknowledged.get(id)?.map(|position| StreamPosition(position.value())))
        })
    }

    /// Moves a cursor over blocks, and notes what consumers have acknowledged. Nothing below
    /// `first_kept` is remembered any longer.
    pub(super) fn advance(
        &self,
        CursorId(id): CursorId,
        handled: &[HandledBlock],
        first_kept: u64,
        acknowledged: Option<StreamPosition>,
    ) -> Result<(), ProducerError> {
        self.storage.write(|transaction| {
            let mut canonical = transaction.open_table(CANONICAL)?;
            let mut delivered = transaction.open_table(DELIVERED)?;
            if let Some(position) = acknowledged {
                transaction.open_table(ACKNOWLEDGED)?.insert(id, position.0)?;
            }
            for HandledBlock { block, disposition } in handled {
                canonical.insert((id, block.number), &block.hash.0)?;
                match disposition {
                    Disposition::Delivered { parent, position } => {
                        let key = (id, block.number, &block.hash.0);
                        delivered.insert(key, (&parent.0, position.0))?;
                    }
                    Disposition::Skipped { from, why } => {
                        write_skipped(transaction, id, *from, block.number, why.name())?;
                    }
                    Disposition::HadAlready => {}
                }
            }
            canonical.retain_in((id, 0)..(id, first_kept), |_, _| false)?;
            delivered.retain_in((id, 0, &[0; 32])..(id, first_kept, &[0; 32]), |_, _| false)?;
            Ok(())
        })
    }

    /// Moves a cursor back to a height, or before all that is remembered, to go on at `resume`.
    pub(super) fn step_back(
        &self,
        target: &str,
        to: Option<u64>,
        resume: u64,
    ) -> Result<(), ProducerError> {
        self.storage.write(|transaction| {
            let mut targets = transaction.open_table(TARGETS)?;
            let Some((id, start, _)) = targets.get(target)?.map(|row| row.value()) else {
                return Ok(());
            };
            let first_removed = to.map_or(0, |to| to.saturating_add(1));
            transaction
                .open_table(CANONICAL)?
                .retain_in((id, first_removed)..=(id, u64::MAX), |_, _| false)?;
            if to.is_none() {
                targets.insert(target, (id, start, resume))?;
            }
            Ok(())
        })
    }

    /// Forgets deliveries after a position, and moves the cursor back to go on at `resume`. What
    /// consumers had acknowledged says nothing of the positions that come now.
    pub(super) fn lose(
        &self,
        target: &str,
        kept: StreamPosition,
        resume: u64,
    ) -> Result<(), ProducerError> {
        self.storage.write(|transaction| {
            let mut targets = transaction.open_table(TARGETS)?;
            let Some((id, start, _)) = targets.get(target)?.map(|row| row.value()) else {
                return Ok(());
            };
            targets.insert(target, (id, start, resume))?;
            transaction.open_table(ACKNOWLEDGED)?.remove(id)?;
            let mut canonical = transaction.open_table(CANONICAL)?;
            canonical.retain_in((id, resume)..=(id, u64::MAX), |_, _| false)?;
            let all = (id, 0, &[0; 32])..=(id, u64::MAX, &[u8::MAX; 32]);
            let mut delivered = transaction.open_table(DELIVERED)?;
            delivered.retain_in(all, |_, (_, position)| position <= kept.0)?;
            Ok(())
        })
    }

    /// The ranges of blocks that were left out of a target, the last [`MOST_RANGES`] of them.
    pub(super) fn skipped(&self, id: CursorId) -> Result<Vec<SkippedRange>, ProducerError> {
        self.last_skipped(id, MOST_RANGES)
    }

    fn last_skipped(
        &self,
        CursorId(id): CursorId,
        most: usize,
    ) -> Result<Vec<SkippedRange>, ProducerError> {
        self.storage.read(|transaction| {
            let skipped = transaction.open_table(SKIPPED)?;
            let mut ranges = Vec::new();
            for row in skipped.range((id, 0)..=(id, u64::MAX))?.rev().take(most) {
                let (key, value) = row?;
                let (first, (last, reason)) = (key.value().1, value.value());
                ranges.push(SkippedRange { first, last, reason: reason.to_owned() });
            }
            ranges.reverse();
            Ok(ranges)
        })
    }
}

fn block(number: u64, hash: &[u8; 32]) -> BlockNumHash {
    BlockNumHash { number, hash: hash.into() }
}

/// Adds a range, to the one before it if that ends where this one begins.
fn write_skipped(
    transaction: &WriteTransaction,
    id: u32,
    from: u64,
    to: u64,
    why: &str,
) -> Result<(), redb::Error> {
    let mut skipped = transaction.open_table(SKIPPED)?;
    let before = match skipped.range((id, 0)..=(id, from))?.next_back().transpose()? {
        Some((key, value)) => {
            let (last, its_why) = value.value();
            let adjoins = its_why == why && last.saturating_add(1) >= from;
            adjoins.then(|| (key.value().1, last))
        }
        None => None,
    };
    let (from, to) = before.map_or((from, to), |(first, last)| (first, last.max(to)));
    skipped.insert((id, from), (to, why))?;
    Ok(())
}

#[cfg(test)]
mod tests;
