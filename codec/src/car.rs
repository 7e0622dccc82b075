//! CARv1, the archive in which the blocks of one file travel.
//!
//! A header, then sections. Each starts with its length as an unsigned LEB128 number. The header is
//! a dag-cbor map with the keys `roots` (one, in the archive of a file) and `version` (1); a
//! section is a binary CID and the bytes of the block. ipfs-pinner writes the blocks depth first
//! from the root, each CID once, and so does [`write_car`] if it is given them in that order, which
//! [`Dag::blocks`](crate::dag::Dag::blocks) has.

use crate::{
    dag::{self, CID_LEN, Cid, InvalidCid},
    uvarint,
};
use std::{
    collections::{HashMap, HashSet},
    io::{self, BufRead, Read},
};

/// The header's dag-cbor up to the roots: a map of two, "roots".
const HEADER_BEFORE_ROOTS: &[u8] = b"\xa2\x65roots";

/// What stands before the string of a root: tag 42.
const BEFORE_ROOT: &[u8] = b"\xd8\x2a";

/// The longest header that is read, in bytes: some 16,000 roots.
const MAX_HEADER_LEN: u64 = 1 << 20;

/// The header's dag-cbor up to the one root of a file: a map of two, "roots", an array of one, tag
/// 42, a string of 37 bytes of which the first is the zero that stands before every CID in
/// dag-cbor.
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
    let mut car = CarWriter::new(out, &[*root])?;
    for (cid, block) in blocks {
        car.write(&cid, block.as_ref())?;
    }
    Ok(car.written())
}

/// Writes an archive block by block.
#[derive(Debug)]
pub struct CarWriter<W> {
    out: W,
    written: u64,
    seen: HashSet<Cid>,
}

impl<W: io::Write> CarWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    ///
    /// Those of `out`; [`io::ErrorKind::InvalidInput`] for more than 65535 roots.
    pub fn new(mut out: W, roots: &[Cid]) -> io::Result<Self> {
        let header = encode_header(roots).ok_or(io::ErrorKind::InvalidInput)?;
        let written = write_section(&header, &[], &mut out)?;
        Ok(Self { out, written, seen: HashSet::new() })
    }

    /// Writes a block, unless one with the same identifier was written before. That the identifier
    /// fits the block is the caller's affair.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write(&mut self, cid: &Cid, block: &[u8]) -> io::Result<()> {
        if self.seen.insert(*cid) {
            self.written += write_section(&cid.to_bytes(), block, &mut self.out)?;
        }
        Ok(())
    }

    /// Bytes that were written so far.
    pub const fn written(&self) -> u64 {
        self.written
    }
}

/// The header without its length.
fn encode_header(roots: &[Cid]) -> Option<Vec<u8>> {
    let mut header = HEADER_BEFORE_ROOTS.to_vec();
    let count = u16::try_from(roots.len()).ok()?;
    match count {
        0..24 => header.push(0x80 | count as u8),
        24..256 => header.extend([0x98, count as u8]),
        _ => header.extend([&[0x99][..], &count.to_be_bytes()].concat()),
    }
    for root in roots {
        let root = root.to_bytes();
        header.extend_from_slice(BEFORE_ROOT);
        // The string has the zero that stands before every CID in dag-cbor.
        let len = u8::try_from(root.len() + 1).ok()?;
        if len >= 24 {
            header.push(0x58);
            header.push(len);
        } else {
            header.push(0x40 | len);
        }
        header.push(0);
        header.extend_from_slice(&root);
    }
    header.extend_from_slice(HEADER_AFTER_ROOT);
    Some(header)
}

/// Reads what [`encode_header`] wrote: dag-cbor has one form for it.
fn decode_header(header: &[u8]) -> Option<Vec<Cid>> {
    let mut rest = header.strip_prefix(HEADER_BEFORE_ROOTS)?;
    let count = match rest {
        [count @ 0x80..0x98, after @ ..] => {
            rest = after;
            usize::from(count & 0x1f)
        }
        [0x98, count, after @ ..] => {
            rest = after;
            usize::from(*count)
        }
        [0x99, high, low, after @ ..] => {
            rest = after;
            usize::from(u16::from_be_bytes([*high, *low]))
        }
        _ => return None,
    };
    let mut roots = Vec::new();
    for _ in 0..count {
        rest = rest.strip_prefix(BEFORE_ROOT)?;
        let (len, after) = match rest {
            [0x58, len, after @ ..] => (usize::from(*len), after),
            [len @ 0x40..0x58, after @ ..] => (usize::from(len & 0x1f), after),
            _ => return None,
        };
        let (root, after) = after.split_at_checked(len)?;
        roots.push(Cid::try_from(root.strip_prefix(&[0])?).ok()?);
        rest = after;
    }
    (rest == HEADER_AFTER_ROOT && encode_header(&roots)? == header).then_some(roots)
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
    /// The header is not that of a CARv1.
    #[error("not a CARv1: the header is not {{roots: [<CID>, ...], version: 1}} in dag-cbor")]
    AnyHeader,
    /// A block's identifier can't be read, or is of another hash than SHA-256.
    #[error("the section at byte {offset} does not start with a CID of SHA-256")]
    AnyCid {
        /// Start of the section.
        offset: u64,
    },
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
    roots: Vec<Cid>,
    checks: Rules,
}

/// What has to be true of an archive.
#[derive(Debug)]
enum Rules {
    OneFile(Checks),
    AnyDags { limits: CarLimits, blocks: usize },
}

impl Rules {
    /// Before a section is read.
    fn section_len(&self, offset: u64, len: u64) -> Result<(), CarError> {
        match self {
            Self::OneFile(checks) => checks.section_len(offset, len),
            Self::AnyDags { limits, .. } => {
                let max = limits.max_block_len.saturating_add(MAX_CID_LEN);
                (len <= max).then_some(()).ok_or(CarError::SectionLength { offset, len, max })
            }
        }
    }

    /// A section that was read: its identifier and block.
    fn block<'a>(&mut self, offset: u64, section: &'a [u8]) -> Result<(Cid, &'a [u8]), CarError> {
        let (limits, blocks) = match self {
            Self::OneFile(checks) => return checks.block(offset, section),
            Self::AnyDags { limits, blocks } => (limits, blocks),
        };
        if *blocks >= limits.max_blocks {
            return Err(CarError::TooManyBlocks { offset, limit: limits.max_blocks });
        }
        *blocks += 1;
        let mut block = section;
        let cid = Cid::read_bytes(&mut block).ok().filter(dag::is_sha256);
        let cid = cid.ok_or(CarError::AnyCid { offset })?;
        if !dag::hashes_to(&cid, block) {
            return Err(CarError::WrongHash { offset, cid: Box::new(cid) });
        }
        Ok((cid, block))
    }

    /// After the last section.
    fn at_end(&self, roots: &[Cid]) -> Result<(), CarError> {
        match self {
            Self::OneFile(checks) => roots.iter().try_for_each(|root| checks.at_end(root)),
            Self::AnyDags { .. } => Ok(()),
        }
    }
}

/// The longest identifier of SHA-256 that a section starts with, with room for long codecs.
const MAX_CID_LEN: u64 = 64;

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
        let checks = Checks { limits, seen: HashSet::new() };
        Ok(Self {
            input,
            offset: framed_len,
            section: Vec::new(),
            roots: vec![root],
            checks: Rules::OneFile(checks),
        })
    }

    /// Reads the header of an archive that may have any number of roots, and DAGs of any kind.
    /// Every block is hashed all the same; blocks may be there twice, and roots need not be.
    ///
    /// # Errors
    ///
    /// [`CarError::AnyHeader`] for anything but a CARv1, or that of the input.
    pub fn with_any_roots(input: R, limits: CarLimits) -> Result<Self, CarError> {
        let checks = Rules::AnyDags { limits, blocks: 0 };
        let mut reader = Self { input, offset: 0, section: Vec::new(), roots: Vec::new(), checks };
        let len = reader.read_len()?.filter(|len| *len <= MAX_HEADER_LEN);
        reader.read_section(0, len.ok_or(CarError::AnyHeader)?)?;
        reader.roots = decode_header(&reader.section).ok_or(CarError::AnyHeader)?;
        Ok(reader)
    }

    /// The roots that the header names: of an archive of one file, the file.
    pub fn roots(&self) -> &[Cid] {
        &self.roots
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
            self.checks.at_end(&self.roots)?;
            return Ok(None);
        };
        self.checks.section_len(offset, len)?;
        self.read_section(offset, len)?;
        self.checks.block(offset, &self.section).map(Some)
    }

    fn read_section(&mut self, offset: u64, len: u64) -> Result<(), CarError> {
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
        Ok(())
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
    let mut checks = Checks { limits, seen: HashSet::new() };
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
    checks.at_end(&root)?;
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
    fn at_end(&self, root: &Cid) -> Result<(), CarError> {
        if self.seen.contains(root) {
            return Ok(());
        }
        Err(CarError::RootMissing { cid: Box::new(*root) })
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

    /// An archive with these roots and blocks.
    fn any_archive(roots: &[Cid], blocks: &[(Cid, &[u8])]) -> Vec<u8> {
        let mut archive = Vec::new();
        let mut car = CarWriter::new(&mut archive, roots).unwrap();
        blocks.iter().for_each(|(cid, block)| car.write(cid, block).unwrap());
        let written = car.written();
        assert_eq!(written, archive.len() as u64);
        archive
    }

    type AnyCar = (Vec<Cid>, Vec<(Cid, Vec<u8>)>);

    fn read_any(archive: &[u8], limits: CarLimits) -> Result<AnyCar, CarError> {
        let mut reader = CarReader::with_any_roots(archive, limits)?;
        let mut blocks = Vec::new();
        while let Some((cid, block)) = reader.next_block()? {
            blocks.push((cid, block.to_vec()));
        }
        Ok((reader.roots().to_vec(), blocks))
    }

    #[test]
    fn any_number_of_roots_is_read() {
        for count in [0u32, 1, 2, 23, 24, 141, 255, 256, 300] {
            let files: Vec<[u8; 4]> = (0..count).map(u32::to_le_bytes).collect();
            let roots: Vec<Cid> = files.iter().map(|file| dag::cid_of(file)).collect();
            let blocks: Vec<(Cid, &[u8])> =
                roots.iter().zip(&files).map(|(root, file)| (*root, &file[..])).collect();
            let archive = any_archive(&roots, &blocks);
            let (found, read) = read_any(&archive, CarLimits::default()).unwrap();
            assert_eq!(found, roots, "{count} roots");
            assert_eq!(read.len(), blocks.len());
            assert!(read.iter().zip(&blocks).all(|(a, b)| a.0 == b.0 && a.1 == b.1));
        }
    }

    #[test]
    fn dags_of_any_kind_are_read_and_every_block_is_hashed() {
        let hash = *dag::cid_of(b"x").hash();
        let cids = [Cid::new_v0(hash).unwrap(), Cid::new_v1(0x71, hash)];
        let mut archive = any_archive(&cids, &[(cids[0], b"x"), (cids[1], b"x")]);
        archive.extend_from_within(archive.len() - 38..);
        let (roots, blocks) = read_any(&archive, CarLimits::default()).unwrap();
        assert_eq!(roots, cids);
        assert_eq!(blocks.len(), 3);
        let last = archive.len() - 1;
        archive[last] ^= 1;
        let error = read_any(&archive, CarLimits::default()).unwrap_err();
        assert!(matches!(error, CarError::WrongHash { .. }), "{error}");
        archive[last - 34] ^= 1;
        let error = read_any(&archive, CarLimits::default()).unwrap_err();
        assert!(matches!(error, CarError::AnyCid { .. }), "{error}");
    }

    #[test]
    fn lying_lengths_reserve_nothing() {
        for archive in [&b"\xff\xff\xff\xff\x0f"[..], b"\x05\xa2", b"", b"\x80\x00"] {
            assert!(read_any(archive, CarLimits::default()).is_err(), "{archive:?}");
        }
        let mut archive = any_archive(&[], &[]);
        archive.extend([0xff, 0xff, 0xff, 0x7f]);
        let error = read_any(&archive, CarLimits::default()).unwrap_err();
        assert!(matches!(error, CarError::SectionLength { .. }), "{error}");
        let limits = CarLimits { max_blocks: 1, ..CarLimits::default() };
        let blocks = [(dag::cid_of(b"x"), &b"x"[..]), (dag::cid_of(b"y"), b"y")];
        let error = read_any(&any_archive(&[], &blocks), limits).unwrap_err();
        assert!(matches!(error, CarError::TooManyBlocks { limit: 1, .. }), "{error}");
    }

    proptest! {
        #[test]
        fn other_bytes_are_another_archive_or_none(
            place in any::<proptest::sample::Index>(),
            change: u8,
        ) {
            let root = dag::cid_of(b"some words");
            let archive = any_archive(&[root, root], &[(root, b"some words")]);
            let mut other = archive.clone();
            let place = place.index(archive.len());
            other[place] ^= change;
            let (expected, found) =
                (read_any(&archive, CarLimits::default()), read_any(&other, CarLimits::default()));
            prop_assert_eq!(found.ok() == expected.ok(), change == 0);
        }

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
