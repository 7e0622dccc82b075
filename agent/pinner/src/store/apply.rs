//! What each frame does to the index, when it is written and when the log is read again.

use super::{
    Digest, PinState, StoreError,
    frame::{Header, Place},
    index::{PinRow, Row, Tables},
    packs::{Packs, read_frame},
    record::{PinNote, PinRecord, decode_pin},
};

/// A block is here.
pub(super) fn block(tables: &mut Tables<'_>, at: Place, header: &Header) -> Result<(), StoreError> {
    let refs = tables.row(&header.digest)?.map_or(0, |row| row.refs);
    let row = Row { at: Some(at), body_len: header.body_len, raw_len: header.raw_len, refs };
    tables.set_row(&header.digest, Some(row))
}

/// A pin's frame is here: the first one, or one that says more of a pin that is there.
pub(super) fn pin(
    tables: &mut Tables<'_>,
    packs: &Packs,
    pin: &PinRow,
    blocks: &[Digest],
) -> Result<(), StoreError> {
    let root = pin.record.root.to_bytes();
    match tables.pin(&root)? {
        // An older one that is gone, on the way to the present one.
        Some(present) if present.record.id > pin.record.id => return Ok(()),
        Some(present) if present.record.id == pin.record.id => {}
        // Its end was written down again behind this.
        Some(present) => {
            release(tables, packs, &present, |_| true)?;
            hold(tables, blocks)?;
        }
        None => hold(tables, blocks)?,
    }
    tables.set_pin(&root, Some(pin))
}

/// A pin ends. Its blocks that no other pin holds are forgotten, unless `keep` says otherwise.
/// Whether it was there.
pub(super) fn unpin(
    tables: &mut Tables<'_>,
    packs: &Packs,
    note: &PinNote,
    keep: impl Fn(&Digest) -> bool,
) -> Result<bool, StoreError> {
    let root = note.root.to_bytes();
    let Some(pin) = tables.pin(&root)?.filter(|pin| pin.record.id == note.id) else {
        return Ok(false);
    };
    release(tables, packs, &pin, keep)?;
    tables.set_pin(&root, None)?;
    Ok(true)
}

/// A pin's proof is confirmed.
pub(super) fn confirm(tables: &mut Tables<'_>, note: &PinNote) -> Result<(), StoreError> {
    let root = note.root.to_bytes();
    let Some(pin) = tables.pin(&root)?.filter(|pin| pin.record.id == note.id) else {
        return Ok(());
    };
    let record = PinRecord { state: PinState::Confirmed, ..pin.record };
    tables.set_pin(&root, Some(&PinRow { record, ..pin }))
}

fn hold(tables: &mut Tables<'_>, blocks: &[Digest]) -> Result<(), StoreError> {
    for digest in blocks {
        let none = Row { at: None, body_len: 0, raw_len: 0, refs: 0 };
        let row = tables.row(digest)?.unwrap_or(none);
        tables.set_row(digest, Some(Row { refs: row.refs.saturating_add(1), ..row }))?;
    }
    Ok(())
}

fn release(
    tables: &mut Tables<'_>,
    packs: &Packs,
    pin: &PinRow,
    keep: impl Fn(&Digest) -> bool,
) -> Result<(), StoreError> {
    let Some((_, blocks)) = pinned_blocks(packs, pin)? else {
        tracing::error!(
            target: "bsp::pinner",
            cid = %pin.record.root,
            "The list of a pin's blocks is damaged, so they stay; `bsp pinner fsck --repair` frees them"
        );
        return Ok(());
    };
    for digest in &blocks {
        let Some(row) = tables.row(digest)? else { continue };
        let row = Row { refs: row.refs.saturating_sub(1), ..row };
        let stays = row.refs > 0 || keep(digest);
        tables.set_row(digest, stays.then_some(row))?;
    }
    Ok(())
}

/// The blocks of a pin, as its frame lists them; `None` where the frame is damaged.
pub(super) fn pinned_blocks(
    packs: &Packs,
    pin: &PinRow,
) -> Result<Option<(PinRecord, Vec<Digest>)>, StoreError> {
    let Some(file) = packs.file(pin.at.pack)? else { return Ok(None) };
    let frame = read_frame(&file, pin.at, pin.body_len)?;
    Ok(frame.and_then(|(_, body)| decode_pin(&body)))
}
