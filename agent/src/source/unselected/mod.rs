//! Blocks that the divisor did not select, kept on disk up to a budget.
//!
//! bsp-agent v1.9.2 deletes them, so a higher sampling rate can't be had for the past. Here a start
//! with another divisor takes up what it selects of them. A file,
//! `<network>-<number>-<kind>-<hash>.rlp.snappy`, is the payload of a stream's entry. What its
//! format leaves out of the block lies beside it, in `….rlp.snappy.supplement`.

mod files;
mod name;
#[cfg(test)]
mod tests;

use super::{
    Backlog, DeadLetter, Deliveries, Delivery, EntryId, Payload, Settlement, Source, SourceError,
};
use crate::{
    alarm::{AlarmKind, Alarms},
    block::BlockId,
    retry::{Retry, join},
};
use async_trait::async_trait;
use bsp_codec::ReplicaKind;
use bytes::Bytes;
use files::{Files, Kept, NextFile};
use name::FileName;
use std::{
    io,
    num::NonZeroU64,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const ENTRY_PREFIX: &str = "unselected:";

/// The folder. Clones share it.
#[derive(Debug, Clone)]
pub struct UnselectedFolder {
    /// For messages.
    name: String,
    files: Arc<Mutex<Files>>,
    /// Told when a file that was delivered is settled or released.
    changed: Arc<Notify>,
    alarms: Alarms,
    stop: CancellationToken,
}

impl UnselectedFolder {
    /// Opens a folder, and makes it if it is not there. With a budget of 0 bytes it keeps nothing
    /// new.
    ///
    /// Files beyond the budget are removed when something is kept, not before, so that a start with
    /// another divisor can take up [what it selects](Self::selected_by).
    ///
    /// # Errors
    ///
    /// [`SourceError::Refused`], if the folder can't be made or read.
    pub fn open(
        folder: impl Into<PathBuf>,
        budget_bytes: u64,
        alarms: &Alarms,
        stop: &CancellationToken,
    ) -> Result<Self, SourceError> {
        let folder = folder.into();
        let name = folder.display().to_string();
        match Files::open(folder, budget_bytes) {
            Ok(files) => Ok(Self {
                name,
                files: Arc::new(Mutex::new(files)),
                changed: Arc::default(),
                alarms: alarms.clone(),
                stop: stop.clone(),
            }),
            Err(error) => {
                let reason = format!("the folder of unselected blocks can't be used: {error}");
                Err(SourceError::Refused { source_name: name, reason })
            }
        }
    }

    /// Keeps a block, and removes the oldest ones that there is no room for any more. On return it
    /// is on disk, and its entry may be acknowledged.
    ///
    /// # Errors
    ///
    /// [`SourceError::Unavailable`], if it was stopped before a trouble had passed;
    /// [`SourceError::Refused`] for a payload that snappy can't hold.
    pub async fn keep(
        &self,
        block: &BlockId,
        kind: ReplicaKind,
        payload: &Payload,
        supplement: Option<&Bytes>,
    ) -> Result<(), SourceError> {
        let name = FileName::new(*block, kind);
        let (payload, supplement) = (payload.clone(), supplement.cloned());
        let refused =
            |reason: String| SourceError::Refused { source_name: self.name.clone(), reason };
        // Compressed before the lock is taken, which others wait for.
        let block = self
            .work("keeping an unselected block", move |files| match lock(files).is_closed() {
                true => Ok(None),
                false => Ok(Some(payload.to_snappy())),
            })
            .await?;
        let Some(block) = block else { return Ok(()) };
        let block = block.map_err(|error| refused(error.to_string()))?;
        let keep =
            move |files: &Mutex<Files>| lock(files).keep(name, &block, supplement.as_deref());
        self.work("keeping an unselected block", keep).await
    }

    /// The blocks whose number the divisor divides, of those that are here now. Acknowledging one
    /// removes its file; one that is released is delivered again after the next start. The source
    /// ends once each is settled or released.
    pub fn selected_by(&self, divisor: NonZeroU64) -> Source {
        lock(&self.files).select(divisor);
        Source {
            deliveries: Box::new(SelectedDeliveries(self.clone())),
            settlement: Arc::new(self.clone()),
        }
    }

    /// Does something with the files, on a thread that may block, until it works.
    async fn work<T: Send + 'static>(
        &self,
        what: &str,
        work: impl Fn(&Mutex<Files>) -> io::Result<T> + Clone + Send + Sync + 'static,
    ) -> Result<T, SourceError> {
        let (alarms, stop) = (self.alarms.clone(), self.stop.clone());
        let retry = Retry { alarm: AlarmKind::StoreFailing, alarms, stop };
        let attempt = || {
            let (files, work) = (Arc::clone(&self.files), work.clone());
            async move {
                let done = tokio::task::spawn_blocking(move || work(&files)).await;
                join(done)
            }
        };
        retry.until_done(what, attempt).await.map_err(|_| SourceError::Unavailable {
            source_name: self.name.clone(),
            reason: format!("{what}: stopped before it succeeded"),
        })
    }

    fn give_back(&self, entry: &EntryId, again: bool) {
        if let Some(name) = file_name(entry) {
            lock(&self.files).release(name, again);
            self.changed.notify_one();
        }
    }

    fn file_of(&self, entry: &EntryId) -> Result<FileName, SourceError> {
        file_name(entry).ok_or_else(|| SourceError::Refused {
            source_name: self.name.clone(),
            reason: format!("{entry} is no entry of this folder"),
        })
    }
}

fn lock(files: &Mutex<Files>) -> std::sync::MutexGuard<'_, Files> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

fn file_name(entry: &EntryId) -> Option<FileName> {
    entry.0.strip_prefix(ENTRY_PREFIX)?.parse().ok()
}

#[async_trait]
impl Settlement for UnselectedFolder {
    fn owns(&self, entry: &EntryId) -> bool {
        file_name(entry).is_some()
    }

    async fn acknowledge(&self, entry: &EntryId) -> Result<(), SourceError> {
        let name = self.file_of(entry)?;
        let work = move |files: &Mutex<Files>| lock(files).settle(name);
        let removed = self.work("removing a block that was selected", work).await;
        self.changed.notify_one();
        removed
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<(), SourceError> {
        let name = self.file_of(&letter.entry)?;
        let letter = letter.clone();
        let work = move |files: &Mutex<Files>| lock(files).bury(name, &letter);
        let buried = self.work("writing a dead letter", work).await;
        self.changed.notify_one();
        buried
    }

    fn release(&self, entry: &EntryId) {
        self.give_back(entry, false);
    }

    fn redeliver(&self, entry: &EntryId) {
        self.give_back(entry, true);
    }

    async fn backlog(&self) -> Result<Backlog, SourceError> {
        let selected = lock(&self.files).selected() as u64;
        Ok(Backlog { length: Some(selected), ..Backlog::default() })
    }
}

struct SelectedDeliveries(UnselectedFolder);

#[async_trait]
impl Deliveries for SelectedDeliveries {
    async fn next(&mut self) -> Result<Option<Delivery>, SourceError> {
        let folder = &self.0;
        loop {
            let next = lock(&folder.files).next();
            let name = match next {
                NextFile::File(name) => name,
                NextFile::End => return Ok(None),
                NextFile::Wait => tokio::select! {
                    () = folder.changed.notified() => continue,
                    () = folder.stop.cancelled() => return Ok(None),
                },
            };
            let read = move |files: &Mutex<Files>| lock(files).read(name);
            let kept = folder.work("reading a block that was selected", read).await?;
            lock(&folder.files).taken(name, kept.is_some());
            let Some(Kept { payload, supplement }) = kept else {
                tracing::warn!("The file {name} was removed before it could be handled");
                continue;
            };
            return Ok(Some(Delivery {
                entry: EntryId(format!("{ENTRY_PREFIX}{name}")),
                hash: Some(format!("{:#x}", name.block.hash)),
                payload: Some(Payload::Snappy(Bytes::from(payload))),
                supplement: supplement.map(Bytes::from),
                deliveries: 1,
            }));
        }
    }
}
