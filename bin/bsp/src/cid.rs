//! `bsp cid`: the two names of a file on the network.

use crate::{input, output};
use bsp_codec::{dag, digest};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Print a file's CID and specimen hash.
///
/// The CID is the one that ipfs-pinner and its successor give; the specimen hash is the one that
/// the agent proves, which is not the plain SHA-256 of the file. Both are of the file's bytes as
/// they are, whatever they hold.
#[derive(Debug, Args)]
pub(crate) struct CidArgs {
    /// File; `-` for standard input.
    file: PathBuf,

    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &CidArgs) -> eyre::Result<ExitCode> {
    let bytes = input::read_bounded(&args.file)?;
    let (cid, hash) = (dag::cid_of(&bytes).to_string(), digest::specimen_hash(&bytes));
    let text = if args.json {
        let file = args.file.display().to_string();
        format!("{}\n", serde_json::json!({"file": file, "cid": cid, "specimen_hash": hash}))
    } else {
        format!("CID            {cid}\nspecimen hash  {hash}\n")
    };
    output::print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
