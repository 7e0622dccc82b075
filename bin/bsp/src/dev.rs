//! `bsp dev`: the whole pipeline on an embedded chain, with nothing installed.

mod authorizations;
mod display;
mod folder;
mod pipeline;

use bsp_capture::ChainSpec;
use bsp_devchain::{DevChain, DevConfig};
use clap::Args;
use display::Display;
use eyre::Context;
use folder::DevFolder;
use pipeline::Pipeline;
use std::{
    path::PathBuf,
    process::ExitCode,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

/// Run a development chain in this process and make a verified block replica of every block.
///
/// The chain lives in memory. Its blocks hold transactions of every type and make execution read state in every way that
/// the read order knows. Each block is captured, encoded to an AVRO segment, re-executed from that segment's own bytes, and
/// only then written to the data folder. The same seed gives the same chain and the same files, byte for byte.
/// The network's format leaves EIP-7702 authorization lists out: they lie beside, for `bsp verify --authorizations`.
///
/// Ctrl-C, or a termination signal, ends it after the block at hand.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// How many blocks to make; without it, until Ctrl-C.
    #[arg(long, value_name = "N")]
    blocks: Option<u64>,

    /// What the chain's contents are derived from.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Seconds between two blocks, for instance 12 or 0.25; 0 makes them as fast as possible.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = parse_seconds)]
    block_time: Duration,

    /// Folder for the segments and the chain's genesis file. Made if it does not exist.
    #[arg(long, value_name = "FOLDER", default_value = "bsp-dev")]
    data_dir: PathBuf,
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

pub(crate) fn run(args: &DevArgs) -> eyre::Result<ExitCode> {
    let chain = DevChain::new(args.seed, DevConfig::default())?;
    let folder = DevFolder::open(&args.data_dir, chain.genesis())?;
    let stop = stop_on_interrupt()?;
    let display = Display::start(args.blocks, folder.path())?;
    let mut pipeline = Pipeline::new(chain, ChainSpec::dev(), folder);

    while args.blocks.is_none_or(|wanted| pipeline.totals().blocks < wanted) {
        let begun = Instant::now();
        let made = pipeline.advance()?;
        display.block(&made)?;
        let is_last = args.blocks == Some(pipeline.totals().blocks);
        let rest =
            if is_last { Duration::ZERO } else { args.block_time.saturating_sub(begun.elapsed()) };
        if interrupted_within(&stop, rest) {
            break;
        }
    }
    display.finish(pipeline.totals(), pipeline.coverage())?;
    Ok(ExitCode::SUCCESS)
}

/// A channel that gets a message for each Ctrl-C or termination signal.
fn stop_on_interrupt() -> eyre::Result<Receiver<()>> {
    let (sender, receiver) = mpsc::channel();
    // The receiver is gone once the command is over; then there is nothing left to stop.
    ctrlc::set_handler(move || _ = sender.send(())).wrap_err("cannot watch for Ctrl-C")?;
    Ok(receiver)
}

/// Waits, and tells whether to stop. A zero wait only looks.
fn interrupted_within(stop: &Receiver<()>, rest: Duration) -> bool {
    !matches!(stop.recv_timeout(rest), Err(RecvTimeoutError::Timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_have_a_fraction() {
        assert_eq!(parse_seconds("0.25"), Ok(Duration::from_millis(250)));
        assert!(
            parse_seconds("-1").is_err()
                && parse_seconds("NaN").is_err()
                && parse_seconds("x").is_err()
        );
    }
}
