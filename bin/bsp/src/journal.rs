//! `bsp journal`: what an agent has done with each block.

use bsp_agent::{
    alarm::Alarms,
    journal::{BlockRecord, Journal, Stage},
};
use clap::Args;
use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
};

/// Print what an agent has done with each block, from the journal in its data folder. The agent must not be running.
#[derive(Debug, Args)]
pub(crate) struct JournalArgs {
    /// The agent's data folder.
    #[arg(long, value_name = "DIR", default_value = "./bsp-agent-data")]
    data_dir: PathBuf,
    /// Only blocks that are not dealt with.
    #[arg(long)]
    unfinished: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &JournalArgs) -> eyre::Result<ExitCode> {
    let path = args.data_dir.join("journal.redb");
    eyre::ensure!(path.is_file(), "{} is not there: name an agent's --data-dir", path.display());
    let mut records = Vec::new();
    Journal::open(&path, Alarms::default())?.for_each(|record| {
        if !args.unfinished || !record.stage.is_final() {
            records.push(record);
        }
    })?;
    records.sort_by_key(|record| (record.block.network_id, record.block.number, record.block.hash));
    let mut out = BufWriter::new(io::stdout().lock());
    for record in &records {
        if args.json {
            writeln!(out, "{}", serde_json::to_string(record)?)?;
        } else {
            writeln!(out, "{}", line(record))?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn line(record: &BlockRecord) -> String {
    let detail = match &record.stage {
        Stage::Acknowledged { proof, .. } | Stage::ProofConfirmed { proof, .. } => {
            format!("proof {}", proof.id)
        }
        Stage::ProofSent { attempts, .. } => format!("{} attempts", attempts.len()),
        Stage::Skipped { reason, .. } | Stage::Refused { reason, .. } => reason.clone(),
        _ => String::new(),
    };
    let stage = record.stage.as_str();
    format!("{:<15} {} {} {detail}", stage, record.block, record.kind).trim_end().to_owned()
}
