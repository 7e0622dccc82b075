//! `bsp dev`: the whole pipeline on an embedded chain, in one process, with nothing installed.
//!
//! ```text
//! producer ─► delivery ─► replicas/ or Redis ─► agent ─► segments/, pins, proofs
//!     │           │                                │
//!     └───────────┴────────► progress ◄────────────┘
//! ```

mod agent;
mod authorizations;
mod delivery;
mod display;
mod folder;
mod follow;
mod payloads;
mod producer;
mod progress;
mod second;
mod services;
mod trouble;

use crate::proof_chain::Devnet;
use agent::DevAgent;
use bsp_devchain::{DevChain, DevConfig, DevFork};
use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use delivery::Schedule;
use display::{Display, Places};
use eyre::{Context, bail};
use folder::DevFolder;
use follow::Follower;
use payloads::PayloadFolder;
use producer::Producer;
use progress::Progress;
use second::SecondOperator;
use services::ServiceArgs;
use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    process::{self, ExitCode},
    time::Duration,
};
use tokio::{runtime::Builder, sync::mpsc};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::LevelFilter;
use trouble::Trouble;

/// Time for threads that are writing when everything else has ended.
const THREADS_DEADLINE: Duration = Duration::from_secs(5);
/// What a shell reports of a process that was ended by SIGINT.
const EXIT_INTERRUPTED: i32 = 130;

/// Run a development chain in this process, with a producer and an agent that take every block all
/// the way to its proof.
///
/// The chain lives in memory. Its blocks hold transactions of every type and make execution read
/// state in every way that the read order knows. Each block is captured and encoded, re-executed
/// from its own bytes, and delivered as a producer does; the agent takes it, stores its AVRO
/// segment, pins it, re-executes it from the stored file, and puts its proof on record. Nothing has
/// to be installed: chunk files stand in for Redis, and a ledger for the proof chain. While it runs
/// the pinned segments can be fetched by their CIDs, at http://127.0.0.1:3001/ipfs/CID or, where
/// that port is taken, at the address that the summary of --serve names. The same seed gives the
/// same chain and the same segments, byte for byte. The network's format leaves EIP-7702
/// authorization lists out. They are delivered beside the replicas, so that the agent can
/// re-execute every block, and `bsp verify` finds them in the folder.
///
/// A line is printed when the agent is done with a block. Another run in the same folder makes the
/// same blocks; those that were proved are not delivered again, wherever their proofs went. It
/// fails if a block is not proved, or if an alarm of the agent's lasts for a minute in which no
/// block is finished.
///
/// Ctrl-C, or a termination signal, ends it after the block at hand, and gives those in flight some
/// seconds; a second one ends it at once. Nothing is lost by either: another run continues.
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

    /// Folder for all files: replicas, segments, pinned content, ledger, genesis. Made if it does
    /// not exist.
    #[arg(long, value_name = "FOLDER", default_value = "bsp-dev")]
    data_dir: PathBuf,

    /// The newest fork whose rules the chain follows, from its first block on: cancun, prague or
    /// osaka.
    #[arg(long, value_name = "FORK", default_value_t, value_parser = fork_parser())]
    fork: DevFork,

    /// Also write the chain for another client to follow: `genesis.json`, and in `payloads.jsonl`
    /// one call of engine_newPayload a line. Made if it does not exist.
    #[arg(long, value_name = "FOLDER")]
    payloads: Option<PathBuf>,

    /// When all blocks are made, go on serving their segments until Ctrl-C.
    #[arg(long)]
    serve: bool,

    /// Print warnings of the producer and the agent to standard error.
    #[arg(long)]
    verbose: bool,

    #[command(flatten)]
    services: ServiceArgs,
}

fn fork_parser() -> impl TypedValueParser<Value = DevFork> {
    PossibleValuesParser::new(DevFork::ALL.map(DevFork::name)).try_map(|name| {
        DevFork::ALL.into_iter().find(|fork| fork.name() == name).ok_or("there is no such fork")
    })
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is not a number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

pub(crate) fn run(args: &DevArgs) -> eyre::Result<ExitCode> {
    if args.verbose {
        let log = tracing_subscriber::fmt().with_max_level(LevelFilter::WARN);
        log.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).init();
    }
    let interrupt = stop_on_interrupt()?;
    let runtime =
        Builder::new_multi_thread().enable_all().build().wrap_err("can't start threads")?;
    let result = runtime.block_on(run_pipeline(args, interrupt));
    runtime.shutdown_timeout(THREADS_DEADLINE);
    result.map(|()| ExitCode::SUCCESS)
}

async fn run_pipeline(args: &DevArgs, interrupt: CancellationToken) -> eyre::Result<()> {
    let chain = DevChain::new(args.seed, DevConfig::at(args.fork))?;
    let folder = DevFolder::open(&args.data_dir, chain.genesis())?;
    let payloads = args.payloads.as_deref();
    let payloads = payloads.map(|path| PayloadFolder::open(path, &chain)).transpose()?;
    let stop = CancellationToken::new();
    let target = args.services.open_target(&folder, &stop)?;
    let network = chain.genesis().config.chain_id;
    let devnet = start_devnet(&args.services, network).await?;
    let services = match &devnet {
        Some(devnet) => args.services.with_chain(devnet.operator(0)),
        None => args.services.clone(),
    };
    let config = services.agent_config(&folder)?;
    let earlier = agent::settled(&config)?;
    if devnet.is_some() && !earlier.is_empty() {
        bail!(
            "{} holds blocks of an earlier run, which are proved elsewhere: give another --data-dir for --contract",
            args.data_dir.display()
        );
    }
    let starting = DevAgent::start(config, stop);
    let Some(agent) = interrupt.run_until_cancelled(starting).await else { return Ok(()) };
    let agent = agent?;
    let second = match &devnet {
        Some(devnet) => Some(SecondOperator::start(&services, devnet.operator(1), &folder).await?),
        None => None,
    };

    let schedule = Schedule {
        blocks: args.blocks,
        block_time: args.block_time,
        settled: earlier.keys().copied().collect(),
        interrupt: interrupt.clone(),
    };
    let display = Display::start(args.blocks)?;
    let producer = Producer::new(chain, folder.clone(), payloads);
    let (sender, events) = mpsc::unbounded_channel();
    let follower = Follower {
        producing: tokio::spawn(delivery::run(producer, target, schedule, sender)),
        events,
        agent,
        progress: Progress::new(folder.clone(), earlier),
        trouble: Trouble::new(),
        display: &display,
    };
    let (producer, progress, agent) = follower.run(&interrupt).await?;
    let served = agent.as_ref().filter(|_| args.serve).and_then(DevAgent::pins);
    let places = Places { folder: &folder, services: &services, served };
    let shown = display.finish(progress.totals(), producer.coverage(), &places);
    let mut result = shown;
    if let (Ok(()), Some(devnet), Some(second)) = (&result, devnet, second) {
        result = finish_devnet(devnet, second, progress.totals().proved).await;
    }
    if let Some(mut agent) = agent {
        if args.serve && result.is_ok() {
            result = agent.serve(&interrupt).await;
        }
        agent.stop().await;
    }
    result
}

/// The proof chain of `--contract`.
async fn start_devnet(services: &ServiceArgs, network: u64) -> eyre::Result<Option<Devnet>> {
    if !services.contract {
        return Ok(None);
    }
    Ok(Some(Devnet::start(services.devnet_url(), network).await?))
}

/// Waits for the second operator, and shows what both agree on.
async fn finish_devnet(devnet: Devnet, second: SecondOperator, proved: u64) -> eyre::Result<()> {
    second.finish(proved).await?;
    devnet.finish().await
}

/// A token that the first Ctrl-C or termination signal cancels. The second one ends the process.
fn stop_on_interrupt() -> eyre::Result<CancellationToken> {
    let interrupt = CancellationToken::new();
    let cancelled = interrupt.clone();
    ctrlc::set_handler(move || {
        if cancelled.is_cancelled() {
            process::exit(EXIT_INTERRUPTED);
        }
        cancelled.cancel();
    })
    .wrap_err("cannot watch for Ctrl-C")?;
    Ok(interrupt)
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
