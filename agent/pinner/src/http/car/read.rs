//! An archive that comes in pieces.

use super::Header;
use crate::store::MAX_BLOCK_LEN;
use bsp_codec::dag::Cid;
use bytes::{Buf, Bytes, BytesMut};
use unsigned_varint::decode;

/// The longest header, in bytes: some 100,000 roots.
const MAX_HEADER: usize = 4 << 20;

/// The longest section: a block, and its CID with room to spare.
const MAX_SECTION: usize = MAX_BLOCK_LEN + 128;

/// Why an archive is refused. `offset` is the byte where the section at fault starts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CarReadError {
    /// The first section is not the header of a CARv1.
    #[error("not a CARv1: {0}")]
    Header(String),
    /// A section's length is malformed, is nothing, or is more than a block can have.
    #[error("the section at byte {offset} has no length from 1 to {limit} bytes")]
    Length {
        /// Start of the section.
        offset: u64,
        /// The longest that is accepted.
        limit: usize,
    },
    /// A section does not begin with a CID.
    #[error("the section at byte {offset} does not begin with a CID: {reason}")]
    Cid {
        /// Start of the section.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The archive ends in the middle of a section, or before the header.
    #[error("the archive ends inside of the section at byte {offset}")]
    Truncated {
        /// Start of the section.
        offset: u64,
    },
}

/// What an archive consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CarItem {
    /// The roots of the header, which comes first.
    Roots(Vec<Cid>),
    /// A block. That the CID is its own is not checked.
    Block(Cid, Bytes),
}

/// Cuts an archive into its items. It holds no more than one section, and what was pushed last.
#[derive(Debug, Default)]
pub struct CarReader {
    buffer: BytesMut,
    offset: u64,
    has_header: bool,
}

impl CarReader {
    /// A reader that has seen no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the archive. [`next_item`](Self::next_item) has to be called until
    /// it gives nothing more before the next ones come.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next item; `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// [`CarReadError`]. The rest of the archive then means nothing.
    pub fn next_item(&mut self) -> Result<Option<CarItem>, CarReadError> {
        let Some(section) = self.next_section()? else { return Ok(None) };
        let offset = self.offset;
        self.offset += section.whole;
        if !self.has_header {
            self.has_header = true;
            return roots(&section.content).map(CarItem::Roots).map(Some);
        }
        let mut rest = &section.content[..];
        let cid = Cid::read_bytes(&mut rest)
            .map_err(|error| CarReadError::Cid { offset, reason: error.to_string() })?;
        let block = section.content.slice(section.content.len() - rest.len()..);
        if block.len() > MAX_BLOCK_LEN {
            return Err(CarReadError::Length { offset, limit: MAX_SECTION });
        }
        Ok(Some(CarItem::Block(cid, block)))
    }

    /// Says that there are no more bytes.
    ///
    /// # Errors
    ///
    /// [`CarReadError::Truncated`] if some are missing.
    pub fn finish(self) -> Result<(), CarReadError> {
        if self.has_header && self.buffer.is_empty() {
            return Ok(());
        }
        Err(CarReadError::Truncated { offset: self.offset })
    }

    fn next_section(&mut self) -> Result<Option<Section>, CarReadError> {
        let limit = if self.has_header { MAX_SECTION } else { MAX_HEADER };
        let wrong = CarReadError::Length { offset: self.offset, limit };
        let (len, prefix) = match decode::u64(&self.buffer) {
            Ok((len, rest)) => (len, self.buffer.len() - rest.len()),
            Err(decode::Error::Insufficient) => return Ok(None),
            Err(_) => return Err(wrong),
        };
        let Some(len) = usize::try_from(len).ok().filter(|len| (1..=limit).contains(len)) else {
            return Err(wrong);
        };
        if self.buffer.len() - prefix < len {
            return Ok(None);
        }
        self.buffer.advance(prefix);
        let content = self.buffer.split_to(len).freeze();
        Ok(Some(Section { content, whole: (prefix + len) as u64 }))
    }
}

struct Section {
    content: Bytes,
    /// Bytes with the length before it.
    whole: u64,
}

fn roots(header: &[u8]) -> Result<Vec<Cid>, CarReadError> {
    let header: Header = serde_ipld_dagcbor::from_slice(header)
        .map_err(|error| CarReadError::Header(error.to_string()))?;
    match header {
        Header { version: 1, roots } => Ok(roots),
        Header { version, .. } => Err(CarReadError::Header(format!("version {version}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::write, *};
    use bsp_codec::{car::write_car, dag::Dag};
    use proptest::prelude::*;

    fn read(archive: &[u8], piece: usize) -> Result<Vec<CarItem>, CarReadError> {
        let mut reader = CarReader::new();
        let mut items = Vec::new();
        for piece in archive.chunks(piece) {
            reader.push(piece);
            while let Some(item) = reader.next_item()? {
                items.push(item);
            }
        }
        reader.finish().map(|()| items)
    }

    fn items(roots: &[Cid], blocks: &[(Cid, Bytes)]) -> Vec<CarItem> {
        let blocks = blocks.iter().map(|(cid, block)| CarItem::Block(*cid, block.clone()));
        std::iter::once(CarItem::Roots(roots.to_vec())).chain(blocks).collect()
    }

    fn blocks_of(content: &[u8]) -> Vec<(Cid, Bytes)> {
        let dag = Dag::build(content);
        dag.blocks().map(|(cid, block)| (cid, Bytes::copy_from_slice(block))).collect()
    }

    fn archive(roots: &[Cid], blocks: &[(Cid, Bytes)]) -> Vec<u8> {
        let mut out = write::header(roots.to_vec()).unwrap();
        blocks.iter().for_each(|(cid, block)| write::section(cid, block, &mut out));
        out
    }

    #[test]
    fn it_is_the_codecs_archive_with_any_number_of_roots() {
        let content: Vec<u8> = (0u32..200_000).flat_map(u32::to_le_bytes).collect();
        let blocks = blocks_of(&content);
        let mut by_codec = Vec::new();
        write_car(&blocks[0].0, blocks.iter().cloned(), &mut by_codec).unwrap();
        assert_eq!(archive(&[blocks[0].0], &blocks), by_codec);
        let all: Vec<Cid> = blocks.iter().map(|(cid, _)| *cid).collect();
        for roots in [&all[..], &all[..1], &[]] {
            assert_eq!(read(&archive(roots, &blocks), 4096).unwrap(), items(roots, &blocks));
        }
    }

    #[test]
    fn an_archive_that_ends_early_or_lies_is_refused() {
        let blocks = blocks_of(b"hello");
        let good = archive(&[blocks[0].0], &blocks);
        for len in 0..good.len() {
            // The header alone is an archive without blocks.
            let whole = len == good.len() - 5 - 36 - 1;
            assert_eq!(read(&good[..len], 7).is_ok(), whole, "{len} bytes");
        }
        let version_2 = b"\x0a\xa1\x67version\x02";
        assert!(matches!(read(version_2, 1), Err(CarReadError::Header(_))));
        let endless = [&good[..], &[0xff; 9], &[0x01]].concat();
        assert!(matches!(read(&endless, 4096), Err(CarReadError::Length { .. })));
        let mut long = good.clone();
        long.extend_from_slice(&[0x81, 0x80, 0x80, 0x02]);
        assert!(matches!(read(&long, 4096), Err(CarReadError::Length { .. })), "4 MiB");
        let nothing = [&good[..], &[0]].concat();
        assert!(matches!(read(&nothing, 4096), Err(CarReadError::Length { .. })));
        let no_cid = [&good[..], &[3, 1, 0x55, 0x12]].concat();
        assert!(matches!(read(&no_cid, 4096), Err(CarReadError::Cid { .. })));
    }

    #[test]
    fn a_header_may_be_neither_deep_nor_full_of_promises() {
        let deep = [&b"\xa1\x65other"[..], &[0x81; 50_000]].concat();
        let promise = b"\xa2\x65roots\x9b\x00\xff\xff\xff\xff\xff\xff\xff\x67version\x01";
        for header in [&deep[..], promise] {
            let mut archive = Vec::new();
            super::super::write::put_len(header.len(), &mut archive);
            archive.extend_from_slice(header);
            assert!(matches!(read(&archive, 4096), Err(CarReadError::Header(_))));
        }
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            contents in proptest::collection::vec(any::<Vec<u8>>(), 0..5),
            piece in 1usize..200,
        ) {
            let blocks: Vec<_> = contents.iter().flat_map(|content| blocks_of(content)).collect();
            let roots: Vec<Cid> = blocks.iter().map(|(cid, _)| *cid).collect();
            let read = read(&archive(&roots, &blocks), piece).unwrap();
            prop_assert_eq!(read, items(&roots, &blocks));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, piece in 1usize..50) {
            let _ = read(&bytes, piece);
        }
    }
}
