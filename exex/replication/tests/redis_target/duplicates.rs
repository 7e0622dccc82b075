//! Connections that break before the reply has come.

use crate::fixture::{
    TOPIC, command, entries, entry, expected, plain_target, server, stream, until,
};
use bsp_replication::Target;
use bsp_tests::proxy::{FaultProxy, Mode};
use rand::{Rng, SeedableRng, rngs::StdRng};

#[tokio::test]
async fn what_was_added_without_a_reply_is_not_added_again() {
    let Some(server) = server(&[]).await else { return };
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let mut target = plain_target(proxy.address());
    for (round, size) in [(0, 1), (1, 40)] {
        // Connects, so that nothing but the batch is asked for next.
        target.deliver(&entries(round..=round)).await.unwrap();
        let first = 100 * (round + 1);
        let batch = entries(first..first + size);
        let before = command::<u64>(&server, &["XLEN", TOPIC]).await;
        proxy.set(Mode::CutReply);
        let delivery = async { target.deliver(&batch).await.unwrap() };
        let mending = async {
            until("the server has added", async || {
                command::<u64>(&server, &["XLEN", TOPIC]).await > before
            })
            .await;
            proxy.set(Mode::Pass);
        };
        tokio::join!(delivery, mending);
    }
    assert!(target.health().retries() > 0, "the reply was not lost");
    let all = [entries(0..1), entries(100..101), entries(1..2), entries(200..240)].concat();
    assert_eq!(stream(&server).await, expected(&all));
}

#[tokio::test]
async fn the_next_process_does_not_repeat_what_the_last_one_added() {
    let Some(server) = server(&[]).await else { return };
    plain_target(server.address()).deliver(&entries(0..100)).await.unwrap();
    // Another producer's, in between.
    for number in 1000..1010 {
        let hash = format!("{:#x}", entry(number).hash);
        let add = ["XADD", TOPIC, "*", "hash", &hash, "data", "\u{0}"];
        let _: String = command(&server, &add).await;
    }
    let mut next = plain_target(server.address());
    next.deliver(&entries(10..150)).await.unwrap();
    next.deliver(&entries(150..160)).await.unwrap();
    let hashes: Vec<_> = stream(&server).await.into_iter().map(|(hash, _)| hash).collect();
    let numbers = (0..100).chain(1000..1010).chain(100..160);
    let wanted: Vec<_> = numbers.map(|number| format!("{:#x}", entry(number).hash)).collect();
    assert_eq!(hashes, wanted);
}

#[tokio::test]
async fn a_delivery_that_was_given_up_is_not_repeated() {
    let Some(server) = server(&[]).await else { return };
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let mut target = plain_target(proxy.address());
    target.deliver(&entries(0..1)).await.unwrap();
    proxy.set(Mode::CutReply);
    let given_up = entries(1..30);
    tokio::select! {
        _ = target.deliver(&given_up) => panic!("there is no reply"),
        () = until("the server has added", async || {
            command::<u64>(&server, &["XLEN", TOPIC]).await == 30
        }) => {}
    }
    proxy.set(Mode::Pass);
    target.deliver(&entries(1..31)).await.unwrap();
    assert_eq!(stream(&server).await, expected(&entries(0..31)));
}

#[tokio::test]
async fn every_entry_arrives_once_over_a_line_that_breaks_anywhere() {
    let Some(server) = server(&[]).await else { return };
    let proxy = FaultProxy::start(server.address()).await.unwrap();
    let mut target = plain_target(proxy.address());
    let mut random = StdRng::seed_from_u64(4);
    let mut first = 0;
    for _ in 0..12 {
        let size = random.random_range(1..40);
        let bytes = random.random_range(1..6_000);
        let mode = if random.random() { Mode::CutReply } else { Mode::CutAfter { bytes } };
        proxy.set(mode);
        let batch = entries(first..first + size);
        first += size;
        let health = target.health();
        let failures = health.retries();
        let delivery = async { target.deliver(&batch).await.unwrap() };
        let mending = until("a failure", async || health.retries() > failures);
        tokio::pin!(delivery, mending);
        tokio::select! {
            () = &mut delivery => continue,
            () = mending => proxy.set(Mode::Pass),
        }
        delivery.await;
    }
    assert!(target.health().retries() > 3, "the line hardly broke");
    assert_eq!(stream(&server).await, expected(&entries(0..first)));
}
