//! Reading a file of the store.

use super::{
    StoreError, digest_of,
    inner::Inner,
    walk::{DAG_PB, RAW},
};
use bsp_codec::dag::{Cid, FileNode};
use bytes::Bytes;
use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};

/// The most levels of a file's nodes. Four with 174 links reach 218 TiB.
const MAX_LEVELS: usize = 32;

/// A file in the store: UnixFS of any chunker and layout. Every block that is read is checked
/// against its CID, and against the length that its parent states.
#[derive(Debug)]
pub struct StoredFile {
    inner: Arc<Inner>,
    root: Cid,
    len: u64,
    position: u64,
    /// The nodes above the part that was read last, the root first.
    path: Vec<Level>,
    part: Part,
}

/// A stretch of content in memory.
#[derive(Debug, Clone)]
struct Part {
    start: u64,
    bytes: Bytes,
}

impl Part {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn holds(&self, position: u64) -> bool {
        (self.start..self.end()).contains(&position)
    }
}

/// A node on the way to a part.
#[derive(Debug)]
struct Level {
    /// Its own content, which comes first.
    inline: Part,
    end: u64,
    children: Vec<Child>,
}

#[derive(Debug, Clone, Copy)]
struct Child {
    cid: Cid,
    start: u64,
    len: u64,
}

impl StoredFile {
    pub(super) fn open(inner: Arc<Inner>, root: &Cid) -> Result<Option<Self>, StoreError> {
        let Some(block) = inner.block(&digest_of(root)?, root)? else { return Ok(None) };
        let part = Part { start: 0, bytes: Bytes::new() };
        let mut file = Self { inner, root: *root, len: 0, position: 0, path: Vec::new(), part };
        file.enter(Child { cid: *root, start: 0, len: 0 }, block, None)?;
        file.len = file.path.first().map_or(file.part.end(), |level| level.end);
        Ok(Some(file))
    }

    /// The file's length in bytes.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Brings the part with this position into memory.
    fn load(&mut self, position: u64) -> Result<(), StoreError> {
        while self.path.len() > 1
            && self
                .path
                .last()
                .is_some_and(|level| !(level.inline.start..level.end).contains(&position))
        {
            self.path.pop();
        }
        while !self.part.holds(position) {
            let Some(level) = self.path.last() else {
                return Err(self.not_a_file("a part ends early"));
            };
            if level.inline.holds(position) {
                self.part = level.inline.clone();
                return Ok(());
            }
            let next = level.children.partition_point(|child| child.start <= position);
            let child = next.checked_sub(1).and_then(|index| level.children.get(index)).copied();
            let child = child.ok_or_else(|| self.not_a_file("a part is not in any child"))?;
            let block = self.inner.block(&digest_of(&child.cid)?, &child.cid)?;
            let block = block.ok_or_else(|| StoreError::Missing(Box::new(child.cid)))?;
            self.enter(child, block, Some(child.len))?;
        }
        Ok(())
    }

    /// Takes a block: a leaf becomes the present part, a node the lowest level of the path.
    fn enter(&mut self, child: Child, block: Bytes, stated: Option<u64>) -> Result<(), StoreError> {
        let (len, level) = match child.cid.codec() {
            RAW => (block.len() as u64, None),
            DAG_PB => {
                let node = FileNode::decode(&block)
                    .map_err(|error| self.not_a_file(&error.to_string()))?;
                (node.file_len, Some(level(child.start, &block, &node)))
            }
            _ => return Err(self.not_a_file("it has parts that are neither raw nor dag-pb")),
        };
        if stated.is_some_and(|stated| stated != len) {
            return Err(self.not_a_file("a part has another length than its parent states"));
        }
        let Some(level) = level else {
            self.part = Part { start: child.start, bytes: block };
            return Ok(());
        };
        if self.path.len() >= MAX_LEVELS {
            return Err(self.not_a_file("it has too many levels"));
        }
        self.path.push(level);
        Ok(())
    }

    fn not_a_file(&self, reason: &str) -> StoreError {
        StoreError::NotAFile { root: Box::new(self.root), reason: reason.to_owned() }
    }
}

fn level(start: u64, block: &Bytes, node: &FileNode<'_>) -> Level {
    let inline = Part { start, bytes: block.slice_ref(node.inline) };
    let mut at = inline.end();
    let children = node.children.iter().map(|link| {
        let child = Child { cid: link.cid, start: at, len: link.file_len };
        at += link.file_len;
        child
    });
    let children = children.collect();
    Level { inline, end: start + node.file_len, children }
}

impl Read for StoredFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.len || out.is_empty() {
            return Ok(0);
        }
        if !self.part.holds(self.position) {
            self.load(self.position).map_err(read_error)?;
        }
        let skipped = usize::try_from(self.position - self.part.start).unwrap_or(usize::MAX);
        let rest = self.part.bytes.get(skipped..).unwrap_or_default();
        let taken = rest.len().min(out.len());
        out[..taken].copy_from_slice(&rest[..taken]);
        self.position += taken as u64;
        Ok(taken)
    }
}

impl Seek for StoredFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.len.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

fn read_error(error: StoreError) -> io::Error {
    let kind = match error {
        StoreError::Io(error) => return error,
        StoreError::Missing(_) => io::ErrorKind::NotFound,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error)
}
