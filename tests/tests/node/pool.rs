//! A node that makes its own blocks, from transactions that were sent to its pool.

use crate::{DEADLINE, proving::prove};
use bsp_devchain::{DevChain, DevConfig};
use bsp_tests::{
    load::{PoolLoad, count_types},
    node::{
        launch::{Blocks, NodeLaunch},
        program,
        proving::adopt_stream,
    },
    scene::{Scene, SceneConfig},
    servers::program::{Program, all_there},
    wait::wait_for,
};
use std::time::Duration;

const SEED: u64 = 5;

#[tokio::test]
async fn transactions_of_every_type_go_from_the_pool_to_the_proof_chain() {
    if !program::is_there() || !all_there(&[Program::Redis, Program::Anvil]) {
        return;
    }
    let mut scene = Scene::start(SceneConfig::of_chain().unwrap()).await.unwrap();
    let chain = DevChain::new(SEED, DevConfig::default()).unwrap();
    let folder = scene.folder().join("node");
    let program = program::require().unwrap();
    let blocks = Blocks::Mined(Duration::from_millis(500));
    let node = NodeLaunch::new(program, folder, chain.genesis(), blocks)
        .unwrap()
        .with_args(["--exex.bsp", "--exex.bsp.start-block", "genesis", "--exex.bsp.targets"])
        .and_args([format!("redis://{}/0?topic={}", scene.redis.address(), scene.stream.topic)])
        .start()
        .await
        .unwrap();
    let mut load = PoolLoad::new(node.rpc().clone(), SEED).await.unwrap();
    let mut mined = load.round().await.unwrap();
    mined.extend(load.round().await.unwrap());
    let types: Vec<_> = count_types(&mined).into_keys().collect();
    assert_eq!(types, [0, 1, 2, 3, 4]);

    // All canonical blocks are on disk after an end in order, and the stream has them before.
    let tip = node.tip().await.unwrap();
    wait_for("the stream has the tip", DEADLINE, async || {
        (scene.remaining().await.ok()? >= tip.number).then_some(())
    })
    .await
    .unwrap();
    let mut canonical = Vec::new();
    for number in 1..=tip.number {
        canonical.push(node.hash_at(number).await.unwrap().unwrap());
    }
    node.stop().await.unwrap();
    let blocks = adopt_stream(&mut scene).await.unwrap();
    let delivered: Vec<_> = blocks.iter().map(|block| block.hash).collect();
    assert_eq!(delivered[..canonical.len()], canonical);
    prove(&mut scene).await;
}
