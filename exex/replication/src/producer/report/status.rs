//! What a producer is doing, for people.

use super::metrics::{ChainMetrics, TargetMetrics};
use alloy_eips::BlockNumHash;
use metrics::Gauge;
use serde::Serialize;
use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What a producer is doing.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The highest block that may be delivered.
    pub tip: Option<BlockNumHash>,
    /// The highest canonical block up to which every target has everything from its start block on.
    /// One that has nothing yet counts with the block before its start block, or with the tip while
    /// that is lower.
    pub finished: Option<BlockNumHash>,
    /// Each target.
    pub targets: Vec<TargetStatus>,
}

/// What is happening to a target.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetStatus {
    /// Its URL, without the password.
    pub target: String,
    /// The last canonical block that it has confirmed, with all blocks before it from the start
    /// block on.
    pub cursor: Option<BlockNumHash>,
    /// How many blocks the cursor is behind the tip.
    pub lag: u64,
    /// What it is doing.
    pub state: TargetState,
    /// What keeps it from going on, and what to do, if something does.
    pub trouble: Option<String>,
    /// Whether it is too far behind, and has got no nearer for a while.
    pub stalled: bool,
    /// Entries that it has taken since the start of the process.
    pub delivered: u64,
    /// Entries that it had already, and which were not sent again.
    pub already_delivered: u64,
    /// Blocks left out since the start of the process because their state was pruned, or because no
    /// specimen is defined for them.
    pub skipped: u64,
    /// The last ranges of blocks that were left out, by this process or an earlier one.
    pub skipped_ranges: Vec<SkippedRange>,
    /// Blocks that are passed in a second, while catching up.
    pub blocks_per_second: Option<f64>,
    /// Seconds until the tip is reached at the present rate, while catching up.
    pub seconds_left: Option<u64>,
}

/// Blocks in a row that were left out of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SkippedRange {
    /// The first block.
    pub first: u64,
    /// The last block.
    pub last: u64,
    /// Why: `before_definition`, if no specimen is defined for them; `pruned`, if the node had
    /// deleted their state; `unsupported`, if an earlier version left out what it could not export.
    pub reason: String,
}

impl fmt::Display for SkippedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, reason } = self;
        write!(f, "{first} to {last} ({reason})")
    }
}

/// What a target's lane is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TargetState {
    /// Not begun. If it waits for the node's sync, `trouble` says so.
    Starting,
    /// Has everything up to the tip.
    Following,
    /// Behind the tip, and getting nearer.
    CatchingUp,
    /// The node is behind the cursor, as after a crash, and has to come back to it.
    AheadOfNode,
    /// The next block can't be produced at present.
    WaitingForState,
    /// The target does not take what it is given.
    WaitingForTarget,
    /// Somebody has to do something.
    Stuck,
}

impl TargetStatus {
    const fn starting(target: String) -> Self {
        Self {
            target,
            cursor: None,
            lag: 0,
            state: TargetState::Starting,
            trouble: None,
            stalled: false,
            delivered: 0,
            already_delivered: 0,
            skipped: 0,
            skipped_ranges: Vec::new(),
            blocks_per_second: None,
            seconds_left: None,
        }
    }
}

/// The latest status.
#[derive(Debug)]
pub(crate) struct StatusBoard(Mutex<Board>);

#[derive(Debug)]
struct Board {
    status: Status,
    /// For each target the height that it continues at.
    next: Vec<Option<u64>>,
    /// Set here, because the tip moves on while a lane waits for its target.
    tip_height: Gauge,
    lag_blocks: Vec<Gauge>,
}

impl StatusBoard {
    pub(crate) fn of_targets(names: impl Iterator<Item = String>) -> Self {
        let targets: Vec<_> = names.map(TargetStatus::starting).collect();
        let next = vec![None; targets.len()];
        let tip_height = ChainMetrics::default().tip_height;
        let lag = |target: &TargetStatus| TargetMetrics::of(&target.target).lag_blocks;
        let lag_blocks = targets.iter().map(lag).collect();
        let status = Status { targets, ..Status::default() };
        Self(Mutex::new(Board { status, next, tip_height, lag_blocks }))
    }

    pub(crate) fn read(&self) -> Status {
        self.lock().status.clone()
    }

    pub(crate) fn set_tip(&self, tip: Option<BlockNumHash>) {
        let mut board = self.lock();
        board.status.tip = tip;
        board.set_lags();
    }

    pub(crate) fn set_finished(&self, finished: Option<BlockNumHash>) {
        self.lock().status.finished = finished;
    }

    /// Changes a target's status. `next` is the height that it continues at.
    pub(crate) fn set_cursor(&self, target: usize, next: u64, cursor: Option<BlockNumHash>) {
        let mut board = self.lock();
        if let Some(place) = board.next.get_mut(target) {
            *place = Some(next);
        }
        if let Some(target) = board.status.targets.get_mut(target) {
            target.cursor = cursor;
        }
        board.set_lags();
    }

    pub(crate) fn change(&self, target: usize, change: impl FnOnce(&mut TargetStatus)) {
        if let Some(target) = self.lock().status.targets.get_mut(target) {
            change(target);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn set_lags(&mut self) {
        let Some(tip) = self.status.tip else { return };
        self.tip_height.set(tip.number as f64);
        let targets = self.status.targets.iter_mut().zip(&self.next).zip(&self.lag_blocks);
        for ((target, next), gauge) in targets {
            target.lag = next.map_or(0, |next| tip.number.saturating_add(1).saturating_sub(next));
            gauge.set(target.lag as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn the_lag_follows_tip_and_cursor() {
        let block = |number| Some(BlockNumHash { number, hash: B256::ZERO });
        let board = StatusBoard::of_targets(["a".to_owned(), "b".to_owned()].into_iter());
        board.set_tip(block(20));
        board.set_cursor(0, 16, block(15));
        let lags =
            |board: &StatusBoard| board.read().targets.iter().map(|t| t.lag).collect::<Vec<_>>();
        assert_eq!(lags(&board), [5, 0]);
        board.set_cursor(1, 21, None);
        board.set_tip(block(21));
        assert_eq!(lags(&board), [6, 1]);
    }
}
