//! Blocks whose state is gone, or that never had a specimen.

use super::{model::Model, scene::Scene};
use crate::{StartBlock, TargetState};

#[test]
fn pruned_state_is_an_alarm_with_advice() {
    let mut scene = Scene::new(Model::with_blocks(50));
    scene.model.prune_to(20);
    scene.start();
    scene.wait_for_state(TargetState::Stuck);
    assert!(scene.target(0).trouble.unwrap().contains("--exex.bsp.skip-pruned"));
    scene.model.prune_to(0);
    scene.settle();
}

#[test]
fn pruned_blocks_are_left_out_if_so_wished() {
    let mut scene = Scene::new(Model::with_blocks(5_000));
    scene.model.prune_to(4_903);
    scene.config.skip_pruned = true;
    scene.config.start_block = StartBlock::Number(10);
    scene.start();
    scene.wait_for_target(0);
    assert_eq!(scene.inboxes[0].numbers(), (4_904..=5_000).collect::<Vec<_>>());
    assert_eq!(scene.target(0).skipped, 4_894);
    // Some blocks near the boundary are looked at twice, the rest of history not at all.
    assert!(scene.model.productions() < 97 + 30);
    scene.model.reorg(5, 8);
    scene.wait_for_target(0);
}

#[test]
fn the_tip_is_never_left_out() {
    let mut scene = Scene::new(Model::with_blocks(50));
    scene.model.prune_to(50);
    scene.config.skip_pruned = true;
    scene.start();
    scene.wait_for_state(TargetState::Stuck);
    assert_eq!(scene.target(0).cursor, None);
    scene.model.extend(1);
    scene.wait_for_target(0);
    assert_eq!(scene.inboxes[0].numbers(), [51]);
}

#[test]
fn blocks_without_a_specimen_are_left_out() {
    let mut scene = Scene::new(Model::with_blocks(600));
    scene.model.define_from(590);
    scene.start();
    scene.wait_for_target(0);
    assert_eq!(scene.inboxes[0].numbers(), (590..=600).collect::<Vec<_>>());
    assert_eq!(scene.target(0).skipped, 589);
}
