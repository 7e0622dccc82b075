//! What is in the past: pruned state, a late start, a data directory that is gone.

use super::{FaultPlan, Outcome};
use crate::{
    node::{driver::Depths, launch::NodeLaunch, scene::NodeScene},
    wait::wait_for,
};
use alloy_primitives::Address;

/// State further back than this many blocks is deleted.
pub(super) const HORIZON: u64 = 64;

/// The blocks before the extension's first start can't be executed any more. It says so and waits;
/// told to leave them out, it continues behind them.
pub(super) async fn pruned(plan: FaultPlan) -> eyre::Result<Outcome> {
    let (mut scene, with_extension) = pruned_chain(plan).await?;
    leave_out(&mut scene, with_extension).await
}

/// The same with a node that ended while it was pruning: it has deleted more than it wrote down.
pub(super) async fn pruning_cut_short(plan: FaultPlan) -> eyre::Result<Outcome> {
    let (mut scene, with_extension) = pruned_chain(plan).await?;
    let written_down = (2 * HORIZON).to_string();
    let mode = ["--mode", "distance", "--mode-value", &HORIZON.to_string()].map(str::to_owned);
    for segment in ["account-history", "storage-history"] {
        let set =
            ["prune-checkpoints", "set", "--segment", segment, "--block-number", &written_down];
        scene.launch.db(set.map(str::to_owned).into_iter().chain(mode.clone())).await?;
    }
    let outcome = leave_out(&mut scene, with_extension).await?;
    let left_out = scene.left_out.as_ref().map_or(0, |left_out| *left_out.end());
    eyre::ensure!(left_out > 2 * HORIZON, "blocks were delivered whose state was half deleted");
    Ok(outcome)
}

/// A node without the extension that has deleted old states, stopped; and how to start it with the
/// extension.
async fn pruned_chain(plan: FaultPlan) -> eyre::Result<(NodeScene, NodeLaunch)> {
    let mut scene = plan.scene(2).await?;
    let with_extension = scene.launch.clone().and_args(pruning(HORIZON));
    scene.launch = scene.launch.clone().with_args(pruning(HORIZON));
    scene.start().await?;
    scene.extend(4 * HORIZON).await?;
    scene.stop().await?;
    Ok((scene, with_extension))
}

/// Flags of a node that deletes states so far back at once.
pub(super) fn pruning(distance: u64) -> Vec<String> {
    let mut flags = vec!["--full".to_owned(), "--prune.block-interval=1".to_owned()];
    for what in ["minimum-distance", "account-history.distance", "storage-history.distance"] {
        flags.push(format!("--prune.{what}={distance}"));
    }
    flags
}

/// Redis is away for longer than the node would keep states: it has to keep them for the stream,
/// and deletes them once the stream has its blocks.
pub(super) async fn kept_for_target(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(2).await?;
    scene.launch = scene.launch.clone().and_args(pruning(HORIZON));
    scene.may_repeat = true;
    scene.driver.set_depths(Depths { safe: Some(16), finalized: Some(32) });
    scene.start().await?;
    scene.extend(3 * HORIZON).await?;
    scene.settle(super::SETTLE_DEADLINE).await?;
    let prunes = deleted(&mut scene, 20).await?;
    scene.redis.kill().await?;
    let last_taken = scene.driver.tip().number;
    scene.extend(4 * HORIZON).await?;
    scene.stop().await?;
    scene.start().await?;
    scene.extend(2 * HORIZON).await?;
    scene.redis.restart().await?;
    scene.extend(5).await?;
    let outcome = Outcome::of(&mut scene, 1).await?;
    let prunes_again = deleted(&mut scene, last_taken).await?;
    let outcome = outcome.noting(format!("before the outage: {prunes}"));
    Ok(outcome.noting(format!("after it: {prunes_again}")))
}

/// A target whose server is down from the node's first start, and that begins at a later block: it
/// keeps the node from deleting nothing that is before that block, and everything from it on.
pub(super) async fn target_never_up(plan: FaultPlan) -> eyre::Result<Outcome> {
    let first = 3 * HORIZON;
    let mut scene = plan.scene_starting_at(2, first).await?;
    scene.launch = scene.launch.clone().and_args(pruning(HORIZON));
    scene.may_repeat = true;
    scene.driver.set_depths(Depths { safe: Some(16), finalized: Some(32) });
    scene.redis.kill().await?;
    scene.start().await?;
    scene.extend(2 * HORIZON).await?;
    let prunes = deleted(&mut scene, 20).await?;
    let missing = (first + 2 * HORIZON).saturating_sub(scene.driver.tip().number);
    scene.extend(missing).await?;
    scene.stop().await?;
    scene.start().await?;
    scene.extend(2 * HORIZON).await?;
    scene.redis.restart().await?;
    scene.extend(5).await?;
    let outcome = Outcome::of(&mut scene, 1).await?;
    Ok(outcome.noting(format!("before the target was ever up: {prunes}")))
}

/// Waits until the node has deleted the state after a block. Returns what it says about that.
async fn deleted(scene: &mut NodeScene, block: u64) -> eyre::Result<String> {
    wait_for("the node deletes old states", super::SETTLE_DEADLINE, async || {
        scene.extend(1).await.ok()?;
        let balance = scene.node().ok()?.rpc().balance_at(Address::ZERO, block).await;
        balance.err().map(|error| error.to_string())
    })
    .await
}

async fn leave_out(scene: &mut NodeScene, with_extension: NodeLaunch) -> eyre::Result<Outcome> {
    scene.launch = with_extension.clone();
    scene.start().await?;
    scene.catch_up().await?;
    let trouble = trouble(scene).await?;
    scene.extend(5).await?;
    scene.stop().await?;

    scene.launch = with_extension.and_args(["--exex.bsp.skip-pruned"]);
    scene.start().await?;
    scene.catch_up().await?;
    scene.extend(5).await?;
    let tip = scene.driver.tip();
    let has_tip = |scene: &NodeScene| scene.views().iter().all(|view| view.has(&tip.hash));
    scene.seen("the tip arrives", super::SETTLE_DEADLINE, has_tip).await?;
    let left_out = scene.first_delivered()?.saturating_sub(1);
    eyre::ensure!(left_out > 0, "nothing was pruned, so that nothing was tested");
    eyre::ensure!(left_out <= 4 * HORIZON, "blocks were left out that could be executed");
    scene.left_out = Some(1..=left_out);
    let note = format!("{left_out} blocks left out; before, the status said: {trouble}");
    Ok(Outcome::of(scene, 1).await?.noting(note))
}

/// What keeps the extension from going on, once it says so.
async fn trouble(scene: &NodeScene) -> eyre::Result<String> {
    let node = scene.node()?;
    wait_for("the status tells of pruned state", super::SETTLE_DEADLINE, async || {
        let status = node.bsp_status().await.ok()?;
        status.targets.into_iter().find_map(|target| target.trouble)
    })
    .await
}

/// The extension starts on a chain that is there, and keeps up with it while it works through the
/// past.
pub(super) async fn late_start(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(2).await?;
    let with_extension = scene.launch.clone();
    scene.launch = with_extension.clone().with_args(Vec::<String>::new());
    scene.start().await?;
    scene.extend(300).await?;
    scene.stop().await?;
    scene.launch = with_extension;
    scene.start().await?;
    scene.catch_up().await?;
    scene.extend(30).await?;
    Outcome::of(&mut scene, 1).await
}

/// The data directory is deleted, cursors included, and the chain is imported once more.
pub(super) async fn data_wiped(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(2).await?;
    scene.may_repeat = true;
    scene.start().await?;
    scene.extend(40).await?;
    scene.settle(super::SETTLE_DEADLINE).await?;
    scene.stop().await?;
    scene.launch.wipe()?;
    scene.start().await?;
    let again = scene.catch_up().await?;
    eyre::ensure!(again == 40, "the node still has blocks");
    scene.extend(10).await?;
    Outcome::of(&mut scene, 1).await
}
