//! The UnixFS DAG of a file: how its bytes become blocks, and its content identifier.
//!
//! The rules are those of the network's ipfs-pinner (kubo's with raw leaves): chunks of 262144
//! bytes, each a raw leaf; nodes of at most 174 links, grouped level by level until one root is
//! left. A file of one chunk, also the empty one, *is* its leaf.
//!
//! [`cid_of`] and [`CidHasher`] give the identifier alone, [`Dag`] the blocks too, [`TreeBuilder`]
//! the blocks of a file that is never held as a whole. [`extract_file`] goes back from blocks to
//! bytes, and [`FileNode`] and [`node_links`] read one node.

mod build;
mod content_id;
mod extract;
mod node;

pub use build::TreeBuilder;
pub use content_id::{Cid, InvalidCid};
pub use extract::{ExtractError, ExtractLimits, extract_file};
pub use node::{FileNode, FileNodeLink, NodeError, links as node_links};

pub(crate) use content_id::{CID_LEN, from_bytes as cid_from_bytes, hashes_to, is_sha256, names};

use alloy_primitives::B256;
use build::OpenTree;
use node::FileNodeLink as Link;
use sha2::{Digest, Sha256};
use std::{iter, mem};

/// Bytes of a full leaf.
pub const CHUNK_LEN: usize = 262_144;

/// The most links of an interior node.
pub const LINKS_PER_NODE: usize = 174;

/// The identifier of a file with these bytes.
///
/// ```
/// use bsp_codec::dag::cid_of;
///
/// assert_eq!(
///     cid_of(b"").to_string(),
///     "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
/// );
/// ```
pub fn cid_of(bytes: &[u8]) -> Cid {
    let mut hasher = CidHasher::new();
    hasher.update(bytes);
    hasher.finish()
}

/// Computes the identifier of a file that arrives in pieces.
///
/// Holds no content, only the links of the nodes that are not complete: at most 174 for each level
/// of the tree, so some kilobytes for any file.
#[derive(Debug, Clone, Default)]
pub struct CidHasher {
    leaf: Sha256,
    leaf_len: usize,
    tree: OpenTree,
}

impl CidHasher {
    /// A hasher that has seen no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the file, in pieces of any length.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // A full leaf is closed only when a byte follows: an empty last leaf does not exist.
            if self.leaf_len == CHUNK_LEN {
                self.close_leaf();
            }
            let (piece, rest) = bytes.split_at(bytes.len().min(CHUNK_LEN - self.leaf_len));
            self.leaf.update(piece);
            self.leaf_len += piece.len();
            bytes = rest;
        }
    }

    /// The identifier of all bytes so far.
    pub fn finish(mut self) -> Cid {
        let last = self.take_leaf();
        self.tree.close(last, &mut drop).cid
    }

    fn close_leaf(&mut self) {
        let leaf = self.take_leaf();
        self.tree.push(leaf, &mut drop);
    }

    fn take_leaf(&mut self) -> Link {
        let digest = B256::new(self.leaf.finalize_reset().into());
        leaf_link(content_id::of_digest(content_id::RAW, digest), mem::take(&mut self.leaf_len))
    }
}

/// A file's DAG with all its blocks. Leaves are slices of the file; only the interior nodes, some
/// 50 bytes for a leaf, are held besides.
#[derive(Debug, Clone)]
pub struct Dag<'a> {
    content: &'a [u8],
    leaves: Vec<Cid>,
    /// The interior nodes, the level above the leaves first.
    levels: Vec<Vec<NodeBlock>>,
    root: Cid,
}

#[derive(Debug, Clone)]
struct NodeBlock {
    cid: Cid,
    bytes: Vec<u8>,
}

impl<'a> Dag<'a> {
    /// Cuts a file into leaves and builds the nodes above them.
    pub fn build(content: &'a [u8]) -> Self {
        let mut links: Vec<Link> = chunks(content)
            .map(|chunk| leaf_link(content_id::of_leaf(chunk), chunk.len()))
            .collect();
        let leaves = links.iter().map(|link| link.cid).collect();
        let mut levels = Vec::new();
        while links.len() > 1 {
            let (parents, blocks) = links.chunks(LINKS_PER_NODE).map(parent_of).unzip();
            links = parents;
            levels.push(blocks);
        }
        let root = links.first().map_or_else(|| content_id::of_leaf(&[]), |link| link.cid);
        Self { content, leaves, levels, root }
    }

    /// The file's identifier.
    pub const fn root(&self) -> &Cid {
        &self.root
    }

    /// All blocks, depth first from the root: each node before its children, the file's leaves in
    /// their order. A block that the file has twice comes twice.
    pub fn blocks(&self) -> impl Iterator<Item = (Cid, &[u8])> {
        self.leaves.iter().zip(chunks(self.content)).enumerate().flat_map(
            |(index, (&cid, chunk))| {
                self.nodes_that_start_at(index).chain(iter::once((cid, chunk)))
            },
        )
    }

    /// The nodes whose first leaf this is, the highest first.
    fn nodes_that_start_at(&self, leaf: usize) -> impl Iterator<Item = (Cid, &[u8])> {
        self.levels.iter().enumerate().rev().filter_map(move |(level, nodes)| {
            let leaves_below: usize = iter::repeat_n(LINKS_PER_NODE, level + 1).product();
            let node = nodes.get(leaf / leaves_below)?;
            leaf.is_multiple_of(leaves_below).then_some((node.cid, node.bytes.as_slice()))
        })
    }
}

/// The chunks of a file; of the empty file one empty chunk.
fn chunks(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content.is_empty().then_some(content).into_iter().chain(content.chunks(CHUNK_LEN))
}

const fn leaf_link(cid: Cid, len: usize) -> Link {
    Link { cid, dag_len: len as u64, file_len: len as u64 }
}

/// The node over `children`: the link that its own parent holds, and its block.
fn parent_of(children: &[Link]) -> (Link, NodeBlock) {
    let bytes = node::encode(children);
    let cid = content_id::of_node(&bytes);
    let below: u64 = children.iter().map(|child| child.dag_len).sum();
    let link = Link {
        cid,
        dag_len: bytes.len() as u64 + below,
        file_len: children.iter().map(|child| child.file_len).sum(),
    };
    (link, NodeBlock { cid, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// A file whose chunks all differ: each byte is the XOR of the four bytes of its position.
    pub(super) fn patterned(len: u32) -> Vec<u8> {
        // 256 bytes at a time, within which only the lowest byte of the position changes.
        let rows: Vec<Vec<u8>> =
            (0..=255).map(|upper: u8| (0..=255).map(|low: u8| low ^ upper).collect()).collect();
        let mut bytes = Vec::new();
        for upper in 0..len.div_ceil(256) {
            let row = upper.to_le_bytes().iter().fold(0, |xor, byte| xor ^ byte);
            bytes.extend_from_slice(&rows[usize::from(row)]);
        }
        bytes.truncate(len as usize);
        bytes
    }

    /// (bytes of [`patterned`], CID). Made with the npm package ipfs-unixfs-importer 17.1.1:
    /// cidVersion 1, rawLeaves, reduceSingleLeafToSelf, no directory wrapping, fixedSize chunker of
    /// 262144, balanced layout with maxChildrenPerNode 174. 45613056 is 174 full chunks, the last
    /// one-level tree.
    const VECTORS: [(u32, &str); 8] = [
        (0, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
        (1, "bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu"),
        (262_144, "bafkreibk4imp4vfvvubmke75lnuxrkdktehi5jb6qb43iiy2o4wgc27uoq"),
        (262_145, "bafybeicamqnf4dfq6ggj63ljgj5j5ide2e3e3nkh4ef7etrsns2a37a4rm"),
        (1_000_000, "bafybeidforrhmnfwobmyaysmfqzvxp5mpbjuystrpb6dr4s2f6y3clw5ne"),
        (45_613_056, "bafybeiavouqg7mlxogpu24olxxych35akkttvt5fm3w7iara7f5e4lch44"),
        (45_613_057, "bafybeicxu5attxk2m55la5abjgy2zduwfhbles22qhwhzqayojovvye5je"),
        (50_000_000, "bafybeibysgyqrsijhncv5ftf2lnyohqk2m3sidngtpxwwzx5xg44sbdhoa"),
    ];

    #[test]
    fn patterned_files_have_the_importers_identifiers() {
        let longest = patterned(50_000_000);
        for (len, cid) in VECTORS {
            let content = &longest[..len as usize];
            assert_eq!(cid_of(content).to_string(), cid, "{len} bytes");
            assert_eq!(Dag::build(content).root().to_string(), cid, "{len} bytes, with blocks");
        }
    }

    #[test]
    fn texts_of_the_networks_own_tests() {
        for (text, cid) in [
            ("hello", "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq"),
            ("hello2", "bafkreiehfggmf4y7xjzrqhvcvhto6eg44ipnsxuyxwwjytqvatvbn5eg4q"),
        ] {
            assert_eq!(cid_of(text.as_bytes()).to_string(), cid);
        }
    }

    #[test]
    fn blocks_come_depth_first() {
        let content = patterned(45_613_057);
        let dag = Dag::build(&content);
        let kinds: Vec<u64> = dag.blocks().map(|(cid, _)| cid.codec()).collect();
        let (node, leaf) = (content_id::DAG_PB, content_id::RAW);
        let expected: Vec<u64> = [vec![node, node], vec![leaf; 174], vec![node, leaf]].concat();
        assert_eq!(kinds, expected);
        assert_eq!(dag.blocks().next().unwrap().0, *dag.root());
    }

    #[test]
    fn every_block_has_its_own_identifier() {
        let content = patterned(1_000_000);
        let dag = Dag::build(&content);
        assert!(dag.blocks().all(|(cid, block)| names(&cid, block)));
        assert_eq!(dag.blocks().map(|(cid, _)| cid).collect::<HashSet<_>>().len(), 5);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn pieces_do_not_matter(
            len in 0u32..1_200_000,
            pieces in proptest::collection::vec(1usize..400_000, 1..8),
        ) {
            let content = patterned(len);
            let mut hasher = CidHasher::new();
            let mut rest = content.as_slice();
            for piece in pieces.iter().cycle() {
                let (head, tail) = rest.split_at(rest.len().min(*piece));
                hasher.update(head);
                rest = tail;
                if rest.is_empty() { break; }
            }
            prop_assert_eq!(hasher.finish(), *Dag::build(&content).root());
        }
    }
}
