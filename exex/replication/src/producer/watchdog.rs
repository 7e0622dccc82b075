//! Compares the tip with the cursors, and does something about a target that stays behind.
//!
//! A tip that stands still is the node's business. It is looked up here as well, so that the lag is
//! true even where every lane waits for something.

use super::{
    Status, TargetState, TargetStatus, lane::lookups::Lookups, pool::Pool,
    report::status::StatusBoard,
};
use alloy_eips::BlockNumHash;
use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

/// What the watchdog remembers.
#[derive(Debug)]
pub(super) struct Watchdog {
    max_behind: u64,
    patience: Duration,
    targets: Vec<Watched>,
}

#[derive(Debug, Clone, Copy)]
struct Watched {
    cursor: Option<BlockNumHash>,
    since: Instant,
    stalled: bool,
}

/// A target's state has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Stalled,
    Moving,
}

impl Watchdog {
    pub(super) fn new(targets: usize, max_behind: u64, patience: Duration) -> Self {
        let watched = Watched { cursor: None, since: Instant::now(), stalled: false };
        Self { max_behind, patience, targets: vec![watched; targets] }
    }

    /// Which targets have begun to be stalled, or are no longer.
    pub(super) fn look(&mut self, now: Instant, status: &Status) -> Vec<(usize, Change)> {
        let mut changes = Vec::new();
        for (index, (watched, target)) in self.targets.iter_mut().zip(&status.targets).enumerate() {
            if target.cursor != watched.cursor || target.lag <= self.max_behind {
                watched.cursor = target.cursor;
                watched.since = now;
            }
            let stalled = now.saturating_duration_since(watched.since) >= self.patience;
            if stalled != watched.stalled {
                watched.stalled = stalled;
                changes.push((index, if stalled { Change::Stalled } else { Change::Moving }));
            }
        }
        changes
    }

    fn is_any_stalled(&self) -> bool {
        self.targets.iter().any(|target| target.stalled)
    }

    /// Looks every so often, for ever.
    pub(super) async fn run(
        &mut self,
        every: Duration,
        lookups: &Lookups,
        pool: &Pool,
        board: &StatusBoard,
        tell: &impl Fn(usize, Change),
    ) -> Infallible {
        loop {
            tokio::time::sleep(every).await;
            match lookups.tip().await {
                Ok(tip) => board.set_tip(tip),
                Err(error) => {
                    tracing::warn!(target: "exex::bsp", %error, "The node's tip can't be read; the watchdog retries");
                }
            }
            let status = board.read();
            for (index, change) in self.look(Instant::now(), &status) {
                tell(index, change);
                board.change(index, |target| target.stalled = change == Change::Stalled);
                if let Some(target) = status.targets.get(index) {
                    log(target, change, status.tip);
                }
            }
            if self.is_any_stalled() {
                // Whoever waits for one of these looks at the chain again.
                pool.give_up_after(self.patience);
            }
        }
    }
}

fn log(target: &TargetStatus, change: Change, tip: Option<BlockNumHash>) {
    let name = &target.target;
    let (tip, cursor) = (tip.map(|tip| tip.number), target.cursor.map(|cursor| cursor.number));
    let why = match (&target.trouble, target.state) {
        (Some(trouble), _) => trouble.as_str(),
        (None, TargetState::WaitingForTarget) => "the target does not answer",
        (None, _) => "no trouble is known; a block may be in execution, which is begun again",
    };
    match change {
        Change::Stalled => tracing::warn!(
            target: "exex::bsp", target = name, ?tip, ?cursor, lag = target.lag, state = ?target.state,
            "The target does not get nearer to the tip: {why}"
        ),
        Change::Moving => {
            tracing::info!(target: "exex::bsp", target = name, ?tip, ?cursor, "The target moves again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    /// A target at a height, with a tip at 100.
    fn status_at(cursor: u64) -> Status {
        let block = |number| Some(BlockNumHash { number, hash: B256::ZERO });
        let board = StatusBoard::of_targets(std::iter::once("there".to_owned()));
        board.set_tip(block(100));
        board.set_cursor(0, cursor + 1, block(cursor));
        board.read()
    }

    #[test]
    fn a_target_that_stays_behind_is_told_once() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut dog = Watchdog::new(1, 64, Duration::from_secs(60));
        assert_eq!(dog.look(at(0), &status_at(10)), []);
        assert_eq!(dog.look(at(59), &status_at(10)), []);
        assert_eq!(dog.look(at(60), &status_at(10)), [(0, Change::Stalled)]);
        assert_eq!(dog.look(at(90), &status_at(10)), []);
        assert_eq!(dog.look(at(91), &status_at(11)), [(0, Change::Moving)]);
        assert_eq!(dog.look(at(200), &status_at(11)), [(0, Change::Stalled)]);
    }

    #[test]
    fn a_target_that_moves_or_is_near_is_not_told() {
        let start = Instant::now();
        let mut dog = Watchdog::new(1, 64, Duration::from_secs(60));
        for second in 0..30 {
            let now = start + Duration::from_secs(second * 100);
            assert_eq!(dog.look(now, &status_at(second)), []);
        }
        for second in 30..60 {
            let now = start + Duration::from_secs(second * 100);
            assert_eq!(dog.look(now, &status_at(36)), [], "a tip that stands still");
        }
    }
}
