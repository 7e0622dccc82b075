//! Chains that change.

use super::{memory_target::Trick, model::Model, scene::Scene};
use crate::producer::TargetState;

#[test]
fn reorgs_of_any_depth_are_followed() {
    let scene = Scene::new(Model::with_blocks(250)).started();
    scene.settle();
    for depth in [1, 2, 7, 33, 64, 100, 200] {
        scene.model.reorg(depth, depth + 1);
        scene.settle();
    }
}

#[test]
fn a_reorg_to_a_lower_tip_is_one_at_once() {
    let scene = Scene::new(Model::with_blocks(62)).started();
    scene.model.persist(0);
    scene.settle();
    // The disk still has the abandoned branch above the new tip.
    scene.model.reorg(30, 11);
    assert_eq!(scene.model.height(), 43);
    scene.settle();
    scene.model.extend(40);
    scene.settle();
    assert_eq!(scene.target(0).delivered, 62 + 11 + 40);
}

#[test]
fn a_block_that_is_canonical_again_is_not_sent_again() {
    let scene = Scene::new(Model::with_blocks(40)).started();
    scene.settle();
    let old = scene.model.at(40);
    scene.model.reorg(10, 11);
    scene.settle();
    let new = scene.model.at(41);
    let (sent, produced) = (scene.inboxes[0].taken().len(), scene.model.productions());
    for block in [old, new, old, new] {
        scene.model.make_canonical(block);
        scene.settle();
    }
    assert_eq!(scene.inboxes[0].taken().len(), sent);
    assert_eq!(scene.target(0).already_delivered, 42);
    assert_eq!(scene.model.productions(), produced);
}

#[test]
fn a_reorg_during_an_outage_leaves_the_abandoned_rest_unsent() {
    let scene = Scene::new(Model::with_blocks(5)).started();
    scene.settle();
    scene.inboxes[0].play(Trick::Hang);
    scene.model.extend(1);
    scene.wait_until("a delivery", || scene.inboxes[0].is_waiting());
    scene.model.extend(20);
    let abandoned: Vec<_> = (7..=26).map(|number| scene.model.at(number).hash).collect();
    scene.wait_until("production", || scene.model.productions() >= 8);
    scene.model.reorg(21, 30);
    scene.inboxes[0].let_go();
    scene.wait_for_target(0);
    for hash in abandoned {
        assert!(!scene.inboxes[0].has(hash));
    }
}

#[test]
fn a_start_on_an_abandoned_block_finds_the_common_ancestor() {
    let mut scene = Scene::new(Model::with_blocks(150)).started();
    scene.settle();
    scene.stop();
    scene.model.reorg(100, 90);
    scene.start();
    scene.settle();
    assert_eq!(scene.model.productions(), 240);
}

#[test]
fn below_all_that_is_remembered_it_starts_over() {
    let scene = Scene::new(Model::with_blocks(30)).started();
    scene.settle();
    // As of another data folder.
    scene.model.reorg(30, 40);
    scene.settle();
    assert_eq!(scene.inboxes[0].taken().len(), 70);
}

#[test]
fn what_is_finished_goes_down_with_a_reorg() {
    let scene = Scene::new(Model::with_blocks(30)).with_targets(2).started();
    scene.settle();
    scene.inboxes[1].play(Trick::Hang);
    scene.model.reorg(12, 15);
    let ancestor = scene.model.at(18);
    scene.wait_for_target(0);
    scene.wait_until("finished", || *scene.producer().finished().borrow() == Some(ancestor));
    assert_eq!(scene.target(0).state, TargetState::Following);
    scene.inboxes[1].let_go();
}
