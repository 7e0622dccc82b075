//! The node dies, or is told to end.

use super::{FaultPlan, Outcome};
use crate::{node::scene::NodeScene, wait::wait_for};
use rand::Rng;
use std::time::Duration;

/// How many blocks a failpoint may take to be reached.
const FAILPOINT_BLOCKS: u64 = 60;

/// Killed at whatever it does, once a round.
pub(super) async fn at_random(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut dice = plan.dice();
    let mut scene = NodeScene::new(plan.seed, 2).await?;
    scene.may_repeat = true;
    let mut lost = 0;
    for _ in 0..plan.rounds {
        scene.start().await?;
        lost += scene.catch_up().await?;
        scene.extend(dice.random_range(1..20)).await?;
        let dies_after = Duration::from_millis(dice.random_range(0..1500));
        // Blocks go on coming until it is dead.
        let imports = tokio::time::timeout(dies_after, scene.extend(u64::MAX)).await;
        if let Ok(Err(error)) = imports {
            return Err(error.wrap_err("the node died by itself"));
        }
        scene.kill().await?;
    }
    scene.start().await?;
    lost += scene.catch_up().await?;
    scene.extend(5).await?;
    let note = format!("the node lost {lost} blocks, and was given them again");
    Ok(Outcome::of(&mut scene, plan.rounds).await?.noting(note))
}

/// Killed at each failpoint.
pub(super) async fn at_failpoints(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = NodeScene::new(plan.seed, 2).await?;
    scene.may_repeat = true;
    let (mut killed, mut missed) = (0, Vec::new());
    for name in &plan.failpoints {
        let plain = scene.launch.clone();
        scene.launch = plain.clone().with_env("BSP_FAILPOINT", name);
        let dead = dies_by_itself(&mut scene).await?;
        scene.launch = plain;
        if dead {
            killed += 1;
        } else {
            missed.push(name.clone());
            scene.kill().await?;
        }
    }
    scene.start().await?;
    scene.catch_up().await?;
    scene.extend(5).await?;
    let outcome = Outcome::of(&mut scene, killed).await?;
    Ok(if plan.failpoints.is_empty() {
        outcome.noting("SKIPPED: no failpoints were given")
    } else {
        outcome.noting(format!("failpoints never reached: {missed:?}"))
    })
}

/// Starts the node and gives it blocks until it dies of its failpoint, or there were enough.
async fn dies_by_itself(scene: &mut NodeScene) -> eyre::Result<bool> {
    // A point on the way from the start to the first answer is reached here.
    if scene.start().await.is_ok() {
        // Fails when the node dies.
        let _ = scene.catch_up().await;
        let _ = scene.extend(FAILPOINT_BLOCKS).await;
        let mut node = scene.take_node()?;
        let died = wait_for("the node dies", Duration::from_secs(10), async || {
            (!node.is_running()).then_some(())
        });
        if died.await.is_err() {
            scene.put_node(node);
            return Ok(false);
        }
    }
    Ok(true)
}

/// Told to end, and started again: no block is lost or sent twice.
pub(super) async fn sigterm(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut dice = plan.dice();
    let mut scene = NodeScene::new(plan.seed, 2).await?;
    let mut lost = 0;
    for _ in 0..plan.rounds {
        scene.start().await?;
        lost += scene.catch_up().await?;
        scene.extend(dice.random_range(1..30)).await?;
        scene.stop().await?;
    }
    scene.start().await?;
    lost += scene.catch_up().await?;
    scene.extend(5).await?;
    let note = format!("the node lost {lost} blocks");
    Ok(Outcome::of(&mut scene, plan.rounds).await?.noting(note))
}

/// Killed with everything delivered: it comes back behind the cursor, and gets the same blocks again.
pub(super) async fn ahead_of_node(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = NodeScene::new(plan.seed, 2).await?;
    scene.start().await?;
    let mut lost = 0;
    for _ in 0..plan.rounds {
        scene.extend(12).await?;
        scene.settle(super::SETTLE_DEADLINE).await?;
        scene.kill().await?;
        scene.start().await?;
        lost += scene.catch_up().await?;
    }
    scene.extend(5).await?;
    eyre::ensure!(lost > 0, "the node lost nothing, so that nothing was tested");
    let note = format!("the node came back {lost} blocks behind what was delivered");
    Ok(Outcome::of(&mut scene, plan.rounds).await?.noting(note))
}

/// The same, but other blocks follow.
pub(super) async fn ahead_of_fork(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = NodeScene::new(plan.seed, 2).await?;
    scene.start().await?;
    for _ in 0..plan.rounds {
        scene.extend(12).await?;
        let branch = scene.driver.fork();
        scene.extend(5).await?;
        scene.settle(super::SETTLE_DEADLINE).await?;
        scene.kill().await?;
        scene.start().await?;
        scene.adopt_after_loss(branch, 3).await?;
    }
    scene.extend(5).await?;
    Outcome::of(&mut scene, plan.rounds).await
}
