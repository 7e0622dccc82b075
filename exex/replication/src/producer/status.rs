//! What a producer is doing, for people.

use alloy_eips::BlockNumHash;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};

/// What a producer is doing.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The highest block that may be delivered.
    pub tip: Option<BlockNumHash>,
    /// The highest canonical block up to which every target has everything.
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
    /// The last canonical block that it has confirmed, with all blocks before it from the start block on.
    pub cursor: Option<BlockNumHash>,
    /// How many blocks the cursor is behind the tip.
    pub lag: u64,
    /// What it is doing.
    pub state: TargetState,
    /// What keeps it from going on, and what to do, if something does.
    pub trouble: Option<String>,
    /// Entries that it has taken since the start of the process.
    pub delivered: u64,
    /// Entries that it had already, and which were not sent again.
    pub already_delivered: u64,
    /// Blocks left out because their state was pruned.
    pub skipped: u64,
    /// Seconds until the tip is reached at the present rate, while catching up.
    pub seconds_left: Option<u64>,
}

/// What a target's lane is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TargetState {
    /// Not begun.
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

/// The latest status.
#[derive(Debug, Default)]
pub(super) struct StatusBoard(Mutex<Status>);

impl StatusBoard {
    pub(super) fn read(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
