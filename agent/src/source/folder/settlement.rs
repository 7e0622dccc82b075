//! Acknowledging, burying and releasing records of chunks.

use super::{
    entry::Record, position_file::PositionFile, positions::Positions, state_lock::StateLock,
};
use crate::{
    alarm::{AlarmKind, Alarms},
    retry::{Retry, join},
    source::{
        Backlog, DeadLetter, EntryId, Settlement, SourceError, dead_letters::DeadLetterFolder,
    },
};
use async_trait::async_trait;
use bsp_codec::chunk::ChunkName;
use bsp_common::files::remove_if_there;
use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// What reader and settlement share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    pub(super) dead: DeadLetterFolder,
    pub(super) alarms: Alarms,
    pub(super) stop: CancellationToken,
    idle: Duration,
    remove_finished: bool,
    state: Mutex<SettlementState>,
    /// Locked before `state`, for as long as the file is written.
    saved: Mutex<LastSaved>,
    /// Until the last possible writer is gone.
    _lock: StateLock,
}

#[derive(Debug)]
struct SettlementState {
    positions: Positions,
    /// Counts the changes.
    version: u64,
    released: Vec<ReleasedRecord>,
    /// Chunks that are done with, whose files may go once that is on disk.
    removable: Vec<ChunkName>,
}

#[derive(Debug)]
struct LastSaved {
    file: PositionFile,
    /// The version that is on disk.
    version: u64,
}

/// A record that is to be delivered again.
#[derive(Debug, Clone, Copy)]
struct ReleasedRecord {
    record: Record,
    due: Instant,
}

/// The choices of [`FolderSource`](super::FolderSource).
#[derive(Debug, Clone, Copy)]
pub(super) struct Choices {
    pub(super) idle: Duration,
    pub(super) remove_finished: bool,
}

impl Shared {
    pub(super) fn new(
        folder: PathBuf,
        dead: DeadLetterFolder,
        (file, positions, lock): (PositionFile, Positions, StateLock),
        Choices { idle, remove_finished }: Choices,
        (alarms, stop): (Alarms, CancellationToken),
    ) -> Self {
        let state =
            SettlementState { positions, version: 0, released: Vec::new(), removable: Vec::new() };
        let (state, saved) = (Mutex::new(state), Mutex::new(LastSaved { file, version: 0 }));
        Self { folder, dead, alarms, stop, idle, remove_finished, state, saved, _lock: lock }
    }

    /// For messages.
    pub(super) fn name(&self) -> String {
        format!("file://{}", self.folder.display())
    }

    fn state(&self) -> MutexGuard<'_, SettlementState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the positions.
    pub(super) fn positions<T>(&self, look: impl FnOnce(&Positions) -> T) -> T {
        look(&self.state().positions)
    }

    /// Changes the positions, and returns the version that has the change.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Positions) -> T) -> (T, u64) {
        let mut state = self.state();
        let changed = change(&mut state.positions);
        let done = state.positions.take_newly_done();
        if self.remove_finished {
            state.removable.extend(done);
        }
        state.positions.compact();
        state.version += 1;
        (changed, state.version)
    }

    /// Brings a version to disk. Those who come while another's is written wait for it, and the
    /// first of them brings all of theirs.
    pub(super) fn save(&self, version: u64) -> io::Result<()> {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        if saved.version >= version {
            return Ok(());
        }
        let (positions, version, removable) = {
            let mut state = self.state();
            (state.positions.clone(), state.version, std::mem::take(&mut state.removable))
        };
        if let Err(error) = saved.file.save(&positions) {
            self.state().removable.extend(removable);
            return Err(error);
        }
        saved.version = version;
        for chunk in removable {
            self.remove(chunk);
        }
        Ok(())
    }

    /// Removes a chunk, and the supplements beside it first: whoever finds the chunk again removes
    /// what is left.
    fn remove(&self, chunk: ChunkName) {
        for name in [chunk.supplements(), chunk.to_string()] {
            if let Err(error) = remove_if_there(&self.folder.join(&name)) {
                tracing::warn!("The file {name} is done with, but can't be removed: {error}");
            }
        }
    }

    /// Takes out a record that was released long enough ago and not acknowledged since.
    pub(super) fn take_due(&self) -> Option<Record> {
        let mut state = self.state();
        let now = Instant::now();
        let due = state.released.iter().position(|released| released.due <= now)?;
        let record = state.released.swap_remove(due).record;
        (!state.positions.is_acknowledged(record)).then_some(record)
    }

    /// Has a record delivered again after a pause.
    pub(super) fn release(&self, record: Record) {
        self.release_for(record, self.idle);
    }

    fn release_for(&self, record: Record, pause: Duration) {
        self.state().released.push(ReleasedRecord { record, due: Instant::now() + pause });
    }

    fn refused(&self, reason: impl Into<String>) -> SourceError {
        SourceError::Refused { source_name: self.name(), reason: reason.into() }
    }

    fn record(&self, entry: &EntryId) -> Result<Record, SourceError> {
        Record::of(entry).ok_or_else(|| self.refused(format!("{entry} is no entry of a folder")))
    }
}

/// The settling half of a folder.
#[derive(Debug)]
pub(super) struct FolderSettlement(pub(super) Arc<Shared>);

impl FolderSettlement {
    /// Does something that writes, on a thread that may block, until it works.
    async fn write(
        &self,
        what: &str,
        work: impl Fn(&Shared) -> io::Result<()> + Clone + Send + Sync + 'static,
    ) -> Result<(), SourceError> {
        let (alarm, alarms) = (AlarmKind::SourceUnavailable, self.0.alarms.clone());
        let retry = Retry { alarm, alarms, stop: self.0.stop.clone() };
        let attempt = || {
            let (shared, work) = (Arc::clone(&self.0), work.clone());
            async move {
                let done = tokio::task::spawn_blocking(move || work(&shared)).await;
                join(done)
            }
        };
        retry.until_done(what, attempt).await.map_err(|_| SourceError::Unavailable {
            source_name: self.0.name(),
            reason: format!("{what}: stopped before it succeeded"),
        })
    }
}

#[async_trait]
impl Settlement for FolderSettlement {
    fn owns(&self, entry: &EntryId) -> bool {
        Record::of(entry).is_some()
    }

    async fn acknowledge(&self, entry: &EntryId) -> Result<(), SourceError> {
        let record = self.0.record(entry)?;
        let ((), version) = self.0.change(|positions| positions.acknowledge(record));
        self.write("writing the positions in the folder", move |shared| shared.save(version)).await
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<(), SourceError> {
        self.0.record(&letter.entry)?;
        let kept = letter.clone();
        self.write("writing a dead letter", move |shared| shared.dead.keep(&kept)).await?;
        self.acknowledge(&letter.entry).await
    }

    fn release(&self, entry: &EntryId) {
        if let Some(record) = Record::of(entry) {
            self.0.release(record);
        }
    }

    fn redeliver(&self, entry: &EntryId) {
        if let Some(record) = Record::of(entry) {
            self.0.release_for(record, Duration::ZERO);
        }
    }

    async fn backlog(&self) -> Result<Backlog, SourceError> {
        let shared = Arc::clone(&self.0);
        let dead = tokio::task::spawn_blocking(move || shared.dead.count()).await;
        Ok(Backlog {
            pending: Some(self.0.positions(Positions::in_flight) as u64),
            dead: dead.ok().and_then(Result::ok),
            ..Backlog::default()
        })
    }
}
