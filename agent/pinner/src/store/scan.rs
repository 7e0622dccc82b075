//! A walk over the frames of a pack, which finds the way again behind damage.

use super::{
    frame::{HEADER_LEN, Header, Place},
    packs::{PREAMBLE_LEN, read_frame},
};
use std::{fs::File, io, os::unix::fs::FileExt};

/// What is at a place of a pack.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A frame.
    Frame(Place, Header),
    /// Bytes that are no frame, up to the next one, or to the end if `more` says that none follows.
    Hole { from: Place, more: bool },
}

/// The frames of a pack from a place on.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    file: &'a File,
    pack: u32,
    offset: u32,
    len: u32,
    /// Whether a frame counts only if its body has the right checksum.
    with_bodies: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(file: &'a File, from: Place, with_bodies: bool) -> io::Result<Self> {
        let len = u32::try_from(file.metadata()?.len()).unwrap_or(u32::MAX);
        let offset = from.offset.max(PREAMBLE_LEN);
        Ok(Self { file, pack: from.pack, offset, len, with_bodies })
    }

    /// The next frame or hole, `None` at the end of the pack.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        if self.offset >= self.len {
            return Ok(None);
        }
        let at = Place { pack: self.pack, offset: self.offset };
        if let Some(header) = self.frame_at(at)? {
            self.offset = end_of(at, &header);
            return Ok(Some(Found::Frame(at, header)));
        }
        let next = self.search()?;
        self.offset = next.unwrap_or(self.len);
        Ok(Some(Found::Hole { from: at, more: next.is_some() }))
    }

    /// The frame here, if all of it is.
    fn frame_at(&self, at: Place) -> io::Result<Option<Header>> {
        let mut start = [0; HEADER_LEN];
        if self.len - at.offset < HEADER_LEN as u32 {
            return Ok(None);
        }
        self.file.read_exact_at(&mut start, u64::from(at.offset))?;
        let whole =
            |header: &Header| u64::from(at.offset) + header.frame_len() <= u64::from(self.len);
        let Some(header) = Header::decode(&start, at).filter(whole) else { return Ok(None) };
        if self.with_bodies && read_frame(self.file, at, header.body_len)?.is_none() {
            return Ok(None);
        }
        Ok(Some(header))
    }

    /// Where behind the present offset the next frame starts.
    fn search(&self) -> io::Result<Option<u32>> {
        const WINDOW: usize = 1 << 20;
        let mut window = vec![0; WINDOW + 3];
        let mut from = self.offset + 1;
        while from < self.len {
            let len = window.len().min((self.len - from) as usize);
            let window = &mut window[..len];
            self.file.read_exact_at(window, u64::from(from))?;
            for start in starts(window) {
                let at = Place { pack: self.pack, offset: from + start };
                if self.frame_at(at)?.is_some() {
                    return Ok(Some(at.offset));
                }
            }
            from = from.saturating_add(WINDOW as u32);
        }
        Ok(None)
    }
}

fn end_of(at: Place, header: &Header) -> u32 {
    u32::try_from(u64::from(at.offset) + header.frame_len()).unwrap_or(u32::MAX)
}

/// Where in a window a header may start.
fn starts(window: &[u8]) -> impl Iterator<Item = u32> {
    (0u32..).zip(window.windows(4)).filter(|(_, word)| word == b"bspF").map(|(start, _)| start)
}
