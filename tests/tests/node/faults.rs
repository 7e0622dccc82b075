//! A few of the faults of `node-campaign`, which has them all.

use bsp_tests::{
    node::{
        faults::{FaultPlan, Scenario},
        program,
    },
    servers::program::{Program, all_there},
};

async fn run(name: &str, registered: bool) {
    if !program::is_there() || !all_there(&[Program::Redis]) {
        return;
    }
    let scenario = Scenario::ALL.iter().find(|scenario| scenario.name == name).unwrap();
    let outcome = scenario.run(FaultPlan { seed: 3, rounds: 2, registered }).await.unwrap();
    assert!(outcome.faults > 0);
    for target in &outcome.targets {
        assert!(target.violations.is_empty(), "{target}");
    }
}

#[tokio::test]
async fn a_killed_node_loses_nothing() {
    run("kill-at-random", false).await;
}

#[tokio::test]
async fn a_node_behind_its_cursor_gets_back_to_it() {
    run("ahead-same-blocks", true).await;
}

#[tokio::test]
async fn an_orphaned_cursor_steps_back() {
    run("reorg-below-disk", false).await;
}

#[tokio::test]
async fn a_block_that_is_canonical_again_is_not_sent_again() {
    run("flip-flops", true).await;
}

#[tokio::test]
async fn blocks_that_the_node_executes_in_stages_are_delivered() {
    run("synced-in-stages", false).await;
}
