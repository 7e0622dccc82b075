//! Blocks by CID, and pins that keep them.
//!
//! ```text
//! <folder>/packs/<number>.pack    the log: blocks, pins, ends of pins, one after another
//! <folder>/index.redb             where each block is; made again from the log where it is lost
//! <folder>/lock                   held while a process has the store open
//! ```
//!
//! The log is the truth. It is only appended to, and synced once for all imports that wait for it
//! at a time. A frame that a crash has torn is cut off at the start.

mod apply;
mod car;
mod check;
mod error;
mod failpoint;
mod file;
pub mod frame;
mod garbage;
mod import;
mod index;
mod inner;
mod log;
mod packs;
mod pin;
mod pins;
pub mod record;
mod replay;
mod scan;
mod sync;
#[cfg(test)]
mod tests;
mod walk;

pub use check::{BrokenPin, CheckReport};
pub use error::StoreError;
pub use file::StoredFile;
pub use garbage::Collected;
pub use import::{FileImport, MAX_FILE_LEN};
pub use pin::{NewPin, Pin, PinState};
pub use walk::{DagBlocks, MAX_DEPTH};

use bsp_codec::dag::Cid;
use bytes::Bytes;
use cid::multihash::Multihash;
use frame::{Compressor, Digest};
use inner::{Holds, Inner};
use sha2::{Digest as _, Sha256};
use std::{path::Path, sync::Arc, time::Duration};

/// The longest block that is taken, in bytes: what bitswap carries.
pub const MAX_BLOCK_LEN: usize = 2 << 20;

/// How a store works.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StoreOptions {
    /// The most bytes on disk; `None` for no limit. Beyond it confirmed pins go, the oldest first.
    pub budget: Option<u64>,
    /// Blocks are kept as they come, without compression.
    pub uncompressed: bool,
    /// Bytes after which a file of the log is full; `None` for 256 MiB, or less with a small
    /// budget.
    pub pack_len: Option<u32>,
}

impl StoreOptions {
    fn pack_len(&self) -> u32 {
        const USUAL: u32 = 256 << 20;
        let share = self.budget.map_or(USUAL, |budget| u32::try_from(budget / 16).unwrap_or(USUAL));
        self.pack_len.unwrap_or(share.clamp(1 << 20, USUAL)).min(1 << 31)
    }
}

/// What a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Number of pins.
    pub pins: u64,
    /// Number of blocks.
    pub blocks: u64,
    /// Bytes of all blocks, not compressed.
    pub block_bytes: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
}

/// A store. Clones share it. All calls block on the disk: from async code, call them on a thread
/// that may wait.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

impl Store {
    /// Opens the store in a folder, or makes it; the folder above must be there. Repairs what a
    /// crash has left behind.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`], [`StoreError::Io`].
    pub fn open(folder: &Path, options: StoreOptions) -> Result<Self, StoreError> {
        Ok(Self { inner: Arc::new(Inner::open(folder, options)?) })
    }

    /// A block, checked against its CID. The codec of the CID does not matter, its hash does. One
    /// that is found damaged is forgotten, so that it can be stored again.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnsupportedCid`], [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn block(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        self.inner.block(&digest_of(cid)?, cid)
    }

    /// A block's length in bytes, without reading it.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnsupportedCid`], [`StoreError::Io`].
    pub fn block_len(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        let row = self.inner.row(&digest_of(cid)?)?;
        Ok(row.map(|(_, row)| row.raw_len.into()))
    }

    /// Keeps blocks, each of which must be the one that its CID names. Until a pin holds them,
    /// garbage collection may remove them after a while. On return they survive a crash.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnsupportedCid`], [`StoreError::WrongBlock`], [`StoreError::BlockTooLong`],
    /// [`StoreError::Io`].
    pub fn put_blocks(&self, blocks: &[(Cid, Bytes)]) -> Result<(), StoreError> {
        let mut put = BlockImport::new(self.inner.clone());
        blocks.iter().try_for_each(|(cid, block)| put.add(cid, block))?;
        put.finish()
    }

    /// Begins to take a file, piece by piece. It is chunked, hashed, compressed and written in one
    /// pass; what is held in memory is a chunk, and 32 bytes for each that came before.
    pub fn import(&self) -> FileImport {
        FileImport::new(self.inner.clone())
    }

    /// Pins the DAG under a root, all of whose blocks must be here. Pinning again what is pinned
    /// changes nothing but an empty name, and the state if it is confirmed now. On return the pin
    /// survives a crash.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] names a block that is not here; [`StoreError::Malformed`],
    /// [`StoreError::TooLarge`], [`StoreError::UnsupportedCid`], [`StoreError::Damaged`],
    /// [`StoreError::OverBudget`], [`StoreError::Io`].
    pub fn pin(&self, root: &Cid, new: NewPin) -> Result<Pin, StoreError> {
        let blocks = walk::digests(&self.inner, root)?;
        self.inner.pin_blocks(root, &blocks, new, &mut Holds::default())
    }

    /// Removes a pin, and the blocks that no other pin holds. Returns the pin, if there was one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn unpin(&self, root: &Cid) -> Result<Option<Pin>, StoreError> {
        self.inner.unpin(root)
    }

    /// The pin with this root.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn pinned(&self, root: &Cid) -> Result<Option<Pin>, StoreError> {
        Ok(self.inner.index.pin(&root.to_bytes())?.map(Pin::from))
    }

    /// Pins in the order of the bytes of their roots, from the one after `after` on, at most
    /// `most`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn pins(&self, after: Option<&Cid>, most: usize) -> Result<Vec<Pin>, StoreError> {
        let after = after.map(Cid::to_bytes).unwrap_or_default();
        Ok(self.inner.index.pins(&after, most)?.into_iter().map(Pin::from).collect())
    }

    /// Notes that a pin's proof is confirmed, so that the size budget may take it. Whether there is
    /// such a pin. It survives the end of the process, and the end of the machine from the next
    /// import on.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn confirm(&self, root: &Cid) -> Result<bool, StoreError> {
        self.inner.confirm(root)
    }

    /// The file under a root, to read from any position; `None` if its root is not here.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotAFile`] for a directory and whatever else is no file;
    /// [`StoreError::UnsupportedCid`], [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn file(&self, root: &Cid) -> Result<Option<StoredFile>, StoreError> {
        StoredFile::open(self.inner.clone(), root)
    }

    /// The blocks of the DAG under a root, one after another; see [`DagBlocks`].
    pub fn dag_blocks(&self, root: &Cid) -> DagBlocks {
        DagBlocks::new(self.inner.clone(), root)
    }

    /// Removes blocks that no pin has held for `grace`, and packs of which less than half is
    /// needed; what is needed of those is copied. The pack that is written to stays as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn collect_garbage(&self, grace: Duration) -> Result<Collected, StoreError> {
        self.inner.collect_garbage(grace)
    }

    /// Reads every block and compares it with its hash, and looks for what pins lack. With `repair`
    /// the index is made again from the log before, which finds what only the index has lost. What
    /// is missing afterwards comes back when the same content is stored again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn check(&self, repair: bool) -> Result<CheckReport, StoreError> {
        self.inner.check(repair)
    }

    /// What the store holds.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let [pins, blocks, block_bytes] = self.inner.index.counts()?;
        let disk_bytes = self.inner.disk_len()?;
        Ok(Usage { pins, blocks, block_bytes, disk_bytes })
    }
}

/// Blocks on their way into the store, that no pin holds.
#[derive(Debug)]
struct BlockImport {
    inner: Arc<Inner>,
    compressor: Compressor,
    holds: Holds,
}

impl BlockImport {
    fn new(inner: Arc<Inner>) -> Self {
        let compressor = Compressor::new(!inner.options.uncompressed);
        Self { inner, compressor, holds: Holds::default() }
    }

    fn add(&mut self, cid: &Cid, block: &[u8]) -> Result<(), StoreError> {
        let digest = digest_of(cid)?;
        if Sha256::digest(block).as_slice() != digest {
            return Err(StoreError::WrongBlock(Box::new(*cid)));
        }
        self.inner.add_block(digest, block, &mut self.compressor, &mut self.holds)
    }

    /// Takes a block that was compared with its CID already.
    fn add_checked(&mut self, cid: &Cid, block: &[u8]) -> Result<(), StoreError> {
        self.inner.add_block(digest_of(cid)?, block, &mut self.compressor, &mut self.holds)
    }

    fn finish(mut self) -> Result<(), StoreError> {
        self.inner.keep_blocks(&mut self.holds)
    }
}

impl Drop for BlockImport {
    fn drop(&mut self) {
        self.inner.abandon(&mut self.holds);
    }
}

/// The digest in a CID, if it is one that a block here can have.
fn digest_of(cid: &Cid) -> Result<Digest, StoreError> {
    const SHA2_256: u64 = 0x12;
    let unsupported = || StoreError::UnsupportedCid(Box::new(*cid));
    if !matches!(cid.codec(), walk::RAW | walk::DAG_PB | walk::DAG_CBOR)
        || cid.hash().code() != SHA2_256
    {
        return Err(unsupported());
    }
    cid.hash().digest().try_into().map_err(|_| unsupported())
}

/// A CID by which a block can be named whose own is not known.
fn cid_of(digest: &Digest) -> Cid {
    const SHA2_256: u64 = 0x12;
    Multihash::wrap(SHA2_256, digest)
        .map_or_else(|_| Cid::default(), |hash| Cid::new_v1(walk::RAW, hash))
}
