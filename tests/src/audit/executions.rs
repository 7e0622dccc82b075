//! The agents' own record of what they executed, as `bsp journal --json` prints it.

use alloy_primitives::B256;
use serde::Deserialize;
use std::collections::HashSet;

/// A line of `bsp journal --json`: what is needed of it here.
#[derive(Debug, Clone, Deserialize)]
struct Line {
    block: Block,
    stage: Stage,
}

#[derive(Debug, Clone, Deserialize)]
struct Block {
    hash: B256,
}

#[derive(Debug, Clone, Deserialize)]
struct Stage {
    stage: String,
    /// A word, or an object for what was executed in part.
    verification: Option<serde_json::Value>,
}

/// The hashes of the blocks that were proved after all of them was executed.
///
/// # Errors
///
/// Where a line is not what `bsp journal --json` prints.
pub fn whole(journal: &str) -> eyre::Result<HashSet<B256>> {
    let mut whole = HashSet::new();
    for line in journal.lines().filter(|line| !line.trim().is_empty()) {
        let Line { block, stage } = serde_json::from_str(line)?;
        let executed = stage.verification.is_some_and(|how| how == "executed");
        if stage.stage == "acknowledged" && executed {
            whole.insert(block.hash);
        }
    }
    Ok(whole)
}
