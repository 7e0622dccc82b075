//! Blocks whose state is gone, or that never had a specimen.

use super::{model::Model, scene::Scene};
use crate::producer::{SkippedRange, StartBlock, TargetState};

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
    assert_eq!(
        scene.target(0).skipped_ranges,
        [SkippedRange { first: 10, last: 4_903, reason: "pruned".to_owned() }]
    );
    // Some blocks near the boundary are checked twice, the rest of history not at all.
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

#[test]
fn blocks_before_the_first_with_a_specimen_are_passed_in_one_step() {
    let mut scene = Scene::new(Model::with_blocks(600));
    scene.model.know_first_block(590);
    scene.start();
    scene.wait_for_target(0);
    assert_eq!(scene.inboxes[0].numbers(), (590..=600).collect::<Vec<_>>());
    assert_eq!(scene.model.asked(), 11);
    let first_to_last =
        SkippedRange { first: 1, last: 589, reason: "before_definition".to_owned() };
    let target = scene.target(0);
    assert_eq!((target.skipped, target.skipped_ranges), (589, vec![first_to_last.clone()]));
    scene.start();
    scene.wait_for_target(0);
    let target = scene.target(0);
    assert_eq!((target.skipped, target.skipped_ranges), (0, vec![first_to_last]));
}

#[test]
fn a_chain_that_has_not_come_to_the_first_specimen_is_followed() {
    let mut scene = Scene::new(Model::with_blocks(5));
    scene.model.know_first_block(10);
    scene.start();
    scene.wait_for_target(0);
    // Another branch, which must not leave a hole.
    scene.model.reorg(3, 8);
    scene.wait_for_target(0);
    scene.model.extend(2);
    scene.wait_for_target(0);
    assert_eq!(scene.inboxes[0].numbers(), [10, 11, 12]);
}
