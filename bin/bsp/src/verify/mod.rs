//! `bsp verify`: check files from their own bytes.

mod files;
mod left_out;
mod report;
mod supplied;

use crate::{
    format::Format,
    input::Input,
    output::{EXIT_FAILED, EXIT_UNREADABLE},
};
use bsp_capture::{CheckName, CheckResult, Verdict, VerifyOptions};
use bsp_codec::{digest, rlp};
use clap::Args;
use report::Reporter;
use std::{path::PathBuf, process::ExitCode};
use supplied::Supplied;

/// Check segments from their own bytes: header, roots, senders, and by re-execution receipts, gas
/// and read lists.
///
/// Exits with 0 if no check failed, 1 if one did, 2 if a file could not be read. A check that a
/// file does not allow counts as impossible, not as failed; the reason is printed.
///
/// For one file every check has its line. For several, only those that are not ok have one, and a
/// count of the files follows at the end.
///
/// What the network's format leaves out of a block is taken from beside its segment, if it is
/// there: `<segment>-<block hash>.supplement` as the agent keeps it, or, in the segment's folder or
/// up to two above, `supplements/<segment>.supplement` and `authorizations/<segment>.json` as `bsp
/// dev` keeps them.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Segments, as AVRO, RLP, snappy or JSON; `-` for standard input. A folder stands for the
    /// segments in it and below it.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// EIP-7702 authorizations, which the network's format leaves out: JSON, from the index of a
    /// transaction to a list of {chainId, authority, delegate, nonce}. For one file only.
    #[arg(long, value_name = "FILE")]
    authorizations: Option<PathBuf>,

    /// What the network's format leaves out of the block, as the producer writes it beside the
    /// replica. Unlike --authorizations it has signatures, so that everything can be checked. For
    /// one file only.
    #[arg(long, value_name = "FILE", conflicts_with = "authorizations")]
    supplement: Option<PathBuf>,

    /// Genesis file of the chain, where it is not mainnet, Sepolia, Hoodi or the development chain.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,

    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,

    /// Print only the files that failed, and the count at the end.
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,

    /// The files' format, instead of telling it from their first bytes.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

pub(crate) fn run(args: &VerifyArgs) -> eyre::Result<ExitCode> {
    let files = files::named_by(&args.files)?;
    let for_one_block = [
        ("--authorizations", args.authorizations.is_some()),
        ("--supplement", args.supplement.is_some()),
    ];
    for (name, is_given) in for_one_block {
        if is_given && files.len() > 1 {
            eyre::bail!("{name} belongs to one block: give one FILE with it");
        }
    }
    let supplied = Supplied::read(
        args.authorizations.as_deref(),
        args.supplement.as_deref(),
        args.genesis.as_deref(),
    )?;
    let mut reporter = Reporter::new(args.json, args.quiet, files.len());
    for file in &files {
        let read = Input::read(file, args.format)
            .and_then(|input| supplied.left_out_of(&input).map(|left_out| (input, left_out)));
        match read {
            Ok((input, left_out)) => {
                let verdict = verify(&input, supplied.options(&left_out));
                reporter.verdict(&input, &verdict, &left_out)?;
            }
            Err(error) => reporter.unreadable(file, &error)?,
        }
    }
    let counts = reporter.finish()?;
    Ok(ExitCode::from(match (counts.unreadable, counts.failed) {
        (1.., _) => EXIT_UNREADABLE,
        (0, 1..) => EXIT_FAILED,
        (0, 0) => 0,
    }))
}

fn verify(input: &Input, options: VerifyOptions<'_>) -> Verdict {
    match input.format {
        Format::Avro => bsp_capture::verify_segment(&input.segment, &input.bytes, options),
        Format::Rlp => {
            let mut verdict = bsp_capture::verify(&input.segment.replica, options);
            verdict.push(CheckName::Bytes, check_rlp_bytes(input));
            verdict
        }
        // Many byte strings decompress, or parse, to the same content.
        Format::Snappy | Format::Json => bsp_capture::verify(&input.segment.replica, options),
    }
}

fn check_rlp_bytes(input: &Input) -> CheckResult {
    let named = |bytes: &[u8]| format!("sha256 {}", digest::sha256(bytes));
    match rlp::encode_replica(&input.segment.replica, input.profile()) {
        Ok(again) if again == input.bytes => CheckResult::OK,
        Ok(again) => CheckResult::failed(named(&again), named(&input.bytes)),
        Err(error) => CheckResult::failed_by("content that can be encoded", error),
    }
}
