//! What the tests have in common.

use alloy_primitives::{B256, U256};
use bsp_codec::snappy;
use bsp_replication::{Entry, RedisOptions, RedisTarget, TargetUrl};
use bsp_tests::{
    servers::{
        program::{Program, all_there},
        redis::RedisServer,
    },
    wait::wait_for,
};
use bytes::Bytes;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use redis::{FromRedisValue, streams::StreamRangeReply};
use std::{net::SocketAddr, time::Duration};
use tokio_util::sync::CancellationToken;

/// The stream.
pub(crate) const TOPIC: &str = "replication";
/// How long a condition may take on a machine under load.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A server; `None`, and a line on standard error, if there is no redis-server.
pub(crate) async fn server(arguments: &[&str]) -> Option<RedisServer> {
    if !all_there(&[Program::Redis]) {
        return None;
    }
    Some(RedisServer::start_with_arguments(arguments).await.unwrap())
}

/// An entry with a hash of its own, and a text that compresses well.
pub(crate) fn entry(number: u64) -> Entry {
    let replica = Bytes::from(format!("replica {number} ").repeat(1000));
    Entry { hash: B256::from(U256::from(number)), number, replica, supplement: None }
}

/// Entries in a row.
pub(crate) fn entries(numbers: impl IntoIterator<Item = u64>) -> Vec<Entry> {
    numbers.into_iter().map(entry).collect()
}

/// An entry that stays as large when compressed, so that it is a node of its own in the stream.
pub(crate) fn large_entry(number: u64) -> Entry {
    let mut replica = vec![0; 100_000];
    StdRng::seed_from_u64(number).fill_bytes(&mut replica);
    Entry { replica: replica.into(), ..entry(number) }
}

/// A target with a login such as `:password@`.
pub(crate) fn target(
    address: SocketAddr,
    login: &str,
    options: &RedisOptions,
    stop: &CancellationToken,
) -> RedisTarget {
    let url = format!("redis://{login}{address}/?topic={TOPIC}#group");
    let TargetUrl::Redis(url) = url.parse().unwrap() else { panic!("{url}") };
    RedisTarget::new(&url, options, stop.clone())
}

/// A target with the default options that is never stopped.
pub(crate) fn plain_target(address: SocketAddr) -> RedisTarget {
    target(address, "", &RedisOptions::default(), &CancellationToken::new())
}

/// Sends a command past all proxies.
pub(crate) async fn command<T: FromRedisValue>(server: &RedisServer, words: &[&str]) -> T {
    let mut connection = server.connect().await.unwrap();
    redis::cmd(words[0]).arg(&words[1..]).query_async(&mut connection).await.unwrap()
}

/// The stream's entries, as a consumer sees them: hash and decompressed data.
pub(crate) async fn stream(server: &RedisServer) -> Vec<(String, Vec<u8>)> {
    let reply: StreamRangeReply = command(server, &["XRANGE", TOPIC, "-", "+"]).await;
    let fields = |id: redis::streams::StreamId| {
        assert_eq!(id.map.len(), 2, "no further field");
        let data: Vec<u8> = id.get("data").unwrap();
        (id.get("hash").unwrap(), snappy::decompress(&data, 1 << 20).unwrap())
    };
    reply.ids.into_iter().map(fields).collect()
}

/// What [`stream`] gives for these entries.
pub(crate) fn expected(entries: &[Entry]) -> Vec<(String, Vec<u8>)> {
    entries.iter().map(|entry| (format!("{:#x}", entry.hash), entry.replica.to_vec())).collect()
}

/// Waits until a condition holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    wait_for(what, DEADLINE, async || condition().await.then_some(())).await.unwrap();
}
