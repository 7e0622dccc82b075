//! The chunk that is being written, and the one that comes after it.

use super::repair;
use crate::{Entry, failpoint};
use alloy_primitives::B256;
use bsp_codec::{
    chunk::{CHUNK_ROTATE_BYTES, ChunkName, encode_record},
    snappy::SnappyError,
};
use std::{
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
}

#[derive(Debug)]
struct OpenChunk {
    path: PathBuf,
    file: File,
    /// How many bytes are on disk for good. More may be in the file after a failure.
    synced: u64,
}

impl ChunkWriter {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let handle = File::open(folder)?;
        handle.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                io::Error::other("another process writes to this folder: stop it, or use another")
            }
            TryLockError::Error(error) => error,
        })?;
        let last = last_chunk(folder)?;
        if let Some(last) = last {
            repair::cut_torn_tail(&folder.join(last.to_string()))?;
        }
        let next = ChunkName { session: new_session(last), chunk: 0 };
        let mut writer = Self { folder: folder.to_owned(), handle, next, chunk: None };
        writer.chunk = Some(writer.make_chunk()?);
        Ok(writer)
    }

    /// Appends records and syncs them.
    ///
    /// After a failed sync nobody knows what of the file is on disk, and asking again would not tell. So a chunk that failed
    /// is cut back to what was synced before, and given up; the next attempt makes another.
    pub(super) fn append(&mut self, batch: &[Entry]) -> Result<(), AppendError> {
        let mut chunk = match self.chunk.take() {
            Some(chunk) => chunk,
            None => self.make_chunk()?,
        };
        if let Err(error) = chunk.append(batch) {
            chunk.give_up();
            return Err(error);
        }
        if chunk.synced < CHUNK_ROTATE_BYTES {
            self.chunk = Some(chunk);
        } else {
            // A reader knows by it that the last one is complete. The batch is on disk whether this works or not.
            self.chunk = self
                .make_chunk()
                .inspect_err(|error| tracing::warn!("cannot make the next chunk: {error}"))
                .ok();
        }
        Ok(())
    }

    /// What a failed append does.
    #[cfg(test)]
    pub(super) fn give_up_for_test(&mut self) {
        self.chunk.take().unwrap().give_up();
    }

    fn make_chunk(&mut self) -> io::Result<OpenChunk> {
        let path = self.folder.join(self.next.to_string());
        let file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        // From here on the name is used up, whatever happens to the file.
        self.next.chunk += 1;
        self.handle.sync_all()?;
        Ok(OpenChunk { path, file, synced: 0 })
    }
}

impl OpenChunk {
    fn append(&mut self, batch: &[Entry]) -> Result<(), AppendError> {
        let mut length = self.synced;
        for Entry { hash, number, replica } in batch {
            let record = encode_record(*hash, replica).map_err(|reason| AppendError::Entry {
                number: *number,
                hash: *hash,
                reason,
            })?;
            self.file.write_all(&record)?;
            length += record.len() as u64;
        }
        failpoint::hit("before_append_sync");
        self.file.sync_data()?;
        failpoint::hit("after_append_sync");
        self.synced = length;
        Ok(())
    }

    fn give_up(self) {
        let cut = self.file.set_len(self.synced).and_then(|()| self.file.sync_all());
        if let Err(error) = cut {
            let path = self.path.display();
            tracing::warn!(
                "{path} may end in a part of a record that could not be removed: {error}"
            );
        }
    }
}

fn last_chunk(folder: &Path) -> io::Result<Option<ChunkName>> {
    let mut last = None;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        last = last.max(name.to_str().and_then(|name| name.parse().ok()));
    }
    Ok(last)
}

/// The second at which the session begins, or a later one: after the last session's, even if the clock was set back.
fn new_session(last: Option<ChunkName>) -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let after_last = last.map_or(0, |last| last.session.saturating_add(1));
    since_1970.as_secs().max(after_last)
}
