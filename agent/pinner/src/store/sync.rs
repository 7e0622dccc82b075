//! One sync of the disk for all who wait for one.

use super::frame::Place;
use std::{
    fs::File,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// What someone waits for: the log up to a place, as it was since its last recovery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    pub(super) epoch: u64,
    pub(super) upto: Place,
}

#[derive(Debug)]
struct State {
    epoch: u64,
    synced: Place,
    /// Somebody is at it.
    busy: bool,
    failed: bool,
}

/// Who has synced what.
#[derive(Debug)]
pub(super) struct Syncs {
    state: Mutex<State>,
    done: Condvar,
}

impl Syncs {
    /// The log is on disk up to here.
    pub(super) fn new(synced: Place) -> Self {
        let state = State { epoch: 0, synced, busy: false, failed: false };
        Self { state: Mutex::new(state), done: Condvar::new() }
    }

    /// Returns once the log is on disk as far as the ticket says. `end` gives the file to sync and
    /// how far that brings the log.
    pub(super) fn wait(
        &self,
        ticket: Ticket,
        end: impl FnOnce() -> (Arc<File>, Place),
    ) -> io::Result<()> {
        let mut state = self.state();
        loop {
            if state.epoch != ticket.epoch || state.failed {
                return Err(io::Error::other("the disk failed before the content was on it"));
            }
            if state.synced >= ticket.upto {
                return Ok(());
            }
            if !state.busy {
                break;
            }
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.busy = true;
        drop(state);
        let (file, end) = end();
        let result = file.sync_data();
        let mut state = self.state();
        state.busy = false;
        if state.epoch == ticket.epoch {
            match &result {
                Ok(()) => state.synced = state.synced.max(end),
                // What the system had in memory may be lost, and it tells so only once.
                Err(_) => state.failed = true,
            }
        }
        self.done.notify_all();
        result
    }

    /// Notes that the log is on disk up to here.
    pub(super) fn note(&self, synced: Place) {
        let mut state = self.state();
        state.synced = state.synced.max(synced);
    }

    /// Notes that the disk has failed, so that what is not on it for certain may be lost.
    pub(super) fn fail(&self) {
        self.state().failed = true;
        self.done.notify_all();
    }

    /// How far the log is on disk for certain, and whether a sync has failed since.
    pub(super) fn synced(&self) -> (Place, bool) {
        let state = self.state();
        (state.synced, state.failed)
    }

    /// Begins anew after a recovery; older tickets are void. Returns the epoch of new ones.
    pub(super) fn restart(&self, synced: Place) -> u64 {
        let mut state = self.state();
        state.epoch += 1;
        (state.synced, state.failed) = (synced, false);
        self.done.notify_all();
        state.epoch
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
