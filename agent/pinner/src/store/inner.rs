//! The store behind its handles.

use super::{
    Digest, MAX_BLOCK_LEN, StoreError, StoreOptions, cid_of, failpoint,
    frame::{Compressor, Frame, Place},
    index::{Index, Row, Tables},
    log::Log,
    packs::{PREAMBLE_LEN, Packs, read_frame},
    replay::recover,
    sync::{Syncs, Ticket},
};
use bsp_codec::dag::Cid;
use bytes::Bytes;
use redb::Durability;
use std::{
    collections::HashMap,
    fs::{File, TryLockError},
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bytes of log after which the index is made durable: what a start has to read at most.
const CHECKPOINT_BYTES: u64 = 64 << 20;

/// Changes after which the index is made durable.
const CHECKPOINT_CHANGES: u64 = 1024;

/// A store that is open.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) options: StoreOptions,
    pub(super) packs: Arc<Packs>,
    pub(super) index: Index,
    writer: Mutex<Writer>,
    syncs: Syncs,
    /// Held by whoever removes garbage.
    pub(super) garbage: Mutex<()>,
    pack_len: u32,
    /// Locked while the store is open.
    _lock: File,
}

/// What only one thread at a time may use.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) log: Log,
    /// Blocks that somebody is about to pin.
    held: HashMap<Digest, Held>,
    epoch: u64,
    /// Where the index was made durable last, and changes since.
    checkpoint: Place,
    changes: u64,
    /// Nothing is written until the store has recovered.
    broken: bool,
}

#[derive(Debug)]
struct Held {
    count: usize,
    /// Its row, if it is not in the index yet.
    fresh: Option<Row>,
}

impl Inner {
    pub(super) fn open(folder: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        make_folder(folder)?;
        let lock = File::create(folder.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::InUse,
            TryLockError::Error(error) => error.into(),
        })?;
        let packs = Arc::new(Packs::new(folder));
        make_folder(packs.folder())?;
        let index = Index::new(folder);
        let pack_len = options.pack_len();
        let log = recover(&packs, &index, pack_len, false)?;
        let end = log.end();
        let (held, epoch) = (HashMap::new(), 0);
        let writer = Writer { log, held, epoch, checkpoint: end, changes: 0, broken: false };
        Ok(Self {
            options,
            packs,
            index,
            writer: Mutex::new(writer),
            syncs: Syncs::new(end),
            garbage: Mutex::new(()),
            pack_len,
            _lock: lock,
        })
    }

    /// The writer, after a recovery where the disk has failed.
    pub(super) fn writer(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (synced, failed) = self.syncs.synced();
        if writer.broken || failed || self.index.is_broken() {
            writer.broken = true;
            tracing::warn!(target: "bsp::pinner", "The pin store recovers from a failure of the disk");
            self.recover(&mut writer, synced, failed)?;
        }
        Ok(writer)
    }

    /// Forgets what may not be on disk, and reads the rest again.
    fn recover(
        &self,
        writer: &mut Writer,
        synced: Place,
        unsynced: bool,
    ) -> Result<(), StoreError> {
        if unsynced {
            let (file, _) = self.packs.open_last(synced.pack)?;
            file.set_len(synced.offset.max(PREAMBLE_LEN).into())?;
            for pack in self.packs.list()?.into_keys().filter(|pack| *pack > synced.pack) {
                self.packs.remove(pack)?;
            }
            // It may know places that are gone now.
            self.index.clear()?;
        }
        self.read_again(writer, false)
    }

    fn read_again(&self, writer: &mut Writer, synced: bool) -> Result<(), StoreError> {
        writer.log = recover(&self.packs, &self.index, self.pack_len, synced)?;
        let end = writer.log.end();
        writer.epoch = self.syncs.restart(end);
        (writer.checkpoint, writer.changes) = (end, 0);
        writer.held.values_mut().for_each(|held| held.fresh = None);
        writer.broken = false;
        Ok(())
    }

    /// Makes the index again from the packs, reading every frame.
    pub(super) fn rebuild(&self) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        self.checkpoint(&mut writer)?;
        self.index.clear()?;
        self.read_again(&mut writer, true)
    }

    /// Returns once all that was appended before is on disk.
    pub(super) fn sync(&self, ticket: Ticket) -> Result<(), StoreError> {
        let end = || {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            (writer.log.file(), writer.log.end())
        };
        Ok(self.syncs.wait(ticket, end)?)
    }

    /// What the index, or an import that goes on, says of a block that is here.
    pub(super) fn row(&self, digest: &Digest) -> Result<Option<(Place, Row)>, StoreError> {
        let there = |row: Row| row.at.map(|at| (at, row));
        if let Some(found) = self.index.row(digest)?.and_then(there) {
            return Ok(Some(found));
        }
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(writer.held.get(digest).and_then(|held| held.fresh).and_then(there))
    }

    /// A block, checked.
    pub(super) fn block(&self, digest: &Digest, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        // Garbage collection may move it between the two looks.
        for _ in 0..8 {
            let Some((at, row)) = self.row(digest)? else { return Ok(None) };
            let Some(file) = self.packs.file(at.pack)? else { continue };
            let frame = read_frame(&file, at, row.body_len)?;
            let block = frame.and_then(|(header, body)| header.block(body));
            if let Some(block) = block {
                return Ok(Some(block));
            }
            if self.row(digest)?.is_some_and(|(now, _)| now == at) {
                self.forget(digest, at)?;
                return Err(StoreError::Damaged(Box::new(*cid)));
            }
        }
        Err(io::Error::other("a block moves faster than it can be read").into())
    }

    /// Notes that a block is not where it was, so that it can be stored again.
    pub(super) fn forget(&self, digest: &Digest, at: Place) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        self.change(&mut writer, |_, tables| match tables.row(digest)? {
            Some(row) if row.at == Some(at) => {
                tables.set_row(digest, Some(Row { at: None, body_len: 0, raw_len: 0, ..row }))
            }
            _ => Ok(()),
        })
    }

    /// Stores a block that is not here, and holds it until [`release`](Self::release). The digest
    /// is the block's.
    pub(super) fn add_block(
        &self,
        digest: Digest,
        block: &[u8],
        compressor: &mut Compressor,
        holds: &mut Holds,
    ) -> Result<(), StoreError> {
        if block.len() > MAX_BLOCK_LEN {
            return Err(StoreError::BlockTooLong { len: block.len() as u64 });
        }
        if holds.digests.contains_key(&digest) {
            return Ok(());
        }
        let mut brought = false;
        let mut writer = self.writer()?;
        if !writer.hold(&self.index, digest)? {
            drop(writer);
            let frame = Frame::block(digest, block, compressor);
            self.keep_within_budget(frame.header.frame_len())?;
            writer = self.writer()?;
            // Somebody else may have stored it in the meantime.
            if !writer.hold(&self.index, digest)? {
                let at = Some(self.append(&mut writer.log, &frame)?);
                let (body_len, raw_len) = (frame.header.body_len, frame.header.raw_len);
                let fresh = Some(Row { at, body_len, raw_len, refs: 0 });
                let held = writer.held.entry(digest).or_insert(Held { count: 0, fresh: None });
                held.count += 1;
                held.fresh = fresh;
                brought = true;
                failpoint::hit("block_appended");
            }
        }
        holds.digests.insert(digest, brought);
        self.checkpoint_if_due(&mut writer)
    }

    /// Makes room for a frame where the budget asks for that.
    fn keep_within_budget(&self, frame_len: u64) -> Result<(), StoreError> {
        match self.options.budget {
            Some(budget) if self.disk_len()?.saturating_add(frame_len) > budget => {
                self.make_room(budget, frame_len)
            }
            _ => Ok(()),
        }
    }

    /// Puts blocks that are held into the index. An error where one is not here.
    pub(super) fn settle<'a>(
        held: &mut HeldBlocks<'_>,
        tables: &mut Tables<'_>,
        digests: impl IntoIterator<Item = &'a Digest>,
    ) -> Result<(), StoreError> {
        for digest in digests {
            let row = tables.row(digest)?;
            if row.is_some_and(|row| row.at.is_some()) {
                continue;
            }
            let fresh = held.0.get(digest).and_then(|held| held.fresh);
            let fresh = fresh.ok_or_else(|| StoreError::Missing(Box::new(cid_of(digest))))?;
            let refs = row.map_or(0, |row| row.refs);
            tables.set_row(digest, Some(Row { refs, ..fresh }))?;
        }
        Ok(())
    }

    /// Ends what [`add_block`](Self::add_block) began.
    pub(super) fn release(&self, writer: &mut Writer, holds: &mut Holds) {
        for (digest, _) in holds.digests.drain() {
            let Some(held) = writer.held.get_mut(&digest) else { continue };
            held.count -= 1;
            if held.count == 0 {
                writer.held.remove(&digest);
            }
        }
    }

    /// The same, for an import that was given up: what it has brought is garbage at once.
    pub(super) fn abandon(&self, holds: &mut Holds) {
        if holds.digests.is_empty() {
            return;
        }
        let brought = holds.digests.iter().filter(|(_, brought)| **brought);
        let brought: Vec<Digest> = brought.map(|(digest, _)| *digest).collect();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.release(&mut writer, holds);
        let forgotten = self.change(&mut writer, |parts, tables| {
            for digest in brought.iter().filter(|digest| !parts.held.contains(digest)) {
                if tables.row(digest)?.is_some_and(|row| row.refs == 0) {
                    tables.set_row(digest, None)?;
                }
            }
            Ok(())
        });
        if let Err(error) = forgotten {
            tracing::debug!(target: "bsp::pinner", %error, "Garbage collection will remove an import");
        }
    }

    /// Puts blocks that are held into the index and lets go of them. On return they are on disk.
    pub(super) fn keep_blocks(&self, holds: &mut Holds) -> Result<(), StoreError> {
        let mut writer = self.writer()?;
        self.change(&mut writer, |parts, tables| {
            Self::settle(&mut parts.held, tables, holds.digests.keys())
        })?;
        self.release(&mut writer, holds);
        let ticket = self.ticket(&writer);
        drop(writer);
        self.sync(ticket)
    }

    /// Bytes on disk.
    pub(super) fn disk_len(&self) -> Result<u64, StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(writer.log.disk_len() + self.index.disk_len()?)
    }

    /// Begins another pack.
    pub(super) fn roll(&self, writer: &mut Writer) -> Result<(), StoreError> {
        writer.log.roll().map_err(|error| {
            if writer.log.has_failed() {
                self.syncs.fail();
            }
            error.into()
        })
    }

    pub(super) fn append(&self, log: &mut Log, frame: &Frame<'_>) -> Result<Place, StoreError> {
        log.append(frame).map_err(|error| {
            if log.has_failed() {
                self.syncs.fail();
            }
            error.into()
        })
    }

    /// Changes the index under the writer.
    pub(super) fn change<T>(
        &self,
        writer: &mut Writer,
        run: impl FnOnce(&mut WriterParts<'_>, &mut Tables<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        writer.changes += 1;
        let mut parts = WriterParts { log: &mut writer.log, held: HeldBlocks(&mut writer.held) };
        self.index.write(Durability::None, |tables| run(&mut parts, tables))
    }

    /// A ticket for all that was appended.
    pub(super) fn ticket(&self, writer: &Writer) -> Ticket {
        Ticket { epoch: writer.epoch, upto: writer.log.end() }
    }

    pub(super) fn checkpoint_if_due(&self, writer: &mut Writer) -> Result<(), StoreError> {
        let since = writer.log.end().to_number().wrapping_sub(writer.checkpoint.to_number());
        if since > CHECKPOINT_BYTES || writer.changes > CHECKPOINT_CHANGES {
            self.checkpoint(writer)?;
        }
        Ok(())
    }

    /// Makes the index durable, as far as the log goes.
    pub(super) fn checkpoint(&self, writer: &mut Writer) -> Result<(), StoreError> {
        let end = writer.log.end();
        if let Err(error) = writer.log.file().sync_data() {
            self.syncs.fail();
            return Err(error.into());
        }
        self.syncs.note(end);
        failpoint::hit("checkpoint");
        let held = &mut writer.held;
        self.index.write(Durability::Immediate, |tables| {
            for (digest, held) in held.iter().filter(|(_, held)| held.fresh.is_some()) {
                let Some(fresh) = held.fresh else { continue };
                let row = tables.row(digest)?;
                if row.is_none_or(|row| row.at.is_none()) {
                    let refs = row.map_or(0, |row| row.refs);
                    tables.set_row(digest, Some(Row { refs, ..fresh }))?;
                }
            }
            tables.set_mark(end)
        })?;
        held.values_mut().for_each(|held| held.fresh = None);
        (writer.checkpoint, writer.changes) = (end, 0);
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Ok(mut writer) = self.writer() else { return };
        if let Err(error) = self.checkpoint(&mut writer) {
            // The log has everything; the next start reads it.
            tracing::warn!(target: "bsp::pinner", %error, "The pin store's index was not saved");
        }
    }
}

/// The parts of the writer that a change of the index may use.
pub(super) struct WriterParts<'a> {
    pub(super) log: &'a mut Log,
    pub(super) held: HeldBlocks<'a>,
}

/// Blocks that imports hold.
pub(super) struct HeldBlocks<'a>(&'a mut HashMap<Digest, Held>);

impl HeldBlocks<'_> {
    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.0.contains_key(digest)
    }
}

/// Blocks that one import holds, each once, and whether it has brought them.
#[derive(Debug, Default)]
pub(super) struct Holds {
    pub(super) digests: HashMap<Digest, bool>,
}

impl Writer {
    /// Holds a block if it is here.
    fn hold(&mut self, index: &Index, digest: Digest) -> Result<bool, StoreError> {
        let in_index = index.row(&digest)?.is_some_and(|row| row.at.is_some());
        match self.held.get_mut(&digest) {
            Some(held) if in_index || held.fresh.is_some() => held.count += 1,
            None if in_index => {
                self.held.insert(digest, Held { count: 1, fresh: None });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => {
            made?;
            folder.canonicalize()?.parent().map_or(Ok(()), bsp_common::files::sync_folder)
        }
    }
}
