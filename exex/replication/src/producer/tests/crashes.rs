//! Ends of the node, and of the producer.

use super::{memory_target::Trick, model::Model, scene::Scene};
use crate::producer::TargetState;

#[test]
fn a_cursor_ahead_of_the_node_waits_for_the_same_blocks() {
    let mut scene = Scene::new(Model::with_blocks(1_030)).started();
    scene.settle();
    let lost = scene.model.at(1_030);
    scene.model.persist(7);
    scene.stop();
    scene.model.crash();
    scene.start();
    scene.wait_for_state(TargetState::AheadOfNode);
    let tip = scene.model.at(1_023);
    // The node does not know the cursor's block, so it must not hear of it.
    scene.wait_until("finished", || *scene.producer().finished().borrow() == Some(tip));
    scene.model.make_canonical(lost);
    scene.model.extend(3);
    scene.settle();
    assert_eq!(scene.inboxes[0].taken().len(), 1_033);
}

#[test]
fn a_cursor_ahead_of_the_node_leaves_for_other_blocks() {
    let mut scene = Scene::new(Model::with_blocks(100)).started();
    scene.settle();
    scene.model.persist(7);
    scene.stop();
    scene.model.crash();
    scene.start();
    scene.wait_for_state(TargetState::AheadOfNode);
    scene.model.extend(1);
    scene.settle();
    scene.model.extend(20);
    scene.settle();
    assert_eq!(scene.inboxes[0].taken().len(), 121);
}

#[test]
fn a_node_that_begins_from_nothing_is_waited_for() {
    let scene = Scene::new(Model::with_blocks(50)).started();
    scene.settle();
    let tip = scene.model.at(50);
    scene.model.reorg(50, 0);
    scene.wait_for_state(TargetState::AheadOfNode);
    // So far below, the target will want nothing again.
    let genesis = scene.model.at(0);
    scene.wait_until("finished", || *scene.producer().finished().borrow() == Some(genesis));
    scene.model.make_canonical(tip);
    scene.settle();
    assert_eq!(scene.inboxes[0].taken().len(), 50);
}

#[test]
fn what_was_delivered_but_not_recorded_comes_again_and_nothing_else() {
    let mut scene = Scene::new(Model::with_blocks(20)).started();
    scene.settle();
    scene.inboxes[0].play(Trick::TakeAndHang);
    scene.model.extend(1);
    scene.wait_until("a delivery", || scene.inboxes[0].is_waiting());
    scene.stop();
    scene.model.extend(5);
    scene.start();
    scene.settle();
    assert_eq!(scene.inboxes[0].numbers()[19..23], [20, 21, 21, 22]);
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let mut scene = Scene::new(Model::with_blocks(5));
    scene.inboxes[0].play(Trick::Hang);
    scene.start();
    scene.wait_until("a delivery", || scene.inboxes[0].is_waiting());
    scene.stop();
    // The file of cursors is free again.
    scene.start();
    scene.settle();
}

#[test]
fn a_delivery_that_is_under_way_may_end() {
    let mut scene = Scene::new(Model::with_blocks(5));
    scene.timing.grace = std::time::Duration::from_secs(20);
    scene.inboxes[0].play(Trick::TakeAndHang);
    scene.start();
    scene.wait_until("a delivery", || scene.inboxes[0].is_waiting());
    let inbox = scene.inboxes[0].clone();
    let later = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        inbox.let_go();
    });
    scene.stop();
    later.join().unwrap();
    scene.start();
    scene.settle();
    assert_eq!(scene.inboxes[0].numbers(), [1, 2, 3, 4, 5]);
}
