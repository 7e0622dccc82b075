//! Servers that come back without what they had confirmed.

use crate::fixture::{TOPIC, command, entries, large_entry, plain_target, server, target, until};
use bsp_replication::{RedisOptions, StreamPosition, Target, TargetError};
use redis::streams::StreamReadReply;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn a_stream_that_is_gone_is_told_apart_from_one_that_was_consumed() {
    let Some(server) = server(&[]).await else { return };
    let mut target = plain_target(server.address());
    target.deliver(&entries(0..10)).await.unwrap();
    let position = target.position().unwrap();

    // All was consumed, as the agent does it.
    let _: u64 = command(&server, &["XTRIM", TOPIC, "MAXLEN", "0"]).await;
    let mut next = plain_target(server.address());
    next.resume(position);
    next.deliver(&entries(10..12)).await.unwrap();
    let position = next.position().unwrap();

    let _: String = command(&server, &["FLUSHALL"]).await;
    let mut next = plain_target(server.address());
    next.resume(position);
    let error = next.deliver(&entries(12..13)).await.unwrap_err();
    assert!(matches!(error, TargetError::Lost { kept: StreamPosition(0), .. }), "{error}");
    // It is told once.
    next.deliver(&entries(0..13)).await.unwrap();
    assert_eq!(command::<u64>(&server, &["XLEN", TOPIC]).await, 13);
}

#[tokio::test]
async fn what_every_group_had_acknowledged_is_not_missing() {
    let Some(server) = server(&[]).await else { return };
    let mut target = plain_target(server.address());
    target.deliver(&entries(0..1)).await.unwrap();
    let consumed = target.position().unwrap();
    let _: String = command(&server, &["XGROUP", "CREATE", TOPIC, "group", "$"]).await;
    // On its next connection it looks at what the group has acknowledged.
    let mut target = plain_target(server.address());
    target.deliver(&entries(1..2)).await.unwrap();

    let _: String = command(&server, &["FLUSHALL"]).await;
    // As if the server had been restarted.
    let _: u64 = command(&server, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    let error = target.deliver(&entries(2..3)).await.unwrap_err();
    assert!(matches!(error, TargetError::Lost { kept, .. } if kept == consumed), "{error}");
}

/// `DEL`, `FLUSHALL` and an eviction are the same to us: the key is not there.
#[tokio::test]
async fn a_stream_that_goes_under_an_open_connection_is_noticed_at_the_next_addition() {
    let Some(server) = server(&[]).await else { return };
    let mut target = plain_target(server.address());
    for numbers in [0..3, 3..4] {
        target.deliver(&entries(numbers)).await.unwrap();
        let _: u64 = command(&server, &["DEL", TOPIC]).await;
        for batch in [entries(5..6), entries(5..8)] {
            let delivered = target.deliver(&batch).await;
            if batch.len() > 1 {
                delivered.unwrap();
                assert_eq!(command::<u64>(&server, &["XLEN", TOPIC]).await, 3, "told once");
            } else {
                let error = delivered.unwrap_err();
                assert!(
                    matches!(error, TargetError::Lost { kept: StreamPosition(0), .. }),
                    "{error}"
                );
            }
        }
    }
    // Several at once are a transaction.
    let _: u64 = command(&server, &["DEL", TOPIC]).await;
    let error = target.deliver(&entries(8..11)).await.unwrap_err();
    assert!(matches!(error, TargetError::Lost { kept: StreamPosition(0), .. }), "{error}");
    assert_eq!(command::<u64>(&server, &["EXISTS", TOPIC]).await, 0, "nothing is half added");
}

#[tokio::test]
async fn an_evicted_stream_is_noticed() {
    let policy = ["--maxmemory-policy", "allkeys-lru"];
    let Some(server) = server(&policy).await else { return };
    let mut target = plain_target(server.address());
    target.deliver(&[large_entry(0)]).await.unwrap();
    let _: String = command(&server, &["CONFIG", "SET", "maxmemory", "1"]).await;
    let _: Option<String> = command(&server, &["GET", "anything"]).await;
    until("the stream is evicted", async || command::<u64>(&server, &["EXISTS", TOPIC]).await == 0)
        .await;
    let _: String = command(&server, &["CONFIG", "SET", "maxmemory", "0"]).await;
    let error = target.deliver(&[large_entry(1)]).await.unwrap_err();
    assert!(matches!(error, TargetError::Lost { kept: StreamPosition(0), .. }), "{error}");
}

/// As an agent does whose group has gone.
#[tokio::test]
async fn a_stream_that_a_consumer_has_made_again_is_noticed_too() {
    let Some(server) = server(&[]).await else { return };
    // So small that the groups are checked before each further addition.
    let options = RedisOptions { byte_budget: Some(1), ..RedisOptions::default() };
    for consumed in [false, true] {
        let _: u64 = command(&server, &["DEL", TOPIC]).await;
        let mut target = target(server.address(), "", &options, &CancellationToken::new());
        target.deliver(&entries(0..5)).await.unwrap();
        let _: u64 = command(&server, &["DEL", TOPIC]).await;
        let make = ["XGROUP", "CREATE", TOPIC, "group", "0", "MKSTREAM"];
        let _: String = command(&server, &make).await;
        if consumed {
            let _: String = command(&server, &["XADD", TOPIC, "*", "hash", "0x0"]).await;
            let read = ["XREADGROUP", "GROUP", "group", "me", "STREAMS", TOPIC, ">"];
            let _: StreamReadReply = command(&server, &read).await;
        }
        let error = target.deliver(&entries(5..6)).await.unwrap_err();
        assert!(matches!(error, TargetError::Lost { kept: StreamPosition(0), .. }), "{error}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_not_missing_to_the_next_process_either() {
    let Some(server) = server(&[]).await else { return };
    let mut target = plain_target(server.address());
    target.deliver(&entries(0..1)).await.unwrap();
    let consumed = target.position().unwrap();
    assert_eq!(target.acknowledged(), None);
    let _: String = command(&server, &["XGROUP", "CREATE", TOPIC, "group", "$"]).await;
    let mut target = plain_target(server.address());
    target.deliver(&entries(1..2)).await.unwrap();
    assert_eq!(target.acknowledged(), Some(consumed));

    // The server and the process both end, and the server has kept nothing.
    let (position, acknowledged) = (target.position().unwrap(), target.acknowledged().unwrap());
    drop(target);
    let _: String = command(&server, &["FLUSHALL"]).await;
    let mut next = plain_target(server.address());
    next.resume(position);
    next.resume_acknowledged(acknowledged);
    let error = next.deliver(&entries(2..3)).await.unwrap_err();
    assert!(matches!(error, TargetError::Lost { kept, .. } if kept == consumed), "{error}");
    assert_eq!(next.acknowledged(), None, "ids begin again");
}
