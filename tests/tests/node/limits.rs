//! Where deliveries end: forks and networks that this version can't export.

use crate::DEADLINE;
use alloy_genesis::Genesis;
use bsp_devchain::{DevChain, DevConfig};
use bsp_tests::{
    node::{
        launch::{Blocks, NodeLaunch},
        process::Node,
        program,
        scene::TOPIC,
        status::BspStatus,
        target::TargetView,
    },
    servers::{
        program::{Program, all_there},
        redis::RedisServer,
    },
    wait::wait_for,
};
use std::{path::Path, time::Duration};
use tempfile::TempDir;

const SEED: u64 = 11;

/// Ahead of every clock, so that each block that the node makes has the time of its parent and a
/// second.
const GENESIS_TIME: u64 = 2_100_000_000;

/// The first block of the unknown fork.
const FORK: u64 = 8;

/// A development node whose chain this is, with a stream and a folder as targets.
struct Miner {
    folder: TempDir,
    redis: RedisServer,
    launch: NodeLaunch,
}

impl Miner {
    async fn new(genesis: &Genesis) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let redis = RedisServer::start().await.unwrap();
        let replicas = folder.path().join("replicas");
        let targets =
            format!("redis://{}/0?topic={TOPIC},file://{}", redis.address(), replicas.display());
        let blocks = Blocks::Mined(Duration::from_millis(200));
        let program = program::require().unwrap();
        let launch = NodeLaunch::new(program, folder.path().join("node"), genesis, blocks)
            .unwrap()
            .with_args(["--exex.bsp.start-block", "genesis", "--exex.bsp.targets", &targets])
            .and_args(["--exex.bsp.file-min-free", "0"]);
        Self { folder, redis, launch }
    }

    fn views(&self) -> [TargetView; 2] {
        let replicas = self.folder.path().join("replicas");
        [TargetView::stream(self.redis.client().unwrap(), TOPIC), TargetView::folder(&replicas)]
    }

    fn printed(&self) -> String {
        printed(&self.launch.log())
    }
}

fn printed(log: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned()
}

fn genesis_with(change: impl FnOnce(&mut Genesis)) -> Genesis {
    let config = DevConfig { genesis_time: GENESIS_TIME, ..DevConfig::default() };
    let mut genesis = DevChain::new(SEED, config).unwrap().genesis().clone();
    change(&mut genesis);
    genesis
}

/// Waits until the chain has gone on by some blocks above the fork, and every target says that it
/// holds before it.
async fn held(node: &Node, miner: &Miner) -> BspStatus {
    let held = wait_for("all targets hold", DEADLINE, async || {
        let status = node.bsp_status().await.ok()?;
        let all = status.targets.iter().all(|target| target.state == "stuck");
        (all && node.tip().await.ok()?.number >= FORK + 3).then_some(status)
    });
    held.await.unwrap_or_else(|error| panic!("{error}\n{}", miner.printed()))
}

async fn expect_held(node: &Node, miner: &Miner) {
    let status = held(node, miner).await;
    assert_eq!(status.targets.len(), 2);
    for target in &status.targets {
        let trouble = target.trouble.as_deref().unwrap_or_default();
        assert!(trouble.contains("Amsterdam") && trouble.contains("upgrade bsp-reth"), "{trouble}");
        assert_eq!(target.cursor.as_ref().map(|block| block.number), Some(FORK - 1));
        assert_eq!(target.skipped, 0);
    }
    let fork = &status.unknown_forks[0];
    assert_eq!((fork.name.as_str(), fork.time), ("Amsterdam", Some(GENESIS_TIME + FORK)));
    let time = node.metric("reth_exex_bsp_unknown_fork_time").await.unwrap();
    assert_eq!(time, Some((GENESIS_TIME + FORK) as f64));
    let stuck = node.metric_of_targets("reth_exex_bsp_stuck").await.unwrap();
    assert_eq!(stuck, [1.0, 1.0]);

    let mut before_the_fork = Vec::new();
    for number in 1..FORK {
        before_the_fork.push(node.hash_at(number).await.unwrap().unwrap());
    }
    for mut view in miner.views() {
        view.read().await.unwrap();
        let delivered: Vec<_> = view.entries().iter().map(|entry| entry.hash).collect();
        assert_eq!(delivered, before_the_fork, "{}", view.name());
    }
}

#[tokio::test]
async fn a_chain_is_delivered_up_to_a_fork_that_is_unknown_and_held_there() {
    if !program::is_there() || !all_there(&[Program::Redis]) {
        return;
    }
    let genesis = genesis_with(|genesis| {
        genesis.config.amsterdam_time = Some(GENESIS_TIME + FORK);
    });
    let miner = Miner::new(&genesis).await;
    let node = miner.launch.start().await.unwrap();
    expect_held(&node, &miner).await;
    let printed = miner.printed();
    for told in
        ["The chain will have the fork Amsterdam on 2036-07-18", "The chain has the fork Amsterdam"]
    {
        assert!(printed.contains(told), "{told}\n{printed}");
    }
    // Nothing is passed over by a restart either.
    node.stop().await.unwrap();
    let node = miner.launch.start().await.unwrap();
    expect_held(&node, &miner).await;
}

#[tokio::test]
async fn a_network_whose_id_the_format_has_no_room_for_is_refused_by_name() {
    if !program::is_there() || !all_there(&[Program::Redis]) {
        return;
    }
    let genesis = genesis_with(|genesis| genesis.config.chain_id = 1 << 31);
    let miner = Miner::new(&genesis).await;
    let node = miner.launch.start().await.unwrap();
    let refused = wait_for("the producer refuses", DEADLINE, async || {
        let status = node.bsp_status().await.ok()?;
        status.not_running.filter(|reason| reason.contains("chain id is 2147483648"))
    });
    refused.await.unwrap_or_else(|error| panic!("{error}\n{}", miner.printed()));
    assert_eq!(node.metric("reth_exex_bsp_not_started").await.unwrap(), Some(1.0));
    assert!(miner.printed().contains("no room for one of 2^31"), "{}", miner.printed());
    // The node itself continues.
    wait_for("the node makes blocks", DEADLINE, async || {
        (node.tip().await.ok()?.number >= 3).then_some(())
    })
    .await
    .unwrap();
    for mut view in miner.views() {
        view.read().await.unwrap();
        assert!(view.entries().is_empty(), "{}", view.name());
    }
}

#[tokio::test]
async fn a_block_whose_gas_limit_the_format_has_no_room_for_holds() {
    if !program::is_there() || !all_there(&[Program::Redis]) {
        return;
    }
    let genesis = genesis_with(|genesis| genesis.gas_limit = 1 << 40);
    let miner = Miner::new(&genesis).await;
    let node = miner.launch.start().await.unwrap();
    let held = wait_for("all targets hold", DEADLINE, async || {
        let status = node.bsp_status().await.ok()?;
        status.targets.iter().all(|target| target.state == "stuck").then_some(status)
    });
    let status = held.await.unwrap_or_else(|error| panic!("{error}\n{}", miner.printed()));
    for target in &status.targets {
        let trouble = target.trouble.as_deref().unwrap_or_default();
        let says = ["does not fit in the network's format", "its gas limit is", "no version"];
        assert!(says.iter().all(|text| trouble.contains(text)), "{trouble}");
        assert_eq!((target.cursor.is_none(), target.skipped), (true, 0));
    }
    assert!(miner.printed().contains("The node's last block does not fit in the network's format"));
}
