//! The operator's tool for block specimens.

mod agent_http;
mod cid;
mod dead;
mod dev;
mod encode;
mod format;
mod input;
mod inspect;
mod journal;
mod output;
mod pinner;
mod proof_chain;
mod prune;
mod status;
mod stream;
mod verify;
mod words;

use bsp_common::text::with_causes;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What `--version` says; `-V` says the first line alone.
const LONG_VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), "\n", include_str!(concat!(env!("OUT_DIR"), "/build.txt")));

/// What the exit codes mean, whichever command it is.
const EXIT_CODES: &str = "Exit codes: 0 if all is well, 1 if a check failed, an alarm is raised, or \
    a block is not recorded, 2 if a command could not do its work.";

/// Block specimens, results and replicas: look at them, check them, make them.
#[derive(Debug, Parser)]
#[command(name = "bsp", version, long_version = LONG_VERSION, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(verify::VerifyArgs),
    Inspect(inspect::InspectArgs),
    Encode(encode::EncodeArgs),
    Cid(cid::CidArgs),
    Dev(dev::DevArgs),
    Status(status::StatusArgs),
    Dead(dead::DeadArgs),
    Journal(journal::JournalArgs),
    Prune(prune::PruneArgs),
    ProofChain(proof_chain::ProofChainArgs),
    Pinner(pinner::PinnerArgs),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Verify(args) => verify::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Encode(args) => encode::run(&args),
        Command::Cid(args) => cid::run(&args),
        Command::Dev(args) => dev::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Dead(args) => dead::run(&args),
        Command::Journal(args) => journal::run(&args),
        Command::Prune(args) => prune::run(&args),
        Command::ProofChain(args) => proof_chain::run(&args),
        Command::Pinner(args) => pinner::run(&args),
    };
    result.unwrap_or_else(|error| {
        output::complain(&with_causes(error.as_ref()));
        ExitCode::from(output::EXIT_UNREADABLE)
    })
}
