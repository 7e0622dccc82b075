//! Servers that hand out and remove, and store nothing: full ones, and keys that are not for us.

use crate::{
    fixture::{CLAIM_IDLE, Fixture, TOPIC, backlog, next, next_hashes, wait_for},
    server::PATIENCE,
};
use bsp_agent::{
    alarm::AlarmKind,
    source::{
        DeadLetter, Delivery, SourceError,
        redis::{check_writes, open, overview},
    },
};
use bsp_stream::TlsFiles;
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

const READ_BY_OTHER: [&str; 8] =
    ["XREADGROUP", "GROUP", "group", "dead", "COUNT", "1", "STREAMS", TOPIC];

impl Fixture {
    /// Lets the server store nothing new, as at its `maxmemory` without eviction.
    async fn fill(&mut self) {
        let _: () = self.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    }

    async fn make_room(&mut self) {
        let _: () = self.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    }

    /// A file of the data folder.
    fn file(&self, name: &str) -> PathBuf {
        self.data.path().join(name)
    }

    /// Lines of the file of losses.
    fn noted_losses(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.file("lost.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// What must not wait for room in Redis.
async fn at_once(settling: impl Future<Output = Result<(), SourceError>>) {
    tokio::time::timeout(PATIENCE, settling).await.expect("it waits").unwrap();
}

fn letter_of(delivery: &Delivery) -> DeadLetter {
    DeadLetter {
        entry: delivery.entry.clone(),
        hash: delivery.hash.clone(),
        reason: "not snappy".to_owned(),
        payload: delivery.payload.as_ref().map(|payload| payload.to_snappy().unwrap()),
        supplement: delivery.supplement.clone(),
    }
}

#[tokio::test]
async fn a_full_server_is_drained_after_a_restart() {
    let Some(mut fixture) = Fixture::start().await else { return };
    for hash in ["a", "b", "c"] {
        fixture.add_block(hash).await;
    }
    let mut source = fixture.patient_source("one").await;
    assert_eq!(next_hashes(&mut source, 1).await, ["a"]);
    drop(source);
    fixture.fill().await;
    assert!(
        check_writes(&fixture.url, &TlsFiles::default())
            .await
            .unwrap()
            .unwrap()
            .contains("maxmemory")
    );

    let mut source = fixture.source("one").await;
    for hash in ["a", "b", "c"] {
        let delivery = next(&mut source).await;
        assert_eq!(delivery.hash.as_deref(), Some(hash));
        source.settlement.acknowledge(&delivery.entry).await.unwrap();
    }
    assert_eq!(fixture.remaining().await, (0, 0));
    // What another left is taken over as well.
    fixture.make_room().await;
    fixture.add_block("left").await;
    let mut read = READ_BY_OTHER.to_vec();
    read.push(">");
    let _: redis::Value = fixture.ask(&read).await;
    fixture.fill().await;
    assert_eq!(next_hashes(&mut source, 1).await, ["left"]);
    assert!(fixture.alarms.raised().is_empty());
    fixture.make_room().await;
    assert_eq!(check_writes(&fixture.url, &TlsFiles::default()).await.unwrap(), None);
}

#[tokio::test]
async fn a_full_server_without_the_group_says_what_to_do() {
    let Some(mut fixture) = Fixture::start().await else { return };
    fixture.add_block("a").await;
    fixture.fill().await;
    let config = fixture.config("one", CLAIM_IDLE);
    let error = open(config, fixture.alarms.clone(), fixture.stop.clone()).await.unwrap_err();
    let SourceError::Refused { reason, .. } = error else { panic!("{error}") };
    assert!(reason.contains("the group group") && reason.contains("maxmemory"), "{reason}");
    let error = check_writes(&fixture.url, &TlsFiles::default()).await.unwrap_err().to_string();
    assert!(error.contains("the group group") && error.contains("maxmemory"), "{error}");
}

#[tokio::test]
async fn a_server_that_answers_and_does_not_write_is_told_before_the_start() {
    let Some(mut fixture) = Fixture::start().await else { return };
    fixture.add_block("a").await;
    drop(fixture.patient_source("one").await);
    let _: () = fixture.ask(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    let error = check_writes(&fixture.url, &TlsFiles::default()).await.unwrap_err().to_string();
    assert!(error.contains("min-replicas-to-write"), "{error}");
    let config = fixture.config("one", CLAIM_IDLE);
    let error = open(config, fixture.alarms.clone(), fixture.stop.clone()).await.unwrap_err();
    assert!(error.to_string().contains("min-replicas-to-write"), "{error}");
}

#[tokio::test]
async fn dead_letters_that_redis_can_not_take_are_kept_in_the_data_folder() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let entry = fixture.add(&[b"hash", b"0xaa", b"data", b"\x00\xff"]).await;
    fixture.add_block("good").await;
    fixture.add_block("bad, later").await;
    let mut source = fixture.patient_source("one").await;
    let bad = next(&mut source).await;
    fixture.fill().await;
    at_once(source.settlement.bury(&letter_of(&bad))).await;
    // What is good behind it continues.
    let good = next(&mut source).await;
    source.settlement.acknowledge(&good.entry).await.unwrap();
    assert_eq!(fixture.remaining().await, (1, 0));

    let name = format!("dead/{TOPIC}_{}", entry.0);
    assert_eq!(fs::read(fixture.file(&format!("{name}.bin"))).unwrap(), b"\x00\xff");
    let json = fs::read(fixture.file(&format!("{name}.json"))).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["entry"], entry.0.as_str());
    assert_eq!((&json["topic"], &json["group"]), (&TOPIC.into(), &"group".into()));
    assert_eq!(json["reason"], "not snappy");
    let alarm = &fixture.alarms.raised()[&AlarmKind::DeadLetter].message;
    assert!(alarm.contains(fixture.data.path().to_str().unwrap()), "{alarm}");
    assert_eq!(backlog(&source).await.dead, Some(1));

    fixture.make_room().await;
    let bad = next(&mut source).await;
    source.settlement.bury(&letter_of(&bad)).await.unwrap();
    assert_eq!(fixture.ask::<u64>(&["XLEN", &fixture.url.dead_topic()]).await, 1);
    assert_eq!(backlog(&source).await.dead, Some(2));
    assert_eq!(fixture.remaining().await, (0, 0));
}

#[tokio::test]
async fn a_key_of_another_type_in_place_of_the_dead_letters_loses_none() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let entry = fixture.add_block("bad").await;
    let mut source = fixture.patient_source("one").await;
    let bad = next(&mut source).await;
    let _: () = fixture.ask(&["SET", &fixture.url.dead_topic(), "x"]).await;
    // Nor does it while the data folder can't take them either.
    fs::write(fixture.file("dead"), "in the way").unwrap();
    let (settlement, letter) = (source.settlement.clone(), letter_of(&bad));
    let burying = tokio::spawn(async move { settlement.bury(&letter).await });
    fixture.alarm(AlarmKind::StoreFailing).await;
    assert_eq!(fixture.remaining().await, (1, 1));
    fs::remove_file(fixture.file("dead")).unwrap();
    at_once(async { burying.await.unwrap() }).await;
    assert!(fixture.file(&format!("dead/{TOPIC}_{}.json", entry.0)).exists());
    assert_eq!(fixture.remaining().await, (0, 0));
    assert_eq!(backlog(&source).await.dead, Some(1));
}

#[tokio::test]
async fn an_entry_is_buried_once() {
    let Some(mut fixture) = Fixture::start().await else { return };
    fixture.add_block("bad").await;
    let mut source = fixture.patient_source("one").await;
    let bad = next(&mut source).await;
    // As a block does that was refused, and whose record a crash has kept from being written.
    source.settlement.bury(&letter_of(&bad)).await.unwrap();
    source.settlement.bury(&DeadLetter { payload: None, ..letter_of(&bad) }).await.unwrap();
    assert_eq!(fixture.ask::<u64>(&["XLEN", &fixture.url.dead_topic()]).await, 1);
}

#[tokio::test]
async fn losses_that_redis_can_not_remember_hold_nobody_up() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let lost = fixture.add_block("lost").await;
    let mut source = fixture.patient_source("one").await;
    assert_eq!(next_hashes(&mut source, 1).await, ["lost"]);
    drop(source);
    fixture.add_block("never read").await;
    fixture.add_block("kept").await;
    let _: u64 = fixture.ask(&["XTRIM", TOPIC, "MAXLEN", "1"]).await;
    fixture.fill().await;

    let mut source = fixture.source("one").await;
    assert_eq!(next_hashes(&mut source, 1).await, ["kept"]);
    assert_eq!(fixture.remaining().await, (1, 1));
    assert!(fixture.alarms.raised().contains_key(&AlarmKind::EntriesLost));
    let noted = fixture.noted_losses();
    assert!(noted.iter().any(|line| line["entry"] == lost.0.as_str()), "{noted:?}");

    // Redis is told when it has room again.
    fixture.make_room().await;
    let begin = Instant::now();
    loop {
        let seen = overview(&fixture.url, &TlsFiles::default()).await.unwrap();
        if seen.lost.iter().any(|seen| seen.entry == lost.0) {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "Redis was not told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn undelivered_losses_that_redis_can_not_remember_are_told_once() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let mut source = fixture.source("one").await;
    for hash in ["0", "1", "2", "3"] {
        fixture.add_block(hash).await;
    }
    assert_eq!(next_hashes(&mut source, 1).await, ["0"]);
    source.settlement.acknowledge(&backlog_first(&mut fixture).await).await.unwrap();
    let key = fixture.url.lost_topic();
    let _: () = fixture.ask(&["SET", &key, "of somebody else"]).await;
    let _: u64 = fixture.ask(&["XTRIM", TOPIC, "MAXLEN", "1"]).await;
    assert!(fixture.alarm(AlarmKind::EntriesLost).await.contains("2 entries"));
    fixture.alarms.clear(AlarmKind::EntriesLost);

    // A round of upkeep later, which is over when it has taken something over, nothing is told
    // again.
    let mut read = READ_BY_OTHER.to_vec();
    read.push(">");
    let _: redis::Value = fixture.ask(&read).await;
    assert_eq!(next_hashes(&mut source, 1).await, ["3"]);
    assert!(fixture.alarms.raised().is_empty());
    assert_eq!(fixture.noted_losses().len(), 1);
    assert_eq!(fixture.noted_losses()[0]["undelivered"], 2);

    let _: u64 = fixture.ask(&["DEL", &key]).await;
    let told = wait_for_count(&mut fixture).await;
    assert_eq!(told, 2);
}

/// The oldest entry there is.
async fn backlog_first(fixture: &mut Fixture) -> bsp_agent::source::EntryId {
    let rows: Vec<(String, redis::Value)> =
        fixture.ask(&["XRANGE", TOPIC, "-", "+", "COUNT", "1"]).await;
    bsp_agent::source::EntryId(rows[0].0.clone())
}

/// The count of entries lost before any delivery, as soon as Redis knows one.
async fn wait_for_count(fixture: &mut Fixture) -> u64 {
    let begin = Instant::now();
    loop {
        let seen = overview(&fixture.url, &TlsFiles::default()).await.unwrap();
        if seen.lost_undelivered > 0 {
            return seen.lost_undelivered;
        }
        assert!(begin.elapsed() < PATIENCE, "Redis was not told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_source_whose_group_goes_while_the_server_is_full_says_so() {
    let Some(mut fixture) = Fixture::start().await else { return };
    fixture.add_block("a").await;
    let source = fixture.source("one").await;
    fixture.fill().await;
    let _: u64 = fixture.ask(&["XGROUP", "DESTROY", TOPIC, "group"]).await;
    let alarms = fixture.alarms.clone();
    let message = wait_for(|| {
        let raised = alarms.raised().remove(&AlarmKind::SourceUnavailable)?;
        raised.message.contains("maxmemory").then_some(raised.message)
    });
    assert!(message.await.contains("consumer group"));
    fixture.make_room().await;
    let mut source = source;
    assert_eq!(next_hashes(&mut source, 1).await, ["a"]);
    let alarms = fixture.alarms.clone();
    wait_for(|| alarms.raised().is_empty().then_some(())).await;
}
