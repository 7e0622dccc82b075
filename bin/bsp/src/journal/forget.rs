//! `bsp journal forget`: an agent takes a block as new that was handled before.

use super::{FolderArgs, open};
use crate::{output, stream};
use alloy_primitives::B256;
use bsp_agent::journal::{BlockKey, BlockRecord, Stage};
use clap::Args;
use eyre::{ContextCompat, bail};
use std::{collections::BTreeMap, fmt, fmt::Write, process::ExitCode, str::FromStr};

/// Forget blocks, so that the agent takes them as new when they come again: to prove a block once
/// more that it has proved. Blocks that were skipped or refused, or are only in the ledger, are
/// taken up again without this.
///
/// The agent must not be running. Afterwards have the blocks exported again. Their files, pins and
/// proofs stay. Exits with 2, and forgets nothing, if one of the blocks is not in the journal or is
/// in flight.
#[derive(Debug, Args)]
pub(super) struct ForgetArgs {
    /// Heights, or block hashes with 0x. A height means all blocks of that height.
    #[arg(required = true, value_name = "BLOCK|HASH")]
    blocks: Vec<Wanted>,
    /// Also blocks that are in flight. What was done for them is done again, and a transaction that
    /// is under way may be paid for twice.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    folder: FolderArgs,
}

/// What names a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Height(u64),
    Hash(B256),
}

impl FromStr for Wanted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "expected a height, or a block hash with 0x and 64 hex digits";
        match text.strip_prefix("0x") {
            Some(digits) if digits.len() == 64 => text.parse().map(Self::Hash).map_err(|_| wrong),
            Some(_) => Err(wrong),
            None => text.parse().map(Self::Height).map_err(|_| wrong),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Height(number) => write!(f, "{number}"),
            Self::Hash(hash) => write!(f, "{hash}"),
        }
    }
}

impl Wanted {
    fn is(self, record: &BlockRecord) -> bool {
        match self {
            Self::Height(number) => record.block.number == number,
            Self::Hash(hash) => record.block.hash == hash,
        }
    }
}

pub(super) fn run(args: &ForgetArgs) -> eyre::Result<ExitCode> {
    let journal = open(&args.folder.data_dir)?;
    let mut known = vec![false; args.blocks.len()];
    let mut found = BTreeMap::new();
    journal.for_each(|record| {
        for (wanted, known) in args.blocks.iter().zip(&mut known) {
            if wanted.is(&record) {
                *known = true;
                let block = &record.block;
                let order = (block.network_id, block.number, block.hash, record.kind.clone());
                found.insert(order, record.clone());
            }
        }
    })?;
    let missing: Vec<_> =
        args.blocks.iter().zip(&known).filter(|(_, known)| !**known).map(|(it, _)| it).collect();
    if let Some(first) = missing.first() {
        bail!(
            "block {first} is not in the journal ({} of them are not): nothing was forgotten",
            missing.len()
        );
    }
    if let Some(record) = found.values().find(|record| !record.stage.is_final() && !args.force) {
        bail!(
            "block {} is in flight ({}), the agent goes on with it at its next start: nothing was forgotten. --force forgets \
             it all the same",
            record.block,
            record.stage.as_str()
        );
    }
    let mut text = String::new();
    for record in found.values() {
        let key = record.key().wrap_err_with(|| unknown(record))?;
        forget(&journal, key)?;
        writeln!(
            text,
            "forgot {} {}, which was {}",
            record.block,
            record.kind,
            was(&record.stage)
        )?;
    }
    writeln!(
        text,
        "Have them exported again: the agent takes them as new, with the settings it is started with."
    )?;
    output::print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn forget(journal: &bsp_agent::journal::Journal, key: BlockKey) -> eyre::Result<()> {
    Ok(stream::run(journal.remove(key))??)
}

fn unknown(record: &BlockRecord) -> String {
    format!("{} is of the kind {}, which this version does not know", record.block, record.kind)
}

fn was(stage: &Stage) -> String {
    match stage {
        Stage::Acknowledged { proof, .. } => format!("proved by {}", proof.id),
        Stage::Skipped { reason, .. } => format!("skipped: {}", stream::plain(reason)),
        Stage::Refused { reason, .. } => format!("refused: {}", stream::plain(reason)),
        stage => format!("in flight: {}", stage.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_named_by_height_or_hash() {
        let hash = B256::repeat_byte(0xab);
        assert_eq!("17090950".parse(), Ok(Wanted::Height(17_090_950)));
        assert_eq!(hash.to_string().parse(), Ok(Wanted::Hash(hash)));
        for text in
            ["", "0x12", "latest", "-1", &"ab".repeat(32), &format!("0x{}", "zz".repeat(32))]
        {
            assert!(text.parse::<Wanted>().is_err(), "{text}");
        }
    }
}
