//! The end of the log, where frames are appended.

use super::{
    frame::{Frame, Place},
    packs::{PREAMBLE_LEN, Packs},
};
use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt, sync::Arc};

/// The pack that is written to, and the lengths of all.
#[derive(Debug)]
pub(super) struct Log {
    packs: Arc<Packs>,
    /// Packs that are not written to any more, with their lengths in bytes. They are on disk.
    sealed: BTreeMap<u32, u64>,
    number: u32,
    file: Arc<File>,
    len: u32,
    /// A pack that would become longer is sealed, and another begun.
    most: u32,
    /// A sync has failed.
    failed: bool,
}

impl Log {
    /// Goes on where the last pack ends; without any pack, begins the first.
    pub(super) fn open(packs: Arc<Packs>, most: u32) -> io::Result<Self> {
        let mut sealed = packs.list()?;
        let (number, file, len) = match sealed.pop_last() {
            Some((number, len)) => {
                let (file, sound) = packs.open_last(number)?;
                if sound || len > u64::from(PREAMBLE_LEN) {
                    (number, file, len)
                } else {
                    // Its maker died before anything was in it.
                    (number, packs.create(number)?, u64::from(PREAMBLE_LEN))
                }
            }
            None => (1, packs.create(1)?, u64::from(PREAMBLE_LEN)),
        };
        let len = u32::try_from(len).map_err(|_| io::Error::other("a pack is too long"))?;
        Ok(Self { packs, sealed, number, file: Arc::new(file), len, most, failed: false })
    }

    /// Where the next frame would go if it fits there.
    pub(super) const fn end(&self) -> Place {
        Place { pack: self.number, offset: self.len }
    }

    /// The file to sync for all that was appended.
    pub(super) fn file(&self) -> Arc<File> {
        self.file.clone()
    }

    /// Whether the disk has failed in a way that may have lost what was appended.
    pub(super) const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Bytes of all packs.
    pub(super) fn disk_len(&self) -> u64 {
        self.sealed.values().sum::<u64>() + u64::from(self.len)
    }

    /// Packs that are not written to any more, and their lengths.
    pub(super) const fn sealed(&self) -> &BTreeMap<u32, u64> {
        &self.sealed
    }

    /// Where a frame of this length goes. Begins a pack if it does not fit into the present one.
    pub(super) fn place_for(&mut self, frame_len: u64) -> io::Result<Place> {
        let end = u64::from(self.len) + frame_len;
        if end > u64::from(self.most) && self.len > PREAMBLE_LEN {
            self.roll()?;
        }
        Ok(self.end())
    }

    /// Appends a frame. It is on disk after the next sync of [`file`](Self::file).
    pub(super) fn append(&mut self, frame: &Frame<'_>) -> io::Result<Place> {
        let frame_len = frame.header.frame_len();
        let at = self.place_for(frame_len)?;
        let len = u32::try_from(u64::from(at.offset) + frame_len)
            .map_err(|_| io::Error::other("a pack would become too long"))?;
        if let Err(error) = self.write(frame, at) {
            // What was written of it would be cut off at the next start anyway.
            let _ = self.file.set_len(u64::from(self.len));
            return Err(error);
        }
        self.len = len;
        Ok(at)
    }

    fn write(&self, frame: &Frame<'_>, at: Place) -> io::Result<()> {
        let header = frame.header.encode(at);
        let offset = u64::from(at.offset);
        if frame.body.len() <= 4096 {
            return self.file.write_all_at(&[&header[..], &frame.body].concat(), offset);
        }
        self.file.write_all_at(&header, offset)?;
        self.file.write_all_at(&frame.body, offset + header.len() as u64)
    }

    /// Seals the present pack and begins the next.
    pub(super) fn roll(&mut self) -> io::Result<()> {
        self.file.sync_data().inspect_err(|_| self.failed = true)?;
        let number = self.number.checked_add(1).ok_or_else(|| io::Error::other("no more packs"))?;
        let file = self.packs.create(number)?;
        self.sealed.insert(self.number, u64::from(self.len));
        (self.number, self.len, self.file) = (number, PREAMBLE_LEN, Arc::new(file));
        Ok(())
    }

    /// Removes a sealed pack.
    pub(super) fn remove(&mut self, pack: u32) -> io::Result<()> {
        self.packs.remove(pack)?;
        self.sealed.remove(&pack);
        Ok(())
    }
}
