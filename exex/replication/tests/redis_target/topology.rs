//! A master that sentinels name, and a cluster.

use crate::fixture::{command, entries, entry, expected, server, stream, until};
use bsp_replication::{RedisOptions, RedisTarget, Target, TargetUrl};
use bsp_tests::servers::{free_address, redis::RedisServer};
use tokio_util::sync::CancellationToken;

fn target(url: &str) -> RedisTarget {
    let TargetUrl::Redis(url) = url.parse().unwrap() else { panic!("{url}") };
    RedisTarget::new(&url, &RedisOptions::default(), CancellationToken::new())
}

#[tokio::test]
async fn a_fail_over_of_the_master_that_sentinels_name_is_followed() {
    let Some(mut master) = server(&[]).await else { return };
    let port = master.address().port().to_string();
    let replica = server(&["--replicaof", "127.0.0.1", &port]).await.unwrap();
    let linked = async || {
        let info: String = command(&replica, &["INFO", "replication"]).await;
        info.contains("master_link_status:up")
    };
    until("the replica follows", linked).await;
    let sentinel = RedisServer::start_sentinel("main", master.address()).await.unwrap();
    let known = async || {
        let replicas: Vec<redis::Value> =
            command(&sentinel, &["SENTINEL", "REPLICAS", "main"]).await;
        !replicas.is_empty()
    };
    until("the sentinel knows the replica", known).await;

    let url = format!("redis+sentinel://{}/main?topic=replication", sentinel.address());
    let mut target = target(&url);
    target.deliver(&entries(0..3)).await.unwrap();
    assert_eq!(stream(&master).await, expected(&entries(0..3)));
    until("the replica has them", async || stream(&replica).await.len() == 3).await;
    master.kill().await.unwrap();
    target.deliver(&entries(3..6)).await.unwrap();
    assert_eq!(stream(&replica).await, expected(&entries(0..6)));
}

#[tokio::test]
async fn a_cluster_takes_each_block_once() {
    let bus = free_address().unwrap().port().to_string();
    let Some(server) = server(&["--cluster-enabled", "yes", "--cluster-port", &bus]).await else {
        return;
    };
    command::<()>(&server, &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    let is_up = async || {
        let info: String = command(&server, &["CLUSTER", "INFO"]).await;
        info.contains("cluster_state:ok")
    };
    until("the cluster is up", is_up).await;
    let url = format!("redis+cluster://{}?topic=replication", server.address());
    let mut first = target(&url);
    first.deliver(&entries(0..3)).await.unwrap();
    first.deliver(&[entry(3)]).await.unwrap();
    // Another process, which does not know what the one before was told.
    let mut next = target(&url);
    next.deliver(&entries(2..6)).await.unwrap();
    assert_eq!(stream(&server).await, expected(&entries(0..6)));
}
