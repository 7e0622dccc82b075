//! The node has to fetch blocks from a peer.

use super::{
    FaultPlan, Outcome,
    history::{HORIZON, pruning},
};
use crate::node::{
    launch::{Blocks, NodeLaunch},
    process::Node,
    program,
    scene::NodeScene,
};
use eyre::Context;

/// How many blocks a node is behind each time: more than reth executes without its stages, which is
/// 32, also below the block that is final.
const BEHIND: u64 = 300;

/// The node begins with nothing, and then is away for long, again and again: reth executes what it
/// missed in stages, in which its state is ahead of its history, and announces none of these blocks
/// on the canonical-state stream.
pub(super) async fn in_stages(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(2).await?;
    let peer = start_peer(&scene).await?;
    let with_peer = ["--trusted-peers".to_owned(), peer.enode().await?];
    scene.launch = scene.launch.clone().and_args(with_peer);
    for round in 1..=plan.rounds {
        scene.driver.extend(&peer, BEHIND).await?;
        scene.start().await?;
        sync(&mut scene).await?;
        let executed = executions_in_stages(&scene);
        eyre::ensure!(executed >= round, "nothing was executed in stages, so nothing was tested");
        follow(&mut scene, &peer).await?;
        scene.stop().await?;
    }
    scene.start().await?;
    scene.catch_up().await?;
    scene.extend(5).await?;
    Outcome::of(&mut scene, plan.rounds).await
}

/// A node that prunes is away for longer than it keeps states: the stages go by the configured
/// distance alone, and one that is enough, as the extension advises, keeps all that is needed.
/// (With the short one reth's stages refuse to run.)
pub(super) async fn pruning_in_stages(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(2).await?;
    let peer = start_peer(&scene).await?;
    let with_peer = ["--trusted-peers".to_owned(), peer.enode().await?];
    let plain = scene.launch.clone().and_args(with_peer);
    scene.launch = plain.clone().and_args(pruning(HORIZON));
    scene.start().await?;
    scene.extend(3 * HORIZON).await?;
    scene.settle(super::SETTLE_DEADLINE).await?;
    scene.stop().await?;
    scene.driver.catch_up(&peer).await?;
    scene.driver.extend(&peer, BEHIND).await?;

    scene.launch = plain.and_args(pruning(BEHIND + 2 * HORIZON));
    scene.start().await?;
    sync(&mut scene).await?;
    eyre::ensure!(executions_in_stages(&scene) > 0, "nothing was executed in stages");
    follow(&mut scene, &peer).await?;
    Outcome::of(&mut scene, 1).await
}

/// A node without the extension, on the scene's chain.
async fn start_peer(scene: &NodeScene) -> eyre::Result<Node> {
    let folder = scene.folder().join("peer");
    let genesis = scene.driver.genesis();
    NodeLaunch::new(program::require()?, folder, genesis, Blocks::Driven)?.start().await
}

async fn sync(scene: &mut NodeScene) -> eyre::Result<()> {
    let node = scene.take_node()?;
    let synced = scene.driver.sync_from_peers(&node, super::SETTLE_DEADLINE).await;
    scene.put_node(node);
    synced.wrap_err_with(|| scene.last_lines(25))
}

/// How often the node has said that its stage of executing blocks is done.
fn executions_in_stages(scene: &NodeScene) -> u64 {
    let printed = scene.printed();
    let done = |line: &&str| line.contains("stage=Execution") && line.contains("Finished stage");
    printed.lines().filter(done).count() as u64
}

/// A few blocks at the tip, for both.
async fn follow(scene: &mut NodeScene, peer: &Node) -> eyre::Result<()> {
    scene.extend(5).await?;
    scene.driver.catch_up(peer).await.map(drop)
}
