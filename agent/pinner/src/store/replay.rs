//! From the files on disk to a store that works: at the start, and after a failure of the disk.

use super::{
    Digest, StoreError, apply,
    frame::{Frame, Kind, Place},
    index::{Index, PinRow},
    log::Log,
    packs::{PREAMBLE_LEN, Packs, read_frame},
    record::{PinNote, decode_pin},
    scan::{Found, Scan},
};
use redb::Durability;
use std::{collections::BTreeMap, fs::File, sync::Arc};
use tracing::warn;

/// Frames that are applied in one change of the index.
const BATCH: usize = 4096;

/// Opens the index, brings it up to the end of the log, cuts off what a crash has left of a frame,
/// and opens the log for writing. `synced` says that all of the log was on disk, so that a hole in
/// it is damage and not what the power left unwritten.
pub(super) fn recover(
    packs: &Arc<Packs>,
    index: &Index,
    pack_len: u32,
    synced: bool,
) -> Result<Log, StoreError> {
    index.open()?;
    let lens = packs.list()?;
    let mark = index.write(Durability::None, |tables| {
        let live = tables.live()?;
        let mark = tables.mark()?;
        let gone = live.iter().any(|(pack, live)| *live > 0 && !lens.contains_key(pack));
        Ok(mark.filter(|mark| !gone && is_there(&lens, *mark)))
    })?;
    let mark = match mark {
        Some(mark) => mark,
        None => {
            if !lens.is_empty() {
                warn!(target: "bsp::pinner", "The pin store's index is made again from its packs");
            }
            index.clear()?;
            Place { pack: 0, offset: 0 }
        }
    };
    let mut replay = Replay { packs, index, suspects: Vec::new(), after_hole: false };
    for (&pack, _) in lens.range(mark.pack..) {
        let offset = if pack == mark.pack { mark.offset } else { PREAMBLE_LEN };
        let is_last = lens.last_key_value().is_some_and(|(last, _)| *last == pack);
        replay.pack(Place { pack, offset }, is_last)?;
    }
    let suspects = replay.suspects;
    let mut log = Log::open(packs.clone(), pack_len)?;
    if !synced {
        drop_unfinished(packs, index, &mut log, &suspects)?;
    }
    log.file().sync_data()?;
    let end = log.end();
    index.write(Durability::Immediate, |tables| tables.set_mark(end))?;
    Ok(log)
}

/// Whether the log reaches a place.
fn is_there(lens: &BTreeMap<u32, u64>, mark: Place) -> bool {
    lens.get(&mark.pack).is_some_and(|len| *len >= u64::from(mark.offset))
}

struct Replay<'a> {
    packs: &'a Packs,
    index: &'a Index,
    /// Roots of pins that follow a hole in the last pack: they may never have been answered.
    suspects: Vec<PinRow>,
    after_hole: bool,
}

impl Replay<'_> {
    fn pack(&mut self, from: Place, is_last: bool) -> Result<(), StoreError> {
        let file = File::options().read(true).write(is_last).open(self.packs.path(from.pack))?;
        let mut scan = Scan::new(&file, from, true)?;
        let mut more = true;
        while more {
            more = self.index.write(Durability::None, |tables| {
                for _ in 0..BATCH {
                    match scan.next()? {
                        None => return Ok(false),
                        Some(Found::Frame(at, header)) if header.kind == Kind::Block => {
                            apply::block(tables, at, &header)?;
                        }
                        Some(Found::Frame(at, header)) => {
                            let Some((_, body)) = read_frame(&file, at, header.body_len)? else {
                                continue;
                            };
                            let pin = apply_record(tables, self.packs, at, header.kind, &body)?;
                            self.suspects.extend(pin.filter(|_| is_last && self.after_hole));
                        }
                        Some(Found::Hole { from, more: false }) if is_last => {
                            cut_off(&file, from)?;
                        }
                        Some(Found::Hole { from, .. }) => {
                            self.after_hole |= is_last;
                            warn!(
                                target: "bsp::pinner",
                                pack = from.pack,
                                offset = from.offset,
                                "A part of a pack is damaged; run `bsp pinner fsck` to see what it held"
                            );
                        }
                    }
                }
                Ok(true)
            })?;
        }
        Ok(())
    }
}

/// Applies a frame that is no block. Returns the pin that it is.
fn apply_record(
    tables: &mut super::index::Tables<'_>,
    packs: &Packs,
    at: Place,
    kind: Kind,
    body: &[u8],
) -> Result<Option<PinRow>, StoreError> {
    if kind == Kind::Pin {
        let Some((record, blocks)) = decode_pin(body) else { return Ok(None) };
        let count = u32::try_from(blocks.len()).unwrap_or(u32::MAX);
        let body_len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let pin = PinRow { at, body_len, blocks: count, record };
        apply::pin(tables, packs, &pin, &blocks)?;
        return Ok(Some(pin));
    }
    let Some(note) = PinNote::decode(body) else { return Ok(None) };
    if kind == Kind::Confirm {
        apply::confirm(tables, &note)?;
    } else {
        // An import that dies later may have relied on the blocks, so they stay until they are
        // garbage.
        apply::unpin(tables, packs, &note, |_| true)?;
    }
    Ok(None)
}

/// What a crash has left of the last frame goes.
fn cut_off(file: &File, from: Place) -> Result<(), StoreError> {
    tracing::info!(
        target: "bsp::pinner",
        pack = from.pack,
        offset = from.offset,
        "An unfinished write at the end of the pin store is cut off"
    );
    file.set_len(from.offset.max(PREAMBLE_LEN).into())?;
    Ok(file.sync_data()?)
}

/// Ends pins that follow a hole at the end of the log and lack blocks: the power failed before they
/// were answered.
fn drop_unfinished(
    packs: &Packs,
    index: &Index,
    log: &mut Log,
    suspects: &[PinRow],
) -> Result<(), StoreError> {
    for pin in suspects {
        let Some((_, blocks)) = apply::pinned_blocks(packs, pin)? else { continue };
        let missing = |digest: &Digest| Ok(index.row(digest)?.is_none_or(|row| row.at.is_none()));
        let missing: Result<Vec<bool>, StoreError> = blocks.iter().map(missing).collect();
        if !missing?.contains(&true) {
            continue;
        }
        warn!(
            target: "bsp::pinner",
            cid = %pin.record.root,
            "A pin was not finished when the power failed, and is dropped"
        );
        let note = PinNote { id: pin.record.id, pack: pin.at.pack, root: pin.record.root };
        log.append(&Frame::record(Kind::Unpin, note.encode()))?;
        index.write(Durability::None, |tables| apply::unpin(tables, packs, &note, |_| true))?;
    }
    Ok(())
}
