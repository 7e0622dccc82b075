//! The node dies, or is told to end.

use super::{FaultPlan, Outcome};
use crate::{node::scene::NodeScene, wait::wait_for};
use bsp_replication::failpoint;
use rand::Rng;
use std::time::Duration;

/// How long a failpoint may take to be reached.
const DEATH_DEADLINE: Duration = Duration::from_secs(15);

/// Killed at whatever it does, once a round.
pub(super) async fn at_random(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut dice = plan.dice();
    let mut scene = plan.scene_on_disk(2).await?;
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
    let mut scene = plan.scene_on_disk(2).await?;
    scene.may_repeat = true;
    let (mut killed, mut missed) = (0, Vec::new());
    for name in failpoint::ALL {
        let plain = scene.launch.clone();
        scene.launch = plain.clone().with_env("BSP_FAILPOINT", *name);
        let dead = dies_by_itself(&mut scene).await?;
        scene.launch = plain;
        if dead {
            killed += 1;
        } else {
            missed.push(*name);
            scene.kill().await?;
        }
    }
    scene.start().await?;
    scene.catch_up().await?;
    scene.extend(5).await?;
    let outcome = Outcome::of(&mut scene, killed).await?;
    if killed == 0 {
        return Ok(outcome.noting("SKIPPED: the node's program was built without failpoints"));
    }
    eyre::ensure!(missed.is_empty(), "failpoints that were never reached: {missed:?}");
    Ok(outcome)
}

/// Starts the node and gives it blocks until it dies of its failpoint, or there were enough.
async fn dies_by_itself(scene: &mut NodeScene) -> eyre::Result<bool> {
    // A point on the way from the start to the first answer is reached here.
    if scene.start().await.is_err() {
        return Ok(true);
    }
    // Fails when the node dies.
    let _ = pass_all_points(scene).await;
    let mut node = scene.take_node()?;
    let died =
        wait_for("the node dies", DEATH_DEADLINE, async || (!node.is_running()).then_some(()));
    if died.await.is_ok() {
        return Ok(true);
    }
    scene.put_node(node);
    Ok(false)
}

/// Blocks, and reorgs of what was delivered.
async fn pass_all_points(scene: &mut NodeScene) -> eyre::Result<()> {
    scene.catch_up().await?;
    for _ in 0..3 {
        let branch = scene.driver.fork();
        scene.extend(3).await?;
        scene.settle(DEATH_DEADLINE).await?;
        scene.switch(branch, 5).await?;
    }
    Ok(())
}

/// Told to end, and started again: no block is lost or sent twice.
pub(super) async fn sigterm(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut dice = plan.dice();
    let mut scene = plan.scene(2).await?;
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

/// Killed with everything delivered: it comes back behind the cursor, and gets the same blocks
/// again.
pub(super) async fn ahead_of_node(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene_on_disk(2).await?;
    scene.start().await?;
    let mut lost = 0;
    for _ in 0..plan.rounds {
        scene.extend(12).await?;
        scene.settle(super::SETTLE_DEADLINE).await?;
        scene.recorded(super::SETTLE_DEADLINE).await?;
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
    let mut scene = plan.scene_on_disk(2).await?;
    scene.start().await?;
    for _ in 0..plan.rounds {
        scene.extend(12).await?;
        let branch = scene.driver.fork();
        scene.extend(5).await?;
        scene.settle(super::SETTLE_DEADLINE).await?;
        scene.recorded(super::SETTLE_DEADLINE).await?;
        scene.kill().await?;
        scene.start().await?;
        scene.adopt_after_loss(branch, 3).await?;
    }
    scene.extend(5).await?;
    Outcome::of(&mut scene, plan.rounds).await
}
