//! Keeps what is in flight, takes over what others have left, removes what all have acknowledged,
//! and notices what is lost; once in a while.
//!
//! Entries are claimed one by one with `XCLAIM`, from the list of idle ones. `XAUTOCLAIM` does the
//! same in one command, but it drops every pending entry that is trimmed, also those a living
//! consumer has in flight, and nobody learns of the loss if its reply is lost.

pub(crate) mod twin;

use super::{
    group,
    link::Link,
    losses::{Losses, lost_undelivered},
    reader::{in_flight::InFlightEntries, pending_page},
    reply::{self, Group, PendingEntry, Stream},
    settlement::trim::Trimmer,
};
use crate::{
    alarm::{AlarmKind, Alarms},
    source::SourceError,
};
use bsp_stream::server_error::is_full;
use bsp_stream::{Connection, RedisUrl, StreamId};
use redis::{RedisResult, Value, cmd, pipe};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use twin::TwinWatch;

/// Entries taken over in one round, so that one agent does not take all.
const CLAIMS: usize = 64;

/// Rows of `XPENDING … IDLE` asked for at once.
const PAGE: usize = 100;

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// After an outage nothing is taken over for this long, or for the idle time if that is shorter:
/// others that were away too have what they hold refreshed by then, at their own pause and the
/// longest one of a connection that comes back.
const REST_AFTER_OUTAGE: Duration = Duration::from_secs(75);

#[derive(Debug)]
pub(super) struct PendingReclaimer {
    pub(super) url: RedisUrl,
    pub(super) consumer: String,
    pub(super) claim_idle: Duration,
    pub(super) in_flight: Arc<InFlightEntries>,
    pub(super) losses: Arc<Losses>,
    pub(super) link: Arc<Link>,
    pub(super) claimed: Arc<AtomicBool>,
    pub(super) trimmer: Arc<Trimmer>,
    pub(super) alarms: Alarms,
    pub(super) memory: Memory,
}

/// What is remembered from round to round.
#[derive(Debug, Default)]
pub(super) struct Memory {
    twin: TwinWatch,
    /// When a round last had all of its answers.
    last_good: Option<Instant>,
    /// Until when nothing is taken over.
    resting_until: Option<Instant>,
}

/// What a round begins with.
struct ReclaimerState {
    stream: Stream,
    groups: Vec<Group>,
    first_pending: Option<StreamId>,
    /// Whether all of it is of one moment, so that counts can be compared.
    is_of_one_moment: bool,
}

impl PendingReclaimer {
    /// Goes round until the stop, four times in the idle time after which entries are claimed, or
    /// more often.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let pause = (self.claim_idle / 4).min(LONGEST_PAUSE);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                round = self.round() => if let Err(error) = round {
                    // The reader meets the same and tells the pipeline.
                    tracing::error!(%error, "Can't look after the stream's pending entries");
                },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn round(&mut self) -> Result<(), SourceError> {
        let ask = |connection| state(connection, &self.url);
        let state = self.link.run(|connection, _| ask(connection)).await?;
        self.note_outage();
        let oldest = state.stream.first;
        self.keep(oldest).await?;
        if self.memory.resting_until.is_none_or(|until| until <= Instant::now()) {
            self.take_over(oldest).await?;
        }
        if state.is_of_one_moment {
            let ReclaimerState { stream, groups, first_pending, .. } = &state;
            let lost = lost_undelivered(stream, groups, &self.url.group, *first_pending);
            self.losses.report_undelivered(&self.link, lost.unwrap_or(0)).await?;
        }
        self.losses.remember_waiting(&self.link).await;
        // Also with ours as the only group: another one may have been destroyed, for which entries
        // had to stay.
        let (trimmer, url) = (&self.trimmer, &self.url);
        let trim = |mut connection, _| async move { trimmer.trim(&mut connection, url).await };
        self.link.run(trim).await?;
        self.memory.last_good = Some(Instant::now());
        Ok(())
    }

    /// Idle times go on while Redis is away, also of what living consumers have in flight.
    fn note_outage(&mut self) {
        let away = self.memory.last_good.is_some_and(|good| good.elapsed() > self.claim_idle / 2);
        if away {
            let rest = self.claim_idle.min(REST_AFTER_OUTAGE);
            self.memory.resting_until = Some(Instant::now() + rest);
        }
    }

    /// Sets back the idle time of what is in flight, so that nobody claims it, and has Redis count
    /// the deliveries of what was released again.
    async fn keep(&mut self, oldest: Option<StreamId>) -> Result<(), SourceError> {
        let held: HashSet<_> = self.in_flight.held().into_iter().collect();
        // Before what is pending is asked for: what is released later has other idle times than it
        // will have told.
        let released = self.in_flight.to_recount();
        let asked = Instant::now();
        let ours = self.all_pending().await?;
        self.watch_for_twin(&held, &ours, asked);
        // Claiming what is trimmed would take it from the list, where it is to stay until it is
        // settled.
        let is_there = |id: StreamId| oldest.is_some_and(|oldest| id >= oldest);

        let mut recounted = Vec::new();
        for row in ours.iter().filter(|row| released.contains(&row.id) && is_there(row.id)) {
            let recount = |connection| recount(connection, &self.url, &self.consumer, row);
            if self.link.run(|connection, _| recount(connection)).await? {
                self.in_flight.recounted(row.id);
                recounted.push(row.id);
            }
        }
        self.memory.twin.touched(recounted.into_iter());

        let kept: Vec<_> =
            ours.iter().map(|row| row.id).filter(|id| held.contains(id) && is_there(*id)).collect();
        let others =
            held.len().saturating_sub(ours.iter().filter(|row| held.contains(&row.id)).count());
        if others > 0 {
            tracing::warn!(others, "Entries in flight here are no longer pending to this consumer");
        }
        if kept.is_empty() {
            return Ok(());
        }
        let claim =
            |connection| claim(connection, &self.url, &self.consumer, Duration::ZERO, &kept);
        self.link.run(|connection, _| claim(connection)).await.map(|_| ())
    }

    fn watch_for_twin(&mut self, held: &HashSet<StreamId>, ours: &[PendingEntry], asked: Instant) {
        let free =
            ours.iter().filter(|row| !held.contains(&row.id) && !self.in_flight.holds(row.id));
        if self.memory.twin.look(free, asked) {
            self.alarms.raise(
                AlarmKind::ConsumerShared,
                format!(
                    "another process reads {} as consumer {} too: is its data folder a copy of this one? Both work on \
                     the same blocks; give one of them its own --consumer-name",
                    self.url, self.consumer
                ),
            );
        } else if self.memory.twin.is_gone() {
            self.alarms.clear(AlarmKind::ConsumerShared);
        }
    }

    /// All that is pending to this consumer.
    async fn all_pending(&self) -> Result<Vec<PendingEntry>, SourceError> {
        let (mut rows, mut start) = (Vec::new(), "-".to_owned());
        loop {
            let ask =
                |connection| pending_page(connection, &self.url, &self.consumer, start.clone());
            let page = self.link.run(|connection, _| ask(connection)).await?;
            let Some(last) = page.last() else { return Ok(rows) };
            start = format!("({}", last.id);
            rows.extend(page);
        }
    }

    /// Claims what has been idle for too long: entries of consumers that died, and released ones of
    /// our own.
    async fn take_over(&mut self, oldest: Option<StreamId>) -> Result<(), SourceError> {
        let idle = self.idle_entries().await?;
        let (stale, trimmed): (Vec<_>, Vec<_>) = idle
            .iter()
            .map(|row| row.id)
            .partition(|id| oldest.is_some_and(|oldest| *id >= oldest));
        self.losses.report_entries(&self.link, &trimmed).await?;
        if stale.is_empty() {
            return Ok(());
        }

        let claim =
            |connection| claim(connection, &self.url, &self.consumer, self.claim_idle, &stale);
        let claims = self.link.run(|connection, _| claim(connection)).await?;
        for &id in &claims.claimed {
            self.in_flight.forget_release(id);
        }
        self.memory.twin.touched(claims.claimed.iter().copied());
        self.losses.report_entries(&self.link, &claims.deleted).await?;
        if !claims.claimed.is_empty() {
            metrics::counter!("agent_stream_claimed_total").increment(claims.claimed.len() as u64);
            let from: HashSet<_> = idle.iter().map(|row| row.consumer.as_str()).collect();
            tracing::info!(
                entries = claims.claimed.len(),
                ?from,
                "Took over entries that were left idle"
            );
            self.claimed.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// What has been idle for too long and is not in flight: as much as is taken over in one round.
    /// What is in flight and trimmed can't be refreshed, and may be any number.
    async fn idle_entries(&self) -> Result<Vec<PendingEntry>, SourceError> {
        let (mut idle, mut start) = (Vec::new(), "-".to_owned());
        loop {
            let ask = |connection| idle_page(connection, &self.url, self.claim_idle, &start);
            let page = self.link.run(|connection, _| ask(connection)).await?;
            let Some(last) = page.last() else { return Ok(idle) };
            start = format!("({}", last.id);
            idle.extend(page.into_iter().filter(|row| !self.in_flight.holds(row.id)));
            if idle.len() >= CLAIMS {
                idle.truncate(CLAIMS);
                return Ok(idle);
            }
        }
    }
}

async fn state(mut connection: Connection, url: &RedisUrl) -> RedisResult<ReclaimerState> {
    let mut commands = pipe();
    commands.cmd("XINFO").arg("STREAM").arg(&url.topic);
    commands.cmd("XINFO").arg("GROUPS").arg(&url.topic);
    commands.cmd("XPENDING").arg(&url.topic).arg(&url.group).arg("-").arg("+").arg(1);
    type Replies = (Value, Value, Value);
    let transaction = commands.clone().atomic().query_async(&mut connection).await;
    let (replies, is_of_one_moment): (Replies, bool) = match transaction {
        Ok(replies) => (replies, true),
        // A full server refuses all that is queued in a transaction, reads too.
        Err(error) if is_full(&error) => (commands.query_async(&mut connection).await?, false),
        Err(error) => return Err(error),
    };
    let (stream, groups, pending) = replies;
    Ok(ReclaimerState {
        is_of_one_moment,
        stream: reply::stream(stream)?,
        groups: reply::groups(groups)?,
        first_pending: reply::pending_entries(pending)?.first().map(|row| row.id),
    })
}

async fn idle_page(
    mut connection: Connection,
    url: &RedisUrl,
    idle: Duration,
    start: &str,
) -> RedisResult<Vec<PendingEntry>> {
    let mut command = cmd("XPENDING");
    command.arg(&url.topic).arg(&url.group).arg("IDLE").arg(idle.as_millis().to_string());
    let rows: Value = command.arg(start).arg("+").arg(PAGE).query_async(&mut connection).await?;
    reply::pending_entries(rows)
}

/// Sets an entry's count of deliveries to one, and leaves its idle time: the consumer that released
/// it has not failed on it. `false` if it was delivered or claimed since its row was read, so that
/// it is idle for less.
async fn recount(
    mut connection: Connection,
    url: &RedisUrl,
    consumer: &str,
    row: &PendingEntry,
) -> RedisResult<bool> {
    let mut command = cmd("XCLAIM");
    command.arg(&url.topic).arg(&url.group).arg(consumer).arg(row.idle_ms).arg(row.id.to_string());
    command.arg("IDLE").arg(row.idle_ms).arg("RETRYCOUNT").arg(1).arg("JUSTID");
    let claimed: Vec<String> = command.query_async(&mut connection).await?;
    Ok(!claimed.is_empty())
}

#[derive(Debug, Default)]
struct Claims {
    claimed: Vec<StreamId>,
    deleted: Vec<StreamId>,
}

/// Claims entries that are still idle for as long as that, without their payloads.
///
/// One that is still idle, and yet not claimed, is no longer in the stream: Redis 7.0 and later
/// have dropped it.
async fn claim(
    mut connection: Connection,
    url: &RedisUrl,
    consumer: &str,
    idle: Duration,
    ids: &[StreamId],
) -> RedisResult<Claims> {
    let idle_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
    let mut claims = Claims::default();
    for &id in ids {
        let text = id.to_string();
        let mut transaction = pipe();
        transaction.atomic();
        transaction.cmd("XPENDING").arg(&url.topic).arg(&url.group).arg(&text).arg(&text).arg(1);
        let claim = transaction.cmd("XCLAIM").arg(&url.topic).arg(&url.group).arg(consumer);
        claim.arg(idle_ms).arg(&text).arg("JUSTID");
        let done: RedisResult<(Value, Value)> = transaction.query_async(&mut connection).await;
        let (rows, claimed) = match done {
            Err(error) if is_full(&error) => {
                match claim_alone(&mut connection, url, consumer, idle_ms, id).await? {
                    Some(true) => claims.claimed.push(id),
                    Some(false) => claims.deleted.push(id),
                    None => {}
                }
                continue;
            }
            done => done?,
        };
        let was_idle = reply::pending_entries(rows)?.iter().any(|row| row.idle_ms >= idle_ms);
        if reply::ids(claimed)?.contains(&id) {
            claims.claimed.push(id);
        } else if was_idle {
            claims.deleted.push(id);
        }
    }
    Ok(claims)
}

/// Claims an entry of a full server, which refuses transactions: whether it is claimed, or is in no
/// list any more, most likely because it is no longer in the stream. Told is better than not told
/// if somebody has just acknowledged it.
async fn claim_alone(
    connection: &mut Connection,
    url: &RedisUrl,
    consumer: &str,
    idle_ms: u64,
    id: StreamId,
) -> RedisResult<Option<bool>> {
    let mut command = cmd("XCLAIM");
    command.arg(&url.topic).arg(&url.group).arg(consumer).arg(idle_ms).arg(id.to_string());
    let claimed: Value = command.arg("JUSTID").query_async(connection).await?;
    if reply::ids(claimed)?.contains(&id) {
        return Ok(Some(true));
    }
    Ok((!group::is_pending(connection, url, id).await?).then_some(false))
}
