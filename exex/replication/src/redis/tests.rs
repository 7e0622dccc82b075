use super::{test_server::TestServer, *};
use crate::TargetUrl;
use alloy_primitives::B256;
use bsp_codec::snappy;
use bytes::Bytes;
use redis::streams::StreamRangeReply;
use std::time::Duration;

fn entry(number: u64) -> Entry {
    let replica = Bytes::from(format!("replica {number} ").repeat(1000));
    Entry { hash: B256::with_last_byte(number as u8), number, replica }
}

fn target(server: &TestServer, login: &str, stop: &CancellationToken) -> RedisTarget {
    let url = format!("redis://{login}localhost:{}/?topic=replication#group", server.port);
    let TargetUrl::Redis(url) = url.parse().unwrap() else { panic!("{url}") };
    RedisTarget::new(&url, &RedisOptions::default(), stop.clone()).unwrap()
}

/// The stream's entries, as a consumer sees them: hash field and decompressed data field.
async fn stream(server: &TestServer) -> Vec<(String, Vec<u8>)> {
    let client = Client::open(("127.0.0.1", server.port)).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let range = redis::cmd("XRANGE").arg("replication").arg("-").arg("+").to_owned();
    let reply: StreamRangeReply = range.query_async(&mut connection).await.unwrap();
    let fields = |id: redis::streams::StreamId| {
        assert_eq!(id.map.len(), 2, "no further field");
        let data: Vec<u8> = id.get("data").unwrap();
        (id.get("hash").unwrap(), snappy::decompress(&data, 1 << 20).unwrap())
    };
    reply.ids.into_iter().map(fields).collect()
}

fn expected(numbers: impl IntoIterator<Item = u64>) -> Vec<(String, Vec<u8>)> {
    let fields = |entry: Entry| (format!("{:#x}", entry.hash), entry.replica.to_vec());
    numbers.into_iter().map(entry).map(fields).collect()
}

async fn command(server: &TestServer, words: &[&str]) {
    let client = Client::open(("127.0.0.1", server.port)).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]).exec_async(&mut connection).await.unwrap();
}

#[tokio::test]
async fn entries_arrive_in_order_with_the_fields_of_the_network() {
    let Some(server) = TestServer::start(&[]) else { return };
    let mut target = target(&server, "", &CancellationToken::new());
    target.deliver(&[]).await.unwrap();
    let batch: Vec<_> = (0..100).map(entry).collect();
    target.deliver(&batch).await.unwrap();
    target.deliver(&[entry(100)]).await.unwrap();
    assert_eq!(stream(&server).await, expected(0..=100));
}

#[tokio::test]
async fn a_dead_server_is_waited_for() {
    let Some(mut server) = TestServer::start(&[]) else { return };
    let mut target = target(&server, "", &CancellationToken::new());
    target.deliver(&[entry(1)]).await.unwrap();
    server.kill();
    let delivery = tokio::spawn(async move { target.deliver(&[entry(2), entry(3)]).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.restart();
    delivery.await.unwrap().unwrap();
    assert_eq!(stream(&server).await, expected(1..=3));
}

#[tokio::test]
async fn a_server_without_memory_is_waited_for() {
    let Some(server) = TestServer::start(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"])
    else {
        return;
    };
    let mut target = target(&server, "", &CancellationToken::new());
    let delivery = tokio::spawn(async move { target.deliver(&[entry(1), entry(2)]).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!delivery.is_finished());
    command(&server, &["CONFIG", "SET", "maxmemory", "0"]).await;
    delivery.await.unwrap().unwrap();
    assert_eq!(stream(&server).await, expected(1..=2));
}

#[tokio::test]
async fn a_stop_ends_a_delivery_to_a_dead_server() {
    let Some(mut server) = TestServer::start(&[]) else { return };
    server.kill();
    let stop = CancellationToken::new();
    let mut target = target(&server, "", &stop);
    let delivery = tokio::spawn(async move { target.deliver(&[entry(1)]).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.cancel();
    assert!(matches!(delivery.await.unwrap(), Err(TargetError::Stopped { .. })));
}

#[tokio::test]
async fn a_key_of_another_kind_is_refused() {
    let Some(server) = TestServer::start(&[]) else { return };
    command(&server, &["SET", "replication", "text"]).await;
    let mut target = target(&server, "", &CancellationToken::new());
    let refused = target.deliver(&[entry(1)]).await.unwrap_err().to_string();
    assert!(refused.contains("another kind of key has the topic's name"), "{refused}");
}

#[tokio::test]
async fn a_password_is_used_and_a_wrong_one_refused_without_showing_it() {
    let Some(server) = TestServer::start(&["--requirepass", "right"]) else { return };
    let stop = CancellationToken::new();
    target(&server, ":right@", &stop).deliver(&[entry(1)]).await.unwrap();
    for login in ["", ":mistaken@", "nobody:mistaken@"] {
        let refused = target(&server, login, &stop).deliver(&[entry(2)]).await.unwrap_err();
        let text = format!("{refused} {refused:?}");
        assert!(text.contains("check the user and the password"), "{text}");
        assert!(!text.contains("mistaken"), "{text}");
    }
}

#[tokio::test]
async fn a_database_that_is_not_there_is_refused() {
    let Some(server) = TestServer::start(&["--databases", "1"]) else { return };
    let url = format!("redis://localhost:{}/7?topic=replication", server.port);
    let TargetUrl::Redis(url) = url.parse().unwrap() else { panic!("{url}") };
    let mut target =
        RedisTarget::new(&url, &RedisOptions::default(), CancellationToken::new()).unwrap();
    let refused = target.deliver(&[entry(1)]).await.unwrap_err().to_string();
    assert!(refused.contains("check the URL"), "{refused}");
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_where_tls_is_asked_for() {
    let Some(server) = TestServer::start(&[]) else { return };
    let url = format!("rediss://localhost:{}/?topic=replication", server.port);
    let TargetUrl::Redis(url) = url.parse().unwrap() else { panic!("{url}") };
    let stop = CancellationToken::new();
    let mut target = RedisTarget::new(&url, &RedisOptions::default(), stop.clone()).unwrap();
    let delivery = tokio::spawn(async move { target.deliver(&[entry(1)]).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.cancel();
    assert!(matches!(delivery.await.unwrap(), Err(TargetError::Stopped { .. })));
    assert_eq!(stream(&server).await, []);
}
