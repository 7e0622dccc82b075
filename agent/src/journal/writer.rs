//! The thread that writes: all changes that wait go into one transaction, and one sync.

use super::{
    BLOCKS, BlockKey, BlockRecord, FACTS, JournalError, MARKS, Mark,
    entry::{encode_key, encode_record},
    storage::Storage,
    unfinished::UnfinishedKeys,
};
use crate::alarm::{AlarmKind, Alarms};
use bsp_common::Backoff;
use redb::Database;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::oneshot;

/// More would only make the first of them wait longer.
const MAX_CHANGES_PER_COMMIT: usize = 256;

/// One change of the journal.
#[derive(Debug)]
pub(super) enum Change {
    Put {
        key: [u8; 33],
        record: Vec<u8>,
        is_final: bool,
    },
    Remove([u8; 33]),
    Fact(String, String),
    Mark(String, Option<Mark>),
    /// Waits for what was noted before.
    Nothing,
}

impl Change {
    pub(super) fn put(key: &BlockKey, record: &BlockRecord) -> Self {
        Self::Put {
            key: encode_key(key),
            record: encode_record(record),
            is_final: record.stage.is_final(),
        }
    }

    pub(super) fn remove(key: &BlockKey) -> Self {
        Self::Remove(encode_key(key))
    }

    pub(super) fn fact(name: &str, value: &str) -> Self {
        Self::Fact(name.to_owned(), value.to_owned())
    }

    pub(super) fn mark(entry: &str, mark: Option<Mark>) -> Self {
        Self::Mark(entry.to_owned(), mark)
    }

    pub(super) const fn nothing() -> Self {
        Self::Nothing
    }
}

/// Told when its change is durable; dropped untold when it never will be.
type Waiter = Option<oneshot::Sender<()>>;

/// Hands changes to the thread. The thread ends with the last writer, which waits for it.
#[derive(Debug, Clone)]
pub(super) struct JournalWriter(Arc<Thread>);

#[derive(Debug)]
struct Thread {
    changes: Option<mpsc::Sender<(Change, Waiter)>>,
    closing: Arc<AtomicBool>,
    handle: Option<thread::JoinHandle<()>>,
}

impl JournalWriter {
    /// Starts the thread.
    pub(super) fn start(
        storage: Arc<Storage>,
        unfinished: Arc<UnfinishedKeys>,
        alarms: Alarms,
    ) -> Self {
        let (changes, queue) = mpsc::channel();
        let closing = Arc::new(AtomicBool::new(false));
        let guarding = alarms.clone();
        let committer = Committer { storage, unfinished, alarms, closing: Arc::clone(&closing) };
        let handle = thread::spawn(move || {
            guarding.guard_thread("the journal's writer", || committer.run(&queue));
        });
        Self(Arc::new(Thread { changes: Some(changes), closing, handle: Some(handle) }))
    }

    /// Hands over a change and waits until it is durable.
    pub(super) async fn write(&self, change: Change) -> Result<(), JournalError> {
        let (sender, done) = oneshot::channel();
        self.send(change, Some(sender))?;
        done.await.map_err(|_| JournalError::Closed)
    }

    /// Hands over a change that nobody waits for.
    pub(super) fn note(&self, change: Change) {
        // Without a thread the next change that is waited for reports it.
        let _ = self.send(change, None);
    }

    fn send(&self, change: Change, waiter: Waiter) -> Result<(), JournalError> {
        let changes = self.0.changes.as_ref().ok_or(JournalError::Closed)?;
        changes.send((change, waiter)).map_err(|_| JournalError::Closed)
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Relaxed);
        drop(self.changes.take());
        if let Some(handle) = self.handle.take() {
            // A panic there was reported to those that waited.
            let _ = handle.join();
        }
    }
}

/// What the thread works with.
struct Committer {
    storage: Arc<Storage>,
    unfinished: Arc<UnfinishedKeys>,
    alarms: Alarms,
    closing: Arc<AtomicBool>,
}

impl Committer {
    fn run(&self, queue: &mpsc::Receiver<(Change, Waiter)>) {
        while let Ok(first) = queue.recv() {
            let mut batch = vec![first];
            batch.extend(queue.try_iter().take(MAX_CHANGES_PER_COMMIT - 1));
            if !self.commit_at_last(&batch) {
                return;
            }
            self.unfinished.follow(batch.iter().map(|(change, _)| change));
            for waiter in batch.into_iter().filter_map(|(_, waiter)| waiter) {
                let _ = waiter.send(());
            }
        }
    }

    /// Commits for as long as it takes; `false` if the journal is closed first.
    fn commit_at_last(&self, batch: &[(Change, Waiter)]) -> bool {
        let mut backoff = Backoff::default();
        let mut trouble = self.alarms.trouble(AlarmKind::JournalFailing);
        loop {
            let begun = Instant::now();
            let outcome = self.storage.with(|database| commit(database, batch));
            metrics::histogram!("agent_journal_commit_seconds")
                .record(begun.elapsed().as_secs_f64());
            let Err(error) = outcome else { return true };
            trouble.report(format!("the journal can't be written, blocks wait for it: {error}"));
            if !self.pause(backoff.next_pause()) {
                return false;
            }
            if let Err(error) = self.storage.reopen() {
                tracing::warn!("{error}");
            }
        }
    }

    /// Waits; `false` if the journal is closed meanwhile.
    fn pause(&self, pause: Duration) -> bool {
        const STEP: Duration = Duration::from_millis(50);
        let end = Instant::now() + pause;
        while Instant::now() < end {
            if self.closing.load(Ordering::Relaxed) {
                return false;
            }
            thread::sleep(STEP);
        }
        true
    }
}

fn commit(database: &Database, batch: &[(Change, Waiter)]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut blocks = transaction.open_table(BLOCKS)?;
        let mut facts = transaction.open_table(FACTS)?;
        let mut marks = transaction.open_table(MARKS)?;
        for (change, _) in batch {
            match change {
                Change::Put { key, record, .. } => {
                    blocks.insert(key.as_slice(), record.as_slice())?;
                }
                Change::Remove(key) => {
                    blocks.remove(key.as_slice())?;
                }
                Change::Fact(name, value) => {
                    facts.insert(name.as_str(), value.as_str())?;
                }
                Change::Mark(entry, Some(mark)) => {
                    marks.insert(entry.as_str(), mark.to_number())?;
                }
                Change::Mark(entry, None) => {
                    marks.remove(entry.as_str())?;
                }
                Change::Nothing => {}
            }
        }
    }
    Ok(transaction.commit()?)
}
