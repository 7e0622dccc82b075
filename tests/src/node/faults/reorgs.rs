//! Another branch becomes canonical.

use super::{FaultPlan, Outcome};
use crate::proxy::Mode;

/// How many blocks are replaced.
const DEPTHS: [u64; 6] = [1, 2, 7, 33, 64, 100];

/// While everything works.
pub(super) async fn live(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(2).await?;
    scene.start().await?;
    scene.extend(5).await?;
    for depth in DEPTHS {
        scene.reorganise(depth).await?;
        scene.extend(2).await?;
    }
    Outcome::of(&mut scene, DEPTHS.len() as u64).await
}

/// While the stream can't be reached. The folder gets both branches, the stream may get one.
pub(super) async fn in_outage(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(2).await?;
    scene.may_repeat = true;
    scene.start().await?;
    scene.extend(5).await?;
    for depth in DEPTHS {
        let branch = scene.driver.fork();
        scene.extend(depth / 2).await?;
        scene.settle(super::SETTLE_DEADLINE).await?;
        scene.proxy.set(Mode::Refuse);
        scene.extend(depth - depth / 2).await?;
        scene.switch(branch, depth + 1).await?;
        scene.proxy.set(Mode::Pass);
        scene.extend(2).await?;
    }
    Outcome::of(&mut scene, DEPTHS.len() as u64).await
}

/// The node is killed or ended on one branch, and is given the other after its start.
pub(super) async fn over_restart(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(2).await?;
    scene.may_repeat = true;
    scene.start().await?;
    scene.extend(5).await?;
    for (index, depth) in DEPTHS.into_iter().enumerate() {
        let branch = scene.driver.fork();
        scene.extend(depth).await?;
        if index % 2 == 0 {
            scene.stop().await?;
        } else {
            scene.kill().await?;
        }
        scene.start().await?;
        scene.adopt_after_loss(branch, depth + 1).await?;
        scene.extend(2).await?;
    }
    Outcome::of(&mut scene, DEPTHS.len() as u64).await
}

/// The node reorganises while it runs without the extension, so that the cursor is on an orphaned
/// block at the start.
pub(super) async fn cursor_orphaned(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(2).await?;
    let with_extension = scene.launch.clone();
    scene.start().await?;
    scene.extend(5).await?;
    for depth in DEPTHS {
        let branch = scene.driver.fork();
        scene.extend(depth).await?;
        scene.settle(super::SETTLE_DEADLINE).await?;
        scene.stop().await?;
        scene.launch = with_extension.clone().with_args(Vec::<String>::new());
        scene.start().await?;
        scene.adopt_after_loss(branch, depth + 1).await?;
        scene.stop().await?;
        scene.launch = with_extension.clone();
        scene.start().await?;
        scene.catch_up().await?;
    }
    scene.extend(2).await?;
    Outcome::of(&mut scene, DEPTHS.len() as u64).await
}

/// A long branch is on disk, and a shorter one from below takes its place: for a while the disk has
/// the old branch, at heights that the new one does not have.
pub(super) async fn below_disk(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(2).await?;
    scene.start().await?;
    scene.extend(5).await?;
    for _ in 0..plan.rounds {
        let branch = scene.driver.fork();
        scene.extend(40).await?;
        scene.switch(branch, 3).await?;
        scene.settle(super::SETTLE_DEADLINE).await?;
        scene.extend(10).await?;
    }
    Outcome::of(&mut scene, plan.rounds).await
}

/// Two branches take turns.
pub(super) async fn flip_flops(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(2).await?;
    scene.start().await?;
    scene.extend(5).await?;
    let mut flips = 0;
    for depth in [1, 4, 12] {
        let mut other = scene.driver.fork();
        scene.extend(depth).await?;
        for _ in 0..2 * plan.rounds {
            let length = (other.len() as u64).max(depth);
            other = scene.switch(other, length).await?;
            flips += 1;
        }
        scene.extend(2).await?;
    }
    Outcome::of(&mut scene, flips).await
}
