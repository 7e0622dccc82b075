//! What a scenario is.

use super::plan::Plan;
use crate::genesis::DevFork;
use std::fmt;

/// Which part of a block a scenario makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Chooses the fee recipient, once a block.
    FeeRecipient,
    /// Adds transactions.
    Transactions,
    /// Adds withdrawals.
    Withdrawals,
    /// Uses up the gas that is left.
    Filling,
    /// Leaves the block without transactions and withdrawals.
    Empty,
}

/// One way of making execution read state.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name, unique.
    pub name: &'static str,
    /// What it exercises.
    pub exercises: &'static str,
    /// The part of a block that it makes.
    pub part: Part,
    /// The first fork that has what it exercises.
    pub since: DevFork,
    /// How likely it is next to the others of its part.
    pub(super) weight: usize,
    /// Adds it to a block.
    pub(super) plan: fn(&mut Plan<'_>),
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Scenario {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Scenario {}

impl Scenario {
    /// Adds it to a block, unless it does not fit any more. Returns whether it did.
    pub(super) fn run(&self, plan: &mut Plan<'_>) -> bool {
        let adds = matches!(self.part, Part::Transactions | Part::Withdrawals);
        plan.attempt(self.name, adds, self.plan)
    }
}
