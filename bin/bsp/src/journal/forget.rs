//! `bsp journal forget`: an agent takes a block as new that was handled before.

use super::{FolderArgs, in_use, open};
use crate::{output, stream};
use bsp_agent::journal::{BlockKey, BlockQuery, BlockRecord, Stage};
use clap::Args;
use eyre::{ContextCompat, bail};
use std::{collections::BTreeMap, fmt::Write, process::ExitCode};

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
    blocks: Vec<BlockQuery>,
    /// Also blocks that are in flight. What was done for them is done again, and a transaction that
    /// is under way may be paid for twice.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    folder: FolderArgs,
}

pub(super) fn run(args: &ForgetArgs) -> eyre::Result<ExitCode> {
    let Some(journal) = open(&args.folder.data_dir)? else {
        bail!("{}: stop the agent first", in_use(&args.folder.data_dir));
    };
    let mut known = vec![false; args.blocks.len()];
    let mut found = BTreeMap::new();
    journal.for_each(|record| {
        for (wanted, known) in args.blocks.iter().zip(&mut known) {
            if wanted.matches(&record) {
                *known = true;
                let block = &record.block;
                let order = (block.network_id, block.number, block.hash, record.kind.clone());
                found.insert(order, record.clone());
            }
        }
    })?;
    let is_missing = |(_, known): &(_, &bool)| !**known;
    let missing: Vec<_> =
        args.blocks.iter().zip(&known).filter(is_missing).map(|(it, _)| it.to_string()).collect();
    match &missing[..] {
        [] => {}
        [block] => bail!("block {block} is not in the journal: nothing was forgotten"),
        blocks => {
            bail!("the blocks {} are not in the journal: nothing was forgotten", blocks.join(", "))
        }
    }
    if let Some(record) = found.values().find(|record| !record.stage.is_final() && !args.force) {
        bail!(
            "block {} is in flight ({}), and the agent resumes it at its next start: nothing was forgotten. --force forgets it \
             nevertheless",
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
