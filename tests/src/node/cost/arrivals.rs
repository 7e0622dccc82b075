//! When entries come to a stream.

use super::DEADLINE;
use crate::{node::block::EngineBlock, servers::redis::RedisServer, wait::wait_for};
use alloy_primitives::B256;
use eyre::OptionExt;
use redis::streams::StreamReadReply;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

/// When entries came.
#[derive(Debug)]
pub(super) struct Arrivals {
    seen: Arc<Mutex<HashMap<B256, Instant>>>,
    task: JoinHandle<eyre::Result<()>>,
}

impl Arrivals {
    pub(super) fn watch(redis: &RedisServer, topic: &'static str) -> eyre::Result<Self> {
        let seen = Arc::default();
        let (client, noted) = (redis.client()?, Arc::clone(&seen));
        let task = tokio::spawn(async move { note_arrivals(&client, topic, &noted).await });
        Ok(Self { seen, task })
    }

    pub(super) async fn wait(&self, blocks: &[EngineBlock]) -> eyre::Result<()> {
        wait_for("the turn's blocks are delivered", DEADLINE, async || {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            blocks.iter().all(|block| seen.contains_key(&block.id.hash)).then_some(())
        })
        .await
    }

    pub(super) fn latencies(&self, committed: &HashMap<B256, Instant>) -> Vec<Duration> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let latency = |(hash, at): (&B256, &Instant)| {
            // An entry can come before the answer to the fork choice has.
            seen.get(hash).map(|seen| seen.saturating_duration_since(*at))
        };
        committed.iter().filter_map(latency).collect()
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn note_arrivals(
    client: &redis::Client,
    topic: &str,
    seen: &Mutex<HashMap<B256, Instant>>,
) -> eyre::Result<()> {
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    let mut last = "0-0".to_owned();
    loop {
        let mut read = redis::cmd("XREAD");
        read.arg("BLOCK").arg(5_000).arg("STREAMS").arg(topic).arg(&last);
        let reply: Option<StreamReadReply> = read.query_async(&mut connection).await?;
        let now = Instant::now();
        for entry in reply.iter().flat_map(|reply| &reply.keys).flat_map(|key| &key.ids) {
            let hash: String = entry.get("hash").ok_or_eyre("an entry without hash")?;
            seen.lock().unwrap_or_else(PoisonError::into_inner).insert(hash.parse()?, now);
            last.clone_from(&entry.id);
        }
    }
}
