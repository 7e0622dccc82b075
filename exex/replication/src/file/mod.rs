//! A folder of chunk files: the `file://` target of bsp-geth v2.2.0, see [`bsp_codec::chunk`].

mod position;
mod repair;
mod room;
mod supplements;
mod writer;

pub use room::FileOptions;

use crate::{
    health::TargetHealth,
    outage::Outage,
    target::{Entry, StreamPosition, Target, TargetError},
    url::TargetUrl,
};
use async_trait::async_trait;
use position::ChunkPosition;
use room::Room;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio_util::sync::CancellationToken;
use writer::{AppendError, ChunkWriter};

/// Appends to the chunk files of a folder, each batch synced. [Supplements](Entry::supplement) go
/// into a file beside the chunk
/// ([`ChunkName::supplements`](bsp_codec::chunk::ChunkName::supplements)), before the chunk has
/// their blocks' records.
///
/// It differs from bsp-geth v2.2.0 where that loses data: a session never takes the name of one
/// that was, so no file is ever truncated; what a crash left behind of a record is cut off before
/// anything new is written; and one process at a time writes to a folder. What was written last is
/// not written again: the last batch, and at the begin of a session all of the last chunk that has
/// records. Where the chunk that an earlier process wrote to last was damaged since, what follows
/// the damage is found out to be missing: [`TargetError::Lost`].
///
/// A folder that its consumer does not empty does not fill the disk: see [`FileOptions`]. A chunk
/// that has records is completed before the target waits for room, so that its consumer can remove
/// it.
#[derive(Debug)]
pub struct FileTarget {
    name: String,
    folder: Arc<Mutex<Folder>>,
    /// After all that was delivered, by an earlier process too.
    position: Option<StreamPosition>,
    stop: CancellationToken,
    health: TargetHealth,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// `None` until it could be opened.
    writer: Option<ChunkWriter>,
    room: Room,
    /// Up to where an earlier process has written, until it was compared with what is there.
    resumed: Option<ChunkPosition>,
}

/// What a delivery finds.
enum Found {
    /// The batch is on disk, and the session's records end here.
    Taken(Option<ChunkPosition>),
    /// Records that were on disk can't be read any longer, from here on.
    Lost(ChunkPosition),
}

impl FileTarget {
    /// Opens a folder, makes it if it is not there, and begins a session with its first chunk. The
    /// folder's parent has to exist: a URL with a typing error would otherwise be a folder that
    /// nobody looks at.
    ///
    /// # Errors
    ///
    /// [`TargetError::Refused`], if the folder can't be made or written, or another process writes
    /// to it.
    pub fn open(
        folder: &Path,
        options: &FileOptions,
        stop: CancellationToken,
    ) -> Result<Self, TargetError> {
        let target = Self::unopened(folder, options, stop);
        match target.folder().open() {
            Ok(_) => {}
            Err(error) => {
                let (target, reason) = (target.name(), error.to_string());
                return Err(TargetError::Refused { target, reason });
            }
        }
        Ok(target)
    }

    /// The same, but a folder that can't be opened is tried again by the delivery, which waits for
    /// it.
    pub fn open_or_wait(folder: &Path, options: &FileOptions, stop: CancellationToken) -> Self {
        let target = Self::unopened(folder, options, stop);
        if let Err(error) = target.folder().open() {
            tracing::warn!(target: "exex::bsp", target = target.name, %error, "The folder can't be opened yet; the target retries");
            target.health.waits_for(&error);
        }
        target
    }

    /// Writes also what an earlier process has written last. For a reader that tells repetitions,
    /// and may want one.
    ///
    /// # Errors
    ///
    /// Where the folder can't be opened.
    pub fn repeating(self) -> io::Result<Self> {
        self.folder().open()?.forget_last();
        Ok(self)
    }

    fn unopened(folder: &Path, options: &FileOptions, stop: CancellationToken) -> Self {
        let name = TargetUrl::File(folder.to_owned()).to_string();
        let room = Room::new(options.clone());
        let folder = Folder { path: folder.to_owned(), writer: None, room, resumed: None };
        let folder = Arc::new(Mutex::new(folder));
        Self { name, folder, position: None, stop, health: TargetHealth::default() }
    }

    fn folder(&self) -> MutexGuard<'_, Folder> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Folder {
    fn open(&mut self) -> io::Result<&mut ChunkWriter> {
        Ok(match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(ChunkWriter::open(&self.path)?),
        })
    }

    fn append(&mut self, batch: &[Entry]) -> Result<Found, AppendError> {
        self.open()?;
        if let Some(resumed) = self.resumed
            && let Some(left) = resumed.what_is_left(&self.path)?
        {
            self.resumed = None;
            return Ok(Found::Lost(left));
        }
        self.resumed = None;
        let bytes = batch.iter().map(|entry| entry.bytes() as u64).sum();
        if let Err(no_room) = self.room.check(&self.path, bytes)? {
            // A consumer removes only what is complete.
            self.open()?.complete_chunk();
            return Err(no_room.into());
        }
        let writer = self.open()?;
        writer.append(batch)?;
        let position = writer.position();
        self.room.note_added(bytes);
        Ok(Found::Taken(position))
    }
}

#[async_trait]
impl Target for FileTarget {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn deliver(&mut self, batch: &[Entry]) -> Result<(), TargetError> {
        let mut outage = Outage::new(&self.name, &self.stop, &self.health);
        while !batch.is_empty() {
            let (folder, entries) = (Arc::clone(&self.folder), batch.to_vec());
            let append =
                move || folder.lock().unwrap_or_else(PoisonError::into_inner).append(&entries);
            match tokio::task::spawn_blocking(append).await {
                Ok(Ok(Found::Taken(position))) => {
                    let taken = position.and_then(ChunkPosition::to_stream_position);
                    self.position = self.position.max(taken);
                    break;
                }
                Ok(Ok(Found::Lost(left))) => {
                    let kept = left.to_stream_position().unwrap_or_default();
                    self.position = Some(kept);
                    return Err(TargetError::Lost { target: self.name.clone(), kept });
                }
                Ok(Err(AppendError::Io(error))) => outage.wait(&error).await?,
                Ok(Err(AppendError::NoRoom(no_room))) => outage.hold(&no_room).await?,
                Ok(Err(error @ AppendError::Entry { .. })) => {
                    let (target, reason) = (self.name.clone(), error.to_string());
                    return Err(TargetError::Refused { target, reason });
                }
                // The runtime is shutting down.
                Err(_) => return Err(outage.stopped()),
            }
        }
        outage.end();
        Ok(())
    }

    fn position(&self) -> Option<StreamPosition> {
        self.position
    }

    fn resume(&mut self, position: StreamPosition) {
        self.position = Some(position);
        self.folder().resumed = ChunkPosition::from_stream_position(position);
    }

    fn health(&self) -> TargetHealth {
        self.health.clone()
    }
}

#[cfg(test)]
mod tests;
