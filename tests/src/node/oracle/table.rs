//! What comparisons found, counted.

use super::cause::{Cause, Violation};
use std::{collections::BTreeMap, fmt};

/// Counts over any number of blocks.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Blocks.
    pub blocks: usize,
    /// Transactions of each type.
    pub transactions: BTreeMap<u8, usize>,
    /// Accounts that are equal in nonce, balance and code hash.
    pub accounts: usize,
    /// Slots that are equal in value.
    pub slots: usize,
    /// Codes that ran or were copied, and are there.
    pub codes: usize,
    /// Differences that are as they should be.
    pub causes: BTreeMap<Cause, usize>,
    /// Differences that nothing explains, with their block.
    pub violations: Vec<(u64, Violation)>,
}

impl Table {
    /// Counts a difference.
    pub fn count(&mut self, cause: Cause) {
        *self.causes.entry(cause).or_default() += 1;
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | count |\n|---|---:|")?;
        writeln!(f, "| blocks | {} |", self.blocks)?;
        for (kind, count) in &self.transactions {
            writeln!(f, "| transactions of type {kind} | {count} |")?;
        }
        writeln!(f, "| accounts equal in nonce, balance and code hash | {} |", self.accounts)?;
        writeln!(f, "| slots equal in value | {} |", self.slots)?;
        writeln!(f, "| codes equal | {} |", self.codes)?;
        for cause in Cause::ALL {
            let count = self.causes.get(&cause).copied().unwrap_or_default();
            writeln!(f, "| {} | {count} |", cause.title())?;
        }
        write!(f, "| **differences that nothing explains** | **{}** |", self.violations.len())?;
        for (block, violation) in self.violations.iter().take(40) {
            write!(f, "\nVIOLATION block {block}: {violation}")?;
        }
        Ok(())
    }
}
