//! Servers that come back without what they had confirmed.

use crate::fixture::{TOPIC, command, entries, plain_target, server};
use bsp_replication::{Mark, Target, TargetError};

#[tokio::test]
async fn a_stream_that_is_gone_is_told_apart_from_one_that_was_consumed() {
    let Some(server) = server(&[]).await else { return };
    let mut target = plain_target(server.address());
    target.deliver(&entries(0..10)).await.unwrap();
    let mark = target.mark().unwrap();

    // All was consumed, as the agent does it.
    let _: u64 = command(&server, &["XTRIM", TOPIC, "MAXLEN", "0"]).await;
    let mut next = plain_target(server.address());
    next.resume(mark);
    next.deliver(&entries(10..12)).await.unwrap();
    let mark = next.mark().unwrap();

    let _: String = command(&server, &["FLUSHALL"]).await;
    let mut next = plain_target(server.address());
    next.resume(mark);
    let error = next.deliver(&entries(12..13)).await.unwrap_err();
    assert!(matches!(error, TargetError::Lost { kept: Mark(0), .. }), "{error}");
    // It is told once.
    next.deliver(&entries(0..13)).await.unwrap();
    assert_eq!(command::<u64>(&server, &["XLEN", TOPIC]).await, 13);
}

#[tokio::test]
async fn what_every_group_had_acknowledged_is_not_missing() {
    let Some(server) = server(&[]).await else { return };
    let mut target = plain_target(server.address());
    target.deliver(&entries(0..1)).await.unwrap();
    let consumed = target.mark().unwrap();
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
