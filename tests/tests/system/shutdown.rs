//! Ends of the agent: one signal parks what is in flight, two end at once, a panic ends with 1, and
//! none of them loses anything.

use crate::run::Run;
use bsp_tests::{
    messages::{Message, dev::DevBlocks},
    proxy::Mode,
    wait::wait_for,
};
use rustix::process::Signal;
use std::time::Duration;

async fn run_with_work_that_hangs(args: &[&str], seed: u64) -> Option<Run> {
    let mut run = Run::on_chain(args).await?;
    let pinner = run.scene.pinner.as_ref().unwrap();
    pinner.server.set(bsp_tests::servers::pinner::PinnerFault::Silence);
    let replicas = DevBlocks::new(seed).unwrap().take(6).unwrap();
    let messages: Vec<_> = replicas.iter().map(|it| Message::of(it).unwrap()).collect();
    run.feed(&messages).await;
    let server = std::sync::Arc::clone(&run.scene.pinner.as_ref().unwrap().server);
    wait_for("an upload", crate::run::DEADLINE, async || (server.uploads() > 0).then_some(()))
        .await
        .unwrap();
    Some(run)
}

async fn start_again_and_finish(mut run: Run) {
    run.scene.pinner.as_ref().unwrap().server.set(Default::default());
    run.scene.chain.as_ref().unwrap().proxy.set(Mode::Pass);
    run.process = run.command.start().unwrap();
    assert_eq!(run.finish().await.proved, 6);
}

#[tokio::test]
async fn one_signal_parks_what_is_in_work_and_ends_in_order() {
    let args = ["--shutdown-timeout", "3"];
    let Some(mut run) = run_with_work_that_hangs(&args, 41).await else { return };
    run.process.signal(Signal::TERM).unwrap();
    let status = run.process.end_within(Duration::from_secs(60)).await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", run.scene.last_lines());
    assert_eq!(run.scene.remaining().await.unwrap(), 6);
    start_again_and_finish(run).await;
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    // Without the second one this would take longer than the test waits.
    let args = ["--shutdown-timeout", "3600"];
    let Some(mut run) = run_with_work_that_hangs(&args, 42).await else { return };
    // A proof that nobody mines would be waited for, too.
    run.scene.chain.as_ref().unwrap().proxy.set(Mode::BlackHole);
    run.process.signal(Signal::TERM).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    run.process.signal(Signal::TERM).unwrap();
    run.process.end_within(Duration::from_secs(60)).await.unwrap();
    start_again_and_finish(run).await;
}

#[tokio::test]
async fn a_signal_amid_work_loses_nothing() {
    let Some(mut run) = Run::on_chain(&[]).await else { return };
    let mut blocks = DevBlocks::new(43).unwrap();
    for _ in 0..5 {
        let replicas = blocks.take(6).unwrap();
        let messages: Vec<_> = replicas.iter().map(|it| Message::of(it).unwrap()).collect();
        run.feed(&messages).await;
        run.end().await;
        run.process = run.command.start().unwrap();
    }
    assert_eq!(run.finish().await.proved, 30);
}

/// Nobody does what a part does no more: the process ends, and its supervisor learns of it.
#[tokio::test]
async fn a_panic_in_any_part_ends_the_agent_with_1() {
    let parts = [
        ("after_store", "the work on a block"),
        ("after_broadcast", "the task that sends proofs"),
        ("after_receive", "the task that reads the source"),
    ];
    for (seed, (point, told)) in (44..).zip(parts) {
        let Some(mut run) = Run::on_chain(&[]).await else { return };
        run.end().await;
        let command = run.command.clone().env("BSP_FAILPOINT", format!("panic:{point}"));
        run.process = command.start().unwrap();
        let replicas = DevBlocks::new(seed).unwrap().take(6).unwrap();
        let messages: Vec<_> = replicas.iter().map(|it| Message::of(it).unwrap()).collect();
        run.feed(&messages).await;
        let ended = run.process.end_within(Duration::from_secs(60)).await;
        if ended.is_err() && !run.process.output().contains("panicked at") {
            println!("SKIPPED: the agent is built without failpoints");
            return;
        }
        assert_eq!(ended.unwrap().code(), Some(1), "{}", run.scene.last_lines());
        assert!(run.process.output().contains(told), "{}", run.scene.last_lines());
        run.process = run.command.start().unwrap();
        assert_eq!(run.finish().await.proved, 6);
    }
}
