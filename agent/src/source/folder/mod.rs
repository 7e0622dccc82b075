//! The chunk files of a `file://` target as a source, see [`bsp_codec::chunk`].
//!
//! Chunks are read in the order of their names, or, of those that come later, in that in which they
//! appear; the last one as it grows. The producer closes a chunk before it opens the next, so a
//! chunk has all of its records as soon as there is another. Until then a part of a record at its
//! end is a record that is still being written; after that it is one that never will be, and goes
//! to the dead letters, as does everything behind a damaged place. What the format leaves out of a
//! chunk's blocks is taken from the file beside the chunk, where there is one.
//!
//! # State
//!
//! `positions.json` in the state folder says which records are acknowledged; finished chunks that
//! follow each other take one line, so it stays small behind a record that waits. It is replaced as
//! a whole and synced, once for all acknowledgements that came in meanwhile, before any of them
//! returns. Records are named by their place, so a folder's chunks must not be edited, and chunks
//! that are done with may be removed by whoever owns them. The file `lock` beside it is locked for
//! as long as something may write there.

mod chunk_file;
mod entry;
mod finished_chunks;
mod listing;
mod position_file;
mod positions;
mod reader;
mod settlement;
mod state_lock;
mod supplements;
#[cfg(test)]
mod tests;

use super::{Deliveries, Delivery, Source, SourceError, dead_letters::DeadLetterFolder};
use crate::alarm::Alarms;
use async_trait::async_trait;
use bsp_codec::limits::MAX_INPUT_BYTES;
use bsp_common::files::sync_folder;
use position_file::PositionFile;
use reader::FolderReader;
use settlement::{Choices, FolderSettlement, Shared};
use state_lock::StateLock;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};
use tokio::sync::mpsc::{self, Receiver};
use tokio_util::sync::CancellationToken;

/// A folder of chunks to be opened.
///
/// ```no_run
/// use bsp_agent::{alarm::Alarms, source::folder::FolderSource};
/// use tokio_util::sync::CancellationToken;
///
/// let source = FolderSource::new("/var/lib/replicas", "bsp-agent-data/source")
///     .with_max_replica_bytes(256 << 20)
///     .open(&Alarms::default(), &CancellationToken::new())?;
/// # Ok::<(), bsp_agent::source::SourceError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FolderSource {
    folder: PathBuf,
    state_dir: PathBuf,
    max_replica_bytes: usize,
    choices: Choices,
}

impl FolderSource {
    /// The chunks in `folder`, with the positions in `state_dir` and the dead letters in a folder
    /// `dead` beside that.
    pub fn new(folder: impl Into<PathBuf>, state_dir: impl Into<PathBuf>) -> Self {
        let choices = Choices { idle: Duration::from_secs(600), remove_finished: false };
        Self {
            folder: folder.into(),
            state_dir: state_dir.into(),
            max_replica_bytes: MAX_INPUT_BYTES,
            choices,
        }
    }

    /// Takes no longer replicas, in bytes of RLP. One that is longer makes the rest of its chunk a
    /// dead letter. By default [`MAX_INPUT_BYTES`].
    #[must_use]
    pub const fn with_max_replica_bytes(mut self, max: usize) -> Self {
        self.max_replica_bytes = max;
        self
    }

    /// How long after its release an entry is delivered again, by default 600 s.
    #[must_use]
    pub const fn with_idle(mut self, idle: Duration) -> Self {
        self.choices.idle = idle;
        self
    }

    /// Removes each chunk's file once all of its records are acknowledged and there is a later one.
    #[must_use]
    pub const fn removing_finished(mut self) -> Self {
        self.choices.remove_finished = true;
        self
    }

    /// Looks at what [`open`](Self::open) needs, without opening it: the folder, and the positions
    /// if there are any.
    ///
    /// # Errors
    ///
    /// [`SourceError::Refused`], as from `open`.
    pub fn check(&self) -> Result<String, SourceError> {
        let source_name = format!("file://{}", self.folder.display());
        let refused = |reason| SourceError::Refused { source_name: source_name.clone(), reason };
        let folder = self.folder.canonicalize().and_then(|it| it.read_dir().map(|_| it));
        let folder = folder.map_err(|error| {
            refused(format!("{error}: name the folder of the producer's file:// target"))
        })?;
        PositionFile::new(&self.state_dir, folder).load().map_err(refused)?;
        Ok(format!("{} can be read", self.folder.display()))
    }

    /// Opens the folder, and starts the thread that reads it.
    ///
    /// # Errors
    ///
    /// [`SourceError::Refused`], if the folder is not there or can't be read, or the state folder
    /// can't be used.
    pub fn open(self, alarms: &Alarms, stop: &CancellationToken) -> Result<Source, SourceError> {
        let source_name = format!("file://{}", self.folder.display());
        let refused = |reason| SourceError::Refused { source_name: source_name.clone(), reason };
        let folder = self.folder.canonicalize().map_err(|error| {
            refused(format!("{error}: name the folder of the producer's file:// target"))
        })?;
        let lock = lock_state_dir(&self.state_dir).map_err(|error| {
            refused(format!("cannot use {} for the state: {error}", self.state_dir.display()))
        })?;
        let file = PositionFile::new(&self.state_dir, folder.clone());
        let positions = file.load().map_err(refused)?;
        let dead =
            DeadLetterFolder::new(self.state_dir.parent().unwrap_or(&self.state_dir).join("dead"));
        let operation = (alarms.clone(), stop.clone());
        let shared =
            Arc::new(Shared::new(folder, dead, (file, positions, lock), self.choices, operation));
        let reader = FolderReader::new(Arc::clone(&shared), self.max_replica_bytes)
            .map_err(|error| refused(format!("the folder can't be read: {error}")))?;

        let (sender, deliveries) = mpsc::channel(1);
        thread::Builder::new()
            .name("folder-source".to_owned())
            .spawn({
                let alarms = alarms.clone();
                move || alarms.guard_thread("the folder's reader", || reader.run(&sender))
            })
            .map_err(|error| refused(format!("cannot start a thread: {error}")))?;
        let deliveries = FolderDeliveries { deliveries, shared: Arc::clone(&shared) };
        Ok(Source {
            deliveries: Box::new(deliveries),
            settlement: Arc::new(FolderSettlement(shared)),
        })
    }
}

/// Makes the state folder, if it is not there, and keeps others from using it.
fn lock_state_dir(path: &Path) -> io::Result<StateLock> {
    fs::create_dir_all(path)?;
    sync_folder(path)?;
    StateLock::take(path)
}

/// What the thread reads. It is at most one replica ahead.
struct FolderDeliveries {
    deliveries: Receiver<Result<Delivery, SourceError>>,
    shared: Arc<Shared>,
}

#[async_trait]
impl Deliveries for FolderDeliveries {
    async fn next(&mut self) -> Result<Option<Delivery>, SourceError> {
        let stop = self.shared.stop.clone();
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(None),
            delivery = self.deliveries.recv() => match delivery {
                Some(delivery) => delivery.map(Some),
                None => Err(SourceError::Unavailable {
                    source_name: self.shared.name(),
                    reason: "its reader has ended".to_owned(),
                }),
            },
        }
    }
}
