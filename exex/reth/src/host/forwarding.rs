//! Notices when the node has stopped to forward notifications.
//!
//! In reth v2.5.1 one Execution Extension that takes no notifications for long enough ends the
//! forwarding to all of them, until the node is restarted, without a word in the log. Production
//! here does not depend on it; but whoever runs another extension has to know.

use std::time::{Duration, Instant};

/// So many changes of the chain without a notification are no coincidence.
const SILENT_CHANGES: u64 = 32;

/// A burst of changes can be ahead of its notifications, but not for so long.
const SILENT_TIME: Duration = Duration::from_secs(60);

/// Compares the node's canonical-state stream, which does not end, with the notifications that come
/// of it.
#[derive(Debug)]
pub(crate) struct Forwarding {
    changes_since: u64,
    last_notification: Instant,
    is_silent: bool,
}

/// What has changed, to be said once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForwardingChange {
    /// The chain went on for this many changes without a notification.
    Silent(u64),
    /// Notifications have come back.
    Back,
}

impl Forwarding {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { changes_since: 0, last_notification: now, is_silent: false }
    }

    /// A notification arrived.
    pub(crate) const fn notified(&mut self, now: Instant) -> Option<ForwardingChange> {
        self.changes_since = 0;
        self.last_notification = now;
        if std::mem::replace(&mut self.is_silent, false) {
            Some(ForwardingChange::Back)
        } else {
            None
        }
    }

    /// The chain has changed.
    pub(crate) fn chain_changed(&mut self, now: Instant) -> Option<ForwardingChange> {
        self.changes_since += 1;
        let is_overdue = self.changes_since >= SILENT_CHANGES
            && now.duration_since(self.last_notification) >= SILENT_TIME;
        if !is_overdue || std::mem::replace(&mut self.is_silent, true) {
            return None;
        }
        Some(ForwardingChange::Silent(self.changes_since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(watch: &mut Forwarding, count: u64, now: Instant) -> Vec<ForwardingChange> {
        (0..count).filter_map(|_| watch.chain_changed(now)).collect()
    }

    #[test]
    fn silence_is_reported_once_and_its_end_too() {
        let start = Instant::now();
        let mut watch = Forwarding::new(start);
        let later = start + SILENT_TIME;
        assert_eq!(changes(&mut watch, 100, later), [ForwardingChange::Silent(SILENT_CHANGES)]);
        assert_eq!(watch.notified(later), Some(ForwardingChange::Back));
        assert_eq!(watch.notified(later), None);
        let again = later + SILENT_TIME;
        assert_eq!(changes(&mut watch, 100, again), [ForwardingChange::Silent(SILENT_CHANGES)]);
    }

    #[test]
    fn a_burst_or_a_quiet_chain_is_no_silence() {
        let start = Instant::now();
        let mut watch = Forwarding::new(start);
        assert_eq!(changes(&mut watch, 1_000, start + Duration::from_secs(5)), []);
        watch.notified(start);
        let much_later = start + Duration::from_secs(3_600);
        assert_eq!(changes(&mut watch, SILENT_CHANGES - 1, much_later), []);
    }

    #[test]
    fn notifications_in_between_keep_it_calm() {
        let start = Instant::now();
        let mut watch = Forwarding::new(start);
        for minute in 1..100 {
            let now = start + SILENT_TIME * minute;
            assert_eq!(changes(&mut watch, 5, now), []);
            assert_eq!(watch.notified(now), None);
        }
    }
}
