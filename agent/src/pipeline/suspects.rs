//! Messages that may have ended the process.
//!
//! What ends a process at once (no memory left, a stack that overflows) leaves no error to judge a
//! message by. So after an end that was none by intention, each message is marked in the journal
//! for as long as its bytes are worked on; a mark that is found at the next start tells that the
//! process ended meanwhile. A message with some such ends behind it is handled alone, with all of
//! the memory and all cores, and so cleared of the others' guilt or convicted; in the end it goes
//! to the dead letters.
//!
//! A source's own count of deliveries is of no use for that: it grows as well with each restart and
//! release.

use crate::{
    journal::{Journal, JournalError, Mark},
    source::EntryId,
};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Ends from which on a message is handled alone.
const ALONE_AFTER: u32 = 3;
/// Ends after which a message is given up: five of them alone. A host that kills the process for
/// other reasons, again and again, would make any slow message look guilty of fewer.
const GIVEN_UP_AFTER: u32 = 8;
/// The first end of all leaves no marks.
const UNMARKED_ENDS: u32 = 1;

/// The journal's fact about how the process before this one ended.
const LAST_END: &str = "last_end";
const ORDERLY: &str = "orderly";
const NONE_YET: &str = "none yet";

/// The messages under suspicion.
#[derive(Debug)]
pub(super) struct Suspects {
    journal: Journal,
    /// Ends of processes for each entry.
    ends: Mutex<HashMap<EntryId, u32>>,
    /// Messages that are still to be marked.
    to_mark: AtomicUsize,
    /// Messages that may have been in flight when a process ended.
    most_in_work: usize,
}

/// Begins the reason for which a message is given up.
const ENDED: &str = "the process ended while it was in flight";

/// Whether a block was refused for that. Then its bytes are better not worked on once more.
pub(super) fn is_given_up(reason: &str) -> bool {
    reason.starts_with(ENDED)
}

/// A message that is watched. To drop it is to tell that the process has outlived it.
#[derive(Debug, Default)]
pub(super) struct Watched {
    mark: Option<(Arc<Suspects>, EntryId)>,
    /// Those that marks tell of.
    marked_ends: u32,
}

impl Watched {
    const fn ends(&self) -> u32 {
        if self.marked_ends == 0 { 0 } else { self.marked_ends + UNMARKED_ENDS }
    }

    /// Whether no other message may be in flight beside it.
    pub(super) const fn is_alone(&self) -> bool {
        self.ends() >= ALONE_AFTER
    }

    /// Why it is given up, if it is.
    pub(super) fn given_up(&self) -> Option<String> {
        let ends = self.ends();
        (ends >= GIVEN_UP_AFTER).then(|| {
            format!("{ENDED}, {ends} times, the last of them with no other message in flight")
        })
    }

    /// Its bytes are worked on from now on. On return its mark, if it needs one, is on disk.
    pub(super) async fn begin(&self) {
        self.write(true).await;
    }

    /// The process has outlived that.
    pub(super) async fn end(&self) {
        self.write(false).await;
    }

    async fn write(&self, in_flight: bool) {
        if let Some((suspects, entry)) = &self.mark {
            let mark = Mark { ends: self.marked_ends, in_flight };
            // An error means that the journal is closed, and nothing more will be done.
            let _ = suspects.journal.mark(entry, mark).await;
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // A panic ends the agent, so the message may be what ends it each time.
        if let Some((suspects, entry)) = self.mark.take()
            && !std::thread::panicking()
        {
            suspects.lock().remove(&entry);
            suspects.journal.note_mark(&entry, None);
        }
    }
}

impl Suspects {
    pub(super) fn new(journal: Journal, max_open_blocks: usize) -> Self {
        let most_in_work = max_open_blocks.saturating_mul(4).max(256);
        Self { journal, ends: Mutex::default(), to_mark: AtomicUsize::new(0), most_in_work }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<EntryId, u32>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the marks of the process before this one.
    pub(super) async fn begin(&self) -> Result<(), JournalError> {
        let last_end = self.journal.fact(LAST_END)?;
        let was_orderly = last_end.as_deref().is_none_or(|end| end == ORDERLY);
        for (entry, mark) in self.journal.marks()? {
            let ends = mark.ends + u32::from(mark.in_flight && !was_orderly);
            self.journal.note_mark(&entry, Some(Mark { ends, in_flight: false }));
            self.lock().insert(entry, ends);
        }
        if !was_orderly {
            self.to_mark.store(self.most_in_work, Ordering::Relaxed);
        }
        self.journal.set_fact(LAST_END, NONE_YET).await
    }

    /// The process ends by intention. The journal writes that before it is closed, if the disk
    /// takes it.
    pub(super) fn end(&self) {
        self.journal.note_fact(LAST_END, ORDERLY);
    }

    /// Watches a message from now on.
    pub(super) fn watch(self: &Arc<Self>, entry: &EntryId) -> Watched {
        let ends = self.lock().get(entry).copied();
        let one_less = |left: usize| left.checked_sub(1);
        let marking =
            self.to_mark.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok();
        if ends.is_none() && !marking {
            return Watched::default();
        }
        let mark = Some((Arc::clone(self), entry.clone()));
        Watched { mark, marked_ends: ends.unwrap_or(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::Alarms;
    use std::path::Path;
    use tempfile::TempDir;

    async fn process(folder: &Path) -> Arc<Suspects> {
        let journal = Journal::open(&folder.join("journal"), Alarms::default()).unwrap();
        let suspects = Arc::new(Suspects::new(journal, 64));
        suspects.begin().await.unwrap();
        suspects
    }

    fn entry(id: u32) -> EntryId {
        EntryId(format!("{id}-0"))
    }

    /// Leaves the mark, as a process does that is killed while it works on the message.
    async fn killed(mut watched: Watched) -> (bool, bool) {
        watched.begin().await;
        watched.mark = None;
        (watched.is_alone(), watched.given_up().is_some())
    }

    #[tokio::test]
    async fn a_message_that_ends_the_process_is_alone_after_three_ends_and_given_up_after_eight() {
        let folder = TempDir::new().unwrap();
        let (mut guilty, mut innocent) = (Vec::new(), Vec::new());
        for _ in 0..9 {
            let suspects = process(folder.path()).await;
            let first = suspects.watch(&entry(1));
            let second = suspects.watch(&entry(2));
            innocent.push(second.is_alone());
            // Beside one that is alone nothing is in flight: the other one is done before.
            if first.is_alone() {
                drop(second);
            } else {
                assert!(!killed(second).await.1);
            }
            guilty.push(killed(first).await);
        }
        let (beside, alone, given_up) = ((false, false), (true, false), (true, true));
        assert_eq!(guilty[..3], [beside; 3]);
        assert_eq!(guilty[3..8], [alone; 5]);
        assert_eq!(guilty[8..], [given_up]);
        assert_eq!(innocent, [false, false, false, true, false, false, false, false, false]);
    }

    #[tokio::test]
    async fn an_end_by_intention_is_nobodys_guilt_and_needs_no_marks() {
        let folder = TempDir::new().unwrap();
        for _ in 0..8 {
            let suspects = process(folder.path()).await;
            let watched = suspects.watch(&entry(1));
            assert!(watched.mark.is_none() && !watched.is_alone());
            suspects.end();
        }
        // Nor is one that is told to stop while a message is marked.
        drop(process(folder.path()).await);
        for _ in 0..8 {
            let suspects = process(folder.path()).await;
            let watched = suspects.watch(&entry(1));
            assert_eq!(killed(watched).await, (false, false));
            suspects.end();
        }
    }

    #[tokio::test]
    async fn an_end_after_the_work_on_its_bytes_is_not_its_guilt() {
        let folder = TempDir::new().unwrap();
        for _ in 0..8 {
            let suspects = process(folder.path()).await;
            let mut watched = suspects.watch(&entry(1));
            assert!(!watched.is_alone());
            watched.begin().await;
            watched.end().await;
            watched.mark = None;
        }
    }
}
