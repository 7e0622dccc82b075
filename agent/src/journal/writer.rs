//! The thread that writes: all changes that wait go into one transaction, and one sync.

use super::{BLOCKS, BlockKey, BlockRecord, FACTS, JournalError, entry};
use redb::Database;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread,
};
use tokio::sync::oneshot;

/// More would only make the first of them wait longer.
const MAX_CHANGES_PER_COMMIT: usize = 256;

/// One change of the journal.
#[derive(Debug)]
pub(super) enum Change {
    Put([u8; 33], Vec<u8>),
    Remove([u8; 33]),
    Fact(String, String),
    /// Waits for what was noted before.
    Nothing,
}

impl Change {
    pub(super) fn put(key: &BlockKey, record: &BlockRecord) -> Self {
        Self::Put(entry::encode_key(key), entry::encode_record(record))
    }

    pub(super) fn remove(key: &BlockKey) -> Self {
        Self::Remove(entry::encode_key(key))
    }

    pub(super) fn fact(name: &str, value: &str) -> Self {
        Self::Fact(name.to_owned(), value.to_owned())
    }

    pub(super) const fn nothing() -> Self {
        Self::Nothing
    }
}

/// What a commit failed with, for each of those that wait for it.
type Outcome = Result<(), String>;
type Waiter = Option<oneshot::Sender<Outcome>>;

/// Hands changes to the thread.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    path: Arc<PathBuf>,
    thread: Arc<WriterThread>,
}

/// Ends with the last writer, which waits for it: the file can be opened again at once.
#[derive(Debug)]
struct WriterThread {
    changes: Option<mpsc::Sender<(Change, Waiter)>>,
    handle: Option<thread::JoinHandle<()>>,
}

impl WriterThread {
    fn send(&self, change: Change, waiter: Waiter) -> Result<(), JournalError> {
        let changes = self.changes.as_ref().ok_or(JournalError::Closed)?;
        changes.send((change, waiter)).map_err(|_| JournalError::Closed)
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        drop(self.changes.take());
        if let Some(handle) = self.handle.take() {
            // A panic there was reported to those that waited.
            let _ = handle.join();
        }
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(path: &Path, database: Arc<Database>) -> Self {
        let (changes, queue) = mpsc::channel();
        let handle = thread::spawn(move || write_all(&database, &queue));
        let thread = WriterThread { changes: Some(changes), handle: Some(handle) };
        Self { path: Arc::new(path.to_owned()), thread: Arc::new(thread) }
    }

    /// Hands over a change and waits until it is durable.
    pub(super) async fn write(&self, change: Change) -> Result<(), JournalError> {
        let (sender, done) = oneshot::channel();
        self.thread.send(change, Some(sender))?;
        match done.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(reason)) => Err(JournalError::Storage { path: self.path.to_path_buf(), reason }),
            Err(_) => Err(JournalError::Closed),
        }
    }

    /// Hands over a change that nobody waits for.
    pub(super) fn note(&self, change: Change) {
        // Without a thread the next change that is waited for reports it.
        let _ = self.thread.send(change, None);
    }
}

fn write_all(database: &Database, queue: &mpsc::Receiver<(Change, Waiter)>) {
    while let Ok(first) = queue.recv() {
        let mut batch = vec![first];
        batch.extend(queue.try_iter().take(MAX_CHANGES_PER_COMMIT - 1));
        let outcome = commit(database, &batch).map_err(|error| error.to_string());
        for (_, waiter) in batch {
            if let Some(waiter) = waiter {
                let _ = waiter.send(outcome.clone());
            }
        }
    }
}

fn commit(database: &Database, batch: &[(Change, Waiter)]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut blocks = transaction.open_table(BLOCKS)?;
        let mut facts = transaction.open_table(FACTS)?;
        for (change, _) in batch {
            match change {
                Change::Put(key, record) => {
                    blocks.insert(key.as_slice(), record.as_slice())?;
                }
                Change::Remove(key) => {
                    blocks.remove(key.as_slice())?;
                }
                Change::Fact(name, value) => {
                    facts.insert(name.as_str(), value.as_str())?;
                }
                Change::Nothing => {}
            }
        }
    }
    Ok(transaction.commit()?)
}
