//! `bsp encode`: what the agent makes of a stream entry.

use crate::{format::Format, input::Input, output};
use bsp_codec::{Profile, avro};
use clap::{Args, ValueEnum};
use std::{
    io::{IsTerminal, stdout},
    path::PathBuf,
    process::ExitCode,
};

/// Encode a replica (RLP or snappy, as in a stream entry, or JSON) to an AVRO segment.
#[derive(Debug, Args)]
pub(crate) struct EncodeArgs {
    /// Replica; `-` for standard input.
    file: PathBuf,

    /// Where to write the segment, by default standard output. The file appears whole or not at
    /// all.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Which bytes to write where the network's and better ones differ.
    #[arg(long, value_enum, default_value_t = ProfileArg::Network)]
    profile: ProfileArg,

    /// The input's format, instead of telling it from its first bytes.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// The names of the profiles.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProfileArg {
    /// Byte for byte what the network's agent writes.
    Network,
    /// With EIP-7702 authorization lists where the input has them. Never prove such a file.
    Complete,
}

pub(crate) fn run(args: &EncodeArgs) -> eyre::Result<ExitCode> {
    let input = Input::read(&args.file, args.format)?;
    let profile = match args.profile {
        ProfileArg::Network => Profile::Network,
        ProfileArg::Complete => Profile::Complete,
    };
    let bytes = avro::encode_segment(&input.segment, profile)?;
    match &args.output {
        Some(path) => output::write_file(path, &bytes)?,
        None if stdout().is_terminal() => {
            eyre::bail!("an AVRO segment is binary: name a file with --output, or redirect")
        }
        None => output::print(&bytes)?,
    }
    Ok(ExitCode::SUCCESS)
}
