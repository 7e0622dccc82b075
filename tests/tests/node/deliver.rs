//! When blocks are delivered: `--exex.bsp.deliver`.

use crate::DEADLINE;
use bsp_tests::{
    node::{driver::Depths, program, scene::NodeScene, target::TargetView},
    servers::program::{Program, all_there},
};

/// How many blocks below the tip are safe, and final.
const SAFE: u64 = 3;
const FINAL: u64 = 8;

async fn delivering(mode: &str) -> NodeScene {
    let mut scene = NodeScene::new(7, 2).await.unwrap();
    scene.driver.set_depths(Depths { safe: Some(SAFE), finalized: Some(FINAL) });
    scene.launch = scene.launch.clone().and_args(["--exex.bsp.deliver", mode]);
    scene.start().await.unwrap();
    scene.extend(20).await.unwrap();
    scene
}

/// Everything up to a depth is there, and nothing above it.
async fn expect_depth(scene: &mut NodeScene, depth: u64) {
    let last = scene.driver.tip().number - depth;
    scene.last = Some(last);
    scene.settle(DEADLINE).await.unwrap();
    for report in scene.audit().await.unwrap() {
        assert!(report.violations.is_empty(), "{report}");
        assert_eq!(report.entries as u64, last, "{report}");
    }
}

#[tokio::test]
async fn only_safe_or_final_blocks_are_delivered_where_that_is_asked_for() {
    if !program::is_there() || !all_there(&[Program::Redis]) {
        return;
    }
    for (mode, depth) in [("safe", SAFE), ("finalized", FINAL)] {
        let mut scene = delivering(mode).await;
        expect_depth(&mut scene, depth).await;
        // What is replaced was above it.
        scene.reorganise(2).await.unwrap();
        scene.extend(2).await.unwrap();
        expect_depth(&mut scene, depth).await;
        scene.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_delivered_from_disk_is_there_after_a_kill() {
    if !program::is_there() || !all_there(&[Program::Redis]) {
        return;
    }
    let mut scene = delivering("persisted").await;
    let some = |scene: &NodeScene| scene.views().iter().all(|view| !view.entries().is_empty());
    scene.seen("something is delivered", DEADLINE, some).await.unwrap();
    scene.kill().await.unwrap();
    scene.look().await.unwrap();
    scene.start().await.unwrap();
    let node = scene.node().unwrap();
    for entry in scene.views().iter().flat_map(TargetView::entries) {
        let number = scene.driver.known()[&entry.hash].id.number;
        assert_eq!(node.hash_at(number).await.unwrap(), Some(entry.hash), "block {number}");
    }
}
