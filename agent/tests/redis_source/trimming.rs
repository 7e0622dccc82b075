//! Entries that the producer trims before they are handled: told once, never passed over.

use crate::fixture::{Fixture, TOPIC, backlog, next, next_hashes, wait_for};
use bsp_agent::{alarm::AlarmKind, source::redis::overview};
use bsp_stream::TlsFiles;

#[tokio::test]
async fn what_is_trimmed_before_any_delivery_is_counted_once() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let mut source = fixture.source("one").await;
    for number in 0..10 {
        fixture.add_block(&number.to_string()).await;
    }
    for _ in 0..2 {
        let delivery = next(&mut source).await;
        source.settlement.acknowledge(&delivery.entry).await.unwrap();
    }
    let held = next(&mut source).await;
    assert!(fixture.alarms.raised().is_empty());
    let _: u64 = fixture.ask(&["XTRIM", TOPIC, "MAXLEN", "3"]).await;

    assert!(fixture.alarm(AlarmKind::EntriesLost).await.contains("4 entries"));
    // What is in flight is complete, although it is gone from the stream.
    source.settlement.acknowledge(&held.entry).await.unwrap();
    assert_eq!(next_hashes(&mut source, 3).await, ["7", "8", "9"]);
    drop(source);

    // Neither a restart nor another agent tells it again, and a new loss is told alone.
    fixture.alarms.clear(AlarmKind::EntriesLost);
    let second = fixture.source("two").await;
    for number in 0..3 {
        fixture.add_block(&number.to_string()).await;
    }
    let _: u64 = fixture.ask(&["XTRIM", TOPIC, "MAXLEN", "1"]).await;
    let told = fixture.alarms.clone();
    let message = wait_for(|| {
        let alarm = told.raised().remove(&AlarmKind::EntriesLost)?;
        alarm.message.contains("entries were").then_some(alarm.message)
    });
    assert!(message.await.contains("2 entries"));
    let seen = overview(&fixture.url, &TlsFiles::default()).await.unwrap();
    assert_eq!(seen.lost_undelivered, 6);
    drop(second);
}

#[tokio::test]
async fn what_is_trimmed_after_delivery_to_a_dead_consumer_is_named() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let entry = fixture.add_block("lost").await;
    fixture.add_block("kept").await;
    let source = fixture.source("one").await;
    let read = ["XREADGROUP", "GROUP", "group", "dead", "STREAMS", TOPIC, ">"];
    let _: redis::Value = fixture.ask(&read).await;
    let _: u64 = fixture.ask(&["XTRIM", TOPIC, "MAXLEN", "1"]).await;

    assert!(fixture.alarm(AlarmKind::EntriesLost).await.contains(&entry.0));
    let mut source = source;
    assert_eq!(next_hashes(&mut source, 1).await, ["kept"]);
    assert_eq!(fixture.remaining().await, (1, 1));
    let seen = overview(&fixture.url, &TlsFiles::default()).await.unwrap();
    assert_eq!(seen.lost.iter().map(|lost| &lost.entry).collect::<Vec<_>>(), [&entry.0]);
    assert_eq!(seen.lost_undelivered, 0);
}

#[tokio::test]
async fn what_is_trimmed_while_its_own_consumer_is_away_is_named() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let lost = fixture.add_block("lost").await;
    let deleted = fixture.add_block("deleted").await;
    fixture.add_block("kept").await;
    let mut source = fixture.patient_source("one").await;
    assert_eq!(next_hashes(&mut source, 3).await, ["lost", "deleted", "kept"]);
    drop(source);
    let _: u64 = fixture.ask(&["XDEL", TOPIC, &deleted.0]).await;
    let _: u64 = fixture.ask(&["XTRIM", TOPIC, "MAXLEN", "1"]).await;

    let mut source = fixture.patient_source("one").await;
    assert_eq!(next_hashes(&mut source, 1).await, ["kept"]);
    assert_eq!(fixture.remaining().await, (1, 1));
    let seen = overview(&fixture.url, &TlsFiles::default()).await.unwrap();
    let mut named: Vec<_> = seen.lost.iter().map(|lost| lost.entry.clone()).collect();
    named.sort();
    assert_eq!(named, [lost.0, deleted.0]);
    assert!(fixture.alarms.raised().contains_key(&AlarmKind::EntriesLost));
}

#[tokio::test]
async fn what_another_agent_told_is_not_told_again() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let entry = fixture.add_block("lost").await;
    let mut source = fixture.patient_source("one").await;
    assert_eq!(next_hashes(&mut source, 1).await, ["lost"]);
    drop(source);
    let _: u64 = fixture.ask(&["XTRIM", TOPIC, "MAXLEN", "0"]).await;
    // That one died before it could acknowledge.
    let (key, member) = (format!("{TOPIC}.lost"), format!("group/{}", entry.0));
    let _: u64 = fixture.ask(&["ZADD", &key, "1", &member]).await;

    let mut source = fixture.patient_source("one").await;
    fixture.add_block("next").await;
    assert_eq!(next_hashes(&mut source, 1).await, ["next"]);
    assert_eq!(fixture.remaining().await, (1, 1));
    assert!(fixture.alarms.raised().is_empty());
}

#[tokio::test]
async fn what_was_acknowledged_is_no_loss() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let mut source = fixture.source("one").await;
    for number in 0..5 {
        fixture.add_block(&number.to_string()).await;
    }
    let mut entries = Vec::new();
    for _ in 0..5 {
        entries.push(next(&mut source).await.entry);
    }
    for entry in entries.iter().rev() {
        source.settlement.acknowledge(entry).await.unwrap();
    }
    drop(source);
    // The keeper's first round is over when a later one has claimed something.
    fixture.add_block("left").await;
    let read = ["XREADGROUP", "GROUP", "group", "dead", "STREAMS", TOPIC, ">"];
    let _: redis::Value = fixture.ask(&read).await;
    let mut source = fixture.source("two").await;
    assert_eq!(next_hashes(&mut source, 1).await, ["left"]);
    assert!(fixture.alarms.raised().is_empty());
    assert_eq!(backlog(&source).await.pending, Some(1));
}
