//! Where a target begins, and that the node continues whatever the producer does.

use crate::DEADLINE;
use bsp_tests::{
    node::{
        program,
        scene::{NodeScene, TOPIC},
    },
    servers::program::{Program, all_there},
    wait::wait_for,
};

/// By the clock the chain of these tests is months behind, so it is the node's word that counts.
#[tokio::test]
async fn latest_is_not_fixed_before_the_node_follows_its_chain() {
    if !program::is_there() || !all_there(&[Program::Redis]) {
        return;
    }
    let mut scene = NodeScene::new(12, 2).await.unwrap();
    let target = format!("redis://{}/0?topic={TOPIC}", scene.redis.address());
    scene.launch = scene.launch.clone().with_args(["--exex.bsp.targets", &target]);
    scene.start().await.unwrap();
    // The node has a head, the genesis block, and no word of its consensus client.
    wait_for("the target waits", DEADLINE, async || {
        let status = scene.node().ok()?.bsp_status().await.ok()?;
        (status.targets.first()?.state == "starting").then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", scene.last_lines(25)));
    scene.extend(6).await.unwrap();
    wait_for("the target follows", DEADLINE, async || {
        let status = scene.node().ok()?.bsp_status().await.ok()?;
        (status.targets.first()?.state == "following").then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", scene.last_lines(25)));
    scene.extend(4).await.unwrap();
    let last = scene.driver.tip().hash;
    let has_last = |scene: &NodeScene| scene.views()[0].has(&last);
    scene.seen("the last block is there", DEADLINE, has_last).await.unwrap();
    // With the blocks that were there when it began, not before.
    let first = scene.first_delivered().unwrap();
    assert!(first > 1, "block {first} was delivered first");
}

/// reth ends with an extension that ends.
#[tokio::test]
async fn a_panic_of_the_extension_does_not_end_the_node() {
    if !program::is_there() || !all_there(&[Program::Redis]) {
        return;
    }
    let mut scene = NodeScene::new(13, 2).await.unwrap();
    let launch = scene.launch.clone().and_args(["--exex.bsp.register=always"]);
    scene.launch = launch.with_env("BSP_FAILPOINT", "panic:on_notification:3");
    scene.start().await.unwrap();
    scene.extend(10).await.unwrap();
    scene.settle(DEADLINE).await.unwrap();
    if !scene.printed().contains("The producer's task has panicked") {
        println!("SKIPPED: the node in BSP_RETH_BIN is built without failpoints");
        return;
    }
    // It listens again: what comes now is heard.
    scene.extend(5).await.unwrap();
    scene.settle(DEADLINE).await.unwrap();
    let heard = wait_for("notifications are heard again", DEADLINE, async || {
        let node = scene.node().ok()?;
        let heard = node.metric("reth_exex_bsp_notifications_total").await.ok()??;
        (heard > 3.0).then_some(())
    });
    heard.await.unwrap_or_else(|error| panic!("{error}\n{}", scene.last_lines(25)));
    assert!(scene.take_node().unwrap().is_running());
}
