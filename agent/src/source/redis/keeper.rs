//! Keeps what is in hand, takes over what others have left, and notices what is lost; once in a while.
//!
//! Entries are claimed one by one with `XCLAIM`, from the list of idle ones. `XAUTOCLAIM` does the same in one command, but it
//! drops every pending entry that is trimmed, also those a living consumer has in hand, and nobody learns of the loss if
//! its reply is lost.

use super::{
    connect::Connection,
    hand::Hand,
    id::StreamId,
    link::Link,
    lost::{Losses, lost_undelivered},
    reader::pending_page,
    reply::{self, Group, PendingEntry, Stream},
};
use crate::source::{SourceError, url::RedisUrl};
use redis::{RedisResult, Value, cmd, pipe};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Entries taken over in one round, so that one agent does not take all.
const CLAIMS: usize = 64;

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) url: RedisUrl,
    pub(super) consumer: String,
    pub(super) claim_idle: Duration,
    pub(super) hand: Arc<Hand>,
    pub(super) losses: Arc<Losses>,
    pub(super) link: Arc<Link>,
    pub(super) claimed: Arc<AtomicBool>,
}

/// What a round begins with.
struct State {
    stream: Stream,
    groups: Vec<Group>,
    first_pending: Option<StreamId>,
}

impl Keeper {
    /// Goes round until the stop, four times in the idle time after which entries are claimed, or more often.
    pub(super) async fn run(self, stop: CancellationToken) {
        let pause = (self.claim_idle / 4).min(LONGEST_PAUSE);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                round = self.round() => if let Err(error) = round {
                    // The reader meets the same and tells the pipeline.
                    tracing::error!(%error, "can't look after the stream's pending entries");
                },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn round(&self) -> Result<(), SourceError> {
        let ask = |connection| state(connection, &self.url);
        let state = self.link.run(|connection, _| ask(connection)).await?;
        let oldest = state.stream.first;
        self.keep(oldest).await?;
        self.take_over(oldest).await?;
        let lost =
            lost_undelivered(&state.stream, &state.groups, &self.url.group, state.first_pending);
        self.losses.report_undelivered(&self.link, lost.unwrap_or(0)).await
    }

    /// Sets back the idle time of what is in hand, so that nobody claims it.
    async fn keep(&self, oldest: Option<StreamId>) -> Result<(), SourceError> {
        let held: HashSet<_> = self.hand.held().into_iter().collect();
        if held.is_empty() {
            return Ok(());
        }
        let ours = self.all_pending().await?;
        let kept: Vec<_> = ours
            .iter()
            .map(|row| row.id)
            // Claiming what is trimmed would take it from the list, where it is to stay until it is settled.
            .filter(|id| held.contains(id) && oldest.is_some_and(|oldest| *id >= oldest))
            .collect();
        let others =
            held.len().saturating_sub(ours.iter().filter(|row| held.contains(&row.id)).count());
        if others > 0 {
            tracing::warn!(others, "entries in work here are no longer pending to this consumer");
        }
        if kept.is_empty() {
            return Ok(());
        }
        let claim =
            |connection| claim(connection, &self.url, &self.consumer, Duration::ZERO, &kept);
        self.link.run(|connection, _| claim(connection)).await.map(|_| ())
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

    /// Claims what has been idle for too long: entries of consumers that died, and released ones of our own.
    async fn take_over(&self, oldest: Option<StreamId>) -> Result<(), SourceError> {
        let idle = |connection| idle_entries(connection, &self.url, self.claim_idle);
        let mut idle = self.link.run(|connection, _| idle(connection)).await?;
        idle.retain(|row| !self.hand.holds(row.id));
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
            self.hand.forget_release(id);
        }
        self.losses.report_entries(&self.link, &claims.deleted).await?;
        if !claims.claimed.is_empty() {
            metrics::counter!("agent_stream_claimed_total").increment(claims.claimed.len() as u64);
            let from: HashSet<_> = idle.iter().map(|row| row.consumer.as_str()).collect();
            tracing::info!(
                entries = claims.claimed.len(),
                ?from,
                "took over entries that were left idle"
            );
            self.claimed.store(true, Ordering::Release);
        }
        Ok(())
    }
}

async fn state(mut connection: Connection, url: &RedisUrl) -> RedisResult<State> {
    let mut transaction = pipe();
    transaction.atomic();
    transaction.cmd("XINFO").arg("STREAM").arg(&url.topic);
    transaction.cmd("XINFO").arg("GROUPS").arg(&url.topic);
    transaction.cmd("XPENDING").arg(&url.topic).arg(&url.group).arg("-").arg("+").arg(1);
    let (stream, groups, pending): (Value, Value, Value) =
        transaction.query_async(&mut connection).await?;
    Ok(State {
        stream: reply::stream(stream)?,
        groups: reply::groups(groups)?,
        first_pending: reply::pending_entries(pending)?.first().map(|row| row.id),
    })
}

async fn idle_entries(
    mut connection: Connection,
    url: &RedisUrl,
    idle: Duration,
) -> RedisResult<Vec<PendingEntry>> {
    let mut command = cmd("XPENDING");
    command.arg(&url.topic).arg(&url.group).arg("IDLE").arg(idle.as_millis().to_string());
    let rows: Value = command.arg("-").arg("+").arg(CLAIMS).query_async(&mut connection).await?;
    reply::pending_entries(rows)
}

#[derive(Debug, Default)]
struct Claims {
    claimed: Vec<StreamId>,
    deleted: Vec<StreamId>,
}

/// Claims entries that are still idle for as long as that, without their payloads.
///
/// One that is still idle, and yet not claimed, is no longer in the stream: Redis 7.0 and later have dropped it.
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
        let (rows, claimed): (Value, Value) = transaction.query_async(&mut connection).await?;
        let was_idle = reply::pending_entries(rows)?.iter().any(|row| row.idle_ms >= idle_ms);
        if reply::ids(claimed)?.contains(&id) {
            claims.claimed.push(id);
        } else if was_idle {
            claims.deleted.push(id);
        }
    }
    Ok(claims)
}
