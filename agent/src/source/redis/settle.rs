//! The settling half: acknowledges, buries, releases.

use super::{
    connect::{Connection, Connector},
    group,
    hand::Hand,
    id::StreamId,
    link::Link,
    overview,
};
use crate::{
    alarm::{AlarmKind, Alarms, now_ms},
    source::{Backlog, DeadLetter, EntryId, Settlement, SourceError, url::RedisUrl},
};
use async_trait::async_trait;
use redis::{RedisResult, cmd, pipe};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio_util::sync::DropGuard;

/// How long an answer about the stream's groups is good.
const GROUPS_ARE_KNOWN_FOR: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct RedisSettlement {
    pub(super) url: RedisUrl,
    pub(super) hand: Arc<Hand>,
    pub(super) link: Arc<Link>,
    pub(super) alarms: Alarms,
    pub(super) sole_group: SoleGroup,
    /// Ends the keeper together with what it keeps.
    pub(super) _keeper: DropGuard,
}

/// Whether ours is the stream's only group, so that what it has acknowledged may go at once.
#[derive(Debug, Default)]
pub(super) struct SoleGroup(Mutex<Option<(Instant, bool)>>);

impl SoleGroup {
    async fn ask(&self, link: &Link, topic: &str) -> Result<bool, SourceError> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, sole)) = known.filter(|(since, _)| since.elapsed() < GROUPS_ARE_KNOWN_FOR) {
            return Ok(sole);
        }
        let ask = |mut connection| async move {
            Ok(group::all(&mut connection, topic).await?.len() <= 1)
        };
        let sole = link.run(|connection, _| ask(connection)).await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), sole));
        Ok(sole)
    }
}

#[async_trait]
impl Settlement for RedisSettlement {
    async fn acknowledge(&self, entry: &EntryId) -> Result<(), SourceError> {
        let (topic, id) = (&self.url.topic, self.id(entry)?);
        let sole = self.sole_group.ask(&self.link, topic).await?;
        let done =
            self.link.run(|connection, _| acknowledge(connection, &self.url, id, sole)).await?;
        self.hand.settle(id);
        if !done.was_pending {
            tracing::debug!(%id, "the entry was acknowledged or trimmed already");
        }
        // Operators look for this line of bsp-agent v1.9.2.
        tracing::info!(
            "stream ids acked and trimmed: [{id}] , for stream key: {topic}, with current length: {}",
            done.length
        );
        Ok(())
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<(), SourceError> {
        let id = self.id(&letter.entry)?;
        let sole = self.sole_group.ask(&self.link, &self.url.topic).await?;
        self.link
            .run(|connection, failures| bury(connection, &self.url, id, letter, sole, failures))
            .await?;
        self.hand.settle(id);
        metrics::counter!("agent_stream_dead_total").increment(1);
        self.alarms.raise(
            AlarmKind::DeadLetter,
            format!(
                "entry {id} went to {}: {}; look at it with `bsp dead show`, then `bsp dead retry` or `bsp dead drop`",
                self.url.dead_topic(),
                letter.reason
            ),
        );
        Ok(())
    }

    fn release(&self, entry: &EntryId) {
        if let Ok(id) = entry.0.parse() {
            self.hand.release(id);
        }
    }

    async fn backlog(&self) -> Result<Backlog, SourceError> {
        let ask =
            |mut connection| async move { overview::backlog(&mut connection, &self.url).await };
        self.link.run(|connection, _| ask(connection)).await
    }
}

impl RedisSettlement {
    fn id(&self, entry: &EntryId) -> Result<StreamId, SourceError> {
        entry.0.parse().map_err(|error| SourceError::Refused {
            source_name: self.url.to_string(),
            reason: format!("{entry:?}: {error}; is the journal of another source?"),
        })
    }
}

struct Acknowledged {
    was_pending: bool,
    length: u64,
}

async fn acknowledge(
    mut connection: Connection,
    url: &RedisUrl,
    id: StreamId,
    sole_group: bool,
) -> RedisResult<Acknowledged> {
    let mut transaction = pipe();
    transaction.atomic();
    transaction.cmd("XACK").arg(&url.topic).arg(&url.group).arg(id.to_string());
    if sole_group {
        transaction.cmd("XDEL").arg(&url.topic).arg(id.to_string()).ignore();
    }
    transaction.cmd("XLEN").arg(&url.topic);
    let (acknowledged, length): (u64, u64) = transaction.query_async(&mut connection).await?;
    if !sole_group {
        delete_what_nobody_needs(&mut connection, &url.topic).await?;
    }
    Ok(Acknowledged { was_pending: acknowledged > 0, length })
}

/// Deletes the stream's beginning as far as every group has acknowledged it.
async fn delete_what_nobody_needs(connection: &mut Connection, topic: &str) -> RedisResult<()> {
    let Some(oldest) = group::oldest_needed(connection, topic).await? else { return Ok(()) };
    cmd("XTRIM").arg(topic).arg("MINID").arg(oldest.to_string()).exec_async(connection).await
}

/// Adds the dead letter, and only then, or in the same transaction, takes the entry from the stream.
async fn bury(
    mut connection: Connection,
    url: &RedisUrl,
    id: StreamId,
    letter: &DeadLetter,
    sole_group: bool,
    failures: u32,
) -> RedisResult<()> {
    // After a lost reply: what is not pending any more is buried already.
    if failures > 0 && !group::is_pending(&mut connection, url, id).await? {
        return Ok(());
    }
    let mut transaction = pipe();
    let add = transaction.cmd("XADD").arg(url.dead_topic()).arg("*").arg("id").arg(id.to_string());
    if let Some(hash) = &letter.hash {
        add.arg("hash").arg(hash);
    }
    if let Some(payload) = &letter.payload {
        add.arg("data").arg(payload.as_ref());
    }
    add.arg("reason").arg(&letter.reason).arg("group").arg(&url.group).arg("time_ms").arg(now_ms());
    if !connection.has_all_keys() {
        transaction.exec_async(&mut connection).await?;
        transaction = pipe();
    }
    transaction.atomic().cmd("XACK").arg(&url.topic).arg(&url.group).arg(id.to_string());
    if sole_group {
        transaction.cmd("XDEL").arg(&url.topic).arg(id.to_string());
    }
    transaction.exec_async(&mut connection).await?;
    if !sole_group {
        delete_what_nobody_needs(&mut connection, &url.topic).await?;
    }
    Ok(())
}

/// The link on which entries are settled: its commands are short, apart from dead letters.
pub(super) const ROLE: &str = "settle";

/// Asks once whether everything is there, and makes the group.
pub(super) async fn check(link: &Link, connector: &Connector) -> Result<(), SourceError> {
    let create = |connection| group::create(connection, connector.url());
    link.attempt(create).await.map_err(|error| link.explain(&error))
}
