//! Servers that go, come back, or refuse.

use crate::{
    fixture::{CLAIM_IDLE, Fixture, TOPIC, config, next, next_hashes, wait_for},
    server::{PATIENCE, connection, free_port, start_with_password},
};
use bsp_agent::{
    alarm::{AlarmKind, Alarms},
    source::{
        SourceError,
        redis::{open, overview},
    },
};
use bsp_stream::{RedisUrl, TlsFiles};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_killed_server_is_waited_for_and_nothing_is_lost_or_doubled() {
    let Some(mut fixture) = Fixture::start().await else { return };
    fixture.add_block("a").await;
    fixture.add_block("b").await;
    let mut source = fixture.source("one").await;
    let held = next(&mut source).await;
    fixture.server.kill().await.unwrap();
    let settlement = source.settlement.clone();
    let entry = held.entry.clone();
    let settling = tokio::spawn(async move { settlement.acknowledge(&entry).await });
    assert!(fixture.alarm(AlarmKind::SourceUnavailable).await.contains("127.0.0.1"));

    fixture.server.restart().await.unwrap();
    assert_eq!(next_hashes(&mut source, 1).await, ["b"]);
    settling.await.unwrap().unwrap();
    let alarms = fixture.alarms.clone();
    wait_for(|| alarms.raised().is_empty().then_some(())).await;
    fixture.redis =
        connection(&format!("redis://127.0.0.1:{}", fixture.server.address().port())).await;
    assert_eq!(fixture.remaining().await, (1, 1));
}

#[tokio::test]
async fn an_emptied_server_is_read_from_its_beginning() {
    let Some(mut fixture) = Fixture::start().await else { return };
    fixture.add_block("a").await;
    let mut source = fixture.source("one").await;
    let held = next(&mut source).await;
    let _: redis::Value = fixture.ask(&["FLUSHALL"]).await;
    fixture.add_block("b").await;
    assert_eq!(next_hashes(&mut source, 1).await, ["b"]);
    source.settlement.acknowledge(&held.entry).await.unwrap();
    let _: redis::Value = fixture.ask(&["DEL", TOPIC]).await;
    assert_eq!(source.settlement.backlog().await.unwrap().length, Some(0));
}

#[tokio::test]
async fn a_stop_ends_what_waits_for_a_server() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let entry = fixture.add_block("a").await;
    let source = fixture.source("one").await;
    fixture.server.kill().await.unwrap();
    let stop = fixture.stop.clone();
    let (settled, ()) = tokio::join!(source.settlement.acknowledge(&entry), async {
        fixture.alarm(AlarmKind::SourceUnavailable).await;
        stop.cancel();
    });
    assert!(matches!(settled, Err(SourceError::Unavailable { .. })));
}

async fn refused(text: &str) -> String {
    let url = RedisUrl::parse(text, None).unwrap();
    let opened = open(config(&url, "one", CLAIM_IDLE), Alarms::default(), CancellationToken::new());
    let error = tokio::time::timeout(PATIENCE, opened).await.unwrap().unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    match error {
        SourceError::Refused { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_needs_the_operator_is_said_at_once() {
    let Some(server) = start_with_password("right").await else { return };
    let at = format!("127.0.0.1:{}", server.address().port());
    assert!(refused(&format!("redis://{at}?topic=t")).await.contains("authentication required"));
    assert!(refused(&format!("redis://:secret@{at}?topic=t")).await.contains("rejected"));
    assert!(refused(&format!("redis://bob:right@{at}?topic=t")).await.contains("rejected"));
    assert!(refused(&format!("redis://:right@{at}/99?topic=t")).await.contains("no such database"));

    let mut redis = connection(&format!("redis://:right@{at}")).await;
    let _: () = redis::cmd("SET").arg("t").arg("x").query_async(&mut redis).await.unwrap();
    assert!(refused(&format!("redis://:right@{at}?topic=t")).await.contains("something else"));
    let rules = ["ACL", "SETUSER", "bob", "on", ">secret", "~*", "+@connection"];
    let _: () = redis::Cmd::new().arg(&rules).query_async(&mut redis).await.unwrap();
    assert!(refused(&format!("redis://bob:secret@{at}?topic=u")).await.contains("permission"));
}

#[tokio::test]
async fn an_acl_user_needs_no_more_than_is_documented() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let keys = format!("~{TOPIC}");
    let more = format!("~{TOPIC}.*");
    let rights = ["+@stream", "+@transaction", "+@sortedset", "+@connection"];
    let mut rules = vec!["ACL", "SETUSER", "bob", "on", ">secret", &keys, &more];
    rules.extend(rights);
    let _: () = fixture.ask(&rules).await;
    let text =
        format!("redis://bob@127.0.0.1:{}?topic={TOPIC}#group", fixture.server.address().port());
    fixture.url = RedisUrl::parse(&text, Some("secret")).unwrap();
    fixture.add_block("a").await;
    fixture.add_block("b").await;
    let mut source = fixture.source("one").await;
    let held = next(&mut source).await;
    source.settlement.acknowledge(&held.entry).await.unwrap();
    let _: u64 = fixture.ask(&["XTRIM", TOPIC, "MAXLEN", "0"]).await;
    fixture.alarm(AlarmKind::EntriesLost).await;
    assert_eq!(overview(&fixture.url, &TlsFiles::default()).await.unwrap().lost_undelivered, 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_from_one_that_refuses() {
    let url = RedisUrl::parse(&format!("redis://127.0.0.1:{}?topic=t", free_port()), None).unwrap();
    let opened = open(config(&url, "one", CLAIM_IDLE), Alarms::default(), CancellationToken::new());
    assert!(matches!(opened.await, Err(SourceError::Unavailable { .. })));
}
