//! A server with a stream, and sources that read it.

use crate::server::{PATIENCE, connection, start};
use bsp_agent::{
    alarm::{AlarmKind, Alarms},
    source::{
        Backlog, Delivery, EntryId, Source, SourceError,
        redis::{RedisSourceConfig, open},
    },
};
use bsp_stream::{RedisUrl, TlsFiles};
use bsp_tests::servers::redis::RedisServer;
use redis::{aio::MultiplexedConnection, cmd};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub(crate) const TOPIC: &str = "replication";
/// Entries are taken over soon, so that tests are quick.
pub(crate) const CLAIM_IDLE: Duration = Duration::from_secs(1);

pub(crate) struct Fixture {
    pub(crate) server: RedisServer,
    pub(crate) redis: MultiplexedConnection,
    pub(crate) url: RedisUrl,
    pub(crate) alarms: Alarms,
    pub(crate) stop: CancellationToken,
    pub(crate) data: TempDir,
}

impl Fixture {
    pub(crate) async fn start() -> Option<Self> {
        let server = start(&[]).await?;
        let address = format!("redis://127.0.0.1:{}", server.address().port());
        Some(Self {
            redis: connection(&address).await,
            url: RedisUrl::parse(&format!("{address}/0?topic={TOPIC}#group"), None).unwrap(),
            server,
            alarms: Alarms::default(),
            stop: CancellationToken::new(),
            data: tempfile::tempdir().unwrap(),
        })
    }

    /// A source of the consumer with this name.
    pub(crate) async fn source(&self, consumer: &str) -> Source {
        self.source_with(consumer, CLAIM_IDLE).await.unwrap()
    }

    /// One that takes nothing over while a test lasts.
    pub(crate) async fn patient_source(&self, consumer: &str) -> Source {
        self.source_with(consumer, Duration::from_secs(3600)).await.unwrap()
    }

    async fn source_with(
        &self,
        consumer: &str,
        claim_idle: Duration,
    ) -> Result<Source, SourceError> {
        open(self.config(consumer, claim_idle), self.alarms.clone(), self.stop.clone()).await
    }

    /// The settings of a source whose data folder is this fixture's.
    pub(crate) fn config(&self, consumer: &str, claim_idle: Duration) -> RedisSourceConfig {
        let data_dir = self.data.path().to_owned();
        RedisSourceConfig { data_dir, ..config(&self.url, consumer, claim_idle) }
    }

    /// Adds an entry of these fields and values.
    pub(crate) async fn add(&mut self, fields: &[&[u8]]) -> EntryId {
        let mut command = cmd("XADD");
        command.arg(TOPIC).arg("*").arg(fields);
        EntryId(command.query_async(&mut self.redis).await.unwrap())
    }

    /// Adds an entry as the producer does, whose hash is a word here.
    pub(crate) async fn add_block(&mut self, hash: &str) -> EntryId {
        self.add(&[b"hash", hash.as_bytes(), b"data", b"payload"]).await
    }

    /// Runs a command and returns its reply.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        command.arg(words).query_async(&mut self.redis).await.unwrap()
    }

    /// Length of the stream, and how many are pending to the group.
    pub(crate) async fn remaining(&mut self) -> (u64, u64) {
        let length = self.ask(&["XLEN", TOPIC]).await;
        let pending: redis::Value = self.ask(&["XPENDING", TOPIC, "group"]).await;
        let (count, _): (u64, redis::Value) = {
            let mut parts = pending.into_sequence().unwrap().into_iter();
            (redis::from_redis_value(parts.next().unwrap()).unwrap(), parts.next().unwrap())
        };
        (length, count)
    }

    /// Waits until there is an alarm of a kind, and returns its message.
    pub(crate) async fn alarm(&self, kind: AlarmKind) -> String {
        wait_for(|| self.alarms.raised().get(&kind).map(|alarm| alarm.message.clone())).await
    }
}

pub(crate) fn config(url: &RedisUrl, consumer: &str, claim_idle: Duration) -> RedisSourceConfig {
    RedisSourceConfig {
        url: url.clone(),
        consumer: consumer.to_owned(),
        claim_idle,
        tls: TlsFiles::default(),
        data_dir: PathBuf::new(),
        resumed: Vec::new(),
    }
}

/// The next delivery, which must come.
pub(crate) async fn next(source: &mut Source) -> Delivery {
    let next = tokio::time::timeout(PATIENCE, source.deliveries.next());
    next.await.expect("no delivery").unwrap().expect("the source ended")
}

/// The words that the next deliveries have for a hash.
pub(crate) async fn next_hashes(source: &mut Source, count: usize) -> Vec<String> {
    let mut hashes = Vec::new();
    for _ in 0..count {
        hashes.push(next(source).await.hash.unwrap());
    }
    hashes
}

pub(crate) async fn backlog(source: &Source) -> Backlog {
    source.settlement.backlog().await.unwrap()
}

/// Asks until there is an answer.
pub(crate) async fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "it did not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
