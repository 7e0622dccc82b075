//! What is waited for, and shown meanwhile.

use crate::fixture::{
    DEADLINE, command, entries, entry, expected, large_entry, plain_target, server, stream, target,
    until,
};
use bsp_replication::{
    Entry, RedisOptions, RedisTarget, Target, TargetError, TargetHealth, TargetUrl,
};
use bsp_tests::wait::wait_for;
use bytes::Bytes;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

type Delivery = JoinHandle<Result<(), TargetError>>;

fn begin(mut target: RedisTarget, batch: Vec<Entry>) -> (Delivery, TargetHealth) {
    let health = target.health();
    (tokio::spawn(async move { target.deliver(&batch).await }), health)
}

/// Waits until the target says that it waits for something.
async fn trouble(health: &TargetHealth, text: &str) -> String {
    let shows = async || health.trouble().filter(|trouble| trouble.contains(text));
    wait_for(text, DEADLINE, shows).await.unwrap_or_else(|_| panic!("{:?}", health.trouble()))
}

#[tokio::test]
async fn a_dead_server_is_waited_for() {
    let Some(mut server) = server(&[]).await else { return };
    let mut target = plain_target(server.address());
    target.deliver(&[entry(1)]).await.unwrap();
    server.kill().await.unwrap();
    let (delivery, health) = begin(target, entries(2..=3));
    until("an attempt fails", async || health.retries() > 0 && health.trouble().is_some()).await;
    server.restart().await.unwrap();
    delivery.await.unwrap().unwrap();
    assert_eq!(health.trouble(), None);
    assert_eq!(stream(&server).await, expected(&entries(1..=3)));
}

#[tokio::test]
async fn a_server_without_memory_is_waited_for() {
    let Some(server) = server(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]).await
    else {
        return;
    };
    let (delivery, health) = begin(plain_target(server.address()), entries(1..=2));
    trouble(&health, "raise its `maxmemory`").await;
    let _: String = command(&server, &["CONFIG", "SET", "maxmemory", "0"]).await;
    delivery.await.unwrap().unwrap();
    assert_eq!(stream(&server).await, expected(&entries(1..=2)));
}

#[tokio::test]
async fn a_replica_and_replicas_that_are_missing_are_waited_for() {
    let Some(server) = server(&[]).await else { return };
    let mut target = plain_target(server.address());
    target.deliver(&[entry(1)]).await.unwrap();
    let _: String = command(&server, &["REPLICAOF", "127.0.0.1", "1"]).await;
    let (delivery, health) = begin(target, entries(2..=3));
    trouble(&health, "this server is a replica").await;
    let _: String = command(&server, &["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    let _: String = command(&server, &["REPLICAOF", "NO", "ONE"]).await;
    trouble(&health, "NOREPLICAS").await;
    let _: String = command(&server, &["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    delivery.await.unwrap().unwrap();
    assert_eq!(stream(&server).await, expected(&entries(1..=3)));
}

#[tokio::test]
async fn a_stop_ends_a_delivery_to_a_dead_server() {
    let Some(mut server) = server(&[]).await else { return };
    server.kill().await.unwrap();
    let stop = CancellationToken::new();
    let target = target(server.address(), "", &RedisOptions::default(), &stop);
    let (delivery, health) = begin(target, entries(1..=1));
    until("an attempt fails", async || health.retries() > 0).await;
    stop.cancel();
    assert!(matches!(delivery.await.unwrap(), Err(TargetError::Stopped { .. })));
}

#[tokio::test]
async fn a_key_of_another_kind_is_waited_for() {
    let Some(server) = server(&[]).await else { return };
    let _: String = command(&server, &["SET", "replication", "text"]).await;
    let (delivery, health) = begin(plain_target(server.address()), entries(1..=2));
    trouble(&health, "holds something else").await;
    let _: u64 = command(&server, &["DEL", "replication"]).await;
    delivery.await.unwrap().unwrap();
    assert_eq!(stream(&server).await, expected(&entries(1..=2)));
}

#[tokio::test]
async fn a_wrong_password_is_waited_for_and_never_shown() {
    let Some(server) = server(&[]).await else { return };
    let _: String =
        command(&server, &["ACL", "SETUSER", "other", "on", ">right", "+@all", "~*"]).await;
    let stop = CancellationToken::new();
    for login in ["nobody:mistaken@", "other:mistaken@"] {
        let target = target(server.address(), login, &RedisOptions::default(), &stop);
        let shown = format!("{} {target:?}", target.name());
        let (delivery, health) = begin(target, entries(1..=1));
        let text = trouble(&health, "check REDIS_PWD").await;
        assert!(!format!("{shown} {text}").contains("mistaken"), "{shown} {text}");
        let user = login.split(':').next().unwrap_or_default();
        let _: String =
            command(&server, &["ACL", "SETUSER", user, "on", ">mistaken", "+@all", "~*"]).await;
        delivery.await.unwrap().unwrap();
    }
    assert_eq!(stream(&server).await.len(), 1, "each found what the one before had added");
}

#[tokio::test]
async fn a_user_who_may_only_add_is_enough() {
    let Some(server) = server(&[]).await else { return };
    let rule = ["ACL", "SETUSER", "adder", "on", ">pw", "+xadd", "+multi", "+exec", "~replication"];
    let _: String = command(&server, &rule).await;
    let stop = CancellationToken::new();
    let mut target = target(server.address(), "adder:pw@", &RedisOptions::default(), &stop);
    target.deliver(&entries(1..=5)).await.unwrap();
    assert_eq!(stream(&server).await, expected(&entries(1..=5)));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_waited_for() {
    let Some(server) = server(&["--databases", "1"]).await else { return };
    let url = format!("redis://{}/7?topic=replication", server.address());
    let TargetUrl::Redis(url) = url.parse().unwrap() else { panic!("{url}") };
    let stop = CancellationToken::new();
    let target = RedisTarget::new(&url, &RedisOptions::default(), stop.clone());
    let (delivery, health) = begin(target, entries(1..=1));
    trouble(&health, "no such database").await;
    stop.cancel();
    delivery.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_stream_over_its_budget_is_left_alone_until_there_is_room() {
    let Some(server) = server(&[]).await else { return };
    let options = RedisOptions { byte_budget: Some(400_000), ..RedisOptions::default() };
    let mut target = target(server.address(), "", &options, &CancellationToken::new());
    for number in 1..=5 {
        let fill = large_entry(number);
        if number < 5 {
            target.deliver(&[fill]).await.unwrap();
            continue;
        }
        let (delivery, health) = begin(target, vec![fill]);
        let text = trouble(&health, "start or mend its consumers, or raise the budget").await;
        assert!(text.contains("may take 400000"), "{text}");
        assert_eq!(health.retries(), 0, "nothing has failed");
        assert_eq!(stream(&server).await.len(), 4, "nothing was trimmed, nothing added");
        let first: redis::streams::StreamRangeReply =
            command(&server, &["XRANGE", "replication", "-", "+", "COUNT", "1"]).await;
        let _: u64 = command(&server, &["XDEL", "replication", &first.ids[0].id]).await;
        delivery.await.unwrap().unwrap();
        break;
    }
    let left: Vec<_> = (2..=5).map(large_entry).collect();
    assert_eq!(stream(&server).await, expected(&left));
}

#[tokio::test]
async fn a_block_that_is_longer_than_the_server_takes_is_held_until_it_takes_it() {
    let Some(server) = server(&["--proto-max-bulk-len", "1mb"]).await else { return };
    let mut random = vec![0; 2 << 20];
    StdRng::seed_from_u64(1).fill_bytes(&mut random);
    let long = Entry { replica: Bytes::from(random), ..entry(2) };
    let mut target = plain_target(server.address());
    target.deliver(&[entry(1)]).await.unwrap();
    let (delivery, health) = begin(target, vec![long]);
    let text = trouble(&health, "raise its proto-max-bulk-len").await;
    assert!(text.contains("block 2") && text.contains("takes 1048576"), "{text}");
    assert_eq!(health.retries(), 0, "nothing was sent");
    let _: String = command(&server, &["CONFIG", "SET", "proto-max-bulk-len", "4mb"]).await;
    delivery.await.unwrap().unwrap();
    let length: u64 = command(&server, &["XLEN", "replication"]).await;
    assert_eq!(length, 2);
}
