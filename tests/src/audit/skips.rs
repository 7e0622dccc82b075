//! The agents' own record of what they skipped, as `bsp journal --json` prints it.

use super::fed::BlockRef;
use alloy_primitives::B256;
use serde::Deserialize;
use std::collections::HashMap;

/// A line of `bsp journal --json`: what the audit needs of it.
#[derive(Debug, Clone, Deserialize)]
struct Line {
    block: Block,
    kind: String,
    stage: Stage,
}

#[derive(Debug, Clone, Deserialize)]
struct Block {
    network_id: u64,
    number: u64,
    hash: B256,
}

#[derive(Debug, Clone, Deserialize)]
struct Stage {
    stage: String,
    reason: Option<String>,
}

/// The blocks that were skipped, each with its reason.
///
/// # Errors
///
/// Where a line is not what `bsp journal --json` prints.
pub fn read(journal: &str) -> eyre::Result<HashMap<BlockRef, String>> {
    let mut skipped = HashMap::new();
    for line in journal.lines().filter(|line| !line.trim().is_empty()) {
        let Line { block, kind, stage } = serde_json::from_str(line)?;
        if stage.stage == "skipped" {
            let block = BlockRef {
                network_id: block.network_id,
                number: block.number,
                hash: block.hash,
                kind: kind.trim_start_matches("block-").to_owned(),
            };
            skipped.insert(block, stage.reason.unwrap_or_default());
        }
    }
    Ok(skipped)
}
