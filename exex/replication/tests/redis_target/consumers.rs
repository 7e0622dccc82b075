//! What is removed after consumers have acknowledged it, and only that.

use crate::fixture::{TOPIC, command, expected, large_entry, server, stream, target};
use bsp_replication::{Entry, RedisOptions, RedisTarget, Target};
use bsp_tests::servers::redis::RedisServer;
use redis::streams::StreamReadReply;
use tokio_util::sync::CancellationToken;

fn large_entries(numbers: impl IntoIterator<Item = u64>) -> Vec<Entry> {
    numbers.into_iter().map(large_entry).collect()
}

/// A target that trims after the first delivery, and then before a further one if there is no room.
fn new_target(server: &RedisServer, trim_acknowledged: bool) -> RedisTarget {
    let options = RedisOptions { trim_acknowledged, ..RedisOptions::default() };
    target(server.address(), "", &options, &CancellationToken::new())
}

async fn group(server: &RedisServer, name: &str) {
    let create = ["XGROUP", "CREATE", TOPIC, name, "0", "MKSTREAM"];
    let _: String = command(server, &create).await;
}

/// Has a group read this many entries, and returns their ids.
async fn read(server: &RedisServer, group: &str, count: u32) -> Vec<String> {
    let count = count.to_string();
    let read = ["XREADGROUP", "GROUP", group, "consumer", "COUNT", &count, "STREAMS", TOPIC, ">"];
    let reply: StreamReadReply = command(server, &read).await;
    reply.keys.into_iter().flat_map(|key| key.ids).map(|entry| entry.id).collect()
}

async fn acknowledge(server: &RedisServer, group: &str, ids: &[String]) {
    let mut words = vec!["XACK", TOPIC, group];
    words.extend(ids.iter().map(String::as_str));
    let _: u64 = command(server, &words).await;
}

#[tokio::test]
async fn nothing_goes_before_every_group_has_acknowledged_it() {
    let Some(server) = server(&[]).await else { return };
    group(&server, "one").await;
    group(&server, "other").await;
    new_target(&server, true).deliver(&large_entries(0..10)).await.unwrap();

    let one = read(&server, "one", 8).await;
    acknowledge(&server, "one", &one).await;
    new_target(&server, true).deliver(&large_entries(10..11)).await.unwrap();
    assert_eq!(stream(&server).await.len(), 11, "the other group has read nothing");

    let other = read(&server, "other", 6).await;
    acknowledge(&server, "other", &[&other[..2], &other[3..]].concat()).await;
    new_target(&server, true).deliver(&large_entries(11..12)).await.unwrap();
    assert_eq!(
        stream(&server).await,
        expected(&large_entries(2..12)),
        "the third is not acknowledged"
    );

    acknowledge(&server, "other", &other).await;
    new_target(&server, false).deliver(&large_entries(12..13)).await.unwrap();
    assert_eq!(stream(&server).await.len(), 11, "told not to");
    new_target(&server, true).deliver(&large_entries(13..14)).await.unwrap();
    assert_eq!(stream(&server).await, expected(&large_entries(6..14)));
}

#[tokio::test]
async fn nothing_goes_where_nobody_reads() {
    let Some(server) = server(&[]).await else { return };
    new_target(&server, true).deliver(&large_entries(0..5)).await.unwrap();
    new_target(&server, true).deliver(&large_entries(5..6)).await.unwrap();
    assert_eq!(stream(&server).await, expected(&large_entries(0..6)));
}

#[tokio::test]
async fn room_is_made_of_what_was_acknowledged_before_anything_waits() {
    let Some(server) = server(&[]).await else { return };
    group(&server, "one").await;
    let options = RedisOptions { byte_budget: Some(400_000), ..RedisOptions::default() };
    let mut target = target(server.address(), "", &options, &CancellationToken::new());
    for number in 0..20 {
        target.deliver(&[large_entry(number)]).await.unwrap();
        let ids = read(&server, "one", 1).await;
        acknowledge(&server, "one", &ids).await;
    }
    assert_eq!(target.health().retries(), 0);
    let left = stream(&server).await;
    assert!(left.len() <= 5, "{}", left.len());
    assert_eq!(left.last(), expected(&[large_entry(19)]).last());
}
