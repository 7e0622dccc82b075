//! `bsp journal`: what an agent has done with each block.

mod forget;

use bsp_agent::{
    alarm::Alarms,
    journal::{BlockRecord, Journal, JournalError, Stage},
};
use clap::{Args, Subcommand};
use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Print what an agent has done with each block, from the journal in its data folder. The agent
/// must not be running.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct JournalArgs {
    #[command(subcommand)]
    command: Option<JournalCommand>,
    #[command(flatten)]
    folder: FolderArgs,
    /// Only blocks that are not finished.
    #[arg(long)]
    unfinished: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum JournalCommand {
    Forget(forget::ForgetArgs),
}

/// Whose journal.
#[derive(Debug, Args)]
struct FolderArgs {
    /// The agent's data folder.
    #[arg(long, value_name = "DIR", default_value = "./bsp-agent-data")]
    data_dir: PathBuf,
}

pub(crate) fn run(args: &JournalArgs) -> eyre::Result<ExitCode> {
    match &args.command {
        Some(JournalCommand::Forget(forget)) => forget::run(forget),
        None => print(args),
    }
}

/// Opens a journal that is there, and that no agent has open.
fn open(data_dir: &Path) -> eyre::Result<Journal> {
    let path = data_dir.join("journal.redb");
    eyre::ensure!(path.is_file(), "{} is not there: name an agent's --data-dir", path.display());
    Journal::open(&path, Alarms::default()).map_err(|error| match error {
        JournalError::InUse { path } => eyre::eyre!(
            "{} is in use by a running agent: stop the agent first, `bsp status` shows what it does while it runs",
            path.display()
        ),
        error => error.into(),
    })
}

fn print(args: &JournalArgs) -> eyre::Result<ExitCode> {
    let mut records = Vec::new();
    open(&args.folder.data_dir)?.for_each(|record| {
        if !args.unfinished || !record.stage.is_final() {
            records.push(record);
        }
    })?;
    records.sort_by_key(|record| (record.block.network_id, record.block.number, record.block.hash));
    match write(&records, args.json) {
        // A reader that has gone away (`bsp journal | head`) has seen enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn write(records: &[BlockRecord], json: bool) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for record in records {
        if json {
            writeln!(out, "{}", serde_json::to_string(record)?)?;
        } else {
            writeln!(out, "{}", line(record))?;
        }
    }
    out.flush()
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
