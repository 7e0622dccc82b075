//! Every canonical block from the node to the proof chain.

use crate::DEADLINE;
use bsp_tests::{
    node::{
        driver::ChainDriver,
        launch::{Blocks, NodeLaunch},
        program,
        proving::{adopt_stream, reexecute},
    },
    scene::{Scene, SceneConfig},
    servers::program::{Program, all_there},
    wait::wait_for,
};
use rustix::process::Signal;
use std::{collections::BTreeMap, time::Duration};

/// Of this chain, this many blocks have transactions of every type and a creation.
const SEED: u64 = 3;
const BLOCKS: u64 = 30;

#[tokio::test]
async fn every_block_is_specimened_provable_from_its_own_bytes_and_proved() {
    if !program::is_there() || !all_there(&[Program::Redis, Program::Anvil]) {
        return;
    }
    let mut scene = Scene::start(SceneConfig::of_chain().unwrap()).await.unwrap();
    let mut driver = ChainDriver::new(SEED, 6).unwrap();
    let folder = scene.folder().join("node");
    let program = program::require().unwrap();
    let node = NodeLaunch::new(program, folder, driver.genesis(), Blocks::Driven)
        .unwrap()
        .with_args(["--exex.bsp", "--exex.bsp.start-block", "genesis", "--exex.bsp.targets"])
        .and_args([format!("redis://{}/0?topic={}", scene.redis.address(), scene.stream.topic)])
        .start()
        .await
        .unwrap();
    driver.extend(&node, BLOCKS).await.unwrap();
    every_type_is_there(&driver);

    // `redis-cli xlen replication`, as the operator's guide has it.
    wait_for("XLEN is the number of blocks", DEADLINE, async || {
        (scene.remaining().await.ok()? == BLOCKS).then_some(())
    })
    .await
    .unwrap();
    let blocks = adopt_stream(&mut scene).await.unwrap();
    let delivered: Vec<_> = blocks.iter().map(|block| block.hash).collect();
    let canonical: Vec<_> = driver.canonical().iter().map(|block| block.id.hash).collect();
    assert_eq!(delivered, canonical);
    node.stop().await.unwrap();

    prove(&mut scene).await;
    // With the lists beside its entries, those of EIP-7702 too.
    let whole = scene.executed_whole("agent").unwrap();
    assert_eq!(whole, canonical.iter().copied().collect());
    let reexecuted = reexecute(&scene.folders_of("agent"), driver.known()).unwrap();
    assert!(reexecuted.fully > 0 && reexecuted.with_authorizations > 0, "{reexecuted:?}");
    assert_eq!(reexecuted.fully + reexecuted.with_authorizations, canonical.len());
}

fn every_type_is_there(driver: &ChainDriver) {
    let mut types: BTreeMap<u8, usize> = BTreeMap::new();
    for (kind, count) in driver.canonical().iter().flat_map(|block| &block.types) {
        *types.entry(*kind).or_default() += count;
    }
    assert_eq!(types.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4], "{types:?}");
    assert!(driver.canonical().iter().any(|block| block.creations > 0));
    assert!(driver.canonical().iter().any(|block| block.withdrawals > 0));
}

/// Has the agent prove what is in the stream, and audits it.
pub(crate) async fn prove(scene: &mut Scene) {
    let fed = scene.fed().len();
    let command = scene.agent("agent").unwrap();
    scene.watch().unwrap();
    let chain = scene.chain.as_ref().unwrap();
    let _miner = chain.anvil.keep_mining(Duration::from_millis(300));
    let mut agent = command.start().unwrap();
    scene.settle(DEADLINE).await.unwrap();
    agent.signal(Signal::TERM).unwrap();
    agent.end_within(Duration::from_secs(60)).await.unwrap();
    let report = scene.audit().await.unwrap();
    assert!(report.violations.is_empty(), "{report}\n{}", scene.last_lines());
    assert_eq!(report.proved, fed, "{report}");
    assert_eq!(scene.remaining().await.unwrap(), 0);
}
