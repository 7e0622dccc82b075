//! Blocks that can't be produced.

use super::{
    model::{Fault, Model},
    scene::Scene,
};
use crate::producer::TargetState;

#[test]
fn what_passes_by_itself_is_waited_for() {
    for fault in [Fault::NotReady, Fault::Database, Fault::Panic, Fault::Mismatch] {
        let scene = Scene::new(Model::with_blocks(20));
        scene.model.fail(7, fault, 2);
        scene.model.fail(20, fault, 5);
        let scene = scene.started();
        scene.settle();
        assert_eq!(scene.target(0).trouble, None, "{fault:?}");
    }
}

#[test]
fn a_block_that_fails_its_check_is_never_delivered_and_told() {
    let scene = Scene::new(Model::with_blocks(20));
    scene.model.fail(7, Fault::Mismatch, usize::from(u16::MAX));
    let mut scene = scene;
    scene.start();
    scene.wait_for_state(TargetState::Stuck);
    assert!(scene.target(0).trouble.unwrap().contains("block 7"));
    assert_eq!(scene.inboxes[0].numbers(), (1..=6).collect::<Vec<_>>());
    scene.model.mend();
    scene.settle();
}

#[test]
fn a_database_that_fails_at_the_same_block_again_and_again_is_an_alarm() {
    let mut scene = Scene::new(Model::with_blocks(20));
    scene.model.fail(7, Fault::Database, usize::from(u16::MAX));
    scene.start();
    scene.wait_for_state(TargetState::Stuck);
    assert!(scene.target(0).trouble.unwrap().contains("database is damaged"));
    scene.model.mend();
    scene.settle();
    assert_eq!(scene.target(0).trouble, None);
}

#[test]
fn state_that_is_not_ready_is_no_alarm() {
    let mut scene = Scene::new(Model::with_blocks(20));
    scene.model.fail(7, Fault::NotReady, usize::from(u16::MAX));
    scene.start();
    scene.wait_for_state(TargetState::WaitingForState);
    scene.model.mend();
    scene.settle();
}

#[test]
fn a_reorg_gets_past_a_block_that_fails() {
    let mut scene = Scene::new(Model::with_blocks(20));
    let bad = scene.model.at(7).hash;
    scene.model.fail(7, Fault::Mismatch, 4);
    scene.start();
    scene.wait_until("block 6", || scene.inboxes[0].numbers().len() >= 6);
    scene.model.reorg(15, 20);
    scene.settle();
    assert!(!scene.inboxes[0].has(bad) || scene.model.produced(bad) > 0);
}

#[test]
fn a_tip_that_can_not_be_read_is_asked_for_again() {
    let mut scene = Scene::new(Model::with_blocks(5));
    scene.model.fail_tip(5);
    scene.start();
    scene.settle();
    scene.model.fail_tip(5);
    scene.model.extend(5);
    scene.settle();
}

#[test]
fn an_execution_that_hangs_is_begun_again() {
    let mut scene = Scene::new(Model::with_blocks(100));
    scene.config.workers = 1;
    scene.model.fail(30, Fault::Hang, 1);
    scene.start();
    scene.settle();
    assert_eq!(scene.inboxes[0].numbers(), (1..=100).collect::<Vec<_>>());
}

#[test]
fn a_block_that_no_version_can_deliver_holds_without_talk_of_an_upgrade() {
    let mut scene = Scene::new(Model::with_blocks(20));
    scene.model.fail(7, Fault::TooLarge, 100);
    scene.start();
    scene.wait_for_state(TargetState::Stuck);
    let target = scene.target(0);
    let trouble = target.trouble.unwrap();
    assert!(trouble.contains("block 7 does not fit") && !trouble.contains("upgrade"), "{trouble}");
    assert_eq!((target.skipped, target.cursor), (0, Some(scene.model.at(6))));
}

#[test]
fn a_block_of_an_unknown_fork_holds_the_cursor_until_an_upgrade() {
    let mut scene = Scene::new(Model::with_blocks(20));
    scene.model.unknown_fork_at(Some(7));
    // Whatever is told to be left out besides.
    scene.config.skip_pruned = true;
    scene.start();
    scene.wait_for_state(TargetState::Stuck);
    let target = scene.target(0);
    let trouble = target.trouble.unwrap();
    assert!(trouble.contains("this version can't export block 7"), "{trouble}");
    assert!(trouble.contains("upgrade bsp-reth"), "{trouble}");
    assert_eq!((target.skipped, target.cursor), (0, Some(scene.model.at(6))));
    // Neither further blocks nor a restart get past it.
    scene.model.extend(5);
    scene.start();
    scene.wait_for_state(TargetState::Stuck);
    assert_eq!(scene.inboxes[0].numbers(), (1..=6).collect::<Vec<_>>());
    assert_eq!(*scene.producer().finished().borrow(), Some(scene.model.at(6)));
    scene.model.unknown_fork_at(None);
    scene.settle();
    assert_eq!(scene.inboxes[0].numbers(), (1..=25).collect::<Vec<_>>());
}
