//! What nothing needs any more goes: blocks that no pin holds, and packs that are mostly dead.

use super::{
    Digest, StoreError, failpoint,
    frame::{Frame, Header, Kind, Place},
    index::{Row, Tables, seconds_now},
    inner::{Inner, Writer, WriterParts},
    packs::read_frame,
    record::PinNote,
    scan::{Found, Scan},
};
use bytes::Bytes;
use std::{fs::File, mem, sync::PoisonError, time::Duration};

/// What a garbage collection has removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Blocks that no pin held.
    pub blocks: u64,
    /// Packs of which nothing or little was needed.
    pub packs: u64,
}

/// Blocks that are forgotten in one change of the index.
const BATCH: usize = 1024;

/// Bytes of frames that are copied in one change of the index.
const COPY_BYTES: usize = 8 << 20;

impl Inner {
    pub(super) fn collect_garbage(&self, grace: Duration) -> Result<Collected, StoreError> {
        let _alone = self.garbage.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = Collected::default();
        let mut writer = self.writer()?;
        self.checkpoint(&mut writer)?;
        done.blocks = self.forget_unpinned(&mut writer, grace)?;
        let sealed = writer.log.sealed().clone();
        drop(writer);
        for (pack, len) in sealed {
            let live = self.index.live()?.get(&pack).copied().unwrap_or(0);
            if live.saturating_mul(2) < len && self.compact(pack)? {
                done.packs += 1;
            }
        }
        Ok(done)
    }

    /// Forgets blocks that no pin has held for a while. How many those were.
    fn forget_unpinned(&self, writer: &mut Writer, grace: Duration) -> Result<u64, StoreError> {
        let upto = seconds_now().saturating_sub(grace.as_secs());
        let mut forgotten = 0;
        loop {
            let batch = self.change(writer, |parts, tables| {
                let idle = |digest: &Digest| !parts.held.contains(digest);
                let digests = tables.unpinned_until(upto, BATCH, idle)?;
                digests.iter().try_for_each(|digest| tables.set_row(digest, None))?;
                Ok(digests.len())
            })?;
            forgotten += batch as u64;
            if batch < BATCH {
                return Ok(forgotten);
            }
        }
    }

    /// Copies what is needed of a sealed pack to the end of the log, and removes the pack. False
    /// where it has to stay, because a part that is needed can't be read.
    pub(super) fn compact(&self, pack: u32) -> Result<bool, StoreError> {
        let Some(file) = self.packs.file(pack)? else { return Ok(false) };
        let mut scan = Scan::new(&file, Place { pack, offset: 0 }, false)?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        loop {
            let found = scan.next()?;
            let at_end = found.is_none();
            if let Some(Found::Frame(at, header)) = found
                && self.may_be_needed(at, &header)?
            {
                bytes += header.body_len as usize;
                batch.push((at, header));
            }
            if at_end || bytes >= COPY_BYTES || batch.len() >= BATCH {
                self.copy_frames(&file, &mem::take(&mut batch))?;
                bytes = 0;
            }
            if at_end {
                break;
            }
        }
        failpoint::hit("pack_copied");
        self.remove_pack(pack)
    }

    /// Whether a frame is worth a closer look.
    fn may_be_needed(&self, at: Place, header: &Header) -> Result<bool, StoreError> {
        Ok(header.kind != Kind::Block
            || self.index.row(&header.digest)?.is_some_and(|row| row.at == Some(at)))
    }

    fn copy_frames(&self, file: &File, frames: &[(Place, Header)]) -> Result<(), StoreError> {
        if frames.is_empty() {
            return Ok(());
        }
        let mut read = Vec::new();
        for (at, header) in frames {
            if let Some((_, body)) = read_frame(file, *at, header.body_len)? {
                read.push((*at, *header, body));
            }
        }
        let mut writer = self.writer()?;
        self.change(&mut writer, |parts, tables| {
            read.iter().try_for_each(|(at, header, body)| {
                self.copy_frame(parts, tables, *at, header, body)
            })
        })
    }

    fn copy_frame(
        &self,
        parts: &mut WriterParts<'_>,
        tables: &mut Tables<'_>,
        at: Place,
        header: &Header,
        body: &Bytes,
    ) -> Result<(), StoreError> {
        match header.kind {
            Kind::Block => {
                let row = tables.row(&header.digest)?.filter(|row| row.at == Some(at));
                let Some(row) = row else { return Ok(()) };
                let copy = self.append(parts.log, &Frame::copied(*header, body))?;
                tables.set_row(&header.digest, Some(Row { at: Some(copy), ..row }))
            }
            Kind::Pin => self.copy_pin(parts, tables, at, body),
            Kind::Unpin | Kind::Confirm => {
                let Some(note) = PinNote::decode(body) else { return Ok(()) };
                // It matters as long as the frame of its pin is in another file.
                let has_pin = note.pack != at.pack
                    && (note.pack == parts.log.end().pack
                        || parts.log.sealed().contains_key(&note.pack));
                if has_pin {
                    self.append(parts.log, &Frame::copied(*header, body))?;
                }
                Ok(())
            }
        }
    }

    /// Copies a pin's frame, as the pin is now.
    fn copy_pin(
        &self,
        parts: &mut WriterParts<'_>,
        tables: &mut Tables<'_>,
        at: Place,
        body: &[u8],
    ) -> Result<(), StoreError> {
        let Some((record, blocks)) = super::record::decode_pin(body) else { return Ok(()) };
        match tables.pin(&record.root.to_bytes())? {
            Some(present) if present.at == at => {
                self.write_pin(parts, tables, present.record, &blocks).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn remove_pack(&self, pack: u32) -> Result<bool, StoreError> {
        let mut writer = self.writer()?;
        self.checkpoint(&mut writer)?;
        let live = self.index.live()?.get(&pack).copied().unwrap_or(0);
        if live > 0 {
            tracing::error!(
                target: "bsp::pinner",
                pack,
                "A part of a pack can't be read, so its room is not freed; run `bsp pinner fsck --repair`"
            );
            return Ok(false);
        }
        writer.log.remove(pack)?;
        failpoint::hit("pack_removed");
        self.change(&mut writer, |_, tables| tables.remove_pack(pack))?;
        Ok(true)
    }

    /// Makes room for some bytes within the budget: removes what no pin holds, and what the oldest
    /// confirmed pins hold.
    pub(super) fn make_room(&self, budget: u64, bytes: u64) -> Result<(), StoreError> {
        let _alone = self.garbage.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = || Ok::<_, StoreError>(self.disk_len()?.saturating_add(bytes) > budget);
        if !is_over()? {
            return Ok(());
        }
        let mut writer = self.writer()?;
        self.roll(&mut writer)?;
        self.checkpoint(&mut writer)?;
        drop(writer);
        // Some more than is asked for, so that not each import has to come here.
        let target = (budget - budget / 16).saturating_sub(bytes);
        while self.needed_bytes()? > target && self.end_oldest()? {}
        while is_over()? {
            let Some(pack) = self.most_dead()? else { break };
            if !self.compact(pack)? {
                break;
            }
        }
        if is_over()? { Err(StoreError::OverBudget { budget }) } else { Ok(()) }
    }

    fn needed_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.index.live()?.values().sum::<u64>() + self.index.disk_len()?)
    }

    /// Ends the oldest confirmed pin. Whether there was one.
    fn end_oldest(&self) -> Result<bool, StoreError> {
        let mut writer = self.writer()?;
        let ended = self.change(&mut writer, |parts, tables| {
            let Some(root) = tables.oldest_confirmed()? else { return Ok(None) };
            self.end_pin(parts, tables, &root)
        })?;
        let Some(pin) = ended else { return Ok(false) };
        tracing::info!(
            target: "bsp::pinner",
            cid = %pin.record.root,
            "The pin store is over its size budget; the oldest confirmed pin is removed"
        );
        Ok(true)
    }

    /// The sealed pack with the most bytes that are not needed, if those are worth the work.
    fn most_dead(&self) -> Result<Option<u32>, StoreError> {
        let sealed = self.writer()?.log.sealed().clone();
        let live = self.index.live()?;
        let dead = sealed.into_iter().map(|(pack, len)| {
            (len.saturating_sub(live.get(&pack).copied().unwrap_or(0)), len, pack)
        });
        let most = dead.max_by_key(|(dead, _, _)| *dead);
        Ok(most.filter(|(dead, len, _)| *dead > len / 16).map(|(_, _, pack)| pack))
    }
}
