//! `bsp-reth bsp cursors`: how far each target is, of a node that is stopped.

use bsp_exex::BspArgs;
use bsp_replication::{CursorFile, TargetUrl};
use clap::Parser;
use eyre::{Result, bail};
use reth_chainspec::{ChainSpec, EthChainSpec};
use reth_cli::chainspec::ChainSpecParser;
use reth_ethereum_cli::chainspec::EthereumChainSpecParser;
use reth_node_core::args::DatadirArgs;
use std::{
    fmt::Write as _,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

/// Shows how far each target is, and which blocks were left out of it; or resets one target, so
/// that it begins with the start block again. The node has to be stopped: while it runs, ask it for
/// `bsp_status`.
#[derive(Debug, Parser)]
pub struct CursorsCommand {
    #[command(flatten)]
    datadir: DatadirArgs,

    /// The chain of the node: a built-in one, or the path to its genesis file.
    #[arg(
        long,
        value_name = "CHAIN_OR_PATH",
        default_value = EthereumChainSpecParser::default_value(),
        value_parser = EthereumChainSpecParser::parser()
    )]
    chain: Arc<ChainSpec>,

    /// The file of cursors, if it is not bsp/cursors.redb in the data directory.
    #[arg(long, value_name = "FILE")]
    cursors: Option<PathBuf>,

    /// Forget this target, named by its URL or as it is listed. No other target is changed.
    #[arg(long, value_name = "TARGET")]
    reset: Option<String>,

    /// Print a JSON array.
    #[arg(long, conflicts_with = "reset")]
    json: bool,
}

impl CursorsCommand {
    pub(crate) fn execute(self) -> Result<()> {
        let datadir = self.datadir.clone().resolve_datadir(self.chain.chain());
        let args = BspArgs { cursors: self.cursors.clone(), ..BspArgs::default() };
        let file = CursorFile::open(&args.producer_config(datadir.data_dir()).cursors)?;
        let text = match &self.reset {
            Some(target) => reset(&file, target)?,
            None if self.json => format!("{}\n", serde_json::to_string_pretty(&file.targets()?)?),
            None => listed(&file)?,
        };
        print(&text)
    }
}

fn listed(file: &CursorFile) -> Result<String> {
    let mut text = String::new();
    for target in file.targets()? {
        writeln!(text, "{target}")?;
    }
    if text.is_empty() {
        text.push_str("No target has begun.\n");
    }
    Ok(text)
}

fn reset(file: &CursorFile, target: &str) -> Result<String> {
    // Targets are called by their URLs in one way of writing, without password and group.
    let name =
        target.parse::<TargetUrl>().map_or_else(|_| target.to_owned(), |url| url.to_string());
    if !file.reset(&name)? {
        let targets: Vec<_> = file.targets()?.into_iter().map(|target| target.target).collect();
        bail!("{name} has no cursor: these targets have one: {}", targets.join(", "));
    }
    Ok(format!(
        "{name} is reset: it begins with the block of --exex.bsp.start-block when the node starts\n"
    ))
}

/// A reader that wants no more is no error.
fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
