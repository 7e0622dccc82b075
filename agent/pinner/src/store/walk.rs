//! The blocks of a DAG, of any kind.

use super::{Digest, StoreError, digest_of, inner::Inner, record::MAX_PIN_BLOCKS};
use crate::dag::{self, LinksError};
use bsp_codec::dag::Cid;
use bytes::Bytes;
use std::{collections::HashSet, sync::Arc, vec};

/// The most levels of a DAG.
pub const MAX_DEPTH: usize = 1024;

/// The most links that are kept to be followed.
const MAX_OPEN_LINKS: usize = 1 << 18;

pub(super) use crate::dag::{DAG_CBOR, DAG_PB, RAW};

/// The blocks of a DAG, depth first from the root, each CID once. Each block is read, and checked
/// against its CID, when it is asked for. Ends after an error.
#[derive(Debug)]
pub struct DagBlocks {
    inner: Arc<Inner>,
    walk: Walk,
}

impl DagBlocks {
    pub(super) fn new(inner: Arc<Inner>, root: &Cid) -> Self {
        Self { inner, walk: Walk::new(root) }
    }
}

impl Iterator for DagBlocks {
    type Item = Result<(Cid, Bytes), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let cid = self.walk.next()?;
        let visited = self.walk.visit(&self.inner, &cid);
        if visited.is_err() {
            self.walk.stop();
        }
        Some(visited.map(|block| (cid, block)))
    }
}

/// The digests of a DAG's blocks, each once. Leaves are not read.
pub(super) fn digests(inner: &Inner, root: &Cid) -> Result<Vec<Digest>, StoreError> {
    let mut walk = Walk::new(root);
    let mut digests = HashSet::new();
    while let Some(cid) = walk.next() {
        let digest = digest_of(&cid)?;
        digests.insert(digest);
        if cid.codec() != RAW {
            walk.visit(inner, &cid)?;
        } else if inner.row(&digest)?.is_none() {
            return Err(StoreError::Missing(Box::new(cid)));
        }
    }
    Ok(digests.into_iter().collect())
}

/// A walk in which no recursion takes part: the depth of a DAG is its maker's choice.
#[derive(Debug)]
struct Walk {
    root: Cid,
    /// Of each level the links that are still to be followed.
    open: Vec<vec::IntoIter<Cid>>,
    /// By codec and hash: what is a leaf as raw bytes may be a node too.
    seen: HashSet<(u64, Vec<u8>)>,
}

impl Walk {
    fn new(root: &Cid) -> Self {
        Self { root: *root, open: vec![vec![*root].into_iter()], seen: HashSet::new() }
    }

    fn stop(&mut self) {
        self.open.clear();
    }

    /// The next block that was not visited.
    fn next(&mut self) -> Option<Cid> {
        while let Some(level) = self.open.last_mut() {
            let Some(cid) = level.next() else {
                self.open.pop();
                continue;
            };
            if self.seen.insert((cid.codec(), cid.hash().digest().to_vec())) {
                return Some(cid);
            }
        }
        None
    }

    /// Reads a block and opens its links.
    fn visit(&mut self, inner: &Inner, cid: &Cid) -> Result<Bytes, StoreError> {
        if self.seen.len() > MAX_PIN_BLOCKS {
            return Err(self.too_large(format!("more than {MAX_PIN_BLOCKS} blocks")));
        }
        let block = inner.block(&digest_of(cid)?, cid)?;
        let block = block.ok_or_else(|| StoreError::Missing(Box::new(*cid)))?;
        let links = links(cid, &block)?;
        if links.is_empty() {
            return Ok(block);
        }
        if self.open.len() > MAX_DEPTH {
            return Err(self.too_large(format!("more than {MAX_DEPTH} levels")));
        }
        let open: usize = self.open.iter().map(ExactSizeIterator::len).sum();
        if open + links.len() > MAX_OPEN_LINKS {
            return Err(self.too_large(format!("more than {MAX_OPEN_LINKS} links at once")));
        }
        self.open.push(links.into_iter());
        Ok(block)
    }

    fn too_large(&self, reason: String) -> StoreError {
        StoreError::TooLarge { root: Box::new(self.root), reason }
    }
}

/// The links of a block, in their order.
pub(super) fn links(cid: &Cid, block: &[u8]) -> Result<Vec<Cid>, StoreError> {
    dag::links(cid, block).map_err(|error| match error {
        LinksError::UnsupportedCid(cid) => StoreError::UnsupportedCid(cid),
        LinksError::Malformed { cid, reason } => StoreError::Malformed { cid, reason },
    })
}
