//! A Redis stream: the `redis://` target of bsp-geth v2.2.0.

mod add;
mod budget;
mod continuity;
mod entries;
mod link;
mod look_back;
mod options;
mod retention;

pub use options::RedisOptions;

use crate::{
    failpoint,
    health::TargetHealth,
    outage::Outage,
    target::{Entry, StreamPosition, Target, TargetError},
};
use add::{Addition, add};
use async_trait::async_trait;
use bsp_stream::{
    Connector, RedisUrl, StreamId,
    server_error::{outcome_is_unknown, with_advice},
};
use budget::{Budget, Spent};
use continuity::{Continuity, stream_state};
use entries::{StreamEntry, compress, hash_text, leading_group};
use link::Link;
use look_back::look_back;
use redis::RedisError;
use retention::{Retention, groups, trim};
use std::fmt;
use tokio_util::sync::CancellationToken;

/// Adds to a stream. An entry has the fields `hash` (`0x` and 64 lower-case digits) and `data` (the
/// replica's RLP, as a raw snappy block), as with bsp-geth v2.2.0, but no `MAXLEN`: see
/// [`RedisOptions`] for what is removed instead. A block of which the replica leaves something out
/// has a third field, `supplement` ([`Entry::supplement`], not compressed).
///
/// A reply means that the server has the entry, and its `appendfsync` setting when that is on its
/// disk: with `everysec`, its default, up to a second is lost if the server's machine crashes.
///
/// Several entries are added in one transaction, so a stream never has some of them without those
/// before. Where no reply came, also in the life of an earlier process, the end of the stream is
/// read, and what is there is not added again; Redis 8.6 and later tells on its own, also what its
/// consumers have deleted, for 100 seconds unless the stream is configured otherwise. So an entry
/// arrives twice only if it was added without a reply, and a consumer deleted it before the
/// connection was back, on an older server or after a longer outage.
///
/// A server that has lost what it had confirmed, because it was restarted without its data or
/// replaced by a replica that was behind, is found out by the stream's ids: [`TargetError::Lost`].
/// So is a stream that was deleted or evicted under an open connection: once it has entries it is
/// never made again by an addition (`NOMKSTREAM`, Redis 6.2), and where a consumer made it again,
/// it has had fewer entries than it should have (Redis 7.0).
///
/// A block that is longer than the server takes (`proto-max-bulk-len`, 512 MiB by default) is not
/// sent, if the server tells that limit, for it would end the connection.
///
/// Whatever the server refuses can be mended there, so it is waited for, a wrong password too.
/// [`Target::health`] shows it.
pub struct RedisTarget {
    name: String,
    topic: String,
    producer_id: String,
    link: Link,
    /// Whether the stream may hold entries of which nobody told us that it took them.
    is_uncertain: bool,
    continuity: Continuity,
    budget: Budget,
    retention: Retention,
    /// What the log has said of the server's settings.
    warned_of: Vec<&'static str>,
    stop: CancellationToken,
    health: TargetHealth,
}

/// Why an attempt did not get ahead.
#[derive(Debug, thiserror::Error)]
enum Setback {
    #[error("{}", with_advice(.0))]
    Redis(#[from] RedisError),
    #[error(transparent)]
    NoRoom(#[from] Spent),
    /// The server would disconnect whoever sends this.
    #[error(
        "block {number} has {bytes} bytes compressed, and the server takes {most} at most: raise its proto-max-bulk-len \
         (CONFIG SET proto-max-bulk-len {bytes}, and in its configuration file)"
    )]
    TooLong { number: u64, bytes: u64, most: u64 },
    /// The stream does not have all that was added to it.
    #[error("entries are gone")]
    Lost(StreamPosition),
    /// An entry that no stream can take.
    #[error("{0}")]
    Entry(String),
}

impl RedisTarget {
    /// Prepares a target: one server, the master that sentinels name, or a cluster. It connects at
    /// the first delivery, and again after each trouble.
    pub fn new(url: &RedisUrl, options: &RedisOptions, stop: CancellationToken) -> Self {
        Self {
            name: url.stream(),
            topic: url.topic.clone(),
            producer_id: options.producer_id.clone(),
            link: Link::new(Connector::new(url.clone(), &options.tls)),
            is_uncertain: true,
            continuity: Continuity::default(),
            budget: Budget::new(options.byte_budget),
            retention: Retention::new(options.trim_acknowledged),
            warned_of: Vec::new(),
            stop,
            health: TargetHealth::default(),
        }
    }

    /// Tries to add the first entries, and takes off those that the stream has then.
    async fn attempt(&mut self, rest: &mut Vec<Entry>, most: usize) -> Result<(), Setback> {
        self.check_continuity().await?;
        if self.is_uncertain {
            self.leave_out_present(rest).await?;
        }
        let group = leading_group(rest.get(..most).unwrap_or(rest)).0.to_vec();
        let count = group.len();
        if count == 0 {
            return Ok(());
        }
        self.make_room().await?;
        let numbers: Vec<_> = group.iter().map(|entry| entry.number).collect();
        let entries = compress(group).await.map_err(Setback::Entry)?;
        let open = self.link.open().await?;
        check_lengths(&entries, &numbers, open.longest_value)?;
        self.is_uncertain = true;
        let producer_id = open.is_idempotent.then_some(self.producer_id.as_str());
        let must_exist = open.can_leave_unmade && self.continuity.must_exist();
        let addition = Addition { topic: &self.topic, producer_id, must_exist };
        let added = add(&mut open.connection, addition, &entries).await;
        self.is_uncertain = added.as_ref().is_err_and(outcome_is_unknown);
        if added.as_ref().is_err_and(is_unavailable) {
            self.link.do_without(producer_id.is_some());
        }
        if self.retention.is_on() && added.as_ref().is_err_and(|e| e.code() == Some("OOM")) {
            // The next attempt may find the room that this makes.
            self.trim().await?;
        }
        let Some(ids) = added? else { return Err(Setback::Lost(self.continuity.gone())) };
        for id in ids.iter().filter_map(|id| id.parse::<StreamId>().ok()) {
            self.continuity.given(id.into());
        }
        failpoint::hit("after_pipeline");
        rest.drain(..count);
        self.budget.note_added(entries.iter().map(StreamEntry::bytes).sum());
        Ok(())
    }

    /// Asks on each new connection whether the stream is still the one that was added to.
    async fn check_continuity(&mut self) -> Result<(), Setback> {
        let open = self.link.open().await?;
        if open.is_continuous {
            return Ok(());
        }
        if self.warned_of != open.risks {
            self.warned_of.clone_from(&open.risks);
            for risk in &open.risks {
                tracing::warn!(target: "exex::bsp", target = self.name, "The Redis server can lose blocks: {risk}");
            }
        }
        let state = stream_state(&mut open.connection, &self.topic).await?;
        open.is_continuous = true;
        match state.and_then(|state| self.continuity.compare(state)) {
            Some(kept) => Err(Setback::Lost(kept)),
            None => Ok(()),
        }
    }

    /// Takes off what an attempt without a reply has left in the stream.
    async fn leave_out_present(&mut self, rest: &mut Vec<Entry>) -> Result<(), Setback> {
        let open = self.link.open().await?;
        match look_back(&mut open.connection, &self.topic, rest).await {
            Ok(present) if present.is_empty() => {}
            Ok(present) => {
                let (target, count) = (&self.name, present.len());
                tracing::info!(target: "exex::bsp", target, blocks = count, "The stream has these blocks already");
                rest.retain(|entry| !present.contains(&hash_text(&entry.hash)));
            }
            Err(error) if is_unavailable(&error) => {
                let target = &self.name;
                tracing::warn!(
                    target: "exex::bsp", target, %error,
                    "XREVRANGE fails, so some blocks may be added twice"
                );
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Checks the budget, after a removal of what is no longer needed if that could help.
    async fn make_room(&mut self) -> Result<(), Setback> {
        let mut checked = self.check_budget().await?;
        if checked.is_err() && self.retention.is_on() {
            self.trim().await?;
            checked = self.check_budget().await?;
        }
        Ok(checked?)
    }

    async fn check_budget(&mut self) -> Result<Result<(), Spent>, RedisError> {
        let open = self.link.open().await?;
        match self.budget.check(&mut open.connection, &self.topic).await {
            Err(error) if is_unavailable(&error) => {
                let target = &self.name;
                tracing::warn!(target: "exex::bsp", target, %error, "MEMORY USAGE fails, so the stream has no limit in bytes");
                self.budget.lift();
                Ok(Ok(()))
            }
            checked => checked,
        }
    }

    /// Looks at the stream's groups: whether they are those of the stream that was added to, and
    /// what can go.
    async fn trim(&mut self) -> Result<(), Setback> {
        let open = self.link.open().await?;
        let asked = match groups(&mut open.connection, &self.topic).await {
            Ok(asked) => asked,
            Err(error) => return self.not_trimmed(error),
        };
        if self.continuity.misses_some(asked.count) {
            // Groups may count wrong, a stream does not.
            let state = stream_state(&mut open.connection, &self.topic).await?;
            if let Some(state) = state.filter(|state| self.continuity.misses_some(state.count)) {
                // The other stream may have the last entries.
                self.is_uncertain = true;
                return Err(Setback::Lost(self.continuity.replaced(state)));
            }
        }
        let Some(needed) = asked.needed else { return Ok(()) };
        self.continuity.needed_from(needed.into());
        if !self.retention.is_on() {
            return Ok(());
        }
        match trim(&mut open.connection, &self.topic, needed).await {
            Ok(removed) => {
                tracing::debug!(target: "exex::bsp", target = self.name, removed, "The target removed acknowledged entries");
                Ok(())
            }
            Err(error) => self.not_trimmed(error),
        }
    }

    fn not_trimmed(&mut self, error: RedisError) -> Result<(), Setback> {
        if error.code() == Some("NOPERM") {
            let target = &self.name;
            tracing::warn!(target: "exex::bsp", target, %error, "The server refuses trimming, so acknowledged entries stay");
            self.retention.end();
        } else if outcome_is_unknown(&error) {
            return Err(error.into());
        } else {
            tracing::debug!(target: "exex::bsp", target = self.name, %error, "Trimming failed; it is tried again later");
        }
        Ok(())
    }

    /// Looks at the stream's groups if it is time.
    async fn tidy(&mut self) -> Result<(), Setback> {
        if self.retention.is_due() { self.trim().await } else { Ok(()) }
    }

    fn disconnect(&mut self) {
        self.link.close();
        // It may be another server, or another stream, next time.
        self.budget.forget();
    }
}

/// Looks for a block that the server would refuse, if it has told how long a value it takes.
fn check_lengths(
    entries: &[StreamEntry],
    numbers: &[u64],
    longest: Option<u64>,
) -> Result<(), Setback> {
    let Some(most) = longest else { return Ok(()) };
    for (entry, &number) in entries.iter().zip(numbers) {
        let bytes = entry.longest_value();
        if bytes > most {
            return Err(Setback::TooLong { number, bytes, most });
        }
    }
    Ok(())
}

/// Whether the server does not know the command in this form, or does not let us use it.
fn is_unavailable(error: &RedisError) -> bool {
    matches!(error.code(), Some("ERR" | "NOPERM"))
}

impl From<StreamId> for StreamPosition {
    fn from(StreamId { ms, seq }: StreamId) -> Self {
        Self(u128::from(ms) << 64 | u128::from(seq))
    }
}

#[async_trait]
impl Target for RedisTarget {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn deliver(&mut self, batch: &[Entry]) -> Result<(), TargetError> {
        let (name, stop, health) = (self.name.clone(), self.stop.clone(), self.health.clone());
        let mut outage = Outage::new(&name, &stop, &health);
        let mut rest = batch.to_vec();
        while !rest.is_empty() {
            // One by one after a failure, so that even a slow line gets ahead, and little is
            // repeated.
            let most = if outage.is_on() { 1 } else { rest.len() };
            let attempt = tokio::select! {
                attempt = self.attempt(&mut rest, most) => attempt,
                () = stop.cancelled() => return Err(outage.stopped()),
            };
            match attempt {
                Ok(()) => outage.end(),
                Err(Setback::Entry(reason)) => {
                    return Err(TargetError::Refused { target: name, reason });
                }
                Err(Setback::Lost(kept)) => {
                    return Err(TargetError::Lost { target: name, kept });
                }
                Err(setback @ Setback::NoRoom(_)) => outage.hold(&setback).await?,
                Err(setback @ Setback::TooLong { .. }) => {
                    // The next connection asks for the limit again.
                    self.disconnect();
                    outage.hold(&setback).await?;
                }
                Err(setback @ Setback::Redis(_)) => {
                    self.disconnect();
                    outage.wait(&setback).await?;
                }
            }
        }
        let tidied = tokio::select! {
            tidied = self.tidy() => tidied,
            () = stop.cancelled() => Ok(()),
        };
        match tidied {
            Ok(()) => Ok(()),
            Err(Setback::Lost(kept)) => Err(TargetError::Lost { target: name, kept }),
            // What the trouble is shows with the next delivery.
            Err(setback) => {
                tracing::debug!(target: "exex::bsp", target = name, "Trimming failed; it is tried again later: {setback}");
                self.disconnect();
                Ok(())
            }
        }
    }

    fn position(&self) -> Option<StreamPosition> {
        self.continuity.last()
    }

    fn resume(&mut self, position: StreamPosition) {
        self.continuity.given(position);
    }

    fn acknowledged(&self) -> Option<StreamPosition> {
        Some(self.continuity.acknowledged())
            .filter(|position| *position > StreamPosition::default())
    }

    fn resume_acknowledged(&mut self, position: StreamPosition) {
        self.continuity.needed_from(StreamPosition(position.0.saturating_add(1)));
    }

    fn health(&self) -> TargetHealth {
        self.health.clone()
    }
}

impl fmt::Debug for RedisTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisTarget").field(&self.name).finish()
    }
}
