//! The bytes of one interior node: a dag-pb `PBNode` that wraps a UnixFS `Data` message.
//!
//! Both are protobuf. A node is a `Links` field (number 2) for each child, then one `Data` field
//! (number 1); that order is dag-pb's own, against protobuf's habit. A link is `Hash` (1, the
//! child's CID), `Name` (2, empty in a file) and `Tsize` (3, the bytes of the child's whole
//! sub-DAG, blocks included). The UnixFS message is `Type` (1), inline `Data` (2), `filesize` (3)
//! and one `blocksizes` (4) a child.

use super::content_id::{self, Cid, InvalidCid};
use crate::uvarint;

/// A child as its parent describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileNodeLink {
    /// Its identifier.
    pub cid: Cid,
    /// Bytes of all blocks of the sub-DAG, repeated ones counted again.
    pub dag_len: u64,
    /// Bytes of file content below the child.
    pub file_len: u64,
}

/// What a node of a file says; `inline` borrows from the block.
#[derive(Debug, PartialEq, Eq)]
pub struct FileNode<'a> {
    /// The parts of the file below the node, in their order.
    pub children: Vec<FileNodeLink>,
    /// Content that precedes that of the children.
    pub inline: &'a [u8],
    /// Bytes of file content in and below the node: `inline` and all children.
    pub file_len: u64,
}

impl<'a> FileNode<'a> {
    /// Reads a dag-pb block strictly, and checks that the sizes it states agree with one another.
    ///
    /// # Errors
    ///
    /// [`NodeError`] for anything but a node of a UnixFS file.
    pub fn decode(block: &'a [u8]) -> Result<Self, NodeError> {
        decode(block)
    }
}

/// Why a dag-pb block is not a node of a UnixFS file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// A field does not fit the bytes that remain, or has a number or wire type that is not its
    /// own.
    #[error("malformed {message} message at byte {offset}")]
    Malformed {
        /// The protobuf message that is broken off: `PBNode`, `PBLink` or `UnixFS`.
        message: &'static str,
        /// Where in that message the field starts.
        offset: usize,
    },
    /// A link's `Hash` is not one of the CIDs that a file has.
    #[error("link {index}: {source}")]
    Link {
        /// Which link, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidCid,
    },
    /// A directory, a symbolic link or a shard.
    #[error("UnixFS type {0}, expected 2 (file) or 0 (raw)")]
    NotAFile(
        /// The type that was found.
        u64,
    ),
    /// `Links` and `blocksizes` come in pairs.
    #[error("{links} links but {sizes} block sizes")]
    Unpaired {
        /// Number of links.
        links: usize,
        /// Number of block sizes.
        sizes: usize,
    },
    /// No chunker writes an empty chunk into a node, and a tree of them would be work without an
    /// end.
    #[error("link {0} is to an empty part of the file")]
    EmptyChild(
        /// Which link, from 0.
        usize,
    ),
    /// `filesize` is not the sum of its parts.
    #[error("the node claims {claimed} bytes of content, its parts add up to {sum}")]
    FileLength {
        /// `filesize`.
        claimed: u64,
        /// Inline content and all block sizes; the largest number there is where they overflow.
        sum: u64,
    },
}

/// Protobuf wire types.
const VARINT: u64 = 0;
const BYTES: u64 = 2;

/// UnixFS `Type` values that hold file content.
const TYPE_RAW: u64 = 0;
const TYPE_FILE: u64 = 2;

/// The block of a node over `children`, without inline content.
pub(crate) fn encode(children: &[FileNodeLink]) -> Vec<u8> {
    let mut block = Vec::with_capacity(children.len() * 56 + 16);
    let mut link = Vec::with_capacity(56);
    for child in children {
        link.clear();
        put_bytes(1, &child.cid.to_bytes(), &mut link);
        put_bytes(2, &[], &mut link);
        put_number(3, child.dag_len, &mut link);
        put_bytes(2, &link, &mut block);
    }
    put_bytes(1, &encode_unixfs(children), &mut block);
    block
}

fn encode_unixfs(children: &[FileNodeLink]) -> Vec<u8> {
    let mut message = Vec::with_capacity(children.len() * 4 + 16);
    put_number(1, TYPE_FILE, &mut message);
    put_number(3, children.iter().map(|child| child.file_len).sum(), &mut message);
    for child in children {
        put_number(4, child.file_len, &mut message);
    }
    message
}

fn put_number(field: u64, value: u64, out: &mut Vec<u8>) {
    uvarint::write(field << 3 | VARINT, out);
    uvarint::write(value, out);
}

fn put_bytes(field: u64, value: &[u8], out: &mut Vec<u8>) {
    uvarint::write(field << 3 | BYTES, out);
    uvarint::write(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Reads a node strictly, and checks that the sizes it states agree with one another.
pub(crate) fn decode(block: &[u8]) -> Result<FileNode<'_>, NodeError> {
    let (links, data) = decode_pb_node(block)?;
    let unixfs = decode_unixfs(data)?;
    if links.len() != unixfs.child_lens.len() {
        return Err(NodeError::Unpaired { links: links.len(), sizes: unixfs.child_lens.len() });
    }
    if let Some(index) = unixfs.child_lens.iter().position(|&len| len == 0) {
        return Err(NodeError::EmptyChild(index));
    }
    let inline_len = unixfs.inline.len() as u64;
    let sum = unixfs.child_lens.iter().fold(inline_len, |sum, &len| sum.saturating_add(len));
    // A node without children may leave `filesize` out, its inline content says it.
    let claimed = unixfs.file_len.unwrap_or(inline_len);
    if claimed != sum || sum == u64::MAX {
        return Err(NodeError::FileLength { claimed, sum });
    }
    let children = links
        .into_iter()
        .zip(unixfs.child_lens)
        .map(|((cid, dag_len), file_len)| FileNodeLink { cid, dag_len, file_len })
        .collect();
    Ok(FileNode { children, inline: unixfs.inline, file_len: sum })
}

/// CID and `Tsize` of a `PBLink`.
type PbLink = (Cid, u64);

/// The links and the `Data` of a `PBNode`.
fn decode_pb_node(block: &[u8]) -> Result<(Vec<PbLink>, &[u8]), NodeError> {
    let mut fields = ProtobufFields::new("PBNode", block);
    let mut links = Vec::new();
    while let Some(field) = fields.next()? {
        match (field.number, field.value) {
            (2, ProtobufValue::Bytes(link)) => links.push(decode_link(links.len(), link)?),
            // `Data` ends the node.
            (1, ProtobufValue::Bytes(data)) if fields.rest.is_empty() => return Ok((links, data)),
            _ => return Err(fields.malformed(field.offset)),
        }
    }
    Err(fields.malformed(block.len()))
}

fn decode_link(index: usize, link: &[u8]) -> Result<PbLink, NodeError> {
    let mut fields = ProtobufFields::new("PBLink", link);
    let ProtobufValue::Bytes(hash) = fields.expect(1)? else { return Err(fields.malformed(0)) };
    let cid = content_id::from_bytes(hash).map_err(|source| NodeError::Link { index, source })?;
    // A file's links have no names.
    let at_name = fields.offset();
    let ProtobufValue::Bytes([]) = fields.expect(2)? else { return Err(fields.malformed(at_name)) };
    let at_size = fields.offset();
    let ProtobufValue::Number(dag_len) = fields.expect(3)? else {
        return Err(fields.malformed(at_size));
    };
    if !fields.rest.is_empty() {
        return Err(fields.malformed(fields.offset()));
    }
    Ok((cid, dag_len))
}

/// The links of any dag-pb block, be it a file, a directory or something else, in their order.
///
/// # Errors
///
/// [`NodeError::Malformed`] for what is no dag-pb, and for a link whose `Hash` is no CID.
pub fn links(block: &[u8]) -> Result<Vec<Cid>, NodeError> {
    let mut fields = ProtobufFields::new("PBNode", block);
    let mut links = Vec::new();
    while let Some(field) = fields.next()? {
        match (field.number, field.value) {
            (2, ProtobufValue::Bytes(link)) => links.push(any_link(link)?),
            (1, ProtobufValue::Bytes(_)) => {}
            _ => return Err(fields.malformed(field.offset)),
        }
    }
    Ok(links)
}

/// The `Hash` of a link that may have a name, and need not have a size.
fn any_link(link: &[u8]) -> Result<Cid, NodeError> {
    let mut fields = ProtobufFields::new("PBLink", link);
    let ProtobufValue::Bytes(hash) = fields.expect(1)? else { return Err(fields.malformed(0)) };
    while let Some(field) = fields.next()? {
        match (field.number, field.value) {
            (2, ProtobufValue::Bytes(_)) | (3, ProtobufValue::Number(_)) => {}
            _ => return Err(fields.malformed(field.offset)),
        }
    }
    let mut rest = hash;
    let cid = Cid::read_bytes(&mut rest).ok().filter(|_| rest.is_empty());
    cid.ok_or_else(|| fields.malformed(0))
}

struct UnixFs<'a> {
    inline: &'a [u8],
    file_len: Option<u64>,
    child_lens: Vec<u64>,
}

fn decode_unixfs(message: &[u8]) -> Result<UnixFs<'_>, NodeError> {
    let mut fields = ProtobufFields::new("UnixFS", message);
    let mut unixfs = UnixFs { inline: &[], file_len: None, child_lens: Vec::new() };
    match fields.expect(1)? {
        ProtobufValue::Number(TYPE_RAW | TYPE_FILE) => {}
        ProtobufValue::Number(other) => return Err(NodeError::NotAFile(other)),
        ProtobufValue::Bytes(_) => return Err(fields.malformed(0)),
    }
    while let Some(field) = fields.next()? {
        match (field.number, field.value) {
            (2, ProtobufValue::Bytes(data)) => unixfs.inline = data,
            (3, ProtobufValue::Number(len)) => unixfs.file_len = Some(len),
            (4, ProtobufValue::Number(len)) => unixfs.child_lens.push(len),
            // Mode and modification time say nothing about the content.
            (7, ProtobufValue::Number(_)) | (8, ProtobufValue::Bytes(_)) => {}
            _ => return Err(fields.malformed(field.offset)),
        }
    }
    Ok(unixfs)
}

/// Walks over the fields of one protobuf message.
struct ProtobufFields<'a> {
    message: &'static str,
    len: usize,
    rest: &'a [u8],
}

struct Field<'a> {
    number: u64,
    value: ProtobufValue<'a>,
    offset: usize,
}

enum ProtobufValue<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> ProtobufFields<'a> {
    const fn new(message: &'static str, bytes: &'a [u8]) -> Self {
        Self { message, len: bytes.len(), rest: bytes }
    }

    const fn offset(&self) -> usize {
        self.len - self.rest.len()
    }

    const fn malformed(&self, offset: usize) -> NodeError {
        NodeError::Malformed { message: self.message, offset }
    }

    /// The next field, `None` at the end of the message.
    fn next(&mut self) -> Result<Option<Field<'a>>, NodeError> {
        let offset = self.offset();
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (number, value) = self.take().ok_or_else(|| self.malformed(offset))?;
        Ok(Some(Field { number, value, offset }))
    }

    /// The value of the next field, which must be the one with this number.
    fn expect(&mut self, number: u64) -> Result<ProtobufValue<'a>, NodeError> {
        let offset = self.offset();
        match self.next()? {
            Some(field) if field.number == number => Ok(field.value),
            _ => Err(self.malformed(offset)),
        }
    }

    fn take(&mut self) -> Option<(u64, ProtobufValue<'a>)> {
        let key = uvarint::read(&mut self.rest)?;
        let value = match key & 7 {
            VARINT => ProtobufValue::Number(uvarint::read(&mut self.rest)?),
            BYTES => {
                let len = usize::try_from(uvarint::read(&mut self.rest)?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(len)?;
                self.rest = rest;
                ProtobufValue::Bytes(bytes)
            }
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(content: &[u8], file_len: u64) -> FileNodeLink {
        FileNodeLink {
            cid: content_id::of_leaf(content),
            dag_len: file_len.saturating_add(5),
            file_len,
        }
    }

    #[test]
    fn encodes_links_before_data() {
        let child = link(b"x", 300);
        let mut expected = vec![0x12, 0x2b, 0x0a, 0x24, 0x01, 0x55, 0x12, 0x20];
        expected.extend_from_slice(child.cid.hash().digest());
        expected.extend_from_slice(&[0x12, 0x00, 0x18, 0xb1, 0x02]);
        expected.extend_from_slice(&[0x0a, 0x08, 0x08, 0x02, 0x18, 0xac, 0x02, 0x20, 0xac, 0x02]);
        assert_eq!(encode(&[child]), expected);
    }

    #[test]
    fn reads_what_it_wrote() {
        let children = [link(b"a", 1), link(b"b", 262_144), link(b"c", u64::from(u32::MAX))];
        let block = encode(&children);
        let node = decode(&block).unwrap();
        assert_eq!(node.children, children);
        assert_eq!(node.inline, b"");
        assert_eq!(node.file_len, 262_145 + u64::from(u32::MAX));
    }

    #[test]
    fn every_truncation_is_refused() {
        let block = encode(&[link(b"a", 1), link(b"b", 2)]);
        for len in 0..block.len() {
            assert!(decode(&block[..len]).is_err(), "first {len} bytes");
        }
    }

    #[test]
    fn inline_content_is_accepted() {
        // what chunkers without raw leaves write: type 2, "hi", filesize 2
        let block = [0x0a, 0x08, 0x08, 0x02, 0x12, 0x02, b'h', b'i', 0x18, 0x02];
        let node = decode(&block).unwrap();
        assert_eq!((node.inline, node.file_len), (&b"hi"[..], 2));
    }

    fn wrapped(unixfs: &[u8]) -> Vec<u8> {
        let mut block = Vec::new();
        put_bytes(1, unixfs, &mut block);
        block
    }

    #[test]
    fn refusals_say_why() {
        assert_eq!(decode(&wrapped(&[0x08, 0x01])), Err(NodeError::NotAFile(1)));
        assert_eq!(
            decode(&wrapped(&[0x08, 0x02, 0x18, 0x07])),
            Err(NodeError::FileLength { claimed: 7, sum: 0 })
        );
        assert_eq!(
            decode(&wrapped(&[0x08, 0x02, 0x18, 0x07, 0x20, 0x07])),
            Err(NodeError::Unpaired { links: 0, sizes: 1 })
        );
        assert_eq!(decode(&encode(&[link(b"a", 1), link(b"", 0)])), Err(NodeError::EmptyChild(1)));
        assert_eq!(
            decode(&encode(&[link(b"a", u64::MAX)])),
            Err(NodeError::FileLength { claimed: u64::MAX, sum: u64::MAX })
        );
        let mut trailing = encode(&[link(b"a", 1)]);
        let end = trailing.len();
        trailing.push(0);
        assert!(matches!(
            decode(&trailing),
            Err(NodeError::Malformed { message: "PBNode", offset }) if offset < end
        ));
    }

    #[test]
    fn links_of_any_node_are_read() {
        let children = [link(b"a", 1), link(b"b", 2)];
        let cids = children.map(|child| child.cid);
        assert_eq!(links(&encode(&children)), Ok(cids.to_vec()));
        // A directory: a name, no size, and the old form of a CID.
        let old = [&[0x12, 0x20][..], &[7; 32]].concat();
        let (mut entry, mut directory) = (Vec::new(), Vec::new());
        put_bytes(1, &old, &mut entry);
        put_bytes(2, b"name", &mut entry);
        put_bytes(2, &entry, &mut directory);
        put_bytes(1, &[0x08, 0x01], &mut directory);
        assert_eq!(links(&directory), Ok(vec![Cid::try_from(&old[..]).unwrap()]));
        assert_eq!(links(&[]), Ok(vec![]));
        for len in 1..directory.len() - 4 {
            assert!(links(&directory[..len]).is_err(), "first {len} bytes");
        }
        entry.truncate(20);
        let mut cut = Vec::new();
        put_bytes(2, &entry, &mut cut);
        assert!(links(&cut).is_err());
    }

    #[test]
    fn a_foreign_hash_in_a_link_is_refused() {
        let mut block = encode(&[link(b"a", 1)]);
        block[5] = 0x71; // dag-cbor
        assert!(matches!(decode(&block), Err(NodeError::Link { index: 0, .. })));
    }
}
