//! `bsp prune`: old segment files go.

use crate::{journal, output, stream};
use bsp_agent::{
    UnfinishedSegments,
    config::PINNER_ADDRESS,
    pin::{EmbeddedPinner, IpfsPinner, Pinner},
    segments::{self, PrunePlan, Pruned, SegmentFolder},
};
use bsp_common::text::counted;
use bsp_pinner::store::{Store, StoreError, StoreOptions};
use clap::Args;
use eyre::{Context, ContextCompat};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Remove an agent's old segment files, also while it runs.
///
/// A file goes only if its block is proved or skipped and acknowledged, it was written before the
/// time that --keep-days says, and, if it is proved, the pinner gives its content back. Files that
/// wait for a proof and refused ones stay, and so does what is pinned. An agent that is started
/// with --keep-days does the same once an hour.
///
/// Exits with 1 if files stay that the pinner does not give back.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Keep what is not older than this many days.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    keep_days: u32,

    /// The agent's data folder.
    #[arg(long, value_name = "DIR", default_value = "./bsp-agent-data")]
    data_dir: PathBuf,

    /// The agent's folder of segment files. [default: segments/ of --data-dir]
    #[arg(long, env = "BinaryFilePath", value_name = "FOLDER")]
    binary_file_path: Option<PathBuf>,

    /// The agent's pinner. [default: the store in pins/ of --data-dir, which a running agent is
    /// asked for at http://127.0.0.1:3001/]
    #[arg(long, env = "IpfsPinnerServer", hide_env_values = true, value_name = "URL")]
    ipfs_pinner_server: Option<String>,

    /// Say what would go, and remove nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &PruneArgs) -> eyre::Result<ExitCode> {
    let pinner = pinner(args)?;
    let folder = args.binary_file_path.clone().unwrap_or_else(|| args.data_dir.join("segments"));
    let unfinished = unfinished(&args.data_dir)?;
    let plan =
        PrunePlan { unfinished, dry_run: args.dry_run, ..PrunePlan::older_than(args.keep_days) };
    let segments = SegmentFolder::new(folder);
    let pruned = stream::run(segments::prune(&segments, &*pinner, &plan))??;
    output::print(report(&pruned, args.dry_run, &pinner.name()).as_bytes())?;
    Ok(if pruned.not_pinned > 0 { ExitCode::from(output::EXIT_FAILED) } else { ExitCode::SUCCESS })
}

/// The pinner that is named, or the agent's own store: its files, or, while an agent has them, what
/// that serves.
fn pinner(args: &PruneArgs) -> eyre::Result<Box<dyn Pinner>> {
    if let Some(url) = &args.ipfs_pinner_server {
        let url = url.parse().wrap_err("--ipfs-pinner-server")?;
        return Ok(Box::new(IpfsPinner::new(&url, None).wrap_err("--ipfs-pinner-server")?));
    }
    let folder = args.data_dir.join("pins");
    eyre::ensure!(
        folder.is_dir(),
        "{} is not there: name an agent's --data-dir, or its pinner with --ipfs-pinner-server",
        folder.display()
    );
    match Store::open(&folder, StoreOptions::default()) {
        Ok(store) => Ok(Box::new(EmbeddedPinner::new(store, &folder))),
        Err(StoreError::InUse) => {
            let url = format!("http://{PINNER_ADDRESS}/").parse()?;
            Ok(Box::new(IpfsPinner::new(&url, None)?))
        }
        Err(error) => Err(error).wrap_err_with(|| folder.display().to_string()),
    }
}

/// The segments that an agent still works on: from its journal, or from what it has written while
/// it has the journal open.
fn unfinished(data_dir: &Path) -> eyre::Result<HashSet<bsp_agent::block::SegmentName>> {
    if let Some(journal) = journal::open(data_dir)? {
        return Ok(UnfinishedSegments::of(&journal)?.segments);
    }
    let told = UnfinishedSegments::read(data_dir)
        .wrap_err_with(|| format!("unfinished.json in {}", data_dir.display()))?;
    let told = told.filter(UnfinishedSegments::is_current).wrap_err(
        "the agent runs, and has not said for two hours which blocks are not finished: look at its log, or stop it",
    )?;
    Ok(told.segments)
}

fn report(pruned: &Pruned, dry_run: bool, pinner: &str) -> String {
    let Pruned { removed, bytes, not_pinned, unfinished } = *pruned;
    let (done, mib) = (if dry_run { "would be removed" } else { "removed" }, bytes >> 20);
    let mut text = format!("{} of {mib} MiB {done}\n", counted(removed, "file"));
    text += &match unfinished {
        0 => String::new(),
        1 => "1 file stays: its block is not finished\n".to_owned(),
        _ => format!("{unfinished} files stay: their blocks are not finished\n"),
    };
    text += &match not_pinned {
        0 => String::new(),
        1 => format!("1 file stays: {pinner} does not give its content back\n"),
        _ => format!("{not_pinned} files stay: {pinner} does not give their content back\n"),
    };
    text
}
