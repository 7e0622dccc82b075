//! Why a target waits, for whoever watches it.

use std::{
    fmt::Display,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// A target's present trouble. All clones show the same, also while
/// [`Target::deliver`](crate::Target::deliver) waits.
#[derive(Debug, Clone, Default)]
pub struct TargetHealth(Arc<HealthState>);

#[derive(Debug, Default)]
struct HealthState {
    trouble: Mutex<Option<String>>,
    retries: AtomicU64,
    /// Another one whose troubles are this one's too.
    other: OnceLock<TargetHealth>,
}

impl TargetHealth {
    /// What keeps the target from taking what it is given, and what to do; `None` while all is
    /// well.
    pub fn trouble(&self) -> Option<String> {
        let own = self.lock().clone();
        own.or_else(|| self.0.other.get()?.trouble())
    }

    /// How many attempts have failed since the target was opened, and were or will be repeated.
    pub fn retries(&self) -> u64 {
        let others = self.0.other.get().map_or(0, Self::retries);
        self.0.retries.load(Ordering::Relaxed) + others
    }

    /// For a target: an attempt has failed and will be repeated. The reason must hold no secret.
    pub fn failed(&self, reason: &impl Display) {
        self.0.retries.fetch_add(1, Ordering::Relaxed);
        self.waits_for(reason);
    }

    /// For a target: nothing has failed, but it waits. The reason must hold no secret.
    pub fn waits_for(&self, reason: &impl Display) {
        *self.lock() = Some(reason.to_string());
    }

    /// For a target: all is well again.
    pub fn recovered(&self) {
        *self.lock() = None;
    }

    /// From now on, and once only: what the other one shows is shown here too.
    pub(crate) fn show_too(&self, other: Self) {
        // It is there already only if a target is opened twice.
        let _ = self.0.other.set(other);
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clone_shows_the_same() {
        let (target, watcher) = {
            let health = TargetHealth::default();
            (health.clone(), health)
        };
        assert_eq!((watcher.trouble(), watcher.retries()), (None, 0));
        target.failed(&"no answer");
        target.failed(&"still none");
        assert_eq!((watcher.trouble().as_deref(), watcher.retries()), (Some("still none"), 2));
        target.waits_for(&"room");
        assert_eq!((watcher.trouble().as_deref(), watcher.retries()), (Some("room"), 2));
        target.recovered();
        assert_eq!((watcher.trouble(), watcher.retries()), (None, 2));
    }
}
