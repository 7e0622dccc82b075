//! The chunk that is being written, and the one that comes after it.

use super::{position::ChunkPosition, repair, room::NoRoom, supplements::SupplementFile};
use crate::{failpoint, target::Entry};
use alloy_primitives::B256;
use bsp_codec::{
    chunk::{CHUNK_ROTATE_BYTES, ChunkName, encode_record},
    snappy::SnappyError,
};
use std::{
    collections::HashSet,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Why a batch is not on disk.
#[derive(Debug, thiserror::Error)]
pub(super) enum AppendError {
    /// It may be later.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is no room for it yet.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// It never will be.
    #[error("block {number} {hash}: {reason}")]
    Entry {
        number: u64,
        hash: B256,
        #[source]
        reason: SnappyError,
    },
}

/// Writes the chunks of one session. Holds the folder's lock.
#[derive(Debug)]
pub(super) struct ChunkWriter {
    folder: PathBuf,
    /// The folder itself, locked; synced for each new name in it.
    handle: File,
    /// The name of the next chunk to be made.
    next: ChunkName,
    /// `None` after trouble, until the next is made.
    chunk: Option<OpenChunk>,
    /// What was written last, in this session or the one before. Whoever waited for it may have
    /// ended before he heard of it, and deliver it again.
    written_last: HashSet<B256>,
    /// The end of what this session has written.
    position: Option<ChunkPosition>,
}

#[derive(Debug)]
struct OpenChunk {
    name: ChunkName,
    path: PathBuf,
    file: File,
    /// How many bytes are on disk permanently. More may be in the file after a failure.
    synced: u64,
    /// Made for the first block that has one.
    supplements: Option<SupplementFile>,
}

impl ChunkWriter {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        make_folder(folder)?;
        let handle = File::open(folder)?;
        handle.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::other("another process writes to this folder: stop it, or use another")
            }
            TryLockError::Error(error) => error,
        })?;
        let chunks = chunks(folder)?;
        let last = chunks.last().copied();
        if let Some(last) = last {
            repair::cut_torn_tail(&folder.join(last.to_string()))?;
        }
        let written_last = last_hashes(folder, &chunks)?;
        let next = ChunkName { session: new_session(last), chunk: 0 };
        let mut writer = Self {
            folder: folder.to_owned(),
            handle,
            next,
            chunk: None,
            written_last,
            position: None,
        };
        writer.chunk = Some(writer.make_chunk()?);
        Ok(writer)
    }

    /// Takes nothing for written already.
    pub(super) fn forget_last(&mut self) {
        self.written_last.clear();
    }

    pub(super) const fn position(&self) -> Option<ChunkPosition> {
        self.position
    }

    /// Appends records and syncs them, but for those that were written last.
    ///
    /// After a failed sync nobody knows which part of the file is on disk, and asking again would
    /// not tell. So a chunk that failed is cut back to what was synced before, and given up; the
    /// next attempt makes another.
    pub(super) fn append(&mut self, batch: &[Entry]) -> Result<(), AppendError> {
        let is_new = |entry: &&Entry| !self.written_last.contains(&entry.hash);
        let new: Vec<_> = batch.iter().filter(is_new).collect();
        if new.len() < batch.len() {
            let present = batch.len() - new.len();
            tracing::info!(target: "exex::bsp", blocks = present, "The folder has these blocks already");
        }
        if !new.is_empty() {
            self.append_new(&new)?;
            self.written_last = new.iter().map(|entry| entry.hash).collect();
        }
        Ok(())
    }

    fn append_new(&mut self, batch: &[&Entry]) -> Result<(), AppendError> {
        let mut chunk = match self.chunk.take() {
            Some(chunk) => chunk,
            None => self.make_chunk()?,
        };
        if let Err(error) = chunk.append(batch, &self.handle) {
            chunk.give_up();
            return Err(error);
        }
        self.position = Some(ChunkPosition { chunk: chunk.name, end: chunk.synced });
        let is_full = chunk.synced >= CHUNK_ROTATE_BYTES;
        self.chunk = Some(chunk);
        if is_full {
            self.complete_chunk();
        }
        Ok(())
    }

    /// Begins another chunk if this one has records. A reader knows by it that this one is
    /// complete. What is on disk is there whether this works or not.
    pub(super) fn complete_chunk(&mut self) {
        if self.chunk.take_if(|chunk| chunk.synced > 0).is_some() {
            self.chunk = self
                .make_chunk()
                .inspect_err(|error| tracing::warn!(target: "exex::bsp", %error, "The next chunk can't be made yet; the target retries"))
                .ok();
        }
    }

    /// What a failed append does.
    #[cfg(test)]
    pub(super) fn give_up_for_test(&mut self) {
        self.chunk.take().unwrap().give_up();
    }

    fn make_chunk(&mut self) -> io::Result<OpenChunk> {
        let name = self.next;
        let path = self.folder.join(name.to_string());
        let file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        // From here on the name is used up, whatever happens to the file.
        self.next.chunk += 1;
        self.handle.sync_all()?;
        Ok(OpenChunk { name, path, file, synced: 0, supplements: None })
    }
}

impl OpenChunk {
    /// `folder` is where the chunk is.
    fn append(&mut self, batch: &[&Entry], folder: &File) -> Result<(), AppendError> {
        self.append_supplements(batch, folder)?;
        failpoint::hit("before_append");
        let mut length = self.synced;
        for entry in batch {
            let record = encode(entry, &entry.replica)?;
            self.file.write_all(&record)?;
            length += record.len() as u64;
        }
        failpoint::hit("before_append_sync");
        self.file.sync_data()?;
        failpoint::hit("after_append_sync");
        self.synced = length;
        Ok(())
    }

    /// Before the records, so that whoever reads a record finds its supplement.
    fn append_supplements(&mut self, batch: &[&Entry], folder: &File) -> Result<(), AppendError> {
        let mut records = Vec::new();
        for entry in batch {
            if let Some(supplement) = &entry.supplement {
                records.extend(encode(entry, supplement)?);
            }
        }
        if records.is_empty() {
            return Ok(());
        }
        let file = match &mut self.supplements {
            Some(file) => file,
            none => {
                let path = self.path.with_file_name(self.name.supplements());
                none.insert(SupplementFile::make(&path, folder)?)
            }
        };
        Ok(file.append(&records)?)
    }

    fn give_up(self) {
        let cut = self.file.set_len(self.synced).and_then(|()| self.file.sync_all());
        if let Err(error) = cut {
            let path = self.path.display();
            tracing::warn!(
                target: "exex::bsp", chunk = %path, %error,
                "The chunk may end in a part of a record: it could not be removed"
            );
        }
    }
}

/// A record about an entry, which holds these bytes.
fn encode(Entry { hash, number, .. }: &Entry, bytes: &[u8]) -> Result<Vec<u8>, AppendError> {
    let (hash, number) = (*hash, *number);
    encode_record(hash, bytes).map_err(|reason| AppendError::Entry { number, hash, reason })
}

/// Makes a folder that is not there, in one that is.
fn make_folder(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = folder.parent().unwrap_or(folder).display();
            let reason = format!("{parent} does not exist: make that folder, or correct the URL");
            Err(io::Error::new(io::ErrorKind::NotFound, reason))
        }
        made => made,
    }
}

/// All of a folder's chunks, in order.
pub(super) fn chunks(folder: &Path) -> io::Result<Vec<ChunkName>> {
    let mut chunks = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        chunks.extend(name.to_str().and_then(|name| name.parse::<ChunkName>().ok()));
    }
    chunks.sort_unstable();
    Ok(chunks)
}

/// The hashes in the last chunk that is not empty.
fn last_hashes(folder: &Path, chunks: &[ChunkName]) -> io::Result<HashSet<B256>> {
    for chunk in chunks.iter().rev() {
        let hashes = match repair::synced_hashes(&folder.join(chunk.to_string())) {
            // A consumer has removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            hashes => hashes?,
        };
        if !hashes.is_empty() {
            return Ok(hashes);
        }
    }
    Ok(HashSet::new())
}

/// The second at which the session begins, or a later one: after the last session's, even if the
/// clock was set back.
fn new_session(last: Option<ChunkName>) -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let after_last = last.map_or(0, |last| last.session.saturating_add(1));
    since_1970.as_secs().max(after_last)
}
