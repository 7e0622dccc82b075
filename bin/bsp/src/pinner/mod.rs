//! `bsp pinner`: the store of pinned segments.

mod archive;
mod check;
mod list;
mod pins;
mod serve;

use crate::output;
use bsp_codec::dag::Cid;
use clap::{Args, Subcommand};
use eyre::Context;
use pins::Pins;
use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

/// Look into an agent's pinned segments, and change them.
///
/// The store is in the agent's data folder, and a running agent has it to itself. Beside a running
/// agent the commands ask that, at --url.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bsp pinner ls --data-dir /var/lib/bsp-agent/data
  bsp pinner pin segment.avro
  bsp pinner export bafy… --output segment.car
  bsp pinner serve --addr 127.0.0.1:3001")]
pub(crate) struct PinnerArgs {
    #[command(subcommand)]
    command: PinnerCommand,
}

#[derive(Debug, Subcommand)]
enum PinnerCommand {
    Ls(list::LsArgs),
    Pin(PinFileArgs),
    Unpin(UnpinArgs),
    Export(archive::ExportArgs),
    Import(archive::ImportArgs),
    Fsck(check::FsckArgs),
    Gc(check::GcArgs),
    Serve(serve::ServeArgs),
}

/// Whose store.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// The agent's data folder; the store is its sub-folder pins/.
    #[arg(long, value_name = "DIR", default_value = "./bsp-agent-data")]
    data_dir: PathBuf,

    /// Where a running agent serves the store. [default: http://127.0.0.1:3001]
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// File with the token of the running agent, if it has --pinner-token-file.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Pin files, and print their CIDs.
#[derive(Debug, Args)]
struct PinFileArgs {
    /// Files.
    #[arg(required = true)]
    file: Vec<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Unpin what has these CIDs. Its blocks go, unless other pins hold them.
///
/// Exits with 1 if one of them is not pinned.
#[derive(Debug, Args)]
struct UnpinArgs {
    /// CIDs.
    #[arg(required = true)]
    cid: Vec<Cid>,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(crate) fn run(args: &PinnerArgs) -> eyre::Result<ExitCode> {
    match &args.command {
        PinnerCommand::Ls(args) => list::run(args),
        PinnerCommand::Pin(args) => pin(args),
        PinnerCommand::Unpin(args) => unpin(args),
        PinnerCommand::Export(args) => archive::export(args),
        PinnerCommand::Import(args) => archive::import(args),
        PinnerCommand::Fsck(args) => check::fsck(args),
        PinnerCommand::Gc(args) => check::gc(args),
        PinnerCommand::Serve(args) => serve::run(args),
    }
}

fn pin(args: &PinFileArgs) -> eyre::Result<ExitCode> {
    let pins = Pins::open(&args.place)?;
    for path in &args.file {
        let cid = pins.pin_file(path).wrap_err_with(|| path.display().to_string())?;
        output::print(format!("{cid}  {}\n", path.display()).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn unpin(args: &UnpinArgs) -> eyre::Result<ExitCode> {
    let pins = Pins::open(&args.place)?;
    let mut missing = false;
    for cid in &args.cid {
        if !pins.unpin(cid)? {
            output::complain(&format!("{cid} is not pinned"));
            missing = true;
        }
    }
    Ok(if missing { ExitCode::from(output::EXIT_FAILED) } else { ExitCode::SUCCESS })
}

/// Writes to standard output. A reader that has gone away has seen enough.
fn write_out(bytes: &[u8]) -> eyre::Result<()> {
    match io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).wrap_err("cannot write to standard output")
        }
        _ => Ok(()),
    }
}
