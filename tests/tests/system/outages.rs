//! Servers that go away, lie or are late, and disks that are full or read-only: the agent waits,
//! says so, and continues.

use crate::run::Run;
use bsp_tests::{
    agent::AgentCommand,
    audit::disk::AgentFolders,
    messages::{Message, dev::DevBlocks},
    proxy::Mode,
    servers::pinner::PinnerFault,
    small_disk::SmallDisk,
    wait::wait_for,
};
use std::{fs, path::PathBuf, time::Duration};

fn messages(blocks: &mut DevBlocks, count: usize) -> Vec<Message> {
    let replicas = blocks.take(count).unwrap();
    replicas.iter().map(|replica| Message::of(replica).unwrap()).collect()
}

#[tokio::test]
async fn redis_may_restart() {
    let Some(mut run) = Run::on_ledger(&[]).await else { return };
    let mut blocks = DevBlocks::new(31).unwrap();
    run.feed(&messages(&mut blocks, 10)).await;
    run.scene.redis.kill().await.unwrap();
    run.prints("source_unavailable").await;
    run.scene.redis.restart().await.unwrap();
    run.feed(&messages(&mut blocks, 10)).await;
    run.settle().await;
    for mode in [Mode::Refuse, Mode::CutAfter { bytes: 3_000 }, Mode::BlackHole] {
        run.scene.redis_proxy.set(mode);
        run.feed(&messages(&mut blocks, 5)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        run.scene.redis_proxy.set(Mode::Pass);
        run.settle().await;
    }
    assert_eq!(run.finish().await.proved, 35);
}

#[tokio::test]
async fn a_pinner_may_fail_in_every_way() {
    let Some(mut run) = Run::on_chain(&[]).await else { return };
    let mut blocks = DevBlocks::new(32).unwrap();
    let faults = [
        PinnerFault::ServerError,
        PinnerFault::ErrorBody,
        PinnerFault::Nothing,
        PinnerFault::OtherCid,
        PinnerFault::Drip,
        PinnerFault::Silence,
    ];
    for fault in faults {
        let server = std::sync::Arc::clone(&run.scene.pinner.as_ref().unwrap().server);
        let before = server.uploads();
        server.set(fault);
        run.feed(&messages(&mut blocks, 2)).await;
        let tried = wait_for("an upload", crate::run::DEADLINE, async || {
            (server.uploads() > before).then_some(())
        });
        tried.await.unwrap();
        assert!(run.scene.remaining().await.unwrap() > 0, "{fault:?} was taken for an answer");
        server.set(PinnerFault::None);
        // Another CID waits for the operator; what drips or is silent has a deadline of a minute.
        if matches!(fault, PinnerFault::OtherCid | PinnerFault::Drip | PinnerFault::Silence) {
            run.crash().await;
        }
        run.settle().await;
    }
    assert_eq!(run.finish().await.proved, 12);
}

#[tokio::test]
async fn an_rpc_may_fail_in_every_way() {
    let Some(mut run) = Run::on_chain(&[]).await else { return };
    let mut blocks = DevBlocks::new(33).unwrap();
    let modes = [
        Mode::Refuse,
        Mode::CutAfter { bytes: 200 },
        Mode::Slow { bytes_per_second: 2_000 },
        Mode::Delay { by: Duration::from_millis(700) },
        Mode::BlackHole,
    ];
    for mode in modes {
        run.scene.chain.as_ref().unwrap().proxy.set(mode);
        run.feed(&messages(&mut blocks, 3)).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        run.scene.chain.as_ref().unwrap().proxy.set(Mode::Pass);
        run.settle().await;
    }
    assert_eq!(run.finish().await.proved, 15);
}

#[tokio::test]
async fn a_missing_segments_folder_is_waited_for() {
    let Some(mut run) = Run::on_ledger(&[]).await else { return };
    let mut blocks = DevBlocks::new(34).unwrap();
    run.feed(&messages(&mut blocks, 2)).await;
    run.settle().await;
    let segments = run.scene.folders_of("agent").segments;
    // The watcher still looks for the files of what was acknowledged last.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let away = segments.with_extension("away");
    fs::rename(&segments, &away).unwrap();
    run.feed(&messages(&mut blocks, 2)).await;
    run.prints("store_failing").await;
    fs::rename(&away, &segments).unwrap();
    assert_eq!(run.finish().await.proved, 4);
}

/// The agent with one of its folders on a small disk.
async fn on_small_disk(folder: impl Fn(AgentFolders) -> PathBuf) -> Option<(Run, SmallDisk)> {
    let mut run = Run::on_ledger(&[]).await?;
    run.end().await;
    let disk = SmallDisk::mount(&folder(run.scene.folders_of("agent")))?;
    run.process = AgentCommand::start(&run.command).unwrap();
    run.is_up_after(2).await;
    Some((run, disk))
}

#[tokio::test]
async fn a_full_disk_is_waited_for() {
    let Some((mut run, disk)) = on_small_disk(|folders| folders.segments).await else { return };
    let mut blocks = DevBlocks::new(35).unwrap();
    disk.fill();
    run.feed(&messages(&mut blocks, 2)).await;
    run.prints("store_failing").await;
    assert_eq!(run.scene.remaining().await.unwrap(), 2);
    disk.empty();
    assert_eq!(run.finish().await.proved, 2);
}

#[tokio::test]
async fn a_read_only_disk_is_waited_for() {
    let Some((mut run, disk)) = on_small_disk(|folders| folders.segments).await else { return };
    let mut blocks = DevBlocks::new(36).unwrap();
    disk.set_read_only(true);
    run.feed(&messages(&mut blocks, 2)).await;
    run.prints("store_failing").await;
    assert_eq!(run.scene.remaining().await.unwrap(), 2);
    disk.set_read_only(false);
    assert_eq!(run.finish().await.proved, 2);
}

/// Journal, pins and ledger are there, too.
#[tokio::test]
async fn a_full_disk_under_the_data_folder_is_waited_for() {
    let Some((mut run, disk)) = on_small_disk(|folders| folders.data).await else { return };
    let mut blocks = DevBlocks::new(37).unwrap();
    disk.fill();
    run.feed(&messages(&mut blocks, 12)).await;
    run.prints("_failing").await;
    assert!(run.scene.remaining().await.unwrap() > 0);
    disk.empty();
    assert_eq!(run.finish().await.proved, 12);
}
