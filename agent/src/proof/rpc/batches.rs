//! How many calls an RPC takes in one batch, as far as it has shown.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Refusals before something is concluded from them. One may come from a single server of many
/// behind one URL.
const REFUSALS: u32 = 2;

/// How long what was concluded holds. Then larger batches are tried again.
const MEMORY: Duration = Duration::from_secs(600);

/// The size of batches.
#[derive(Debug)]
pub(super) struct Batches {
    most: usize,
    state: Mutex<BatchState>,
}

#[derive(Debug)]
struct BatchState {
    /// Refusals of batches of `refused` calls or more, since one of that size was taken.
    refusals: u32,
    /// The smallest batch that was refused.
    refused: usize,
    /// What was concluded, and until when it holds.
    learned: Option<(usize, Instant)>,
    /// What the log was told last.
    told: usize,
}

impl Batches {
    /// Batches of at most this many calls.
    pub(super) fn of(most: usize) -> Self {
        let most = most.max(1);
        let state = BatchState { refusals: 0, refused: usize::MAX, learned: None, told: most };
        Self { most, state: Mutex::new(state) }
    }

    /// The most calls in one batch now; 1 for single calls.
    pub(super) fn limit(&self) -> usize {
        let mut state = self.state();
        match state.learned {
            Some((limit, until)) if Instant::now() < until => limit,
            Some(_) => {
                // One refusal confirms what was known.
                state.learned = None;
                state.refusals = REFUSALS - 1;
                self.most
            }
            None => self.most,
        }
    }

    /// A batch was taken. Returns whether that is news.
    pub(super) fn taken(&self, calls: usize) -> bool {
        let mut state = self.state();
        if calls < state.refused {
            return false;
        }
        (state.refusals, state.refused) = (0, usize::MAX);
        let was_limited = state.told < self.most && state.learned.is_none();
        if was_limited {
            state.told = self.most;
        }
        was_limited
    }

    /// A batch was refused, for what it is and not for how many requests there are. Returns the new
    /// limit where it is news.
    pub(super) fn refused(&self, calls: usize) -> Option<usize> {
        let mut state = self.state();
        state.refusals = state.refusals.saturating_add(1);
        state.refused = state.refused.min(calls);
        if state.refusals < REFUSALS {
            return None;
        }
        let known = state.learned.map_or(self.most, |(limit, _)| limit);
        let limit = known.min(calls / 2).max(1);
        state.learned = Some((limit, Instant::now() + MEMORY));
        let is_news = limit != state.told;
        state.told = limit;
        is_news.then_some(limit)
    }

    fn state(&self) -> MutexGuard<'_, BatchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_refusal_is_no_rule_and_two_hold_for_ten_minutes() {
        let batches = Batches::of(100);
        assert_eq!(batches.refused(5), None);
        assert_eq!(batches.limit(), 100);
        assert!(!batches.taken(5));
        assert_eq!(batches.refused(5), None);
        assert_eq!(batches.refused(5), Some(2));
        assert_eq!(batches.refused(2), Some(1));
        assert_eq!(batches.limit(), 1);
        tokio::time::advance(MEMORY).await;
        assert_eq!(batches.limit(), 100);
        // The same again: one refusal is enough for each size, and the end of it is no news.
        assert_eq!(batches.refused(3), None);
        assert_eq!(batches.limit(), 1);
        tokio::time::advance(MEMORY).await;
        assert_eq!(batches.limit(), 100);
        assert!(batches.taken(3));
        assert!(!batches.taken(3));
    }

    /// Small batches between large ones must not hide that the large ones are refused.
    #[test]
    fn a_smaller_batch_that_is_taken_says_nothing_about_larger_ones() {
        let batches = Batches::of(100);
        assert_eq!(batches.refused(40), None);
        assert!(!batches.taken(5));
        assert_eq!(batches.refused(40), Some(20));
        assert!(!batches.taken(20));
        assert_eq!(batches.limit(), 20);
    }
}
