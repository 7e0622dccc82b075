//! `bsp-reth bsp export`: a range of blocks, from the data directory alone.

use crate::{data_dir, signals::Signals};
use bsp_common::ByteSize;
use bsp_exex::{NodeChain, NodeProvider, TargetList, check_network, kind_of};
use bsp_replication::{
    Chain, DeliverAt, ExportError, ExportRange, ExportStopped, Exported, FileOptions, ProduceError,
    RedisOptions, TargetOptions, export_range, open_target,
};
use clap::Parser;
use eyre::{Result, WrapErr, bail, eyre};
use reth_cli_commands::common::{AccessRights, EnvironmentArgs};
use reth_cli_runner::CliRunner;
use reth_ethereum_cli::chainspec::EthereumChainSpecParser;
use reth_node_ethereum::EthereumNode;
use reth_provider::providers::BlockchainProvider;
use std::{
    cell::Cell,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often progress is logged.
const PROGRESS: Duration = Duration::from_secs(5);

/// Delivers the blocks of a range to a target, in order, and exits. No node needs to run; one that
/// does is not disturbed, but its last blocks may not be on disk yet. Nothing is remembered: the
/// same range is delivered again by the next call. One that is interrupted fails, and says where to
/// go on.
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

    /// Wait while the stream of a Redis target takes more memory than this; 0 for no limit.
    #[arg(long, value_name = "BYTES", default_value_t = ByteSize(RedisOptions::DEFAULT_BYTE_BUDGET))]
    redis_byte_budget: ByteSize,

    /// Wait while the chunks of a folder take more of its disk than this; 0 for no limit.
    #[arg(long, value_name = "BYTES", default_value_t = ByteSize(0))]
    file_byte_budget: ByteSize,

    /// Wait while the disk of a folder has less free than this; 0 to fill it.
    #[arg(long, value_name = "BYTES", default_value_t = ByteSize(FileOptions::DEFAULT_MIN_FREE))]
    file_min_free: ByteSize,
}

impl ExportCommand {
    pub(crate) fn execute(self, runner: &CliRunner) -> Result<()> {
        check_network(&self.env.chain)?;
        data_dir::check(&self.env.datadir, &self.env.chain)?;
        let environment = self.env.init::<EthereumNode>(AccessRights::RO, runner.runtime());
        let environment = environment.wrap_err(data_dir::UNREADABLE)?;
        let provider = BlockchainProvider::new(environment.provider_factory);
        let provider = provider.wrap_err(data_dir::UNREADABLE)?;
        let kind = kind_of(self.specimen, self.result);
        let chain = Arc::new(NodeChain::new(provider, Arc::clone(&self.env.chain), kind));
        // reth's way of running a command until a signal would report an interrupted one as done.
        runner.block_on(self.export(chain))
    }

    async fn export<P: NodeProvider>(self, chain: Arc<NodeChain<P>>) -> Result<()> {
        let range = self.range(&*chain)?;
        for fork in chain.spec().unknown_forks() {
            warn!(target: "exex::bsp", "This version can't export blocks of the fork {fork}: upgrade bsp-reth for those");
        }
        if self.target.is_empty() {
            bail!("BSP_TARGETS is set but empty, and there is no --target: name one");
        }
        let stop = CancellationToken::new();
        let _stopped = stop.clone().drop_guard();
        let options = self.target_options();
        let targets = self.target.iter().map(|url| open_target(url, &options, &stop));
        let mut targets = targets.collect::<Result<Vec<_>, _>>()?;

        let mut signals = Signals::new()?;
        let progress = Progress::new(range);
        let told = |exported| progress.told(exported);
        let mut export = pin!(export_range(chain, &mut targets, range, &stop, told));
        let done = tokio::select! {
            done = &mut export => done,
            () = signals.next() => {
                warn!(target: "exex::bsp", "The export ends once the delivery in flight has ended; another signal ends it at once");
                stop.cancel();
                tokio::select! {
                    done = &mut export => done,
                    () = signals.next() => Err(progress.interrupted()),
                }
            }
        };
        let exported = done.map_err(explained)?;
        println!("{} blocks delivered, {} to {}", exported.blocks, range.first, range.last);
        Ok(())
    }

    fn target_options(&self) -> TargetOptions {
        let TargetOptions { redis, file } = TargetOptions::from_env().with_limits(
            self.redis_byte_budget.0,
            self.file_byte_budget.0,
            self.file_min_free.0,
        );
        TargetOptions { redis: redis.with_producer_id_of_its_own(), file }
    }

    fn range(&self, chain: &dyn Chain) -> Result<ExportRange> {
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
        // Below it there is nothing that a target could be given.
        let first = chain.first_block()?;
        if self.from < first {
            bail!(
                "--from is block {}, and no specimen is defined before London: begin with block {first}",
                self.from
            );
        }
        Ok(ExportRange { first: self.from, last, workers: self.workers.into() })
    }
}

fn explained(stopped: ExportStopped) -> eyre::Report {
    let hint = match &stopped.reason {
        ExportError::Produce(ProduceError::Pruned { .. }) => {
            "Begin with a later block, or ask a node that keeps more history"
        }
        ExportError::Produce(ProduceError::NotReady { .. } | ProduceError::Mismatch { .. }) => {
            "If a node runs on this data directory, try again; otherwise let it start once and finish its sync"
        }
        _ => return eyre::Report::new(stopped),
    };
    eyre!("{stopped}. {hint}")
}

/// How far an export is, for the log.
struct Progress {
    begun: Instant,
    shown: Cell<Instant>,
    range: ExportRange,
    exported: Cell<Exported>,
}

impl Progress {
    fn new(range: ExportRange) -> Self {
        let now = Instant::now();
        Self { begun: now, shown: Cell::new(now), range, exported: Cell::default() }
    }

    fn told(&self, exported: Exported) {
        self.exported.set(exported);
        if self.shown.get().elapsed() < PROGRESS {
            return;
        }
        self.shown.set(Instant::now());
        let seconds = self.begun.elapsed().as_secs_f64();
        let Exported { blocks, gas } = exported;
        let rate = blocks as f64 / seconds;
        let left = (self.range.last - self.range.first + 1).saturating_sub(blocks);
        info!(
            target: "exex::bsp",
            blocks,
            left,
            per_second = format!("{rate:.1}"),
            mgas_per_second = format!("{:.1}", gas as f64 / 1e6 / seconds),
            seconds_left = (left as f64 / rate).round(),
            "Exporting"
        );
    }

    /// An export whose end is not waited for.
    fn interrupted(&self) -> ExportStopped {
        let exported = self.exported.get();
        let next = self.range.first.saturating_add(exported.blocks);
        ExportStopped { exported, next, reason: ExportError::Interrupted }
    }
}
