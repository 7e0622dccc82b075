//! From the start block to the tip, and along with it.

use super::{model::Model, scene::Scene};
use crate::{
    chain::DeliverAt,
    producer::{StartBlock, TargetState},
};
use std::sync::atomic::Ordering;

#[test]
fn blocks_arrive_in_order_as_they_come() {
    let scene = Scene::new(Model::with_blocks(3)).started();
    scene.settle();
    for _ in 0..10 {
        scene.model.extend(1);
        scene.producer().wake();
        scene.settle();
    }
    assert_eq!(scene.inboxes[0].numbers(), (1..=13).collect::<Vec<_>>());
    assert_eq!(scene.target(0).delivered, 13);
}

#[test]
fn nothing_but_the_timer_is_needed() {
    let scene = Scene::new(Model::with_blocks(3)).started();
    scene.settle();
    scene.model.extend(5);
    scene.settle();
}

#[test]
fn history_is_executed_by_several_at_once_and_delivered_in_batches() {
    let mut scene = Scene::new(Model::with_blocks(400));
    scene.model.hold();
    scene.start();
    scene.wait_until("workers", || scene.model.most_at_once.load(Ordering::SeqCst) == 3);
    scene.model.mend();
    scene.settle();
    assert_eq!(scene.model.most_at_once.load(Ordering::SeqCst), 3);
    assert_eq!(scene.inboxes[0].numbers(), (1..=400).collect::<Vec<_>>());
}

#[test]
fn latest_begins_after_the_tip_of_the_first_start() {
    let mut scene = Scene::new(Model::with_blocks(7));
    scene.config.start_block = StartBlock::Latest;
    scene.start();
    scene.wait_for_state(TargetState::Following);
    assert_eq!(*scene.producer().finished().borrow(), Some(scene.model.at(7)));
    // Not at a later start, though there is no block yet.
    scene.stop();
    scene.model.extend(2);
    scene.start();
    scene.wait_for_target(0);
    assert_eq!(scene.inboxes[0].numbers(), [8, 9]);
}

#[test]
fn a_number_in_the_future_is_waited_for() {
    let mut scene = Scene::new(Model::with_blocks(3));
    scene.config.start_block = StartBlock::Number(6);
    scene.start();
    scene.wait_for_state(TargetState::Following);
    scene.model.extend(4);
    scene.wait_for_target(0);
    assert_eq!(scene.inboxes[0].numbers(), [6, 7]);
}

#[test]
fn latest_is_the_tip_after_the_nodes_sync_not_one_of_the_past() {
    let mut scene = Scene::new(Model::with_blocks(0));
    scene.config.start_block = StartBlock::Latest;
    scene.model.sync(true);
    scene.start();
    // Over a restart in its middle, too: nothing was written down.
    for _ in 0..2 {
        scene.model.extend(100);
        let head = scene.model.at(scene.model.height());
        // The node may forget what no target will want.
        scene.wait_until("finished", || *scene.producer().finished().borrow() == Some(head));
        let target = scene.target(0);
        assert_eq!((target.state, target.cursor), (TargetState::Starting, None));
        assert!(target.trouble.unwrap().contains("waits for the node's sync"));
        scene.start();
    }
    scene.model.sync(false);
    scene.wait_for_state(TargetState::Following);
    assert_eq!(scene.target(0).trouble, None);
    scene.model.extend(2);
    scene.wait_for_target(0);
    assert_eq!(scene.inboxes[0].numbers(), [201, 202]);
    // A later sync does not make a target wait that has begun.
    scene.model.sync(true);
    scene.start();
    scene.model.extend(1);
    scene.wait_for_target(0);
}

#[test]
fn a_target_that_has_nothing_yet_holds_back_only_what_it_will_want() {
    let mut scene = Scene::new(Model::with_blocks(3)).with_targets(2);
    scene.config.start_block = StartBlock::Number(6);
    scene.inboxes[0].play(super::memory_target::Trick::Hang);
    scene.start();
    let is_finished = |scene: &Scene, number| {
        let block = scene.model.at(number);
        scene.wait_until("finished", || *scene.producer().finished().borrow() == Some(block));
    };
    is_finished(&scene, 3);
    scene.model.extend(2);
    is_finished(&scene, 5);
    scene.model.extend(4);
    scene.wait_until("a delivery", || scene.inboxes[0].is_waiting());
    scene.wait_for_target(1);
    is_finished(&scene, 5);
    scene.inboxes[0].let_go();
    is_finished(&scene, 9);
}

#[test]
fn news_of_the_chain_end_a_long_pause() {
    let mut scene = Scene::new(Model::with_blocks(5));
    scene.timing.first_pause = std::time::Duration::from_secs(3_600);
    scene.timing.longest_pause = scene.timing.first_pause;
    scene.model.fail(3, super::model::Fault::NotReady, 1);
    scene.start();
    scene.wait_for_state(TargetState::WaitingForState);
    scene.producer().wake();
    scene.settle();
}

#[test]
fn a_start_goes_on_at_the_cursor() {
    let mut scene = Scene::new(Model::with_blocks(20)).started();
    scene.settle();
    scene.stop();
    scene.model.extend(20);
    scene.config.start_block = StartBlock::Number(5);
    scene.start();
    scene.settle();
    assert_eq!(scene.inboxes[0].numbers(), (1..=40).collect::<Vec<_>>());
    assert_eq!(scene.model.productions(), 40);
}

#[test]
fn only_finalized_blocks_if_so_wished() {
    let mut scene = Scene::new(Model::with_blocks(20));
    scene.config.deliver = DeliverAt::Finalized;
    scene.start();
    scene.wait_for_state(TargetState::Following);
    scene.model.finalize(12);
    scene.wait_until("12 blocks", || scene.inboxes[0].numbers().len() == 12);
    let finalized = scene.model.at(12);
    scene.wait_until("finished", || *scene.producer().finished().borrow() == Some(finalized));
    assert_eq!(scene.inboxes[0].numbers(), (1..=12).collect::<Vec<_>>());
}

#[test]
fn targets_share_productions() {
    let scene = Scene::new(Model::with_blocks(0)).with_targets(3).started();
    for _ in 0..20 {
        scene.model.extend(1);
        scene.settle();
    }
    for hash in scene.model.canonical().iter().skip(1) {
        assert_eq!(scene.model.produced(*hash), 1);
    }
}

#[test]
fn memory_is_bounded_by_the_budget() {
    let mut scene = Scene::new(Model::with_blocks(60));
    scene.model.replicas_of(1_000);
    scene.config.memory_budget = 4_500;
    scene.config.workers = 8;
    scene.inboxes[0].play(super::memory_target::Trick::Hang);
    scene.start();
    scene.wait_until("a delivery", || scene.inboxes[0].is_waiting());
    // The first guess is larger than the budget, so blocks come one by one until the size is known.
    scene.wait_until("the window is full", || scene.model.productions() >= 3);
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert!(scene.model.productions() <= 5, "{}", scene.model.productions());
    scene.inboxes[0].let_go();
    scene.wait_for_target(0);
    assert!(scene.inboxes[0].largest_batch() <= 4);
}

#[test]
fn blocks_that_are_larger_than_the_budget_come_one_by_one() {
    let mut scene = Scene::new(Model::with_blocks(40));
    scene.model.replicas_of(5 << 20);
    scene.config.memory_budget = 1 << 20;
    scene.config.workers = 8;
    scene.start();
    scene.settle();
    assert_eq!(scene.model.most_at_once.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(scene.inboxes[0].largest_batch(), 1);
}

#[test]
fn the_same_target_twice_is_refused() {
    let chain = Model::with_blocks(0);
    let inbox = super::memory_target::Inbox::default();
    let error = crate::Producer::start(
        chain,
        vec![inbox.target("there"), inbox.target("there")],
        crate::ProducerConfig::default(),
        tokio_util::sync::CancellationToken::new(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
}
