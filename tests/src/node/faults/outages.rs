//! A target does not take what it is given.

use super::{BEYOND_BUFFERS, FaultPlan, Outcome};
use crate::{node::scene::NodeScene, proxy::Mode, small_disk::SmallDisk};

/// Redis is stopped for longer than reth buffers notifications for.
pub(super) async fn redis_stopped(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = NodeScene::new(plan.seed, 1).await?;
    scene.may_repeat = true;
    scene.start().await?;
    scene.extend(10).await?;
    scene.redis.kill().await?;
    scene.extend(BEYOND_BUFFERS).await?;
    scene.redis.restart().await?;
    scene.extend(5).await?;
    Outcome::of(&mut scene, 1).await
}

/// Redis comes back without its data; what it had taken before was there.
pub(super) async fn redis_empty(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = NodeScene::new(plan.seed, 2).await?;
    scene.may_repeat = true;
    scene.start().await?;
    for _ in 0..plan.rounds {
        scene.extend(15).await?;
        scene.settle(super::SETTLE_DEADLINE).await?;
        scene.redis.kill().await?;
        scene.redis.forget()?;
        scene.extend(15).await?;
        scene.redis.restart().await?;
    }
    scene.extend(5).await?;
    Outcome::of(&mut scene, plan.rounds).await
}

/// Redis takes connections and never answers, for 1,500 blocks: the extension stands still, and the node does not.
pub(super) async fn redis_silent(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = NodeScene::new(plan.seed, 1).await?;
    scene.may_repeat = true;
    scene.start().await?;
    scene.extend(10).await?;
    scene.proxy.set(Mode::BlackHole);
    scene.extend(1_500).await?;
    scene.proxy.set(Mode::Pass);
    scene.extend(5).await?;
    Outcome::of(&mut scene, 1).await
}

/// The extension itself holds still for two minutes and as many blocks as in [`redis_silent`], if the program was built
/// with failpoints.
pub(super) async fn stalled(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = NodeScene::new(plan.seed, 1).await?;
    scene.launch = scene.launch.clone().with_env("BSP_FAILPOINT", "stall:before_deliver:120");
    scene.start().await?;
    scene.extend(1_500).await?;
    Outcome::of(&mut scene, 1).await
}

/// The folder's disk is full; the stream gets its blocks all the same.
pub(super) async fn disk_full(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = NodeScene::new(plan.seed, 2).await?;
    std::fs::create_dir_all(scene.replicas())?;
    let Some(disk) = SmallDisk::mount(&scene.replicas()) else {
        return Ok(Outcome::default().noting("SKIPPED: this user can't mount a small disk"));
    };
    scene.start().await?;
    for _ in 0..plan.rounds {
        scene.extend(10).await?;
        scene.settle(super::SETTLE_DEADLINE).await?;
        disk.fill();
        scene.extend(15).await?;
        scene.settle_one("redis", super::SETTLE_DEADLINE).await?;
        disk.empty();
    }
    scene.extend(5).await?;
    let outcome = Outcome::of(&mut scene, plan.rounds).await?;
    // The node has files open there.
    scene.stop().await?;
    Ok(outcome)
}
