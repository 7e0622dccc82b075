//! Which entries are in flight in this process.

use bsp_stream::StreamId;
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The entries in flight, which nobody is given a second time, and those that were released a short
/// time ago.
#[derive(Debug, Default)]
pub(crate) struct InFlightEntries(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    held: HashSet<StreamId>,
    released: HashMap<StreamId, Released>,
}

#[derive(Debug, Clone, Copy)]
struct Released {
    since: Instant,
    /// Whether Redis counts its deliveries again.
    is_recounted: bool,
}

impl InFlightEntries {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an entry; false if it is in flight already.
    pub(crate) fn take(&self, id: StreamId) -> bool {
        let mut entries = self.entries();
        entries.released.remove(&id);
        entries.held.insert(id)
    }

    /// Whether an entry may be taken that is pending to this consumer: not while it is in flight,
    /// nor for a time after it was released.
    pub(crate) fn may_take(&self, id: StreamId, rest: Duration) -> bool {
        let mut entries = self.entries();
        entries.released.retain(|_, released| released.since.elapsed() < rest);
        !entries.held.contains(&id) && !entries.released.contains_key(&id)
    }

    /// Those in flight, in their order.
    pub(crate) fn held(&self) -> Vec<StreamId> {
        let mut ids: Vec<_> = self.entries().held.iter().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Whether an entry is in flight.
    pub(crate) fn holds(&self, id: StreamId) -> bool {
        self.entries().held.contains(&id)
    }

    /// The entry is settled.
    pub(crate) fn settle(&self, id: StreamId) {
        self.entries().held.remove(&id);
    }

    /// The entry is no longer in flight, and not settled.
    pub(crate) fn release(&self, id: StreamId) {
        let mut entries = self.entries();
        if entries.held.remove(&id) {
            let released = Released { since: Instant::now(), is_recounted: false };
            entries.released.insert(id, released);
        }
    }

    /// Those that were released and whose deliveries Redis does not count again yet.
    pub(crate) fn to_recount(&self) -> HashSet<StreamId> {
        let entries = self.entries();
        let waiting = entries.released.iter().filter(|(_, released)| !released.is_recounted);
        waiting.map(|(id, _)| *id).collect()
    }

    /// Redis counts the entry's deliveries again.
    pub(crate) fn recounted(&self, id: StreamId) {
        if let Some(released) = self.entries().released.get_mut(&id) {
            released.is_recounted = true;
        }
    }

    /// The entry has rested long enough by Redis' own clock.
    pub(crate) fn forget_release(&self, id: StreamId) {
        self.entries().released.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_taken_once_until_it_is_released_and_has_rested() {
        let (in_flight, id) = (InFlightEntries::default(), StreamId { ms: 1, seq: 0 });
        let long = Duration::from_secs(3600);
        assert!(in_flight.may_take(id, long) && in_flight.take(id));
        assert!(!in_flight.may_take(id, Duration::ZERO) && !in_flight.take(id));
        in_flight.release(id);
        assert!(!in_flight.holds(id) && !in_flight.may_take(id, long));
        assert!(in_flight.may_take(id, Duration::ZERO));
        assert!(in_flight.take(id));
        in_flight.release(id);
        in_flight.forget_release(id);
        assert!(in_flight.may_take(id, long));
    }

    #[test]
    fn a_settled_entry_is_not_in_hand() {
        let (in_flight, id) = (InFlightEntries::default(), StreamId { ms: 1, seq: 0 });
        in_flight.take(id);
        assert_eq!(in_flight.held(), [id]);
        in_flight.settle(id);
        in_flight.release(id);
        assert!(in_flight.held().is_empty() && in_flight.may_take(id, Duration::from_secs(1)));
    }
}
