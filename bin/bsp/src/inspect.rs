//! `bsp inspect`: what a file holds.

use crate::{format::Format, input::Input, output};
use bsp_codec::{Replica, dag, digest, json};
use clap::Args;
use std::{collections::BTreeMap, fmt::Write, path::PathBuf, process::ExitCode};

/// Show what a segment holds: a summary, or all of it as JSON.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Segment, as AVRO, RLP, snappy or JSON; `-` for standard input.
    file: PathBuf,

    /// Print the whole content as JSON, in the field order of the AVRO layout.
    #[arg(long)]
    json: bool,

    /// The file's format, instead of telling it from its first bytes.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

pub(crate) fn run(args: &InspectArgs) -> eyre::Result<ExitCode> {
    let input = Input::read(&args.file, args.format)?;
    if args.json {
        let mut text = Vec::new();
        json::write_segment_json(&input.segment, &mut text, true)?;
        text.push(b'\n');
        output::print(&text)?;
    } else {
        output::print(summary(&input)?.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(input: &Input) -> eyre::Result<String> {
    let replica = &input.segment.replica;
    let header = &replica.header;
    let avro = input.avro()?;
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "{name:<15} {value}");
    line(
        "file",
        format!("{}, {} bytes of {}", input.path.display(), input.bytes.len(), input.format),
    )?;
    line("kind", format!("{} ({} profile)", replica.kind, input.profile()))?;
    line("network", replica.network_id.to_string())?;
    line("block", header.number.to_string())?;
    line("hash", replica.hash.to_string())?;
    line("parent", header.parent_hash.to_string())?;
    line("timestamp", header.timestamp.to_string())?;
    line("gas used", format!("{} of {}", header.gas_used, header.gas_limit))?;
    line("transactions", transactions(replica))?;
    line("receipts", replica.receipts.len().to_string())?;
    line("uncles", replica.uncles.len().to_string())?;
    line("withdrawals", replica.withdrawals.as_ref().map_or(0, Vec::len).to_string())?;
    let state = &replica.state;
    let code_bytes: usize = state.code_read.iter().map(|row| row.code.len()).sum();
    line("account reads", state.account_read.len().to_string())?;
    line("storage reads", state.storage_read.len().to_string())?;
    line("code reads", format!("{} ({code_bytes} bytes)", state.code_read.len()))?;
    line("blockhash reads", state.blockhash_read.len().to_string())?;
    line("codec version", input.segment.codec_version.to_string())?;
    line("AVRO bytes", avro.len().to_string())?;
    line("specimen hash", digest::specimen_hash(&avro).to_string())?;
    line("CID", dag::cid_of(&avro).to_string())?;
    Ok(text)
}

/// How many transactions there are, by type.
fn transactions(replica: &Replica) -> String {
    let mut by_type = BTreeMap::<u8, usize>::new();
    for tx in &replica.transactions {
        *by_type.entry(tx.tx_type).or_default() += 1;
    }
    let types: Vec<_> =
        by_type.iter().map(|(tx_type, count)| format!("{count} of type {tx_type}")).collect();
    match replica.transactions.len() {
        0 => "0".into(),
        count => format!("{count} ({})", types.join(", ")),
    }
}
