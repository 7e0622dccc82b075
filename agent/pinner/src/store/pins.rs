//! Pins come, change and go.

use super::{
    Digest, NewPin, Pin, PinState, StoreError, apply, failpoint,
    frame::{Frame, HEADER_LEN, Kind},
    index::{PinRow, Tables},
    inner::{Holds, Inner, WriterParts},
    record::{MAX_NAME_LEN, MAX_PIN_BLOCKS, PinNote, PinRecord, encode_pin},
};
use bsp_codec::dag::Cid;
use std::time::SystemTime;

impl Inner {
    /// Pins a root with all its blocks, each given once. On return that is on disk. What the caller
    /// holds is released.
    pub(super) fn pin_blocks(
        &self,
        root: &Cid,
        blocks: &[Digest],
        new: NewPin,
        holds: &mut Holds,
    ) -> Result<Pin, StoreError> {
        check_bounds(root, blocks.len(), &new)?;
        let mut writer = self.writer()?;
        let pin = self.change(&mut writer, |parts, tables| {
            Self::settle(&mut parts.held, tables, blocks)?;
            match tables.pin(&root.to_bytes())? {
                Some(present) => self.pin_again(parts, tables, present, new),
                None => self.pin_first(parts, tables, root, blocks, new),
            }
        })?;
        failpoint::hit("pin_applied");
        self.release(&mut writer, holds);
        let checkpoint = self.checkpoint_if_due(&mut writer);
        let ticket = self.ticket(&writer);
        drop(writer);
        checkpoint?;
        self.sync(ticket)?;
        failpoint::hit("pin_synced");
        Ok(pin.into())
    }

    fn pin_first(
        &self,
        parts: &mut WriterParts<'_>,
        tables: &mut Tables<'_>,
        root: &Cid,
        blocks: &[Digest],
        new: NewPin,
    ) -> Result<PinRow, StoreError> {
        let mut size = 0;
        for digest in blocks {
            size += tables.row(digest)?.map_or(0, |row| u64::from(row.raw_len));
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let created = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let NewPin { name, state } = new;
        let record = PinRecord { id: 0, root: *root, name, size, created, state };
        self.write_pin(parts, tables, record, blocks)
    }

    /// An empty name is filled, and a proof that is confirmed stays so.
    fn pin_again(
        &self,
        parts: &mut WriterParts<'_>,
        tables: &mut Tables<'_>,
        present: PinRow,
        new: NewPin,
    ) -> Result<PinRow, StoreError> {
        let mut record = present.record.clone();
        if record.name.is_empty() {
            record.name = new.name;
        }
        if new.state == PinState::Confirmed {
            record.state = PinState::Confirmed;
        }
        if record == present.record {
            return Ok(present);
        }
        let (_, blocks) = apply::pinned_blocks(&self.packs, &present)?
            .ok_or_else(|| StoreError::Damaged(Box::new(record.root)))?;
        self.write_pin(parts, tables, record, &blocks)
    }

    /// Writes a pin's frame; a pin without a number gets one.
    pub(super) fn write_pin(
        &self,
        parts: &mut WriterParts<'_>,
        tables: &mut Tables<'_>,
        mut record: PinRecord,
        blocks: &[Digest],
    ) -> Result<PinRow, StoreError> {
        if record.id == 0 {
            let frame_len = HEADER_LEN + encode_pin(&record, blocks).len();
            record.id = parts.log.place_for(frame_len as u64)?.to_number();
        }
        let frame = Frame::record(Kind::Pin, encode_pin(&record, blocks));
        let at = self.append(parts.log, &frame)?;
        failpoint::hit("pin_appended");
        let count = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
        let pin = PinRow { at, body_len: frame.header.body_len, blocks: count, record };
        apply::pin(tables, &self.packs, &pin, blocks)?;
        Ok(pin)
    }

    /// Ends a pin. On disk only after the next sync.
    pub(super) fn end_pin(
        &self,
        parts: &mut WriterParts<'_>,
        tables: &mut Tables<'_>,
        root: &[u8],
    ) -> Result<Option<PinRow>, StoreError> {
        let Some(pin) = tables.pin(root)? else { return Ok(None) };
        let note = PinNote { id: pin.record.id, pack: pin.at.pack, root: pin.record.root };
        self.append(parts.log, &Frame::record(Kind::Unpin, note.encode()))?;
        apply::unpin(tables, &self.packs, &note, |digest| parts.held.contains(digest))?;
        Ok(Some(pin))
    }

    pub(super) fn unpin(&self, root: &Cid) -> Result<Option<Pin>, StoreError> {
        let mut writer = self.writer()?;
        let root = root.to_bytes();
        let ended = self.change(&mut writer, |parts, tables| self.end_pin(parts, tables, &root))?;
        failpoint::hit("unpin_applied");
        let checkpoint = self.checkpoint_if_due(&mut writer);
        let ticket = self.ticket(&writer);
        drop(writer);
        checkpoint?;
        self.sync(ticket)?;
        Ok(ended.map(Pin::from))
    }

    pub(super) fn confirm(&self, root: &Cid) -> Result<bool, StoreError> {
        let mut writer = self.writer()?;
        let root = root.to_bytes();
        self.change(&mut writer, |parts, tables| {
            let Some(pin) = tables.pin(&root)? else { return Ok(false) };
            if pin.record.state == PinState::Unconfirmed {
                let note = PinNote { id: pin.record.id, pack: pin.at.pack, root: pin.record.root };
                self.append(parts.log, &Frame::record(Kind::Confirm, note.encode()))?;
                apply::confirm(tables, &note)?;
            }
            Ok(true)
        })
    }
}

fn check_bounds(root: &Cid, blocks: usize, new: &NewPin) -> Result<(), StoreError> {
    let reason = if new.name.len() > MAX_NAME_LEN {
        format!("a name of {} bytes, at most {MAX_NAME_LEN} are accepted", new.name.len())
    } else if blocks > MAX_PIN_BLOCKS {
        format!("more than {MAX_PIN_BLOCKS} blocks")
    } else {
        return Ok(());
    };
    Err(StoreError::TooLarge { root: Box::new(*root), reason })
}

impl From<PinRow> for Pin {
    fn from(row: PinRow) -> Self {
        let created = row.record.created();
        let PinRecord { root, name, size, state, .. } = row.record;
        Self { root, name, size, blocks: row.blocks.into(), created, state }
    }
}
