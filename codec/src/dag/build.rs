//! The tree over a file's leaves, built while they come.

use super::{
    LINKS_PER_NODE, NodeBlock,
    content_id::{self, Cid},
    leaf_link,
    node::FileNodeLink as Link,
    parent_of,
};

/// The right edge of a tree that grows leaf by leaf: of each level, leaves first, the links that
/// have no parent yet. Always fewer than a node's worth.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenTree {
    levels: Vec<Vec<Link>>,
}

impl OpenTree {
    /// Adds a leaf that is not the file's last. Gives away each node that this completes.
    pub(super) fn push(&mut self, leaf: Link, made: &mut impl FnMut(NodeBlock)) {
        let mut carried = leaf;
        for links in &mut self.levels {
            links.push(carried);
            if links.len() < LINKS_PER_NODE {
                return;
            }
            let (link, block) = parent_of(links);
            made(block);
            carried = link;
            links.clear();
        }
        self.levels.push(vec![carried]);
    }

    /// Adds the last leaf and closes the nodes above it, however few links they have. The highest
    /// level holds a link already, so its node is the root; without any level the leaf is.
    pub(super) fn close(self, last_leaf: Link, made: &mut impl FnMut(NodeBlock)) -> Link {
        self.levels.into_iter().fold(last_leaf, |carried, mut links| {
            links.push(carried);
            let (link, block) = parent_of(&links);
            made(block);
            link
        })
    }
}

/// Makes the blocks of a file whose chunks come one after another.
///
/// Holds no content, only the links of the nodes that are not complete: some kilobytes for any
/// file.
///
/// ```
/// use bsp_codec::dag::{CHUNK_LEN, TreeBuilder, cid_of};
///
/// let file = vec![7; CHUNK_LEN + 1];
/// let mut tree = TreeBuilder::new();
/// for chunk in file.chunks(CHUNK_LEN) {
///     let (_leaf, nodes) = tree.push(chunk);
///     assert!(nodes.is_empty(), "the root comes last");
/// }
/// let (root, nodes) = tree.finish();
/// assert_eq!(root, cid_of(&file));
/// assert_eq!(nodes.len(), 1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct TreeBuilder {
    tree: OpenTree,
    /// The newest leaf. Whether it is the last decides where it goes.
    last: Option<Link>,
}

impl TreeBuilder {
    /// A builder that has seen no chunk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next chunk: [`CHUNK_LEN`](super::CHUNK_LEN) bytes, but for the last, which has 1
    /// to as many. Of an empty file the one chunk is empty.
    ///
    /// Returns the identifier of the chunk's leaf, whose block is the chunk itself, and the nodes
    /// that are complete now, each with its block.
    pub fn push(&mut self, chunk: &[u8]) -> (Cid, Vec<(Cid, Vec<u8>)>) {
        let leaf = content_id::of_leaf(chunk);
        let mut nodes = Vec::new();
        if let Some(before) = self.last.replace(leaf_link(leaf, chunk.len())) {
            self.tree.push(before, &mut |node| nodes.push((node.cid, node.bytes)));
        }
        (leaf, nodes)
    }

    /// Ends the file. Returns its identifier, and the nodes that are still to come, the root last;
    /// none where the file is one leaf. Without any chunk the file is empty, and so is its leaf.
    pub fn finish(self) -> (Cid, Vec<(Cid, Vec<u8>)>) {
        let last = self.last.unwrap_or_else(|| leaf_link(content_id::of_leaf(&[]), 0));
        let mut nodes = Vec::new();
        let root = self.tree.close(last, &mut |node| nodes.push((node.cid, node.bytes)));
        (root.cid, nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dag::{CHUNK_LEN, Dag, tests::patterned};
    use std::collections::HashSet;

    #[test]
    fn three_levels_agree_with_the_level_by_level_rule() {
        // A link stands for its leaf, so the shape can be tested without 8 GB of content.
        let leaf = leaf_link(content_id::of_leaf(b"x"), 1);
        let full = LINKS_PER_NODE * LINKS_PER_NODE;
        for leaves in [full - 1, full, full + 1, full + LINKS_PER_NODE + 1] {
            let mut tree = OpenTree::default();
            (1..leaves).for_each(|_| tree.push(leaf, &mut drop));
            let mut links = vec![leaf; leaves];
            while links.len() > 1 {
                links = links.chunks(LINKS_PER_NODE).map(|group| parent_of(group).0).collect();
            }
            assert_eq!([tree.close(leaf, &mut drop)], links.as_slice(), "{leaves} leaves");
        }
    }

    #[test]
    fn a_builder_makes_the_blocks_of_the_whole_file() {
        for len in [0, 1, CHUNK_LEN as u32, CHUNK_LEN as u32 + 1, 45_613_056, 45_613_057] {
            let content = patterned(len);
            let dag = Dag::build(&content);
            let expected: HashSet<(Cid, Vec<u8>)> =
                dag.blocks().map(|(cid, block)| (cid, block.to_vec())).collect();
            let mut built = HashSet::new();
            let mut tree = TreeBuilder::new();
            for chunk in crate::dag::chunks(&content) {
                let (leaf, nodes) = tree.push(chunk);
                built.insert((leaf, chunk.to_vec()));
                built.extend(nodes);
            }
            let (root, nodes) = tree.finish();
            built.extend(nodes);
            assert_eq!(root, *dag.root(), "{len} bytes");
            assert!(built == expected, "{len} bytes");
        }
        assert_eq!(TreeBuilder::new().finish(), (*Dag::build(b"").root(), Vec::new()));
    }
}
