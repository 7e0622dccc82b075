//! What the producer costs the node: the same blocks for a node without it, for one with it, and
//! for one where it is registered with the node's manager of Execution Extensions too, in turns.

mod arrivals;
mod usage;

pub use usage::{Usage, percentile};

use super::{
    block::EngineBlock,
    engine::ForkChoice,
    launch::{Blocks, NodeLaunch},
    process::Node,
    program,
};
use crate::{messages::dev::DevBlocks, servers::redis::RedisServer, wait::wait_for};
use alloy_primitives::B256;
use arrivals::Arrivals;
use bsp_devchain::DevConfig;
use std::{
    cell::Cell,
    collections::HashMap,
    time::{Duration, Instant},
};
use usage::{Total, memory, processor_time};

/// How long deliveries may take.
const DEADLINE: Duration = Duration::from_secs(600);

/// reth's own measure of what its engine does for a fork choice.
const FORK_CHOICE: &str = "reth_consensus_engine_beacon_forkchoice_updated_latency";

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct CostPlan {
    /// What the blocks are derived from.
    pub seed: u64,
    /// How many blocks are imported by each node, but for the first turn, in which a node does what
    /// it does once.
    pub blocks: usize,
    /// How many of them in one turn.
    pub turn: usize,
    /// How many scenarios a block has at most.
    pub scenarios: usize,
    /// The blocks' gas limit.
    pub gas_limit: u64,
    /// Time from one block to the next, at least.
    pub interval: Duration,
}

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    /// Of the node without the producer, of the one with it, and of the one where it is registered.
    pub usage: [Usage; 3],
    /// What was imported meanwhile.
    pub load: Load,
    /// How long it took to deliver the whole chain afterwards.
    pub backfill: Duration,
    /// Times of the imports in the meantime.
    pub imports_meanwhile: Vec<Duration>,
    /// The whole chain.
    pub chain: Load,
}

/// Some blocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    /// How many they are.
    pub blocks: usize,
    /// Their gas.
    pub gas: u64,
    /// Their transactions.
    pub transactions: usize,
}

/// A node, what it used, and when its blocks were canonical.
#[derive(Debug)]
struct Runner {
    node: Node,
    /// At the topic that it delivers to, if it does.
    arrivals: Option<Arrivals>,
    usage: Usage,
    committed: HashMap<B256, Instant>,
    fork_choices: Total,
}

/// Measures.
///
/// # Errors
///
/// Where a node does not follow, or never delivers.
pub async fn measure(plan: CostPlan) -> eyre::Result<Cost> {
    let folder = tempfile::tempdir()?;
    let redis = RedisServer::start().await?;
    let config = DevConfig {
        scenarios_per_block: plan.scenarios,
        gas_limit: plan.gas_limit,
        ..DevConfig::default()
    };
    let mut maker = DevBlocks::with_config(plan.seed, config)?;
    let launch = |name: &str| {
        let genesis = maker.chain().genesis();
        NodeLaunch::new(program::require()?, folder.path().join(name), genesis, Blocks::Driven)
    };
    let delivering = |launch: NodeLaunch, topic: &str| {
        let target = format!("redis://{}/0?topic={topic}", redis.address());
        launch
            .with_args(["--exex.bsp", "--exex.bsp.start-block", "genesis"])
            .and_args(["--exex.bsp.targets", &target])
    };
    let registered =
        delivering(launch("registered")?, "registered").and_args(["--exex.bsp.register", "always"]);
    let without = launch("without")?;
    let mut runners = [
        Runner::start(&without, None).await?,
        Runner::start(&delivering(launch("with")?, "live"), Some(Arrivals::watch(&redis, "live")?))
            .await?,
        Runner::start(&registered, Some(Arrivals::watch(&redis, "registered")?)).await?,
    ];

    let mut cost = Cost::default();
    for turn in 0..=plan.blocks.div_ceil(plan.turn) {
        let blocks: Vec<_> =
            (0..plan.turn).map(|_| EngineBlock::next(&mut maker)).collect::<eyre::Result<_>>()?;
        cost.chain.add(&blocks);
        // Whoever comes later finds another processor cache.
        for place in 0..runners.len() {
            let index = (turn + place) % runners.len();
            runners[index].take_turn(&blocks, plan.interval).await?;
        }
        if turn == 0 {
            for runner in &mut runners {
                runner.begin().await?;
            }
        } else {
            cost.load.add(&blocks);
        }
    }
    for (usage, runner) in cost.usage.iter_mut().zip(runners) {
        *usage = runner.stop().await?;
    }
    let again = delivering(without, "history");
    let next: Vec<_> =
        (0..plan.turn).map(|_| EngineBlock::next(&mut maker)).collect::<eyre::Result<_>>()?;
    let (chain, next) = (cost.chain.blocks as u64, (&*next, plan.interval));
    (cost.backfill, cost.imports_meanwhile) = backfill(&again, &redis, chain, next).await?;
    Ok(cost)
}

impl Load {
    fn add(&mut self, blocks: &[EngineBlock]) {
        self.blocks += blocks.len();
        self.gas += blocks.iter().map(|block| block.gas_used).sum::<u64>();
        self.transactions += blocks.iter().flat_map(|block| block.types.values()).sum::<usize>();
    }
}

impl Runner {
    async fn start(launch: &NodeLaunch, arrivals: Option<Arrivals>) -> eyre::Result<Self> {
        let (usage, committed, fork_choices) = Default::default();
        Ok(Self { node: launch.start().await?, arrivals, usage, committed, fork_choices })
    }

    /// Forgets what was measured so far.
    async fn begin(&mut self) -> eyre::Result<()> {
        (self.usage, self.committed) = Default::default();
        self.fork_choices = Total::read(&self.node.metrics().await?, FORK_CHOICE)?;
        Ok(())
    }

    async fn take_turn(&mut self, blocks: &[EngineBlock], interval: Duration) -> eyre::Result<()> {
        let before = processor_time(&self.node)?;
        for block in blocks {
            let begun = Instant::now();
            self.node.engine().new_payload(block).await?;
            self.usage.payloads.push(begun.elapsed());
            let choice = ForkChoice { head: block.id.hash, ..Default::default() };
            self.node.engine().fork_choice(choice).await?;
            self.committed.insert(block.id.hash, Instant::now());
            self.usage.imports.push(begun.elapsed());
            tokio::time::sleep(interval.saturating_sub(begun.elapsed())).await;
        }
        if let Some(arrivals) = &self.arrivals {
            arrivals.wait(blocks).await?;
        }
        self.usage.processor += processor_time(&self.node)?.saturating_sub(before);
        Ok(())
    }

    async fn stop(mut self) -> eyre::Result<Usage> {
        self.usage.memory = memory(&self.node)?;
        let latencies = |arrivals: &Arrivals| arrivals.latencies(&self.committed);
        self.usage.deliveries = self.arrivals.as_ref().map(latencies).unwrap_or_default();
        let fork_choices = Total::read(&self.node.metrics().await?, FORK_CHOICE)?;
        self.usage.fork_choice = fork_choices.mean_since(self.fork_choices);
        self.node.stop().await?;
        Ok(self.usage)
    }
}

/// How long a node that has the whole chain takes to deliver it, and how long its imports take
/// meanwhile.
async fn backfill(
    launch: &NodeLaunch,
    redis: &RedisServer,
    chain: u64,
    (next, interval): (&[EngineBlock], Duration),
) -> eyre::Result<(Duration, Vec<Duration>)> {
    let mut runner = Runner::start(launch, None).await?;
    let mut connection = redis.connect().await?;
    let mut count = async || -> Option<u64> {
        redis::cmd("XLEN").arg("history").query_async(&mut connection).await.ok()
    };
    // From the first entry on, so that the node's start does not count.
    wait_for("the first entry", DEADLINE, async || count().await.filter(|it| *it > 0)).await?;
    let (begun, delivered) = (Instant::now(), Cell::new(false));
    let all = async || count().await.filter(|it| *it >= chain);
    let deliver = async {
        let last = wait_for("the last entry", DEADLINE, all).await;
        delivered.set(true);
        last.map(|_| begun.elapsed())
    };
    let import = async {
        for block in next.iter().take_while(|_| !delivered.get()) {
            runner.take_turn(std::slice::from_ref(block), interval).await?;
        }
        eyre::Ok(())
    };
    let (taken, imported) = tokio::join!(deliver, import);
    let (taken, ()) = (taken?, imported?);
    Ok((taken, runner.stop().await?.imports))
}
