//! A target does not take what it is given.

use super::{BEYOND_BUFFERS, FaultPlan, Outcome};
use crate::{proxy::Mode, small_disk::SmallDisk, wait::wait_for};
use std::time::{Duration, Instant};

/// Redis is stopped for longer than reth buffers notifications for.
pub(super) async fn redis_stopped(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(1).await?;
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
    let mut scene = plan.scene(2).await?;
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

/// Redis takes connections and never answers, for 1,500 blocks: the extension stands still, and the
/// node does not.
pub(super) async fn redis_silent(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(1).await?;
    scene.may_repeat = true;
    scene.start().await?;
    scene.extend(10).await?;
    scene.proxy.set(Mode::BlackHole);
    scene.extend(1_500).await?;
    scene.proxy.set(Mode::Pass);
    scene.extend(5).await?;
    Outcome::of(&mut scene, 1).await
}

/// The extension itself holds still for two minutes and as many blocks as in [`redis_silent`], if
/// the program was built with failpoints.
pub(super) async fn stalled(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(1).await?;
    scene.launch = scene.launch.clone().with_env("BSP_FAILPOINT", "stall:before_deliver:120");
    scene.start().await?;
    scene.extend(1_500).await?;
    Outcome::of(&mut scene, 1).await
}

/// The extension takes no notifications for two minutes, and reth's buffers run over: from then on
/// reth forwards nothing to it any more. Its producer continues, it says what has happened, and the
/// node may prune all the same.
pub(super) async fn exex_stalled(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = FaultPlan { registered: true, ..plan }.scene(1).await?;
    scene.launch = scene.launch.clone().with_env("BSP_FAILPOINT", "stall:on_notification:120");
    scene.start().await?;
    scene.extend(1_500).await?;
    let heard = scene.node()?.metric("reth_exex_bsp_notifications_total").await?;
    if heard.is_some_and(|heard| heard > 1.0) {
        let outcome = Outcome::of(&mut scene, 1).await?;
        return Ok(outcome.noting("SKIPPED: the node's program was built without failpoints"));
    }
    scene.settle(super::SETTLE_DEADLINE).await?;
    let begun = Instant::now();
    while scene.node()?.metric("reth_exex_bsp_forwarding_silent").await? != Some(1.0) {
        eyre::ensure!(begun.elapsed() < super::SETTLE_DEADLINE, "the silence is not reported");
        scene.extend(1).await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let finalized = scene.driver.finalized();
    let node = scene.node()?;
    wait_for("what is final may be pruned", super::SETTLE_DEADLINE, async || {
        let prunable = node.metric("reth_exex_bsp_prunable_height").await.ok()??;
        (prunable == finalized as f64).then_some(())
    })
    .await?;
    let heard = node.metric("reth_exex_bsp_notifications_total").await?.unwrap_or_default();
    let note = format!("reth forwarded {heard} notifications in all, and none to the last blocks");
    Ok(Outcome::of(&mut scene, 1).await?.noting(note))
}

/// The folder's disk is full; the stream gets its blocks all the same.
pub(super) async fn disk_full(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(2).await?;
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
