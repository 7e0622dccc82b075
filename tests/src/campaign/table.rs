//! What was done to the agents, counted.

use super::trouble::TroubleKind;
use std::{collections::BTreeMap, fmt};

/// Counts of everything that happened.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Kills at each failpoint.
    pub at_failpoints: BTreeMap<&'static str, u64>,
    /// Kills at any other time, with those whose failpoint was not reached.
    pub at_random: u64,
    /// Failpoints that were not reached in time.
    pub not_reached: u64,
    /// Times of trouble.
    pub troubles: BTreeMap<TroubleKind, u64>,
    /// Starts that the agent gave up on its own, during trouble.
    pub given_up: u64,
    /// Entries fed, by kind.
    pub fed: BTreeMap<&'static str, u64>,
}

impl Table {
    /// All kills.
    pub fn kills(&self) -> u64 {
        self.at_random + self.at_failpoints.values().sum::<u64>()
    }

    /// The failpoints of a list at which nobody died.
    pub fn missed<'a>(&self, failpoints: &[&'a str]) -> Vec<&'a str> {
        failpoints.iter().copied().filter(|name| !self.at_failpoints.contains_key(name)).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | times |\n|---|---:|")?;
        for (name, count) in &self.at_failpoints {
            writeln!(f, "| kill -9 at {name} | {count} |")?;
        }
        writeln!(
            f,
            "| kill -9 at a random time ({} of them in place of a failpoint that was not reached) | {} |",
            self.not_reached, self.at_random
        )?;
        for (kind, count) in &self.troubles {
            writeln!(f, "| {} | {count} |", kind.title())?;
        }
        writeln!(f, "| start given up by the agent during trouble | {} |", self.given_up)?;
        for (kind, count) in &self.fed {
            writeln!(f, "| fed: {kind} | {count} |")?;
        }
        write!(f, "| **kills in all** | **{}** |", self.kills())
    }
}
