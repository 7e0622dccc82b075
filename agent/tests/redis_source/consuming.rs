//! What is delivered, to whom, and how often.

use crate::fixture::{Fixture, TOPIC, backlog, next, next_hashes};
use bsp_agent::source::Payload;
use std::time::Duration;

fn as_sent(payload: &Payload) -> &[u8] {
    let Payload::Snappy(bytes) = payload else { panic!("{payload:?}") };
    bytes
}

#[tokio::test]
async fn entries_come_as_they_are_and_go_when_acknowledged() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let entries: [&[&[u8]]; 6] = [
        &[b"hash", b"0xaa", b"data", b"\x00\xff"],
        &[b"data", b"", b"more", b"x", b"hash", b"0xbb"],
        &[b"hash", b"\xff\xfe"],
        &[b"data", b"only"],
        &[b"", b""],
        &[b"hash", b"0xaa", b"data", b"\x00\xff"],
    ];
    for entry in entries {
        fixture.add(entry).await;
    }

    let mut source = fixture.source("one").await;
    let mut deliveries = Vec::new();
    for _ in entries {
        deliveries.push(next(&mut source).await);
    }
    let seen: Vec<_> =
        deliveries.iter().map(|d| (d.hash.as_deref(), d.payload.as_ref().map(as_sent))).collect();
    assert_eq!(
        seen,
        [
            (Some("0xaa"), Some(&b"\x00\xff"[..])),
            (Some("0xbb"), Some(&b""[..])),
            (Some("\u{fffd}\u{fffd}"), None),
            (None, Some(&b"only"[..])),
            (None, None),
            (Some("0xaa"), Some(&b"\x00\xff"[..])),
        ]
    );
    assert!(deliveries.iter().all(|delivery| delivery.deliveries == 1));
    let waiting = backlog(&source).await;
    assert_eq!((waiting.length, waiting.undelivered, waiting.pending), (Some(6), Some(0), Some(6)));
    assert!(waiting.oldest_age_ms.is_some());

    for delivery in &deliveries {
        source.settlement.acknowledge(&delivery.entry).await.unwrap();
        // What is gone already succeeds.
        source.settlement.acknowledge(&delivery.entry).await.unwrap();
    }
    assert_eq!(fixture.remaining().await, (0, 0));
    assert_eq!(backlog(&source).await.oldest_age_ms, None);
}

#[tokio::test]
async fn an_entry_that_is_to_be_delivered_again_comes_without_a_wait_for_the_idle_time() {
    let Some(mut fixture) = Fixture::start().await else { return };
    for hash in ["0x01", "0x02"] {
        fixture.add_block(hash).await;
    }
    let mut source = fixture.patient_source("one").await;
    let first = next(&mut source).await;
    let second = next(&mut source).await;
    source.settlement.redeliver(&first.entry);
    let again = next(&mut source).await;
    assert_eq!((&again.entry, again.deliveries), (&first.entry, 2));
    for delivery in [&again, &second] {
        source.settlement.acknowledge(&delivery.entry).await.unwrap();
    }
    assert_eq!(fixture.remaining().await, (0, 0));
}

#[tokio::test]
async fn a_dropped_read_loses_nothing_and_nothing_in_hand_comes_twice() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let mut source = fixture.patient_source("one").await;
    fixture.add_block("zeroth").await;
    assert_eq!(next_hashes(&mut source, 1).await, ["zeroth"]);
    let dropped = tokio::time::timeout(Duration::from_millis(300), source.deliveries.next()).await;
    assert!(dropped.is_err(), "there is nothing yet");
    // The read that was dropped still waits in the server and takes this one.
    fixture.add_block("first").await;
    assert_eq!(next_hashes(&mut source, 1).await, ["first"]);

    fixture.add_block("second").await;
    let dropped = tokio::time::timeout(Duration::from_millis(1), source.deliveries.next()).await;
    let mut seen = dropped.map_or(Vec::new(), |d| vec![d.unwrap().unwrap().hash.unwrap()]);
    fixture.add_block("third").await;
    seen.extend(next_hashes(&mut source, 2 - seen.len()).await);
    assert_eq!(seen, ["second", "third"]);
}

#[tokio::test]
async fn an_entry_in_hand_that_redis_delivers_as_new_does_not_come_twice() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let mut source = fixture.patient_source("one").await;
    fixture.add_block("held").await;
    assert_eq!(next_hashes(&mut source, 1).await, ["held"]);
    // As after a failover to a replica that was behind.
    let _: () = fixture.ask(&["XGROUP", "SETID", TOPIC, "group", "0"]).await;
    fixture.add_block("new").await;
    assert_eq!(next_hashes(&mut source, 1).await, ["new"]);
}

#[tokio::test]
async fn a_restarted_consumer_begins_with_what_it_had() {
    let Some(mut fixture) = Fixture::start().await else { return };
    for hash in ["a", "b", "c", "d"] {
        fixture.add_block(hash).await;
    }
    let mut source = fixture.patient_source("one").await;
    let first = next(&mut source).await;
    assert_eq!(next_hashes(&mut source, 2).await, ["b", "c"]);
    source.settlement.acknowledge(&first.entry).await.unwrap();
    drop(source);

    let mut source = fixture.patient_source("one").await;
    let again = next(&mut source).await;
    assert_eq!((again.hash.as_deref(), again.deliveries), (Some("b"), 2));
    assert_eq!(next_hashes(&mut source, 2).await, ["c", "d"]);
}

#[tokio::test]
async fn what_a_dead_consumer_left_is_taken_over_and_what_a_living_one_has_is_not() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let mut living = fixture.source("living").await;
    fixture.add_block("kept").await;
    assert_eq!(next_hashes(&mut living, 1).await, ["kept"]);
    fixture.add_block("left").await;
    let _: redis::Value =
        fixture.ask(&["XREADGROUP", "GROUP", "group", "dead", "STREAMS", TOPIC, ">"]).await;

    let mut heir = fixture.source("heir").await;
    let left = next(&mut heir).await;
    assert_eq!((left.hash.as_deref(), left.deliveries), (Some("left"), 2));
    heir.settlement.acknowledge(&left.entry).await.unwrap();
    drop(living);
    assert_eq!(next_hashes(&mut heir, 1).await, ["kept"]);
}

#[tokio::test]
async fn a_released_entry_comes_again() {
    let Some(mut fixture) = Fixture::start().await else { return };
    fixture.add_block("a").await;
    let mut source = fixture.source("one").await;
    let first = next(&mut source).await;
    source.settlement.release(&first.entry);
    let again = next(&mut source).await;
    assert_eq!(again.entry, first.entry);
    assert!(again.deliveries > 1);
}

#[tokio::test]
async fn two_consumers_share_the_stream() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let (mut one, mut two) = (fixture.source("one").await, fixture.source("two").await);
    for hash in ["a", "b", "c", "d"] {
        fixture.add_block(hash).await;
    }
    let (mut seen, other) = tokio::join!(next_hashes(&mut one, 2), next_hashes(&mut two, 2));
    seen.extend(other);
    seen.sort();
    assert_eq!(seen, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn another_group_keeps_what_it_has_not_acknowledged() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let _: redis::Value = fixture.ask(&["XGROUP", "CREATE", TOPIC, "other", "0", "MKSTREAM"]).await;
    let mut entries = Vec::new();
    for hash in ["a", "b", "c"] {
        entries.push(fixture.add_block(hash).await);
    }
    let mut source = fixture.source("one").await;
    for entry in &entries {
        assert_eq!(next(&mut source).await.entry, *entry);
    }
    source.settlement.acknowledge(&entries[0]).await.unwrap();
    source.settlement.acknowledge(&entries[2]).await.unwrap();
    assert_eq!(fixture.remaining().await, (3, 1));

    let _: redis::Value =
        fixture.ask(&["XREADGROUP", "GROUP", "other", "x", "STREAMS", TOPIC, ">"]).await;
    let ids: Vec<_> = entries.iter().map(|entry| entry.0.as_str()).collect();
    let _: u64 = fixture.ask(&["XACK", TOPIC, "other", ids[0], ids[1]]).await;
    source.settlement.acknowledge(&entries[1]).await.unwrap();
    // The other group still works on the third.
    assert_eq!(fixture.remaining().await, (1, 0));
}

#[tokio::test]
async fn the_source_ends_with_the_stop() {
    let Some(fixture) = Fixture::start().await else { return };
    let mut source = fixture.source("one").await;
    let stop = fixture.stop.clone();
    let (end, ()) = tokio::join!(source.deliveries.next(), async move { stop.cancel() });
    assert!(end.unwrap().is_none());
}
