//! What the extension costs the node: the same blocks for a node with it and for one without, in turns.

use super::{
    block::EngineBlock,
    engine::ForkChoice,
    launch::{Blocks, NodeLaunch},
    process::Node,
    program,
};
use crate::{messages::dev::DevBlocks, servers::redis::RedisServer, wait::wait_for};
use alloy_primitives::B256;
use eyre::OptionExt;
use redis::streams::StreamReadReply;
use std::{
    collections::HashMap,
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// How long deliveries may take.
const DEADLINE: Duration = Duration::from_secs(600);

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct CostPlan {
    /// What the blocks are derived from.
    pub seed: u64,
    /// How many blocks are imported by each node.
    pub blocks: usize,
    /// How many of them in one turn.
    pub turn: usize,
    /// How many scenarios a block has at most.
    pub scenarios: usize,
    /// Time from one block to the next, at least.
    pub interval: Duration,
}

/// What a node used.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Times from a block's `newPayload` to the answer to its fork choice.
    pub imports: Vec<Duration>,
    /// Time on processors, while it had its turns.
    pub processor: Duration,
    /// Memory at the end that is not of mapped files, bytes.
    pub memory: u64,
}

/// What was measured.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    /// Without the extension.
    pub without: Usage,
    /// With it.
    pub with: Usage,
    /// Times from the answer to a block's fork choice to its entry in Redis.
    pub deliveries: Vec<Duration>,
    /// How long it took to deliver the whole chain afterwards.
    pub backfill: Duration,
    /// Blocks.
    pub blocks: usize,
    /// Gas of all blocks.
    pub gas: u64,
    /// Transactions of all blocks.
    pub transactions: usize,
}

/// When entries came.
#[derive(Debug)]
struct Arrivals {
    seen: Arc<Mutex<HashMap<B256, Instant>>>,
    task: JoinHandle<eyre::Result<()>>,
}

/// Measures.
///
/// # Errors
///
/// Where a node does not follow, or never delivers.
pub async fn measure(plan: CostPlan) -> eyre::Result<Cost> {
    let folder = tempfile::tempdir()?;
    let redis = RedisServer::start().await?;
    let mut maker = DevBlocks::with_scenarios(plan.seed, plan.scenarios)?;
    let launch = |name: &str| {
        let genesis = maker.chain().genesis();
        NodeLaunch::new(program::require()?, folder.path().join(name), genesis, Blocks::Driven)
    };
    let target = |topic| format!("redis://{}/0?topic={topic}", redis.address());
    let flags = ["--exex.bsp", "--exex.bsp.start-block", "genesis", "--exex.bsp.targets"];
    let (plain, extended) = (launch("plain")?, launch("extended")?);
    let extended = extended.with_args(flags).and_args([target("live")]);
    let (mut without, mut with) = (plain.start().await?, extended.start().await?);
    let arrivals = Arrivals::watch(&redis, "live")?;

    let mut cost = Cost::default();
    let mut committed = HashMap::new();
    for turn in 0..plan.blocks.div_ceil(plan.turn) {
        let blocks: Vec<_> =
            (0..plan.turn).map(|_| EngineBlock::next(&mut maker)).collect::<eyre::Result<_>>()?;
        cost.add(&blocks);
        let mut no_matter = HashMap::new();
        // Whoever comes second finds another processor cache.
        for second in [false, true] {
            if (turn % 2 == 0) == second {
                let node = &mut with;
                take_turn(node, &blocks, plan.interval, &mut cost.with, &mut committed).await?;
                arrivals.wait(&blocks).await?;
            } else {
                let (node, usage) = (&mut without, &mut cost.without);
                take_turn(node, &blocks, plan.interval, usage, &mut no_matter).await?;
            }
        }
    }
    cost.without.memory = memory(&without)?;
    cost.with.memory = memory(&with)?;
    cost.deliveries = arrivals.latencies(&committed);
    with.stop().await?;
    without.stop().await?;
    let again = plain.with_args(flags).and_args([target("history")]);
    cost.backfill = backfill(&again, &redis, cost.blocks as u64).await?;
    Ok(cost)
}

impl Cost {
    fn add(&mut self, blocks: &[EngineBlock]) {
        self.blocks += blocks.len();
        self.gas += blocks.iter().map(|block| block.gas_used).sum::<u64>();
        self.transactions += blocks.iter().flat_map(|block| block.types.values()).sum::<usize>();
    }
}

async fn take_turn(
    node: &mut Node,
    blocks: &[EngineBlock],
    interval: Duration,
    usage: &mut Usage,
    committed: &mut HashMap<B256, Instant>,
) -> eyre::Result<()> {
    let before = processor_time(node)?;
    for block in blocks {
        let begun = Instant::now();
        node.engine().new_payload(block).await?;
        node.engine().fork_choice(ForkChoice { head: block.id.hash, ..Default::default() }).await?;
        committed.insert(block.id.hash, Instant::now());
        usage.imports.push(begun.elapsed());
        tokio::time::sleep(interval.saturating_sub(begun.elapsed())).await;
    }
    usage.processor += processor_time(node)?.saturating_sub(before);
    Ok(())
}

/// How long a node that has the whole chain takes to deliver it.
async fn backfill(launch: &NodeLaunch, redis: &RedisServer, blocks: u64) -> eyre::Result<Duration> {
    let node = launch.start().await?;
    let mut connection = redis.connect().await?;
    let mut count = async || -> Option<u64> {
        redis::cmd("XLEN").arg("history").query_async(&mut connection).await.ok()
    };
    // From the first entry on, so that the node's start does not count.
    wait_for("the first entry", DEADLINE, async || count().await.filter(|it| *it > 0)).await?;
    let begun = Instant::now();
    wait_for("the last entry", DEADLINE, async || count().await.filter(|it| *it >= blocks)).await?;
    let taken = begun.elapsed();
    node.stop().await?;
    Ok(taken)
}

impl Arrivals {
    fn watch(redis: &RedisServer, topic: &'static str) -> eyre::Result<Self> {
        let seen = Arc::default();
        let (client, noted) = (redis.client()?, Arc::clone(&seen));
        let task = tokio::spawn(async move { note_arrivals(&client, topic, &noted).await });
        Ok(Self { seen, task })
    }

    async fn wait(&self, blocks: &[EngineBlock]) -> eyre::Result<()> {
        wait_for("the turn's blocks are delivered", DEADLINE, async || {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            blocks.iter().all(|block| seen.contains_key(&block.id.hash)).then_some(())
        })
        .await
    }

    fn latencies(&self, committed: &HashMap<B256, Instant>) -> Vec<Duration> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let latency = |(hash, at): (&B256, &Instant)| {
            // An entry can come before the answer to the fork choice has.
            seen.get(hash).map(|seen| seen.saturating_duration_since(*at))
        };
        committed.iter().filter_map(latency).collect()
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn note_arrivals(
    client: &redis::Client,
    topic: &str,
    seen: &Mutex<HashMap<B256, Instant>>,
) -> eyre::Result<()> {
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    let mut last = "0-0".to_owned();
    loop {
        let mut read = redis::cmd("XREAD");
        read.arg("BLOCK").arg(5_000).arg("STREAMS").arg(topic).arg(&last);
        let reply: Option<StreamReadReply> = read.query_async(&mut connection).await?;
        let now = Instant::now();
        for entry in reply.iter().flat_map(|reply| &reply.keys).flat_map(|key| &key.ids) {
            let hash: String = entry.get("hash").ok_or_eyre("an entry without hash")?;
            seen.lock().unwrap_or_else(PoisonError::into_inner).insert(hash.parse()?, now);
            last.clone_from(&entry.id);
        }
    }
}

/// Linux counts a process's time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// User and system time (`proc(5)`, fields 14 and 15 of `stat`; the name before them may have spaces).
fn processor_time(node: &Node) -> eyre::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", node.id()?))?;
    let (_, fields) = stat.rsplit_once(')').ok_or_eyre("no name in stat")?;
    let fields: Vec<_> = fields.split_whitespace().collect();
    let field = |index: usize| -> eyre::Result<u32> {
        Ok(fields.get(index).ok_or_eyre("stat is short")?.parse()?)
    };
    Ok(TICK * (field(11)? + field(12)?))
}

/// `RssAnon` in bytes: what is not of the database's mapped file.
fn memory(node: &Node) -> eyre::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", node.id()?))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or_eyre("no RssAnon")?;
    Ok(kilobytes.parse::<u64>()? << 10)
}

/// The value that so many percent of all values do not exceed.
pub fn percentile(values: &[Duration], percent: usize) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let values: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&values, 50), Duration::from_millis(100));
        assert_eq!(percentile(&values, 99), Duration::from_millis(198));
        assert_eq!(percentile(&values[..1], 99), Duration::from_millis(200));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
