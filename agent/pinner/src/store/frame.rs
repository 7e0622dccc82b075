//! Frames: what a pack is made of.
//!
//! ```text
//! 0   "bspF"
//! 4   kind: 1 block, 2 pin, 3 unpin, 4 confirm
//! 5   encoding of the body: 0 as it is, 1 zstd
//! 6   0, 0
//! 8   bytes of the body
//! 12  bytes of the body once it is decoded
//! 16  SHA-256 of a block; zeros otherwise
//! 48  CRC-32 of the body
//! 52  CRC-32 of the pack's number, the frame's offset and the 52 bytes before
//! 56  the body
//! ```
//!
//! Numbers are little-endian, of four bytes. The place goes into the second checksum, so that a
//! frame is valid only where it was written: not inside of another's body, nor in a copy of a pack.

use super::MAX_BLOCK_LEN;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;

/// SHA-256 of a block.
pub type Digest = [u8; 32];

/// Bytes before a frame's body.
pub const HEADER_LEN: usize = 56;

/// The most bytes of a body that is no block: a pin's, with 32 bytes for each of its blocks.
pub const MAX_RECORD_LEN: usize = 8 << 20;

const MAGIC: &[u8; 4] = b"bspF";

/// A frame's place: in which pack, and at which byte of it. Ordered as the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Number of the pack, from 1.
    pub pack: u32,
    /// Bytes from its start.
    pub offset: u32,
}

impl Place {
    /// As one number, in the same order.
    pub fn to_number(self) -> u64 {
        u64::from(self.pack) << 32 | u64::from(self.offset)
    }
}

/// What a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Here is a block.
    Block,
    /// A DAG is pinned.
    Pin,
    /// It is not any more.
    Unpin,
    /// Its proof is confirmed.
    Confirm,
}

/// The start of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the frame says.
    pub kind: Kind,
    /// Whether the body is compressed.
    pub compressed: bool,
    /// Bytes of the body as it is stored.
    pub body_len: u32,
    /// Bytes of the body once it is decoded.
    pub raw_len: u32,
    /// SHA-256 of a block, zeros for another kind.
    pub digest: Digest,
    /// CRC-32 of the body as it is stored.
    pub body_crc: u32,
}

impl Header {
    /// The bytes of this header, valid at this place alone.
    pub fn encode(&self, at: Place) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4] = match self.kind {
            Kind::Block => 1,
            Kind::Pin => 2,
            Kind::Unpin => 3,
            Kind::Confirm => 4,
        };
        bytes[5] = u8::from(self.compressed);
        bytes[8..12].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.raw_len.to_le_bytes());
        bytes[16..48].copy_from_slice(&self.digest);
        bytes[48..52].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = header_crc(at, &bytes[..52]);
        bytes[52..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header that starts `bytes`; `None` where none of this place does.
    pub fn decode(bytes: &[u8], at: Place) -> Option<Self> {
        let bytes: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        let (checked, crc) = bytes.split_last_chunk()?;
        if !checked.starts_with(MAGIC) || header_crc(at, checked) != u32::from_le_bytes(*crc) {
            return None;
        }
        let kind = match checked[4] {
            1 => Kind::Block,
            2 => Kind::Pin,
            3 => Kind::Unpin,
            4 => Kind::Confirm,
            _ => return None,
        };
        let number = |at: usize| Some(u32::from_le_bytes(*checked.get(at..)?.first_chunk()?));
        let header = Self {
            kind,
            compressed: match checked[5] {
                0 => false,
                1 => true,
                _ => return None,
            },
            body_len: number(8)?,
            raw_len: number(12)?,
            digest: *checked.get(16..)?.first_chunk()?,
            body_crc: number(48)?,
        };
        header.is_sound().then_some(header)
    }

    fn is_sound(&self) -> bool {
        let most = if self.kind == Kind::Block { MAX_BLOCK_LEN } else { MAX_RECORD_LEN };
        self.raw_len as usize <= most
            && if self.compressed {
                self.kind == Kind::Block && self.body_len < self.raw_len
            } else {
                self.body_len == self.raw_len
            }
    }

    /// Bytes of the whole frame.
    pub const fn frame_len(&self) -> u64 {
        HEADER_LEN as u64 + self.body_len as u64
    }

    /// Whether this is the body that was written.
    pub fn fits(&self, body: &[u8]) -> bool {
        body.len() == self.body_len as usize && crc32fast::hash(body) == self.body_crc
    }

    /// The block in a body; `None` where it does not hash to the frame's digest.
    pub fn block(&self, body: Bytes) -> Option<Bytes> {
        let block = if self.compressed {
            Bytes::from(zstd::bulk::decompress(&body, self.raw_len as usize).ok()?)
        } else {
            body
        };
        (block.len() == self.raw_len as usize && Sha256::digest(&block).as_slice() == self.digest)
            .then_some(block)
    }
}

fn header_crc(at: Place, checked: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&at.pack.to_le_bytes());
    crc.update(&at.offset.to_le_bytes());
    crc.update(checked);
    crc.finalize()
}

/// A frame on its way to a pack.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) header: Header,
    pub(super) body: Cow<'a, [u8]>,
}

impl<'a> Frame<'a> {
    /// The frame of a block; its length was checked.
    pub(super) fn block(digest: Digest, block: &'a [u8], compressor: &mut Compressor) -> Self {
        let body = compressor.compress(block);
        let compressed = matches!(body, Cow::Owned(_));
        Self::new(Kind::Block, digest, compressed, block.len(), body)
    }

    /// The frame of something that is no block; its length was checked.
    pub(super) fn record(kind: Kind, body: Vec<u8>) -> Self {
        Self::new(kind, [0; 32], false, body.len(), Cow::Owned(body))
    }

    /// A frame as it is in another place.
    pub(super) fn copied(header: Header, body: &'a [u8]) -> Self {
        Self { header, body: Cow::Borrowed(body) }
    }

    fn new(
        kind: Kind,
        digest: Digest,
        compressed: bool,
        raw_len: usize,
        body: Cow<'a, [u8]>,
    ) -> Self {
        let len = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let body_crc = crc32fast::hash(&body);
        let (body_len, raw_len) = (len(body.len()), len(raw_len));
        Self { header: Header { kind, compressed, body_len, raw_len, digest, body_crc }, body }
    }
}

/// Compresses blocks, where that pays.
pub(super) struct Compressor(Option<zstd::bulk::Compressor<'static>>);

/// zstd's own default: a second of a core for some 200 MB of specimens.
const LEVEL: i32 = 3;

impl Compressor {
    pub(super) fn new(enabled: bool) -> Self {
        Self(enabled.then(|| zstd::bulk::Compressor::new(LEVEL).ok()).flatten())
    }

    /// The compressed block, or the block itself where less than a sixteenth would be saved.
    fn compress<'a>(&mut self, block: &'a [u8]) -> Cow<'a, [u8]> {
        let packed = self.0.as_mut().and_then(|compressor| compressor.compress(block).ok());
        match packed {
            Some(packed) if packed.len() + block.len() / 16 < block.len() => Cow::Owned(packed),
            _ => Cow::Borrowed(block),
        }
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Compressor").field(&self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: Place = Place { pack: 3, offset: 1000 };

    #[test]
    fn a_block_comes_back_with_and_without_compression() {
        let block = b"0123456789abcdef".repeat(100);
        let digest: Digest = Sha256::digest(&block).into();
        for enabled in [false, true] {
            let frame = Frame::block(digest, &block, &mut Compressor::new(enabled));
            assert_eq!(frame.header.compressed, enabled);
            assert_eq!((frame.body.len() < 100), enabled);
            let header = Header::decode(&frame.header.encode(AT), AT).unwrap();
            assert_eq!(header, frame.header);
            assert!(header.fits(&frame.body));
            let body = Bytes::from(frame.body.into_owned());
            assert_eq!(header.block(body).unwrap(), block);
        }
    }

    #[test]
    fn what_does_not_shrink_is_kept_as_it_is() {
        let block: Vec<u8> = (0..100u32).flat_map(|n| Sha256::digest(n.to_le_bytes())).collect();
        let frame = Frame::block([0; 32], &block, &mut Compressor::new(true));
        assert!(!frame.header.compressed);
    }

    #[test]
    fn a_header_holds_at_its_own_place_and_with_its_own_bits() {
        let header = Frame::record(Kind::Pin, vec![1, 2, 3]).header;
        let bytes = header.encode(AT);
        assert!(Header::decode(&bytes[..HEADER_LEN - 1], AT).is_none());
        for other in [Place { pack: 4, ..AT }, Place { offset: 1001, ..AT }] {
            assert!(Header::decode(&bytes, other).is_none());
        }
        for bit in 0..HEADER_LEN * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&flipped, AT).is_none(), "bit {bit}");
        }
    }

    #[test]
    fn lengths_beyond_the_bounds_are_refused() {
        let sound = Frame::record(Kind::Pin, vec![]).header;
        let pin = |len| Header { body_len: len, raw_len: len, ..sound };
        for (header, accepted) in [
            (pin(MAX_RECORD_LEN as u32), true),
            (pin(MAX_RECORD_LEN as u32 + 1), false),
            (Header { kind: Kind::Block, ..pin(MAX_BLOCK_LEN as u32 + 1) }, false),
            (Header { body_len: 1, ..pin(2) }, false),
            (Header { kind: Kind::Block, compressed: true, body_len: 1, ..pin(2) }, true),
            (Header { kind: Kind::Block, compressed: true, ..pin(2) }, false),
            (Header { compressed: true, body_len: 1, ..pin(2) }, false),
        ] {
            let decoded = Header::decode(&header.encode(AT), AT);
            assert_eq!(decoded.is_some(), accepted, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn a_compressed_body_never_grows_beyond_its_length(body: Vec<u8>, raw_len in 0u32..2000) {
            let header = Header {
                kind: Kind::Block,
                compressed: true,
                body_len: body.len() as u32,
                raw_len,
                digest: [0; 32],
                body_crc: 0,
            };
            prop_assert_eq!(header.block(body.into()), None);
        }
    }
}
