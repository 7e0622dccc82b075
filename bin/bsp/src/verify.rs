//! `bsp verify`: check files from their own bytes.

use crate::{
    input::{self, Format, Input},
    output::{self, EXIT_FAILED, EXIT_UNREADABLE},
};
use alloy_genesis::Genesis;
use bsp_capture::{
    ChainSpec, CheckResult, Outcome, RecoveredAuthorizations, Verdict, VerifyOptions,
};
use bsp_codec::{digest, rlp};
use clap::Args;
use eyre::Context;
use serde::Serialize;
use std::{fmt::Write, path::PathBuf, process::ExitCode};

/// Check segments from their own bytes: header, roots, senders, and by re-execution receipts, gas and read lists.
///
/// Exits with 0 if no check failed, 1 if one did, 2 if a file could not be read. A check that a file does not
/// allow counts as impossible, not as failed; the reason is printed.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Segments, as AVRO, RLP, snappy or JSON; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// EIP-7702 authorizations, which the network's format leaves out: JSON, from the index of a transaction to a list of
    /// {chainId, authority, delegate, nonce}. For one file only.
    #[arg(long, value_name = "FILE")]
    authorizations: Option<PathBuf>,

    /// Genesis file of the chain, where it is not mainnet, Sepolia, Hoodi or the development chain.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,

    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,

    /// The files' format, instead of telling it from their first bytes.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// A line of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    file: String,
    block: u64,
    hash: String,
    verdict: Outcome,
    checks: &'a Verdict,
}

pub(crate) fn run(args: &VerifyArgs) -> eyre::Result<ExitCode> {
    if args.authorizations.is_some() && args.files.len() > 1 {
        eyre::bail!("--authorizations belongs to one block: give one FILE with it");
    }
    let authorizations = args.authorizations.as_deref().map(read_authorizations).transpose()?;
    let spec = args.genesis.as_deref().map(read_genesis).transpose()?;
    let options = VerifyOptions { spec: spec.as_ref(), authorizations: authorizations.as_ref() };

    let (mut failed, mut unreadable) = (false, false);
    for file in &args.files {
        match Input::read(file, args.format) {
            Ok(input) => {
                let verdict = verify(&input, options);
                failed |= verdict.outcome() == Outcome::Failed;
                report(&input, &verdict, args.json)?;
            }
            Err(error) => {
                unreadable = true;
                report_unreadable(file, &error, args.json)?;
            }
        }
    }
    Ok(ExitCode::from(match (unreadable, failed) {
        (true, _) => EXIT_UNREADABLE,
        (false, true) => EXIT_FAILED,
        (false, false) => 0,
    }))
}

fn verify(input: &Input, options: VerifyOptions<'_>) -> Verdict {
    match input.format {
        Format::Avro => bsp_capture::verify_segment(&input.segment, &input.bytes, options),
        Format::Rlp => {
            let mut verdict = bsp_capture::verify(&input.segment.replica, options);
            let again = rlp::encode_replica(&input.segment.replica, input.profile());
            let result = match again {
                Ok(again) if again == input.bytes => CheckResult::OK,
                Ok(again) => CheckResult::failed(
                    format!("sha256 {}", digest::sha256(&again)),
                    format!("sha256 {}", digest::sha256(&input.bytes)),
                ),
                Err(error) => CheckResult::failed("content that can be encoded", error),
            };
            verdict.push(bsp_capture::CheckName::Bytes, result);
            verdict
        }
        // Many byte strings decompress, or parse, to the same content.
        Format::Snappy | Format::Json => bsp_capture::verify(&input.segment.replica, options),
    }
}

fn report(input: &Input, verdict: &Verdict, json: bool) -> eyre::Result<()> {
    let replica = &input.segment.replica;
    let text = if json {
        let report = Report {
            file: input.path.display().to_string(),
            block: replica.header.number,
            hash: replica.hash.to_string(),
            verdict: verdict.outcome(),
            checks: verdict,
        };
        serde_json::to_string(&report)? + "\n"
    } else {
        let (path, number) = (input.path.display(), replica.header.number);
        let outcome = verdict.outcome();
        let header = format!("{path}: {} {number} {}: {outcome}\n", replica.kind, replica.hash);
        header + &human(verdict)?
    };
    output::print(text.as_bytes())
}

/// One line a check; equal results keep it short.
fn human(verdict: &Verdict) -> eyre::Result<String> {
    let mut text = String::new();
    for (name, result) in verdict.checks() {
        match result {
            CheckResult::Ok { reason: None } => writeln!(text, "  {name:<19} ok")?,
            CheckResult::Ok { reason: Some(reason) } => {
                writeln!(text, "  {name:<19} ok ({reason})")?;
            }
            CheckResult::Impossible { reason } => {
                writeln!(text, "  {name:<19} impossible: {reason}")?;
            }
            CheckResult::Failed { expected, got, first_difference } => {
                writeln!(text, "  {name:<19} FAILED: expected {expected}, got {got}")?;
                if let Some(difference) = first_difference {
                    writeln!(text, "  {:<19} first difference: {difference}", "")?;
                }
            }
        }
    }
    Ok(text)
}

fn report_unreadable(file: &std::path::Path, error: &eyre::Report, json: bool) -> eyre::Result<()> {
    if json {
        let line = serde_json::json!({
            "file": file.display().to_string(),
            "error": format!("{error:#}"),
        });
        output::print(format!("{line}\n").as_bytes())
    } else {
        eprintln!("bsp: {error:#}");
        Ok(())
    }
}

fn read_authorizations(path: &std::path::Path) -> eyre::Result<RecoveredAuthorizations> {
    RecoveredAuthorizations::from_json(&input::read_bounded(path)?)
        .wrap_err_with(|| path.display().to_string())
}

fn read_genesis(path: &std::path::Path) -> eyre::Result<ChainSpec> {
    let genesis: Genesis = serde_json::from_slice(&input::read_bounded(path)?)
        .wrap_err_with(|| format!("{} is not a genesis file", path.display()))?;
    Ok(ChainSpec::from_genesis(&genesis))
}
