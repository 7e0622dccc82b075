//! The settling half: acknowledges, buries, releases.

pub(crate) mod trim;

use super::{
    dead_letters::push_block_fields,
    group,
    link::Link,
    losses::overflow::Overflow,
    overview,
    reader::in_flight::InFlightEntries,
    refusal::{cannot_store, full_without_group},
};
use crate::{
    alarm::{AlarmKind, Alarms, now_ms},
    source::{Backlog, DeadLetter, EntryId, Settlement, SourceError},
};
use async_trait::async_trait;
use bsp_stream::{Connection, Connector, RedisUrl, StreamId, server_error::is_full};
use redis::{RedisResult, cmd, pipe};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::DropGuard;
use trim::Trimmer;

/// How long an answer about the stream's groups is good.
const GROUPS_ARE_KNOWN_FOR: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct RedisSettlement {
    pub(super) url: RedisUrl,
    pub(super) in_flight: Arc<InFlightEntries>,
    pub(super) link: Arc<Link>,
    pub(super) alarms: Alarms,
    /// Tells the reader to look at what is pending to this consumer.
    pub(super) claimed: Arc<AtomicBool>,
    pub(super) sole_group: SoleGroup,
    pub(super) trimmer: Arc<Trimmer>,
    pub(super) overflow: Arc<Overflow>,
    /// Ends the upkeep of the stream together with this.
    pub(super) _keeper: DropGuard,
}

/// Whether ours is the stream's only group, so that what it has acknowledged may go at once.
#[derive(Debug, Default)]
pub(super) struct SoleGroup(Mutex<Option<(Instant, bool)>>);

impl SoleGroup {
    async fn ask(&self, link: &Link, url: &RedisUrl) -> Result<bool, SourceError> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, sole)) = known.filter(|(since, _)| since.elapsed() < GROUPS_ARE_KNOWN_FOR) {
            return Ok(sole);
        }
        let ask = |mut connection| async move {
            let groups = group::all(&mut connection, &url.topic).await?;
            // Another's group that is the only one has not read what ours has, while ours is gone.
            Ok(matches!(&groups[..], [only] if only.name == url.group))
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
        let done = self.acknowledge_id(id).await?;
        if !done.was_pending {
            tracing::debug!(%id, "The entry was acknowledged or trimmed already");
        }
        // Operators look for this line of bsp-agent v1.9.2.
        tracing::info!(
            "stream ids acked and trimmed: [{id}], for stream key: {topic}, with current length: {}",
            done.length
        );
        Ok(())
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<(), SourceError> {
        let id = self.id(&letter.entry)?;
        let sole = self.sole_group.ask(&self.link, &self.url).await?;
        let run = |connection, _| bury(connection, &self.url, id, letter, sole);
        let (place, option) = match self.link.run_unless(cannot_store, run).await? {
            Ok(Buried::Now) => {
                self.trim_with_others(sole).await?;
                (self.url.dead_topic(), "")
            }
            Ok(Buried::Before) => {
                tracing::info!("Entry {id} is settled already, there is nothing to bury");
                self.in_flight.settle(id);
                return Ok(());
            }
            Err(error) => {
                let folder = self.overflow.keep(letter).await?.display().to_string();
                tracing::warn!(
                    "Redis does not take the dead letter of entry {id}, it is in {folder}: {error}"
                );
                self.acknowledge_id(id).await?;
                (folder, " --data-dir")
            }
        };
        self.in_flight.settle(id);
        metrics::counter!("agent_stream_dead_total").increment(1);
        self.alarms.raise(
            AlarmKind::DeadLetter,
            format!(
                "Entry {id} went to {place}: {}; read it with `bsp dead show{option}`, then `bsp dead retry` or `bsp dead \
                 drop`",
                letter.reason
            ),
        );
        Ok(())
    }

    fn release(&self, entry: &EntryId) {
        if let Ok(id) = entry.0.parse() {
            self.in_flight.release(id);
        }
    }

    fn redeliver(&self, entry: &EntryId) {
        if let Ok(id) = entry.0.parse() {
            self.in_flight.release(id);
            self.in_flight.forget_release(id);
            self.claimed.store(true, Ordering::Release);
        }
    }

    async fn backlog(&self) -> Result<Backlog, SourceError> {
        let ask =
            |mut connection| async move { overview::backlog(&mut connection, &self.url).await };
        let mut backlog = self.link.run(|connection, _| ask(connection)).await?;
        let on_disk = self.overflow.count().await;
        // Where the stream of letters can't be read, none goes to it.
        backlog.dead = [backlog.dead, on_disk].into_iter().flatten().reduce(u64::saturating_add);
        Ok(backlog)
    }
}

impl RedisSettlement {
    /// Takes an entry from the group, and from the stream as far as nobody else needs it.
    async fn acknowledge_id(&self, id: StreamId) -> Result<Acknowledged, SourceError> {
        let sole = self.sole_group.ask(&self.link, &self.url).await?;
        let done =
            self.link.run(|connection, _| acknowledge(connection, &self.url, id, sole)).await?;
        self.in_flight.settle(id);
        self.trim_with_others(sole).await?;
        Ok(done)
    }

    /// With other groups nothing goes by its own id, but the stream's beginning as far as all are
    /// done with it.
    async fn trim_with_others(&self, sole: bool) -> Result<(), SourceError> {
        if sole {
            return Ok(());
        }
        let trim =
            |mut connection, _| async move { self.trimmer.trim(&mut connection, &self.url).await };
        self.link.run(trim).await
    }

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
    // No transaction: a full server refuses all that is queued in one. What a crash leaves after
    // the first command, the upkeep removes.
    let mut commands = pipe();
    commands.cmd("XACK").arg(&url.topic).arg(&url.group).arg(id.to_string());
    if sole_group {
        commands.cmd("XDEL").arg(&url.topic).arg(id.to_string()).ignore();
    }
    commands.cmd("XLEN").arg(&url.topic);
    let (acknowledged, length): (u64, u64) = commands.query_async(&mut connection).await?;
    Ok(Acknowledged { was_pending: acknowledged > 0, length })
}

enum Buried {
    Now,
    /// It is not pending any more: buried by an attempt whose reply was lost, or before a crash.
    Before,
}

/// Adds the dead letter, and only then, or in the same transaction, takes the entry from the
/// stream.
async fn bury(
    mut connection: Connection,
    url: &RedisUrl,
    id: StreamId,
    letter: &DeadLetter,
    sole_group: bool,
) -> RedisResult<Buried> {
    if !group::is_pending(&mut connection, url, id).await? {
        return Ok(Buried::Before);
    }
    // A transaction continues after a key of another type, and would take the entry without adding
    // the letter.
    let _: u64 = cmd("XLEN").arg(url.dead_topic()).query_async(&mut connection).await?;
    let mut add = cmd("XADD");
    add.arg(url.dead_topic()).arg("*").arg("id").arg(id.to_string());
    push_block_fields(
        &mut add,
        letter.hash.as_deref(),
        letter.payload.as_deref(),
        letter.supplement.as_deref(),
    );
    add.arg("reason").arg(&letter.reason).arg("group").arg(&url.group).arg("time_ms").arg(now_ms());
    let mut transaction = pipe();
    transaction.add_command(add);
    if !connection.has_all_keys() {
        transaction.exec_async(&mut connection).await?;
        transaction = pipe();
    }
    transaction.atomic().cmd("XACK").arg(&url.topic).arg(&url.group).arg(id.to_string());
    if sole_group {
        transaction.cmd("XDEL").arg(&url.topic).arg(id.to_string());
    }
    transaction.exec_async(&mut connection).await?;
    Ok(Buried::Now)
}

/// The link on which entries are settled: its commands are short, apart from dead letters.
pub(super) const ROLE: &str = "settle";

/// Asks once whether everything is there, makes the group if it is not, and tries whether the
/// server can be written.
pub(super) async fn check(link: &Link, connector: &Connector) -> Result<(), SourceError> {
    let url = connector.url();
    let work = |mut connection: Connection| async move {
        group::ensure(connection.clone(), url).await?;
        group::probe(&mut connection, url).await
    };
    link.attempt(work).await.map_err(|error| match is_full(&error) {
        true => link.refused(full_without_group(url, &error)),
        false => link.explain(&error),
    })
}
