//! The index: where each block is, and how many pins hold it.
//!
//! A database that can be made again from the log at any time. Its changes are durable only now and
//! then, together with the place up to which the log is in it; the log behind that place is applied
//! at the start. Applying a frame twice changes nothing.

use super::{Digest, PinState, StoreError, frame::HEADER_LEN, frame::Place, record::PinRecord};
use bsp_common::{
    database::{self, OpenError},
    files::remove_if_there,
};
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageError,
    Table, TableDefinition,
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

/// Pack (0 for none), offset, body's and block's bytes, number of pins.
type RowValue = (u32, u32, u32, u32, u32);

const BLOCKS: TableDefinition<'static, &[u8; 32], RowValue> = TableDefinition::new("blocks");
/// Blocks that no pin holds, and since when, in seconds since 1970.
const UNPINNED: TableDefinition<'static, &[u8; 32], u64> = TableDefinition::new("unpinned");
/// Pins by the bytes of their root's CID.
const PINS: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("pins");
/// Roots of confirmed pins by the pin's number, so the oldest first.
const CONFIRMED: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("confirmed");
/// Bytes of frames that are needed, by pack.
const PACKS: TableDefinition<'static, u32, u64> = TableDefinition::new("packs");
const FACTS: TableDefinition<'static, &str, u64> = TableDefinition::new("facts");

const FORMAT: u64 = 1;

/// What the index says of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// Where its frame is; `None` for one that a pin needs and that is not there.
    pub(super) at: Option<Place>,
    /// Bytes of the frame's body.
    pub(super) body_len: u32,
    /// Bytes of the block.
    pub(super) raw_len: u32,
    /// Number of pins that hold it.
    pub(super) refs: u32,
}

impl Row {
    fn from_value((pack, offset, body_len, raw_len, refs): RowValue) -> Self {
        let at = (pack != 0).then_some(Place { pack, offset });
        Self { at, body_len, raw_len, refs }
    }

    fn to_value(self) -> RowValue {
        let at = self.at.unwrap_or(Place { pack: 0, offset: 0 });
        (at.pack, at.offset, self.body_len, self.raw_len, self.refs)
    }

    fn frame_len(&self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.body_len)
    }
}

/// What the index says of a pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PinRow {
    /// Where its frame is.
    pub(super) at: Place,
    /// Bytes of the frame's body.
    pub(super) body_len: u32,
    /// Number of its blocks.
    pub(super) blocks: u32,
    pub(super) record: PinRecord,
}

impl PinRow {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        for number in [self.at.pack, self.at.offset, self.body_len, self.blocks] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        self.record.encode(&mut bytes);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let read = || {
            let mut rest = bytes;
            let mut numbers = [0; 4];
            for number in &mut numbers {
                let (bytes, after) = rest.split_first_chunk()?;
                *number = u32::from_le_bytes(*bytes);
                rest = after;
            }
            let [pack, offset, body_len, blocks] = numbers;
            let record = PinRecord::decode(&mut rest)?;
            Some(Self { at: Place { pack, offset }, body_len, blocks, record })
        };
        read().ok_or_else(|| damaged("a pin's entry can't be read"))
    }

    fn frame_len(&self) -> u64 {
        HEADER_LEN as u64 + u64::from(self.body_len)
    }
}

/// The database, open but for the moments of a recovery.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    database: RwLock<Option<Database>>,
    /// A change failed: the database takes no more until it is opened again.
    broken: AtomicBool,
}

impl Index {
    /// The index in a folder, not open yet.
    pub(super) fn new(folder: &Path) -> Self {
        let path = folder.join("index.redb");
        Self { path, database: RwLock::new(None), broken: AtomicBool::new(false) }
    }

    /// Opens the file, in the state of the last durable change. One that is damaged, or of another
    /// format, is replaced by an empty one.
    pub(super) fn open(&self) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        *database = None;
        *database = Some(match open_sound(&self.path)? {
            Some(database) => database,
            None => {
                tracing::warn!(
                    target: "bsp::pinner",
                    "The pin store's index is damaged or of another version; it is made again"
                );
                remove_if_there(&self.path)?;
                open_sound(&self.path)?.ok_or_else(|| damaged("a new index can't be read"))?
            }
        });
        self.broken.store(false, Ordering::Release);
        Ok(())
    }

    /// Removes the file and begins an empty one.
    pub(super) fn clear(&self) -> Result<(), StoreError> {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        remove_if_there(&self.path)?;
        self.open()
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    pub(super) fn disk_len(&self) -> io::Result<u64> {
        Ok(self.path.metadata()?.len())
    }

    fn with<T>(
        &self,
        run: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(|| damaged("the index is closed"))?;
        database::guarded(|| run(database))
            .unwrap_or_else(|| Err(damaged("the index can't be read")))
    }

    /// Changes the index, in one transaction: all of it where `run` succeeds, otherwise nothing.
    pub(super) fn write<T>(
        &self,
        durability: Durability,
        run: impl FnOnce(&mut Tables<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut asked = Ok(());
        let written = self.with(|database| {
            let mut change = database.begin_write().map_err(failed)?;
            change.set_durability(durability).map_err(failed)?;
            let result = Tables::open(&change).and_then(|mut tables| run(&mut tables));
            match result {
                Ok(done) => {
                    change.commit().map_err(failed)?;
                    Ok(Some(done))
                }
                Err(error) => {
                    asked = Err(error);
                    change.abort().map_err(failed)?;
                    Ok(None)
                }
            }
        });
        match written {
            Ok(Some(done)) => Ok(done),
            Ok(None) => Err(asked.err().unwrap_or_else(|| damaged("nothing was changed"))),
            Err(error) => {
                self.broken.store(true, Ordering::Release);
                Err(error)
            }
        }
    }

    pub(super) fn row(&self, digest: &Digest) -> Result<Option<Row>, StoreError> {
        self.with(|database| {
            let reading = database.begin_read().map_err(failed)?;
            read_row(&reading.open_table(BLOCKS).map_err(failed)?, digest)
        })
    }

    pub(super) fn pin(&self, root: &[u8]) -> Result<Option<PinRow>, StoreError> {
        self.with(|database| {
            let reading = database.begin_read().map_err(failed)?;
            read_pin(&reading.open_table(PINS).map_err(failed)?, root)
        })
    }

    /// Pins in the order of their roots' bytes, from the one after `after` on.
    pub(super) fn pins(&self, after: &[u8], most: usize) -> Result<Vec<PinRow>, StoreError> {
        self.with(|database| {
            let reading = database.begin_read().map_err(failed)?;
            let table = reading.open_table(PINS).map_err(failed)?;
            let bounds = (std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded);
            let mut pins = Vec::new();
            for pin in table.range::<&[u8]>(bounds)?.take(most) {
                pins.push(PinRow::decode(pin?.1.value())?);
            }
            Ok(pins)
        })
    }

    /// Blocks in the order of their digests, from the one after `after` on.
    pub(super) fn rows(
        &self,
        after: Option<Digest>,
        most: usize,
    ) -> Result<Vec<(Digest, Row)>, StoreError> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.with(|database| {
            let reading = database.begin_read().map_err(failed)?;
            let table = reading.open_table(BLOCKS).map_err(failed)?;
            let from = after.as_ref().map_or(Unbounded, Excluded);
            let mut rows = Vec::new();
            for row in table.range::<&[u8; 32]>((from, Unbounded))?.take(most) {
                let (digest, value) = row?;
                rows.push((*digest.value(), Row::from_value(value.value())));
            }
            Ok(rows)
        })
    }

    /// Bytes of each pack that are needed.
    pub(super) fn live(&self) -> Result<BTreeMap<u32, u64>, StoreError> {
        self.with(|database| {
            let reading = database.begin_read().map_err(failed)?;
            read_live(&reading.open_table(PACKS).map_err(failed)?)
        })
    }

    /// Numbers of pins and blocks, and bytes of blocks.
    pub(super) fn counts(&self) -> Result<[u64; 3], StoreError> {
        self.with(|database| {
            let reading = database.begin_read().map_err(failed)?;
            let pins = reading.open_table(PINS).map_err(failed)?.len()?;
            let blocks = reading.open_table(BLOCKS).map_err(failed)?.len()?;
            let facts = reading.open_table(FACTS).map_err(failed)?;
            Ok([pins, blocks, fact(&facts, "block_bytes")?.unwrap_or(0)])
        })
    }
}

/// Opens a database and makes the tables that are not there. `None` where it can't be used.
fn open_sound(path: &Path) -> Result<Option<Database>, StoreError> {
    let database = match database::open(path) {
        Ok(database) => database,
        Err(OpenError::InUse) => return Err(StoreError::InUse),
        Err(OpenError::Io(error)) => return Err(error.into()),
        Err(_) => return Ok(None),
    };
    let prepare = || -> Result<bool, StoreError> {
        let change = database.begin_write().map_err(failed)?;
        let mut tables = Tables::open(&change)?;
        let format = fact(&tables.facts, "format")?;
        if format.is_none() {
            tables.facts.insert("format", FORMAT)?;
        }
        drop(tables);
        change.commit().map_err(failed)?;
        Ok(format.is_none_or(|format| format == FORMAT))
    };
    match database::guarded(prepare) {
        Some(Ok(true)) => Ok(Some(database)),
        Some(Err(StoreError::Io(error))) if error.kind() != io::ErrorKind::InvalidData => {
            Err(error.into())
        }
        _ => Ok(None),
    }
}

/// All tables in one change.
pub(super) struct Tables<'a> {
    blocks: Table<'a, &'static [u8; 32], RowValue>,
    unpinned: Table<'a, &'static [u8; 32], u64>,
    pins: Table<'a, &'static [u8], &'static [u8]>,
    confirmed: Table<'a, u64, &'static [u8]>,
    packs: Table<'a, u32, u64>,
    facts: Table<'a, &'static str, u64>,
}

impl<'a> Tables<'a> {
    fn open(change: &'a redb::WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            blocks: change.open_table(BLOCKS).map_err(failed)?,
            unpinned: change.open_table(UNPINNED).map_err(failed)?,
            pins: change.open_table(PINS).map_err(failed)?,
            confirmed: change.open_table(CONFIRMED).map_err(failed)?,
            packs: change.open_table(PACKS).map_err(failed)?,
            facts: change.open_table(FACTS).map_err(failed)?,
        })
    }

    pub(super) fn row(&self, digest: &Digest) -> Result<Option<Row>, StoreError> {
        read_row(&self.blocks, digest)
    }

    /// Sets what is known of a block. One that no pin holds is listed as such; one that is neither
    /// there nor held is forgotten.
    pub(super) fn set_row(&mut self, digest: &Digest, row: Option<Row>) -> Result<(), StoreError> {
        let row = row.filter(|row| row.refs > 0 || row.at.is_some());
        let before = match row {
            Some(row) => self.blocks.insert(digest, row.to_value())?.map(|old| old.value()),
            None => self.blocks.remove(digest)?.map(|old| old.value()),
        };
        let before = before.map(Row::from_value);
        let was_unpinned = before.is_some_and(|row| row.refs == 0);
        let is_unpinned = row.is_some_and(|row| row.refs == 0);
        match (was_unpinned, is_unpinned) {
            (false, true) => drop(self.unpinned.insert(digest, seconds_now())?),
            (true, false) => drop(self.unpinned.remove(digest)?),
            _ => {}
        }
        let there = |row: Option<Row>| row.and_then(|row| Some((row.at?, row)));
        let mut bytes = self.fact("block_bytes")?.unwrap_or(0);
        let same_place = there(before).map(|(at, _)| at) == there(row).map(|(at, _)| at);
        if same_place {
            return Ok(());
        }
        if let Some((at, row)) = there(before) {
            self.adjust(at.pack, |live| live.saturating_sub(row.frame_len()))?;
            bytes = bytes.saturating_sub(u64::from(row.raw_len));
        }
        if let Some((at, row)) = there(row) {
            self.adjust(at.pack, |live| live + row.frame_len())?;
            bytes += u64::from(row.raw_len);
        }
        self.set_fact("block_bytes", bytes)
    }

    pub(super) fn pin(&self, root: &[u8]) -> Result<Option<PinRow>, StoreError> {
        read_pin(&self.pins, root)
    }

    pub(super) fn set_pin(&mut self, root: &[u8], pin: Option<&PinRow>) -> Result<(), StoreError> {
        if let Some(before) = self.pin(root)? {
            self.adjust(before.at.pack, |live| live.saturating_sub(before.frame_len()))?;
            self.confirmed.remove(before.record.id)?;
        }
        let Some(pin) = pin else {
            self.pins.remove(root)?;
            return Ok(());
        };
        self.adjust(pin.at.pack, |live| live + pin.frame_len())?;
        if pin.record.state == PinState::Confirmed {
            self.confirmed.insert(pin.record.id, root)?;
        }
        self.pins.insert(root, pin.encode().as_slice())?;
        Ok(())
    }

    fn adjust(&mut self, pack: u32, change: impl FnOnce(u64) -> u64) -> Result<(), StoreError> {
        let live = self.packs.get(pack)?.map_or(0, |live| live.value());
        self.packs.insert(pack, change(live))?;
        Ok(())
    }

    pub(super) fn live(&self) -> Result<BTreeMap<u32, u64>, StoreError> {
        read_live(&self.packs)
    }

    /// Forgets a pack that is gone.
    pub(super) fn remove_pack(&mut self, pack: u32) -> Result<(), StoreError> {
        self.packs.remove(pack)?;
        Ok(())
    }

    /// Up to which place the log is in the index; `None` for an index that is new.
    pub(super) fn mark(&self) -> Result<Option<Place>, StoreError> {
        let part =
            |name| Ok::<_, StoreError>(self.fact(name)?.and_then(|part| u32::try_from(part).ok()));
        let (pack, offset) = (part("mark_pack")?, part("mark_offset")?);
        Ok(pack.zip(offset).map(|(pack, offset)| Place { pack, offset }))
    }

    pub(super) fn set_mark(&mut self, mark: Place) -> Result<(), StoreError> {
        self.set_fact("mark_pack", mark.pack.into())?;
        self.set_fact("mark_offset", mark.offset.into())
    }

    /// Blocks that no pin has held from a time in seconds since 1970 on, and that `idle` agrees to;
    /// at most `most`.
    pub(super) fn unpinned_until(
        &self,
        upto: u64,
        most: usize,
        idle: impl Fn(&Digest) -> bool,
    ) -> Result<Vec<Digest>, StoreError> {
        let mut digests = Vec::new();
        for pair in self.unpinned.iter()? {
            let (digest, since) = pair?;
            if since.value() <= upto && idle(digest.value()) {
                digests.push(*digest.value());
            }
            if digests.len() >= most {
                break;
            }
        }
        Ok(digests)
    }

    /// The root of the oldest confirmed pin.
    pub(super) fn oldest_confirmed(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.confirmed.first()?.map(|(_, root)| root.value().to_vec()))
    }

    fn fact(&self, name: &str) -> Result<Option<u64>, StoreError> {
        fact(&self.facts, name)
    }

    fn set_fact(&mut self, name: &str, value: u64) -> Result<(), StoreError> {
        self.facts.insert(name, value)?;
        Ok(())
    }
}

fn read_row(
    table: &impl ReadableTable<&'static [u8; 32], RowValue>,
    digest: &Digest,
) -> Result<Option<Row>, StoreError> {
    Ok(table.get(digest)?.map(|row| Row::from_value(row.value())))
}

/// Bytes of each pack that are needed.
fn read_live(table: &impl ReadableTable<u32, u64>) -> Result<BTreeMap<u32, u64>, StoreError> {
    let mut packs = BTreeMap::new();
    for pair in table.iter()? {
        let (pack, live) = pair?;
        packs.insert(pack.value(), live.value());
    }
    Ok(packs)
}

fn read_pin(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    root: &[u8],
) -> Result<Option<PinRow>, StoreError> {
    table.get(root)?.map(|pin| PinRow::decode(pin.value())).transpose()
}

fn fact(
    table: &impl ReadableTable<&'static str, u64>,
    name: &str,
) -> Result<Option<u64>, StoreError> {
    Ok(table.get(name)?.map(|value| value.value()))
}

/// Seconds since 1970.
pub(super) fn seconds_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn damaged(reason: &str) -> StoreError {
    io::Error::new(io::ErrorKind::InvalidData, format!("the pin store's index: {reason}")).into()
}

fn failed(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Io(error) => StoreError::Io(error),
        error => damaged(&error.to_string()),
    }
}

impl From<StorageError> for StoreError {
    fn from(error: StorageError) -> Self {
        failed(error)
    }
}
