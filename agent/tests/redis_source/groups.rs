//! Other groups, and other processes with the same consumer name.

use crate::{
    fixture::{Fixture, TOPIC, next, next_hashes, wait_for},
    server::PATIENCE,
};
use bsp_agent::{
    alarm::AlarmKind,
    source::{
        EntryId, Source,
        redis::{open, overview},
    },
};
use bsp_stream::TlsFiles;
use std::time::{Duration, Instant};

impl Fixture {
    /// Waits until Redis answers a command with this number.
    async fn wait_for_number(&mut self, words: &[&str], wanted: u64) {
        let begin = Instant::now();
        while self.ask::<u64>(words).await != wanted {
            assert!(begin.elapsed() < PATIENCE, "{words:?} is not {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a whole round of a source's keeper has gone by: one that began after this was
    /// called has taken something over. Settles that.
    async fn wait_for_a_round(&mut self, source: &mut Source) {
        for hash in ["round", "and another"] {
            self.add_block(hash).await;
            let read = ["XREADGROUP", "GROUP", "group", "dead", "STREAMS", TOPIC, ">"];
            let _: redis::Value = self.ask(&read).await;
            let taken = next(source).await;
            assert_eq!(taken.hash.as_deref(), Some(hash));
            source.settlement.acknowledge(&taken.entry).await.unwrap();
        }
    }

    async fn read_as(&mut self, group: &str) {
        let read = ["XREADGROUP", "GROUP", group, "x", "STREAMS", TOPIC, ">"];
        let _: redis::Value = self.ask(&read).await;
    }
}

#[tokio::test]
async fn what_had_to_stay_for_a_group_goes_when_that_is_destroyed() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let mut entries = Vec::new();
    for number in 0..5 {
        entries.push(fixture.add_block(&number.to_string()).await);
    }
    let _: () = fixture.ask(&["XGROUP", "CREATE", TOPIC, "other", "0"]).await;
    let mut source = fixture.source("one").await;
    for entry in &entries {
        assert_eq!(next(&mut source).await.entry, *entry);
        source.settlement.acknowledge(entry).await.unwrap();
    }
    assert_eq!(fixture.ask::<u64>(&["XLEN", TOPIC]).await, 5);
    let _: u64 = fixture.ask(&["XGROUP", "DESTROY", TOPIC, "other"]).await;
    fixture.wait_for_number(&["XLEN", TOPIC], 0).await;

    // And what is not read yet, or not acknowledged, stays.
    let held = fixture.add_block("held").await;
    assert_eq!(next(&mut source).await.entry, held);
    fixture.wait_for_a_round(&mut source).await;
    let first: Vec<(String, redis::Value)> =
        fixture.ask(&["XRANGE", TOPIC, "-", "+", "COUNT", "1"]).await;
    assert_eq!(first[0].0, held.0);
    source.settlement.acknowledge(&held).await.unwrap();
    fixture.wait_for_number(&["XLEN", TOPIC], 0).await;
}

#[tokio::test]
async fn another_group_keeps_its_entries_while_ours_is_gone() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let entry = fixture.add_block("a").await;
    fixture.add_block("b").await;
    let mut source = fixture.patient_source("one").await;
    assert_eq!(next(&mut source).await.entry, entry);
    let _: () = fixture.ask(&["XGROUP", "CREATE", TOPIC, "other", "0"]).await;
    let _: u64 = fixture.ask(&["XGROUP", "DESTROY", TOPIC, "group"]).await;
    source.settlement.acknowledge(&entry).await.unwrap();
    assert_eq!(fixture.ask::<u64>(&["XLEN", TOPIC]).await, 2);
    // Nor goes what ours has not read when it is made again, although the other is done with it.
    fixture.read_as("other").await;
    let _: u64 = fixture.ask(&["XACK", TOPIC, "other", &entry.0]).await;
    source.settlement.acknowledge(&entry).await.unwrap();
    assert_eq!(fixture.ask::<u64>(&["XLEN", TOPIC]).await, 2);
}

#[tokio::test]
async fn what_lies_before_a_group_is_told_and_not_removed() {
    let Some(mut fixture) = Fixture::start().await else { return };
    for number in 0..4 {
        fixture.add_block(&number.to_string()).await;
    }
    let _: () = fixture.ask(&["XGROUP", "CREATE", TOPIC, "group", "$"]).await;
    let mut source = fixture.source("one").await;
    fixture.wait_for_a_round(&mut source).await;
    assert_eq!(fixture.remaining().await, (4, 0));
    let unread = overview(&fixture.url, &TlsFiles::default()).await.unwrap().unread.unwrap();
    assert_eq!(unread.count, Some(4));
    assert!(
        fixture.ask::<Vec<redis::Value>>(&["XRANGE", TOPIC, &unread.before, "+"]).await.is_empty()
    );

    // As it says: the group goes back, and all are read.
    let _: () = fixture.ask(&["XGROUP", "SETID", TOPIC, "group", "0"]).await;
    assert_eq!(next_hashes(&mut source, 4).await, ["0", "1", "2", "3"]);
    assert_eq!(overview(&fixture.url, &TlsFiles::default()).await.unwrap().unread, None);
}

#[tokio::test]
async fn trimmed_entries_in_hand_do_not_keep_others_from_being_taken_over() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let mut source = fixture.source("one").await;
    for number in 0..110 {
        fixture.add_block(&number.to_string()).await;
        next(&mut source).await;
    }
    let _: u64 = fixture.ask(&["XTRIM", TOPIC, "MAXLEN", "0"]).await;
    fixture.add_block("left").await;
    let read = ["XREADGROUP", "GROUP", "group", "dead", "STREAMS", TOPIC, ">"];
    let _: redis::Value = fixture.ask(&read).await;
    assert_eq!(next_hashes(&mut source, 1).await, ["left"]);
    assert!(fixture.alarms.raised().is_empty());
}

#[tokio::test]
async fn a_second_process_with_the_same_name_is_noticed() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let mut first = fixture.source("one").await;
    fixture.add_block("a").await;
    assert_eq!(next_hashes(&mut first, 1).await, ["a"]);
    fixture.wait_for_a_round(&mut first).await;
    assert!(fixture.alarms.raised().is_empty());
    let second = fixture.source("one").await;
    assert!(fixture.alarm(AlarmKind::ConsumerShared).await.contains("--consumer-name"));
    drop(first);
    let alarms = fixture.alarms.clone();
    wait_for(|| alarms.raised().is_empty().then_some(())).await;
    drop(second);
}

#[tokio::test]
async fn what_was_released_is_counted_anew() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let entry = fixture.add_block("a").await;
    for deliveries in 1..=3 {
        let mut source = fixture.patient_source("one").await;
        assert_eq!(next(&mut source).await.deliveries, deliveries);
    }
    let mut source = fixture.source("one").await;
    assert_eq!(next(&mut source).await.deliveries, 4);
    source.settlement.release(&entry);
    let begin = Instant::now();
    loop {
        let rows: Vec<(String, String, u64, u64)> =
            fixture.ask(&["XPENDING", TOPIC, "group", "-", "+", "1"]).await;
        if rows[0].3 == 1 {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "{rows:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(next(&mut source).await.deliveries, 2);
}

#[tokio::test]
async fn what_goes_on_from_the_journal_is_no_loss_and_does_not_come_again() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let in_flight = fixture.add_block("in flight").await;
    let lost = fixture.add_block("lost").await;
    let mut source = fixture.patient_source("one").await;
    assert_eq!(next_hashes(&mut source, 2).await, ["in flight", "lost"]);
    drop(source);
    let _: u64 = fixture.ask(&["XTRIM", TOPIC, "MAXLEN", "0"]).await;
    fixture.add_block("new").await;

    let mut config = fixture.config("one", crate::fixture::CLAIM_IDLE);
    config.resumed = vec![in_flight.clone(), EntryId("of another source".to_owned())];
    let mut source = open(config, fixture.alarms.clone(), fixture.stop.clone()).await.unwrap();
    assert_eq!(next_hashes(&mut source, 1).await, ["new"]);
    fixture.wait_for_a_round(&mut source).await;
    let seen = overview(&fixture.url, &TlsFiles::default()).await.unwrap();
    assert_eq!(seen.lost.iter().map(|lost| &lost.entry).collect::<Vec<_>>(), [&lost.0]);
    source.settlement.acknowledge(&in_flight).await.unwrap();
    assert_eq!(fixture.remaining().await, (1, 1));
}

#[tokio::test]
async fn what_is_settled_when_the_stop_comes_is_settled() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let entry = fixture.add_block("a").await;
    let mut source = fixture.patient_source("one").await;
    assert_eq!(next(&mut source).await.entry, entry);
    fixture.stop.cancel();
    source.settlement.acknowledge(&entry).await.unwrap();
    assert_eq!(fixture.remaining().await, (0, 0));
}
