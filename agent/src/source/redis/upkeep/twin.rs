//! Notices another process that reads as the same consumer, as one does whose data folder is a copy
//! of this one.
//!
//! Nothing is written for it. Each process refreshes what it holds, without a delivery. So an entry
//! that is pending to this consumer, that this process does not hold, and whose idle time was set
//! back since the last look although it was not delivered again, is held by somebody else.

use crate::source::redis::reply::PendingEntry;
use bsp_stream::StreamId;
use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

/// Looks in a row that a sign is needed in: a server's clock that is set back makes one.
const SIGNS: u32 = 2;

/// Looks in a row without a sign after which the other one is gone.
const CALM_LOOKS: u32 = 4;

/// What was seen at the last look.
#[derive(Debug, Default)]
pub(crate) struct TwinWatch {
    last: Option<Sweep>,
    /// What this process has refreshed since.
    touched: HashSet<StreamId>,
    signs: u32,
    calm: u32,
}

#[derive(Debug)]
struct Sweep {
    answered: Instant,
    /// Entries that this process did not hold, and how often they had been delivered.
    deliveries: HashMap<StreamId, u64>,
}

impl TwinWatch {
    /// Looks at the entries that are pending to this consumer and not held here, which Redis was
    /// asked for at that time. Whether another process holds some.
    pub(crate) fn look<'a>(
        &mut self,
        free: impl Iterator<Item = &'a PendingEntry>,
        asked: Instant,
    ) -> bool {
        let free: Vec<_> = free.collect();
        let sign = self.last.as_ref().is_some_and(|last| {
            let since = asked.saturating_duration_since(last.answered);
            free.iter().any(|row| {
                last.deliveries.get(&row.id) == Some(&row.deliveries)
                    && Duration::from_millis(row.idle_ms) < since
                    && !self.touched.contains(&row.id)
            })
        });
        (self.signs, self.calm) =
            if sign { (self.signs.saturating_add(1), 0) } else { (0, self.calm.saturating_add(1)) };
        self.touched.clear();
        let deliveries = free.iter().map(|row| (row.id, row.deliveries)).collect();
        self.last = Some(Sweep { answered: Instant::now(), deliveries });
        self.signs >= SIGNS
    }

    /// This process has set back the idle time of these since the last look.
    pub(crate) fn touched(&mut self, ids: impl Iterator<Item = StreamId>) {
        self.touched.extend(ids);
    }

    /// Whether there has been no sign for a while.
    pub(crate) const fn is_gone(&self) -> bool {
        self.calm >= CALM_LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn row(id: u64, idle: Duration, deliveries: u64) -> PendingEntry {
        PendingEntry {
            id: StreamId { ms: id, seq: 0 },
            consumer: "one".to_owned(),
            idle_ms: u64::try_from(idle.as_millis()).unwrap(),
            deliveries,
        }
    }

    /// Looks, as if an hour after the last time.
    fn look(watch: &mut TwinWatch, rows: &[PendingEntry]) -> bool {
        watch.look(rows.iter(), Instant::now() + LONG)
    }

    #[test]
    fn who_refreshes_what_is_not_held_here_is_noticed_and_forgotten() {
        let mut watch = TwinWatch::default();
        let refreshed = [row(1, Duration::ZERO, 1)];
        assert!(!look(&mut watch, &refreshed) && !look(&mut watch, &refreshed));
        assert!(look(&mut watch, &refreshed) && !watch.is_gone());
        for _ in 0..CALM_LOOKS {
            assert!(!watch.is_gone());
            assert!(!look(&mut watch, &[row(1, 2 * LONG, 1)]));
        }
        assert!(watch.is_gone());
    }

    #[test]
    fn what_this_process_does_itself_is_no_sign() {
        let mut watch = TwinWatch::default();
        for deliveries in 1..5 {
            // Delivered again.
            assert!(!look(&mut watch, &[row(1, Duration::ZERO, deliveries)]));
        }
        for _ in 0..5 {
            // Claimed, and not delivered yet.
            watch.touched([StreamId { ms: 1, seq: 0 }].into_iter());
            assert!(!look(&mut watch, &[row(1, Duration::ZERO, 4)]));
        }
        for id in 2..6 {
            // New, and on its way.
            assert!(!look(&mut watch, &[row(id, Duration::ZERO, 1)]));
        }
    }
}
