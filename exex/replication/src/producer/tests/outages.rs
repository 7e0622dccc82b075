//! Targets that do not take what they get.

use super::{memory_target::Trick, model::Model, scene::Scene};
use crate::{producer::TargetState, target::StreamPosition};

#[test]
fn one_target_that_hangs_does_not_stop_the_others() {
    let mut scene = Scene::new(Model::with_blocks(10)).with_targets(3);
    scene.model.replicas_of(10_000);
    scene.config.memory_budget = 40_000;
    scene.inboxes[0].play(Trick::Hang);
    scene.start();
    scene.wait_for_target(1);
    scene.model.extend(100);
    scene.wait_for_target(1);
    scene.wait_for_target(2);
    scene.wait_for_state(TargetState::WaitingForTarget);
    assert!(scene.target(0).trouble.unwrap().contains("not confirmed"));
    // It is to begin with the block after this one.
    assert_eq!(*scene.producer().finished().borrow(), Some(scene.model.at(0)));
    scene.inboxes[0].let_go();
    scene.wait_for_target(0);
}

#[test]
fn one_target_that_blocks_its_thread_does_not_stop_the_others_nor_the_stop() {
    let mut scene = Scene::new(Model::with_blocks(10)).with_targets(2);
    scene.inboxes[0].play(Trick::Block);
    scene.start();
    scene.wait_until("a delivery", || scene.inboxes[0].is_waiting());
    scene.model.extend(100);
    scene.wait_for_target(1);
    scene.wait_for_state(TargetState::WaitingForTarget);
    assert!(scene.target(0).trouble.unwrap().contains("not confirmed"));
    scene.wait_until("a report", || scene.target(0).stalled);
    // It still blocks when all but its thread have ended, and the file of cursors is free.
    scene.end();
    assert!(scene.inboxes[0].is_waiting());
    scene.begin();
    scene.settle();
}

#[test]
fn a_panic_is_shown_and_the_others_go_on() {
    let mut scene = Scene::new(Model::with_blocks(10)).with_targets(2);
    (0..200).for_each(|_| scene.inboxes[0].play(Trick::Panic));
    scene.start();
    scene.wait_for_target(1);
    scene.wait_for_state(TargetState::Stuck);
    let trouble = scene.target(0).trouble.unwrap();
    assert!(trouble.contains("panicked") && trouble.contains("made to panic"), "{trouble}");
    scene.inboxes[0].behave();
    scene.settle();
    assert_eq!(scene.target(0).trouble, None);
}

#[test]
fn a_refusal_is_told_and_tried_again() {
    let scene = Scene::new(Model::with_blocks(3)).started();
    scene.settle();
    (0..200).for_each(|_| scene.inboxes[0].play(Trick::RefuseAfter(0)));
    scene.model.extend(1);
    scene.wait_for_state(TargetState::Stuck);
    assert!(scene.target(0).trouble.unwrap().contains("made to refuse"));
    scene.inboxes[0].behave();
    scene.settle();
    assert_eq!(scene.target(0).trouble, None);
}

#[test]
fn a_batch_that_was_taken_in_part_comes_again() {
    let mut scene = Scene::new(Model::with_blocks(30));
    for taken in [0, 1, 2, 1, 0] {
        scene.inboxes[0].play(Trick::RefuseAfter(taken));
    }
    scene.start();
    scene.settle();
}

#[test]
fn a_target_that_panics_is_tried_again() {
    let mut scene = Scene::new(Model::with_blocks(30));
    scene.inboxes[0].play(Trick::Panic);
    scene.inboxes[0].play(Trick::Panic);
    scene.start();
    scene.settle();
}

#[test]
fn a_target_that_stays_behind_is_reported_until_it_moves() {
    let mut scene = Scene::new(Model::with_blocks(100));
    scene.inboxes[0].play(Trick::Hang);
    scene.start();
    scene.wait_until("a report", || scene.target(0).stalled);
    assert_eq!(scene.target(0).lag, 100);
    scene.inboxes[0].let_go();
    scene.wait_for_target(0);
    scene.wait_until("the all-clear", || !scene.target(0).stalled);
}

#[test]
fn what_a_target_has_lost_comes_again() {
    let mut scene = Scene::new(Model::with_blocks(30));
    scene.start();
    scene.settle();
    for kept in [17, 0] {
        scene.inboxes[0].play(Trick::LoseAllBut(kept));
        scene.model.extend(5);
        scene.settle();
    }
    assert_eq!(scene.inboxes[0].numbers(), (1..=40).collect::<Vec<_>>());
}

#[test]
fn what_consumers_have_acknowledged_is_remembered_across_a_restart() {
    let mut scene = Scene::new(Model::with_blocks(5));
    scene.inboxes[0].acknowledge(StreamPosition(3));
    scene.start();
    scene.settle();
    assert_eq!(scene.inboxes[0].told_acknowledged(), None);
    scene.start();
    scene.settle();
    assert_eq!(scene.inboxes[0].told_acknowledged(), Some(StreamPosition(3)));
}
