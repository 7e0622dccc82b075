//! From the blocks of a file's DAG back to its bytes.

use super::{
    content_id::{self, Cid},
    node::{self, FileNodeLink as Link, NodeError},
};
use std::io;

/// What [`extract_file`] accepts of a DAG before it gives up. The defaults hold files of 1 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtractLimits {
    /// The most bytes of content.
    pub max_file_len: u64,
    /// The most bytes of interior nodes, their inline content aside. A file needs some 50 for each
    /// 256 KiB.
    pub max_node_bytes: u64,
    /// The most levels of nodes above a leaf. Four with 174 links reach 218 TiB.
    pub max_depth: usize,
}

impl Default for ExtractLimits {
    fn default() -> Self {
        Self { max_file_len: 1 << 30, max_node_bytes: 4 << 20, max_depth: 8 }
    }
}

/// Why a file could not be put together. `offset` counts bytes of content, from 0.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The root is not one of the identifiers that a file has.
    #[error("{cid} does not name a UnixFS file (CIDv1, raw or dag-pb, SHA-256)")]
    UnsupportedRoot {
        /// The identifier that was asked for.
        cid: Box<Cid>,
    },
    /// A block is not there.
    #[error("block {cid} is missing, needed for the content at byte {offset}")]
    Missing {
        /// The block.
        cid: Box<Cid>,
        /// Where in the file it is needed.
        offset: u64,
    },
    /// A block is not the one that its identifier names.
    #[error("block {cid}, for the content at byte {offset}, does not hash to its identifier")]
    WrongHash {
        /// The identifier.
        cid: Box<Cid>,
        /// Where in the file it is needed.
        offset: u64,
    },
    /// A dag-pb block is not a node of a file.
    #[error("node {cid}, for the content at byte {offset}: {source}")]
    Node {
        /// The block.
        cid: Box<Cid>,
        /// Where in the file it is needed.
        offset: u64,
        /// What is wrong with it.
        source: NodeError,
    },
    /// A block's content is longer or shorter than its parent says.
    #[error("block {cid} holds {found} bytes of content, its parent says {expected}")]
    ContentLength {
        /// The block.
        cid: Box<Cid>,
        /// The parent's `blocksizes` entry.
        expected: u64,
        /// The block's own length.
        found: u64,
    },
    /// A sub-DAG is larger or smaller than its parent says.
    #[error(
        "the DAG of block {cid} takes {found} bytes, the Tsize of its parent's link says {expected}"
    )]
    DagLength {
        /// The block.
        cid: Box<Cid>,
        /// The parent's `Tsize`.
        expected: u64,
        /// The block's length and the `Tsize` of its own links.
        found: u64,
    },
    /// The file is longer than [`ExtractLimits::max_file_len`].
    #[error("a file of {len} bytes, at most {limit} are accepted")]
    FileTooLong {
        /// The length that the root states.
        len: u64,
        /// The limit.
        limit: u64,
    },
    /// The nodes take more than [`ExtractLimits::max_node_bytes`].
    #[error("more than {limit} bytes of nodes before the content at byte {offset}")]
    TooManyNodes {
        /// Where in the file that happened.
        offset: u64,
        /// The limit.
        limit: u64,
    },
    /// The tree is deeper than [`ExtractLimits::max_depth`].
    #[error("more than {limit} levels of nodes above the content at byte {offset}")]
    TooDeep {
        /// Where in the file that happened.
        offset: u64,
        /// The limit.
        limit: usize,
    },
    /// The block source failed.
    #[error("reading block {cid}: {source}")]
    Read {
        /// The block.
        cid: Box<Cid>,
        /// What it failed with.
        source: io::Error,
    },
    /// `out` failed.
    #[error("writing the content at byte {offset}: {source}")]
    Write {
        /// How much had been written.
        offset: u64,
        /// What it failed with.
        source: io::Error,
    },
}

/// Writes the file with this identifier to `out` and returns its length in bytes.
///
/// `block_of` looks a block up, `Ok(None)` if it is not there; each block is asked for once a use.
/// Every block is hashed and every length that the DAG states is checked against what is there,
/// before anything of the block is written: whatever reached `out` is the file's, also when an
/// error ends it early.
///
/// One block at a time is held, and for each level of the tree the links that are still to be
/// followed.
///
/// # Errors
///
/// [`ExtractError`], with the block at fault and the content byte that it was needed for.
pub fn extract_file<B: AsRef<[u8]>>(
    root: &Cid,
    block_of: impl FnMut(&Cid) -> io::Result<Option<B>>,
    limits: &ExtractLimits,
    out: &mut impl io::Write,
) -> Result<u64, ExtractError> {
    if !content_id::is_supported(root) {
        return Err(ExtractError::UnsupportedRoot { cid: Box::new(*root) });
    }
    let mut walk = Walk { block_of, limits, out, offset: 0, node_bytes: 0, pending: Vec::new() };
    walk.pending.push(Part { cid: *root, stated: None, depth: 0 });
    while let Some(part) = walk.pending.pop() {
        walk.visit(&part)?;
    }
    Ok(walk.offset)
}

/// A part of the file that is still to be written.
struct Part {
    cid: Cid,
    /// What the parent says of it; the root has none.
    stated: Option<Lengths>,
    /// Levels of nodes above it.
    depth: usize,
}

/// Lengths of a sub-DAG in bytes: with all its blocks, and of its content.
#[derive(Clone, Copy)]
struct Lengths {
    dag: u64,
    content: u64,
}

struct Walk<'a, F, W> {
    block_of: F,
    limits: &'a ExtractLimits,
    out: &'a mut W,
    /// Bytes of content written.
    offset: u64,
    /// Bytes of interior nodes read.
    node_bytes: u64,
    /// What is left of the file, the next part last.
    pending: Vec<Part>,
}

impl<F, W, B> Walk<'_, F, W>
where
    F: FnMut(&Cid) -> io::Result<Option<B>>,
    W: io::Write,
    B: AsRef<[u8]>,
{
    fn visit(&mut self, part: &Part) -> Result<(), ExtractError> {
        let cid = Box::new(part.cid);
        let block = match (self.block_of)(&part.cid) {
            Ok(Some(block)) => block,
            Ok(None) => return Err(ExtractError::Missing { cid, offset: self.offset }),
            Err(source) => return Err(ExtractError::Read { cid, source }),
        };
        let block = block.as_ref();
        if !content_id::names(&part.cid, block) {
            return Err(ExtractError::WrongHash { cid, offset: self.offset });
        }
        if part.cid.codec() == content_id::RAW {
            let len = block.len() as u64;
            self.check_lengths(part, Lengths { dag: len, content: len })?;
            self.write(block)
        } else {
            self.visit_node(part, block)
        }
    }

    fn visit_node(&mut self, part: &Part, block: &[u8]) -> Result<(), ExtractError> {
        let offset = self.offset;
        if part.depth >= self.limits.max_depth {
            return Err(ExtractError::TooDeep { offset, limit: self.limits.max_depth });
        }
        let node = node::decode(block).map_err(|source| ExtractError::Node {
            cid: Box::new(part.cid),
            offset,
            source,
        })?;
        self.node_bytes += (block.len() - node.inline.len()) as u64;
        if self.node_bytes > self.limits.max_node_bytes {
            return Err(ExtractError::TooManyNodes { offset, limit: self.limits.max_node_bytes });
        }
        let below = |sum: u64, child: &Link| sum.saturating_add(child.dag_len);
        let dag = node.children.iter().fold(block.len() as u64, below);
        self.check_lengths(part, Lengths { dag, content: node.file_len })?;
        self.write(node.inline)?;
        self.pending.extend(node.children.iter().rev().map(|child| Part {
            cid: child.cid,
            stated: Some(Lengths { dag: child.dag_len, content: child.file_len }),
            depth: part.depth + 1,
        }));
        Ok(())
    }

    /// Compares a block's lengths with what its parent says, or those of the root with the limit.
    fn check_lengths(&self, part: &Part, found: Lengths) -> Result<(), ExtractError> {
        let cid = || Box::new(part.cid);
        match part.stated {
            None if found.content > self.limits.max_file_len => Err(ExtractError::FileTooLong {
                len: found.content,
                limit: self.limits.max_file_len,
            }),
            Some(stated) if stated.content != found.content => Err(ExtractError::ContentLength {
                cid: cid(),
                expected: stated.content,
                found: found.content,
            }),
            Some(stated) if stated.dag != found.dag => {
                Err(ExtractError::DagLength { cid: cid(), expected: stated.dag, found: found.dag })
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, content: &[u8]) -> Result<(), ExtractError> {
        self.out
            .write_all(content)
            .map_err(|source| ExtractError::Write { offset: self.offset, source })?;
        self.offset += content.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dag::{CHUNK_LEN, Dag, tests::patterned};
    use proptest::prelude::*;
    use std::collections::HashMap;

    type Blocks = HashMap<Cid, Vec<u8>>;

    fn blocks_of(content: &[u8]) -> (Cid, Blocks) {
        let dag = Dag::build(content);
        (*dag.root(), dag.blocks().map(|(cid, block)| (cid, block.to_vec())).collect())
    }

    fn extract(
        root: &Cid,
        blocks: &Blocks,
        limits: &ExtractLimits,
    ) -> Result<Vec<u8>, ExtractError> {
        let mut out = Vec::new();
        let len = extract_file(root, |cid| Ok(blocks.get(cid)), limits, &mut out)?;
        assert_eq!(len, out.len() as u64);
        Ok(out)
    }

    /// Adds a node over `children` and returns its link.
    fn add_node(blocks: &mut Blocks, children: &[Link]) -> Link {
        let (link, block) = crate::dag::parent_of(children);
        blocks.insert(block.cid, block.bytes);
        link
    }

    fn add_leaf(blocks: &mut Blocks, content: &[u8]) -> Link {
        let link = crate::dag::leaf_link(content_id::of_leaf(content), content.len());
        blocks.insert(link.cid, content.to_vec());
        link
    }

    #[test]
    fn files_come_back() {
        for len in [0, 1, CHUNK_LEN as u32, CHUNK_LEN as u32 + 1, 45_613_057] {
            let content = patterned(len);
            let (root, blocks) = blocks_of(&content);
            let found = extract(&root, &blocks, &ExtractLimits::default()).unwrap();
            assert!(found == content, "{len} bytes");
        }
    }

    #[test]
    fn a_missing_block_is_named_with_the_byte_it_is_needed_for() {
        let content = patterned(600_000);
        let (root, mut blocks) = blocks_of(&content);
        let second = content_id::of_leaf(&content[CHUNK_LEN..2 * CHUNK_LEN]);
        blocks.remove(&second);
        let error = extract(&root, &blocks, &ExtractLimits::default()).unwrap_err();
        assert!(
            matches!(&error, ExtractError::Missing { cid, offset: 262_144 } if **cid == second),
            "{error}"
        );
    }

    #[test]
    fn nothing_of_a_forged_block_is_written() {
        let content = patterned(600_000);
        let (root, mut blocks) = blocks_of(&content);
        let second = content_id::of_leaf(&content[CHUNK_LEN..2 * CHUNK_LEN]);
        blocks.get_mut(&second).unwrap()[7] ^= 1;
        let mut out = Vec::new();
        let limits = ExtractLimits::default();
        let error = extract_file(&root, |cid| Ok(blocks.get(cid)), &limits, &mut out).unwrap_err();
        assert!(matches!(error, ExtractError::WrongHash { offset: 262_144, .. }), "{error}");
        assert_eq!(out, content[..CHUNK_LEN]);
    }

    #[test]
    fn lengths_that_a_parent_invents_are_refused() {
        let mut blocks = Blocks::new();
        let leaf = add_leaf(&mut blocks, b"abc");
        let longer = add_node(&mut blocks, &[Link { file_len: 4, ..leaf }]);
        let error = extract(&longer.cid, &blocks, &ExtractLimits::default()).unwrap_err();
        assert!(
            matches!(error, ExtractError::ContentLength { expected: 4, found: 3, .. }),
            "{error}"
        );
        let larger = add_node(&mut blocks, &[Link { dag_len: 5, ..leaf }]);
        let error = extract(&larger.cid, &blocks, &ExtractLimits::default()).unwrap_err();
        assert!(matches!(error, ExtractError::DagLength { expected: 5, found: 3, .. }), "{error}");
    }

    #[test]
    fn limits_hold() {
        let content = patterned(300_000);
        let (root, blocks) = blocks_of(&content);
        let defaults = ExtractLimits::default();
        let error = extract(&root, &blocks, &ExtractLimits { max_file_len: 299_999, ..defaults });
        assert!(matches!(error, Err(ExtractError::FileTooLong { len: 300_000, limit: 299_999 })));
        let error = extract(&root, &blocks, &ExtractLimits { max_node_bytes: 100, ..defaults });
        assert!(matches!(error, Err(ExtractError::TooManyNodes { limit: 100, .. })));
        let error = extract(&root, &blocks, &ExtractLimits { max_depth: 0, ..defaults });
        assert!(matches!(error, Err(ExtractError::TooDeep { limit: 0, .. })));
    }

    #[test]
    fn a_few_blocks_that_unfold_without_end_are_refused() {
        // Forty levels of two links to the same child: 2^40 bytes from forty small blocks.
        let mut blocks = Blocks::new();
        let mut link = add_leaf(&mut blocks, b"x");
        for _ in 0..40 {
            link = add_node(&mut blocks, &[link, link]);
        }
        let error = extract(&link.cid, &blocks, &ExtractLimits::default()).unwrap_err();
        assert!(matches!(error, ExtractError::FileTooLong { .. }), "{error}");
        let unbounded = ExtractLimits { max_file_len: u64::MAX, ..ExtractLimits::default() };
        let error = extract(&link.cid, &blocks, &unbounded).unwrap_err();
        assert!(matches!(error, ExtractError::TooDeep { .. }), "{error}");
    }

    #[test]
    fn foreign_roots_are_refused() {
        let root = Cid::new_v1(0x71, *content_id::of_leaf(b"x").hash());
        let error = extract(&root, &Blocks::new(), &ExtractLimits::default()).unwrap_err();
        assert!(matches!(error, ExtractError::UnsupportedRoot { .. }), "{error}");
    }

    #[test]
    fn failures_of_both_ends_are_passed_on() {
        let limits = ExtractLimits::default();
        let root = content_id::of_leaf(b"abc");
        let broken = |_: &Cid| -> io::Result<Option<Vec<u8>>> { Err(io::Error::other("disk")) };
        let error = extract_file(&root, broken, &limits, &mut Vec::new()).unwrap_err();
        assert!(matches!(error, ExtractError::Read { .. }), "{error}");
        let mut full: &mut [u8] = &mut [0; 2];
        let error = extract_file(&root, |_| Ok(Some(b"abc")), &limits, &mut full).unwrap_err();
        assert!(matches!(error, ExtractError::Write { offset: 0, .. }), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_changed_byte_in_any_block_is_noticed(
            len in 1u32..800_000,
            which in any::<proptest::sample::Index>(),
            place in any::<proptest::sample::Index>(),
            change in 1u8..,
        ) {
            let (root, mut blocks) = blocks_of(&patterned(len));
            let cid = *which.get(&blocks.keys().copied().collect::<Vec<_>>());
            let block = blocks.get_mut(&cid).unwrap();
            let place = place.index(block.len());
            block[place] ^= change;
            let error = extract(&root, &blocks, &ExtractLimits::default()).unwrap_err();
            let noticed = matches!(error, ExtractError::WrongHash { .. });
            prop_assert!(noticed, "{}", error);
        }
    }
}
