//! `bsp-reth bsp export`: a range of blocks, from the data directory alone.

use bsp_exex::{NodeChain, NodeProvider, TargetList, check_network, kind_of};
use bsp_replication::{
    Chain, DeliverAt, Entry, ProduceError, ProducedBlock, Target, TargetOptions, open_target,
};
use clap::Parser;
use eyre::{Result, WrapErr, bail, eyre};
use futures::{StreamExt, TryStreamExt, stream};
use reth_cli_commands::common::{AccessRights, EnvironmentArgs};
use reth_cli_runner::CliRunner;
use reth_ethereum_cli::chainspec::EthereumChainSpecParser;
use reth_node_ethereum::EthereumNode;
use reth_provider::providers::BlockchainProvider;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How many blocks go to a target at once.
const BATCH: usize = 16;

const NO_DATA: &str = "the data directory can't be read; give the --datadir and --chain of a node that has run before";

/// How often progress is logged.
const PROGRESS: Duration = Duration::from_secs(5);

/// Delivers the blocks of a range to a target, in order, and exits. No node needs to run; one that
/// does is not disturbed, but its last blocks may not be on disk yet. Nothing is remembered: the
/// same range is delivered again by the next call.
#[derive(Debug, Parser)]
pub struct ExportCommand {
    #[command(flatten)]
    env: EnvironmentArgs<EthereumChainSpecParser>,

    /// The first block.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    from: u64,

    /// The last block. By default the highest in the data directory.
    #[arg(long, value_name = "NUMBER")]
    to: Option<u64>,

    /// Where to deliver, with commas between URLs:
    /// `redis[s]://[user:password@]host[:port][/db]?topic=KEY` or `file:///folder`.
    #[arg(
        long,
        env = "BSP_TARGETS",
        hide_env_values = true,
        value_name = "URLS",
        value_parser = bsp_exex::TargetListParser
    )]
    target: TargetList,

    /// Deliver block-specimens. With neither or both of this and `--result`, block-replicas.
    #[arg(long)]
    specimen: bool,

    /// Deliver block-results.
    #[arg(long)]
    result: bool,

    /// How many blocks are executed at once.
    #[arg(long, value_name = "THREADS", value_parser = clap::value_parser!(u16).range(1..=256), default_value_t = 2)]
    workers: u16,
}

impl ExportCommand {
    pub(crate) fn execute(self, runner: CliRunner) -> Result<()> {
        check_network(&self.env.chain)?;
        let environment = self.env.init::<EthereumNode>(AccessRights::RO, runner.runtime());
        let environment = environment.wrap_err(NO_DATA)?;
        let provider = BlockchainProvider::new(environment.provider_factory).wrap_err(NO_DATA)?;
        let kind = kind_of(self.specimen, self.result);
        let chain = Arc::new(NodeChain::new(provider, Arc::clone(&self.env.chain), kind));
        runner.run_until_ctrl_c(self.export(chain))
    }

    async fn export<P: NodeProvider>(self, chain: Arc<NodeChain<P>>) -> Result<()> {
        let last = self.last_block(&*chain)?;
        self.check_first_block(&*chain)?;
        for fork in chain.spec().unknown_forks() {
            warn!(target: "exex::bsp", "This version can't export blocks of the fork {fork}: upgrade bsp-reth for those");
        }
        if self.target.is_empty() {
            bail!("BSP_TARGETS is set but empty, and there is no --target: name one");
        }
        let stop = CancellationToken::new();
        let _stopped = stop.clone().drop_guard();
        let options = TargetOptions::from_env();
        let targets = self.target.iter().map(|url| open_target(url, &options, &stop));
        let mut targets = targets.collect::<Result<Vec<_>, _>>()?;

        // In order, whichever is ready first; at most this many wait for the targets.
        let products = stream::iter(self.from..=last)
            .map(|number| produce(Arc::clone(&chain), number))
            .buffered(self.workers.into())
            .try_ready_chunks(BATCH);
        let mut products = std::pin::pin!(products);
        let mut progress = Progress::new(self.from, last);
        loop {
            match products.try_next().await {
                Ok(Some(batch)) => {
                    deliver(&mut targets, &batch).await?;
                    progress.delivered(&batch);
                }
                Ok(None) => break,
                Err(ready) => {
                    deliver(&mut targets, &ready.0).await?;
                    progress.delivered(&ready.0);
                    return Err(ready.1.wrap_err(progress.stopped()));
                }
            }
        }
        println!("{} blocks delivered, {} to {last}", progress.blocks, self.from);
        Ok(())
    }

    fn last_block(&self, chain: &dyn Chain) -> Result<u64> {
        let tip = chain.tip(DeliverAt::Committed)?.map_or(0, |tip| tip.number);
        let last = self.to.unwrap_or(tip);
        if last > tip {
            bail!(
                "--to is block {last}, but the data directory ends with block {tip}; a running node keeps its last blocks in memory until it stops"
            );
        }
        if self.from > last {
            bail!("--from is block {}, after the last block {last}", self.from);
        }
        Ok(last)
    }

    /// Below it there is nothing that a target could be given.
    fn check_first_block(&self, chain: &dyn Chain) -> Result<()> {
        let first = chain.first_block()?;
        if self.from < first {
            bail!(
                "--from is block {}, and no specimen is defined before London: begin with block {first}",
                self.from
            );
        }
        Ok(())
    }
}

async fn produce<P: NodeProvider>(chain: Arc<NodeChain<P>>, number: u64) -> Result<ProducedBlock> {
    let product = spawn_blocking(move || {
        let hash = chain.hash_at(number)?;
        let hash = hash.ok_or_else(|| eyre!("block {number} is not in the data directory"))?;
        chain.produce((number, hash).into()).map_err(explained)
    });
    product.await?
}

fn explained(error: ProduceError) -> eyre::Report {
    let hint = match &error {
        ProduceError::Pruned { .. } => {
            "begin with a later block, or ask a node that keeps more history"
        }
        ProduceError::NotReady { .. } | ProduceError::Mismatch { .. } => {
            "if a node runs on this data directory, try again; otherwise let it start once and finish its sync"
        }
        _ => return eyre::Report::new(error),
    };
    eyre::Report::new(error).wrap_err(hint)
}

async fn deliver(targets: &mut [Box<dyn Target>], batch: &[ProducedBlock]) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let entries: Vec<Entry> = batch.iter().map(|product| product.entry.clone()).collect();
    for target in targets {
        target.deliver(&entries).await?;
    }
    Ok(())
}

/// How far an export is.
struct Progress {
    begun: Instant,
    shown: Instant,
    first: u64,
    last: u64,
    blocks: u64,
    gas: u64,
}

impl Progress {
    fn new(first: u64, last: u64) -> Self {
        let now = Instant::now();
        Self { begun: now, shown: now, first, last, blocks: 0, gas: 0 }
    }

    fn delivered(&mut self, batch: &[ProducedBlock]) {
        self.blocks += batch.len() as u64;
        self.gas += batch.iter().map(|product| product.gas_used).sum::<u64>();
        if self.shown.elapsed() < PROGRESS {
            return;
        }
        self.shown = Instant::now();
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = self.blocks as f64 / seconds;
        let left = (self.last - self.first + 1).saturating_sub(self.blocks);
        info!(
            target: "exex::bsp",
            blocks = self.blocks,
            left,
            per_second = format!("{rate:.1}"),
            mgas_per_second = format!("{:.1}", self.gas as f64 / 1e6 / seconds),
            seconds_left = (left as f64 / rate).round(),
            "Exporting"
        );
    }

    fn stopped(&self) -> String {
        let next = self.first + self.blocks;
        format!("{} blocks were delivered; go on with --from {next}", self.blocks)
    }
}
