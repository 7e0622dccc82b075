//! A file's way into the store, in one pass.

use super::{
    NewPin, Pin, StoreError, digest_of,
    frame::Compressor,
    inner::{Holds, Inner},
    record::MAX_PIN_BLOCKS,
};
use bsp_codec::dag::{CHUNK_LEN, TreeBuilder};
use std::{io, mem, sync::Arc};

/// The longest file, in bytes: 31 GiB. Its nodes have to fit into a pin too.
pub const MAX_FILE_LEN: u64 = (MAX_PIN_BLOCKS - MAX_PIN_BLOCKS / 32) as u64 * CHUNK_LEN as u64;

/// A file on its way into the store. Dropped before [`finish`](Self::finish), it leaves nothing
/// that stays.
#[derive(Debug)]
pub struct FileImport {
    inner: Arc<Inner>,
    tree: TreeBuilder,
    /// The start of a chunk.
    chunk: Vec<u8>,
    len: u64,
    holds: Holds,
    compressor: Compressor,
}

impl FileImport {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        let compressor = Compressor::new(!inner.options.uncompressed);
        let (tree, holds) = (TreeBuilder::new(), Holds::default());
        Self { inner, tree, chunk: Vec::new(), len: 0, holds, compressor }
    }

    /// Takes the next piece of the file, of any length.
    ///
    /// # Errors
    ///
    /// [`StoreError::FileTooLong`], [`StoreError::Io`].
    pub fn update(&mut self, mut piece: &[u8]) -> Result<(), StoreError> {
        self.len = self.len.saturating_add(piece.len() as u64);
        if self.len > MAX_FILE_LEN {
            return Err(StoreError::FileTooLong { limit: MAX_FILE_LEN });
        }
        while !piece.is_empty() {
            let taken = piece.len().min(CHUNK_LEN - self.chunk.len());
            let (head, rest) = piece.split_at(taken);
            piece = rest;
            if head.len() == CHUNK_LEN {
                self.add_chunk(head)?;
                continue;
            }
            self.chunk.extend_from_slice(head);
            if self.chunk.len() == CHUNK_LEN {
                let mut chunk = mem::take(&mut self.chunk);
                self.add_chunk(&chunk)?;
                chunk.clear();
                self.chunk = chunk;
            }
        }
        Ok(())
    }

    /// Ends the file and pins it. On return it survives a crash.
    ///
    /// # Errors
    ///
    /// [`StoreError::OverBudget`], [`StoreError::TooLarge`] for a name that is too long,
    /// [`StoreError::Io`].
    pub fn finish(mut self, new: NewPin) -> Result<Pin, StoreError> {
        if !self.chunk.is_empty() || self.len == 0 {
            let chunk = mem::take(&mut self.chunk);
            self.add_chunk(&chunk)?;
        }
        let (root, nodes) = mem::take(&mut self.tree).finish();
        self.add_nodes(&nodes)?;
        let blocks: Vec<_> = self.holds.digests.keys().copied().collect();
        self.inner.pin_blocks(&root, &blocks, new, &mut self.holds).map_err(|error| match error {
            StoreError::Missing(_) => {
                io::Error::other("a part was lost when the disk failed; send the file again").into()
            }
            error => error,
        })
    }

    fn add_chunk(&mut self, chunk: &[u8]) -> Result<(), StoreError> {
        let (leaf, nodes) = self.tree.push(chunk);
        self.inner.add_block(digest_of(&leaf)?, chunk, &mut self.compressor, &mut self.holds)?;
        self.add_nodes(&nodes)
    }

    fn add_nodes(&mut self, nodes: &[(super::Cid, Vec<u8>)]) -> Result<(), StoreError> {
        // Hashes do not compress.
        let mut compressor = Compressor::new(false);
        nodes.iter().try_for_each(|(cid, node)| {
            self.inner.add_block(digest_of(cid)?, node, &mut compressor, &mut self.holds)
        })
    }
}

impl Drop for FileImport {
    fn drop(&mut self) {
        self.inner.abandon(&mut self.holds);
    }
}
