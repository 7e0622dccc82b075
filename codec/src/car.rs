//! CARv1, the archive in which the blocks of one file travel.
//!
//! A header, then sections. Each starts with its length as an unsigned LEB128 number. The header is
//! a dag-cbor map with the keys `roots` (here always one) and `version` (1); a section is a binary
//! CID and the bytes of the block. ipfs-pinner writes the blocks depth first from the root, each
//! CID once, and so does [`write_car`] if it is given them in that order, which
//! [`Dag::blocks`](crate::dag::Dag::blocks) has.

use crate::{
    dag::{self, CID_LEN, Cid, InvalidCid},
    uvarint,
};
use std::{
    collections::{HashMap, HashSet},
    io::{self, BufRead, Read},
};

/// The header's dag-cbor up to the root: a map of two, "roots", an array of one, tag 42, a string
/// of 37 bytes of which the first is the zero that stands before every CID in dag-cbor.
const HEADER_BEFORE_ROOT: &[u8] = b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00";

/// The header's dag-cbor after the root: "version", 1.
const HEADER_AFTER_ROOT: &[u8] = b"\x67version\x01";

/// Length of the one header that this module writes and reads.
const HEADER_LEN: usize = HEADER_BEFORE_ROOT.len() + CID_LEN + HEADER_AFTER_ROOT.len();

/// Writes an archive with one root, and returns its length in bytes.
///
/// Blocks are written in the order in which they come; the second and later ones with the same
/// identifier are left out. That the root is among them, and that identifiers fit their blocks, is
/// the caller's affair.
///
/// # Errors
///
/// Those of `out`.
pub fn write_car<B: AsRef<[u8]>>(
    root: &Cid,
    blocks: impl IntoIterator<Item = (Cid, B)>,
    out: &mut impl io::Write,
) -> io::Result<u64> {
    let header = [HEADER_BEFORE_ROOT, &root.to_bytes(), HEADER_AFTER_ROOT].concat();
    let mut written = write_section(&header, &[], out)?;
    let mut seen = HashSet::new();
    for (cid, block) in blocks {
        if seen.insert(cid) {
            written += write_section(&cid.to_bytes(), block.as_ref(), out)?;
        }
    }
    Ok(written)
}

fn write_section(head: &[u8], body: &[u8], out: &mut impl io::Write) -> io::Result<u64> {
    let len = (head.len() + body.len()) as u64;
    let mut prefix = Vec::with_capacity(uvarint::MAX_LEN + head.len());
    uvarint::write(len, &mut prefix);
    let len_of_len = prefix.len() as u64;
    prefix.extend_from_slice(head);
    out.write_all(&prefix)?;
    out.write_all(body)?;
    Ok(len_of_len + len)
}

/// What a reader accepts before it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarLimits {
    /// The most bytes of one block. The default, 2 MiB, is the limit of every IPFS implementation.
    pub max_block_len: u64,
    /// The most blocks. The default, 65536, is 16 GiB of full leaves.
    pub max_blocks: usize,
}

impl Default for CarLimits {
    fn default() -> Self {
        Self { max_block_len: 2 << 20, max_blocks: 1 << 16 }
    }
}

/// Why an archive is refused. `offset` is the byte of the archive where the section at fault
/// starts.
#[derive(Debug, thiserror::Error)]
pub enum CarError {
    /// The input failed.
    #[error("reading the section at byte {offset}: {source}")]
    Read {
        /// Start of the section.
        offset: u64,
        /// What it failed with.
        source: io::Error,
    },
    /// The input ends in the middle of a section.
    #[error("the archive ends inside of the section at byte {offset}")]
    Truncated {
        /// Start of the section.
        offset: u64,
    },
    /// A section's length has more than 64 bits, or more bytes than it needs.
    #[error("malformed length of the section at byte {offset}")]
    MalformedLength {
        /// Start of the section.
        offset: u64,
    },
    /// The header is not that of a CARv1 with the identifier of one file for its root.
    #[error("not a CARv1 of one file: the header is not {{roots: [<CIDv1>], version: 1}}")]
    Header,
    /// A section has no room for an identifier, or its block is longer than
    /// [`CarLimits::max_block_len`].
    #[error("the section at byte {offset} has {len} bytes, expected 36 to {max}")]
    SectionLength {
        /// Start of the section.
        offset: u64,
        /// Its length without the length prefix.
        len: u64,
        /// The longest that is accepted.
        max: u64,
    },
    /// A block's identifier is not one that a file's block has.
    #[error("the section at byte {offset}: {source}")]
    Cid {
        /// Start of the section.
        offset: u64,
        /// What was expected.
        source: InvalidCid,
    },
    /// A block is not the one that its identifier names.
    #[error("the block at byte {offset} does not hash to its identifier {cid}")]
    WrongHash {
        /// Start of the section.
        offset: u64,
        /// The identifier.
        cid: Box<Cid>,
    },
    /// A block is there twice.
    #[error("the block at byte {offset} repeats {cid}")]
    Duplicate {
        /// Start of the second section.
        offset: u64,
        /// The identifier.
        cid: Box<Cid>,
    },
    /// There are more than [`CarLimits::max_blocks`].
    #[error("the block at byte {offset} is one more than the {limit} that are accepted")]
    TooManyBlocks {
        /// Start of the section.
        offset: u64,
        /// The limit.
        limit: usize,
    },
    /// The archive ends without the block that its header names.
    #[error("the root {cid} is not among the blocks")]
    RootMissing {
        /// The root.
        cid: Box<Cid>,
    },
}

/// Reads an archive from a stream, section by section, and believes none of it: every block is
/// hashed, none may be there twice, and the root must be among them.
///
/// Holds one block, and the identifiers of those before it.
#[derive(Debug)]
pub struct CarReader<R> {
    input: R,
    /// Bytes of the archive before the next section.
    offset: u64,
    section: Vec<u8>,
    checks: Checks,
}

impl<R: BufRead> CarReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// [`CarError::Header`] for anything but a CARv1 with one root, or that of the input.
    pub fn new(mut input: R, limits: CarLimits) -> Result<Self, CarError> {
        let mut header = Vec::new();
        let framed_len = HEADER_LEN as u64 + 1;
        (&mut input)
            .take(framed_len)
            .read_to_end(&mut header)
            .map_err(|source| CarError::Read { offset: 0, source })?;
        let root = parse_header(&header).ok_or(CarError::Header)?;
        let checks = Checks { limits, root, seen: HashSet::new() };
        Ok(Self { input, offset: framed_len, section: Vec::new(), checks })
    }

    /// The file that the archive holds, if it keeps its promise.
    pub const fn root(&self) -> &Cid {
        &self.checks.root
    }

    /// The next block, `None` after the last one.
    ///
    /// # Errors
    ///
    /// [`CarError`], with the byte at which the section at fault starts. There is no going on after
    /// one.
    pub fn next_block(&mut self) -> Result<Option<(Cid, &[u8])>, CarError> {
        let offset = self.offset;
        let Some(len) = self.read_len()? else {
            self.checks.at_end()?;
            return Ok(None);
        };
        self.checks.section_len(offset, len)?;
        self.section.clear();
        // Grows with what is there, not with what the length promises.
        let read = (&mut self.input)
            .take(len)
            .read_to_end(&mut self.section)
            .map_err(|source| CarError::Read { offset, source })?;
        if read as u64 != len {
            return Err(CarError::Truncated { offset });
        }
        self.offset += len;
        self.checks.block(offset, &self.section).map(Some)
    }

    /// A section's length, `None` where the input ends before it.
    fn read_len(&mut self) -> Result<Option<u64>, CarError> {
        let offset = self.offset;
        let mut prefix = Vec::with_capacity(uvarint::MAX_LEN);
        for byte in (&mut self.input).bytes().take(uvarint::MAX_LEN) {
            let byte = byte.map_err(|source| CarError::Read { offset, source })?;
            prefix.push(byte);
            if byte < 0x80 {
                break;
            }
        }
        if prefix.is_empty() {
            return Ok(None);
        }
        self.offset += prefix.len() as u64;
        read_len(&mut prefix.as_slice(), offset).map(Some)
    }
}

/// An archive in memory; the blocks are slices of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Car<'a> {
    /// The file that the archive holds.
    pub root: Cid,
    /// Its verified blocks.
    pub blocks: HashMap<Cid, &'a [u8]>,
}

/// Reads a whole archive under the rules of [`CarReader`].
///
/// What comes out can be put together with [`extract_file`](crate::dag::extract_file), which also
/// tells whether blocks are missing:
///
/// ```
/// use bsp_codec::{car, dag};
///
/// let file = dag::Dag::build(b"hello");
/// let mut archive = Vec::new();
/// car::write_car(file.root(), file.blocks(), &mut archive)?;
///
/// let car = car::read_car(&archive, car::CarLimits::default())?;
/// let mut bytes = Vec::new();
/// let block_of = |cid: &dag::Cid| Ok(car.blocks.get(cid));
/// dag::extract_file(&car.root, block_of, &dag::ExtractLimits::default(), &mut bytes)?;
/// assert_eq!(bytes, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of [`CarReader`].
pub fn read_car(archive: &[u8], limits: CarLimits) -> Result<Car<'_>, CarError> {
    let (header, mut rest) = archive.split_at_checked(HEADER_LEN + 1).ok_or(CarError::Header)?;
    let root = parse_header(header).ok_or(CarError::Header)?;
    let mut checks = Checks { limits, root, seen: HashSet::new() };
    let mut blocks = HashMap::new();
    while !rest.is_empty() {
        let offset = (archive.len() - rest.len()) as u64;
        let len = read_len(&mut rest, offset)?;
        checks.section_len(offset, len)?;
        let (section, after) = usize::try_from(len)
            .ok()
            .and_then(|len| rest.split_at_checked(len))
            .ok_or(CarError::Truncated { offset })?;
        let (cid, block) = checks.block(offset, section)?;
        blocks.insert(cid, block);
        rest = after;
    }
    checks.at_end()?;
    Ok(Car { root, blocks })
}

/// Takes a section's length off the front of `input`.
fn read_len(input: &mut &[u8], offset: u64) -> Result<u64, CarError> {
    uvarint::read(input).ok_or_else(|| {
        // Ten bytes that all say "more follows" are no number, fewer are the start of one.
        let unfinished = input.len() < uvarint::MAX_LEN && input.iter().all(|byte| *byte >= 0x80);
        if unfinished {
            CarError::Truncated { offset }
        } else {
            CarError::MalformedLength { offset }
        }
    })
}

/// The root of a header that still has its length in front. There is one form.
fn parse_header(framed: &[u8]) -> Option<Cid> {
    let (&len, header) = framed.split_first()?;
    if usize::from(len) != HEADER_LEN {
        return None;
    }
    let root = header.strip_prefix(HEADER_BEFORE_ROOT)?.strip_suffix(HEADER_AFTER_ROOT)?;
    dag::cid_from_bytes(root).ok()
}

/// The rules for blocks, which do not depend on where they are read from.
#[derive(Debug)]
struct Checks {
    limits: CarLimits,
    root: Cid,
    seen: HashSet<Cid>,
}

impl Checks {
    /// Before a section is read.
    const fn section_len(&self, offset: u64, len: u64) -> Result<(), CarError> {
        let max = self.limits.max_block_len.saturating_add(CID_LEN as u64);
        if len < CID_LEN as u64 || len > max {
            return Err(CarError::SectionLength { offset, len, max });
        }
        Ok(())
    }

    /// A section that was read: its identifier and block.
    fn block<'a>(&mut self, offset: u64, section: &'a [u8]) -> Result<(Cid, &'a [u8]), CarError> {
        let (cid, block) =
            section.split_at_checked(CID_LEN).ok_or(CarError::Truncated { offset })?;
        let cid = dag::cid_from_bytes(cid).map_err(|source| CarError::Cid { offset, source })?;
        if self.seen.len() >= self.limits.max_blocks {
            return Err(CarError::TooManyBlocks { offset, limit: self.limits.max_blocks });
        }
        if !self.seen.insert(cid) {
            return Err(CarError::Duplicate { offset, cid: Box::new(cid) });
        }
        if !dag::names(&cid, block) {
            return Err(CarError::WrongHash { offset, cid: Box::new(cid) });
        }
        Ok((cid, block))
    }

    /// After the last section.
    fn at_end(&self) -> Result<(), CarError> {
        if self.seen.contains(&self.root) {
            return Ok(());
        }
        Err(CarError::RootMissing { cid: Box::new(self.root) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dag::{CHUNK_LEN, Dag};
    use proptest::prelude::*;

    /// Three leaves, of which two are equal, under one node.
    fn content() -> Vec<u8> {
        [vec![1; 2 * CHUNK_LEN], vec![2; 5]].concat()
    }

    fn archive_of(content: &[u8]) -> Vec<u8> {
        let dag = Dag::build(content);
        let mut archive = Vec::new();
        let len = write_car(dag.root(), dag.blocks(), &mut archive).unwrap();
        assert_eq!(len, archive.len() as u64);
        archive
    }

    /// Reads with both readers, which must agree.
    fn read(archive: &[u8]) -> Result<Vec<Cid>, CarError> {
        read_with(archive, CarLimits::default())
    }

    fn read_with(archive: &[u8], limits: CarLimits) -> Result<Vec<Cid>, CarError> {
        let whole = read_car(archive, limits);
        let streamed = stream(archive, limits);
        match (&whole, &streamed) {
            (Ok(car), Ok(cids)) => {
                assert_eq!(car.blocks.len(), cids.len());
                assert!(cids.iter().all(|cid| car.blocks.contains_key(cid)));
            }
            (Err(whole), Err(streamed)) => assert_eq!(whole.to_string(), streamed.to_string()),
            _ => panic!("one reader only: {whole:?}, {streamed:?}"),
        }
        streamed
    }

    fn stream(archive: &[u8], limits: CarLimits) -> Result<Vec<Cid>, CarError> {
        let mut reader = CarReader::new(archive, limits)?;
        let mut cids = Vec::new();
        while let Some((cid, block)) = reader.next_block()? {
            assert!(dag::names(&cid, block));
            cids.push(cid);
        }
        Ok(cids)
    }

    #[test]
    fn the_archive_of_one_byte_is_known_in_full() {
        let leaf = dag::cid_of(b"x").to_bytes();
        let expected = [
            &[0x3a, 0xa2, 0x65][..],
            b"roots",
            &[0x81, 0xd8, 0x2a, 0x58, 0x25, 0x00],
            &leaf,
            &[0x67],
            b"version",
            &[0x01, 37],
            &leaf,
            b"x",
        ]
        .concat();
        assert_eq!(archive_of(b"x"), expected);
    }

    #[test]
    fn blocks_are_written_once_and_depth_first() {
        let content = content();
        let cids = read(&archive_of(&content)).unwrap();
        let leaf = |bytes: &[u8]| dag::cid_of(bytes);
        let root = *Dag::build(&content).root();
        assert_eq!(cids, [root, leaf(&content[..CHUNK_LEN]), leaf(&content[2 * CHUNK_LEN..])]);
    }

    #[test]
    fn a_file_comes_back_from_its_archive() {
        for content in [vec![], vec![7], content()] {
            let archive = archive_of(&content);
            let car = read_car(&archive, CarLimits::default()).unwrap();
            let mut out = Vec::new();
            let block_of = |cid: &Cid| Ok(car.blocks.get(cid));
            dag::extract_file(&car.root, block_of, &dag::ExtractLimits::default(), &mut out)
                .unwrap();
            assert!(out == content, "{} bytes", content.len());
        }
    }

    #[test]
    fn other_headers_are_refused() {
        let archive = archive_of(b"x");
        // Any digest will do for the root, everything around it is fixed.
        let digest_end = 1 + HEADER_BEFORE_ROOT.len() + CID_LEN;
        for position in (0..digest_end - 32).chain(digest_end..=HEADER_LEN) {
            let mut other = archive.clone();
            other[position] ^= 1;
            assert!(matches!(read(&other), Err(CarError::Header)), "byte {position}");
        }
        assert!(matches!(read(b""), Err(CarError::Header)));
    }

    #[test]
    fn every_truncation_is_refused() {
        let archive = archive_of(b"some words");
        for len in 0..archive.len() {
            let error = read(&archive[..len]).unwrap_err();
            let expected = match len {
                0..=58 => matches!(error, CarError::Header),
                59 => matches!(error, CarError::RootMissing { .. }),
                _ => matches!(error, CarError::Truncated { offset: 59 }),
            };
            assert!(expected, "first {len} bytes: {error}");
        }
    }

    #[test]
    fn forged_blocks_are_refused() {
        let mut archive = archive_of(b"some words");
        let last = archive.len() - 1;
        archive[last] ^= 1;
        let error = read(&archive).unwrap_err();
        assert!(matches!(error, CarError::WrongHash { offset: 59, .. }), "{error}");
    }

    #[test]
    fn repeated_blocks_are_refused() {
        let mut archive = archive_of(b"x");
        archive.extend_from_within(59..);
        let error = read(&archive).unwrap_err();
        assert!(matches!(error, CarError::Duplicate { offset: 97, .. }), "{error}");
    }

    #[test]
    fn foreign_identifiers_are_refused() {
        let mut archive = archive_of(b"x");
        archive[61] = 0x71;
        let error = read(&archive).unwrap_err();
        assert!(matches!(error, CarError::Cid { offset: 59, .. }), "{error}");
    }

    #[test]
    fn lengths_are_checked_before_anything_is_read() {
        let header = &archive_of(b"x")[..59];
        for (len, expected) in [
            (&[0][..], "the section at byte 59 has 0 bytes, expected 36 to 2097188"),
            (&[35], "the section at byte 59 has 35 bytes, expected 36 to 2097188"),
            (
                &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
                "the section at byte 59 has 18446744073709551615 bytes, expected 36 to 2097188",
            ),
            (&[0x80, 0x00], "malformed length of the section at byte 59"),
            (&[0x80; 12], "malformed length of the section at byte 59"),
            (&[0x80], "the archive ends inside of the section at byte 59"),
        ] {
            let error = read(&[header, len].concat()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn limits_hold() {
        let archive = archive_of(&content());
        let limits = CarLimits { max_blocks: 2, ..CarLimits::default() };
        let error = read_with(&archive, limits).unwrap_err();
        assert!(matches!(error, CarError::TooManyBlocks { limit: 2, .. }), "{error}");
        let limits = CarLimits { max_block_len: 262_143, ..CarLimits::default() };
        let error = read_with(&archive, limits).unwrap_err();
        assert!(matches!(error, CarError::SectionLength { max: 262_179, .. }), "{error}");
    }

    #[test]
    fn a_failing_input_is_passed_on() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("disk"))
            }
        }
        let archive = archive_of(b"x");
        for len in [0, 59, 70] {
            let input = archive[..len].chain(io::BufReader::new(Broken));
            let mut reader = match CarReader::new(input, CarLimits::default()) {
                Ok(reader) => reader,
                Err(error) => {
                    assert!(matches!(error, CarError::Read { offset: 0, .. }), "{error}");
                    continue;
                }
            };
            let error = reader.next_block().unwrap_err();
            assert!(matches!(error, CarError::Read { offset: 59, .. }), "{error}");
        }
    }

    proptest! {
        #[test]
        fn both_readers_agree_on_anything(
            content in proptest::collection::vec(any::<u8>(), 0..200),
            place in any::<proptest::sample::Index>(),
            change: u8,
        ) {
            let mut archive = archive_of(&content);
            let place = place.index(archive.len());
            archive[place] ^= change;
            prop_assert_eq!(read(&archive).is_ok(), change == 0);
        }
    }
}
