//! Entries that went from the stream before they were handled, because the producer trims it or
//! somebody deleted them.
//!
//! Each loss is remembered in Redis, in the sorted set `<topic>.lost`, so that one of several
//! agents reports it, once, and across restarts: a member `<group>/<id>` for an entry that was
//! delivered (its score is when that was found, in milliseconds), and one member for the count of
//! those that never were (its score is the count).
//!
//! A server that can't take that keeps nobody from going on: the loss is told, noted in the data
//! folder, and remembered in Redis when it has room again.

pub(crate) mod members;
pub(crate) mod overflow;

use super::{
    link::Link,
    refusal::cannot_store,
    reply::{Group, Stream},
};
use crate::{
    alarm::{AlarmKind, Alarms, now_ms},
    source::SourceError,
};
use bsp_stream::{Connection, RedisUrl, StreamId};
use members::{entry_member, undelivered_member};
use overflow::{Lost, Overflow};
use redis::{cmd, pipe};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Losses that wait for room in Redis, at most. All are in the data folder.
const MOST_WAITING: usize = 10_000;

/// Reports losses.
#[derive(Debug)]
pub(super) struct Losses {
    url: RedisUrl,
    alarms: Alarms,
    overflow: Arc<Overflow>,
    /// Members and scores that Redis could not take yet.
    waiting: Mutex<BTreeMap<String, u64>>,
}

impl Losses {
    pub(super) fn new(url: RedisUrl, alarms: Alarms, overflow: Arc<Overflow>) -> Self {
        Self { url, alarms, overflow, waiting: Mutex::default() }
    }

    /// Reports entries that are delivered, not acknowledged, in nobody's hand, and gone from the
    /// stream; then takes them from the list of pending ones.
    pub(super) async fn report_entries(
        &self,
        link: &Link,
        ids: &[StreamId],
    ) -> Result<(), SourceError> {
        for &id in ids {
            let member = entry_member(&self.url.group, id);
            let run = |connection, _| remember(connection, &self.url, member.clone());
            let is_new = match link.run_unless(cannot_store, run).await? {
                Ok(is_new) => is_new,
                // Better told twice than never.
                Err(_) => self.keep_waiting(&member, now_ms(), Lost::Entry(&id.to_string())).await,
            };
            if is_new {
                self.raise_alarm(
                    1,
                    &format!("entry {id} was delivered, and trimmed before it was handled"),
                );
            }
            link.run(|connection, _| acknowledge(connection, &self.url, id)).await?;
        }
        Ok(())
    }

    /// Reports how many entries were trimmed before any delivery to our group, where that can be
    /// told.
    pub(super) async fn report_undelivered(
        &self,
        link: &Link,
        lost_in_all: u64,
    ) -> Result<(), SourceError> {
        if lost_in_all == 0 {
            return Ok(());
        }
        let run = |connection, _| raise_count(connection, &self.url, lost_in_all);
        let known = match link.run_unless(cannot_store, run).await? {
            Ok(known) => known,
            Err(_) => {
                let member = undelivered_member(&self.url.group);
                let told = self.waiting().get(&member).copied();
                let run = |connection, _| count(connection, &self.url);
                let counted = link.run_unless(cannot_store, run).await?.unwrap_or(0);
                let known = told.unwrap_or(0).max(counted);
                if lost_in_all > known {
                    self.keep_waiting(&member, lost_in_all, Lost::Undelivered(lost_in_all)).await;
                }
                known
            }
        };
        let new = lost_in_all.saturating_sub(known);
        if new > 0 {
            self.raise_alarm(
                new,
                &format!("{new} entries were trimmed before they were delivered to anybody"),
            );
        }
        Ok(())
    }

    /// Has Redis remember what it could not take before, if it can now.
    pub(super) async fn remember_waiting(&self, link: &Link) {
        let waiting = self.waiting().clone();
        if waiting.is_empty() {
            return;
        }
        let mut command = cmd("ZADD");
        command.arg(self.url.lost_topic()).arg("GT");
        for (member, score) in &waiting {
            command.arg(score).arg(member);
        }
        let add =
            |mut connection: Connection| async move { command.exec_async(&mut connection).await };
        if link.attempt(add).await.is_ok() {
            self.waiting().retain(|member, score| waiting.get(member) != Some(score));
        }
    }

    /// Keeps a loss here until Redis has room; false if it was here already.
    async fn keep_waiting(&self, member: &str, score: u64, lost: Lost<'_>) -> bool {
        {
            let mut waiting = self.waiting();
            if matches!(lost, Lost::Entry(_)) && waiting.contains_key(member) {
                return false;
            }
            if waiting.len() < MOST_WAITING || waiting.contains_key(member) {
                waiting.insert(member.to_owned(), score);
            }
        }
        self.overflow.note_loss(lost).await;
        true
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise_alarm(&self, count: u64, what: &str) {
        metrics::counter!("agent_stream_lost_total").increment(count);
        tracing::error!(topic = self.url.topic, group = self.url.group, "Data loss: {what}");
        self.alarms.raise(
            AlarmKind::EntriesLost,
            format!(
                "stream {}: {what}; export those blocks again, and let the producer keep more (MAXLEN). `bsp status` \
                 lists all losses, which the key {} remembers",
                self.url.topic,
                self.url.lost_topic()
            ),
        );
    }
}

/// How many entries were trimmed before any delivery to the group, in all its time; `None` where
/// Redis can't tell.
///
/// Redis counts what was ever added and what the group has read. What is missing from their
/// difference among the entries that remain to be read is lost. Those that remain are all there
/// are, if the group has read none of them; or, in a stream of a single group whose agents delete
/// what they acknowledge, all that are not pending.
pub(super) fn lost_undelivered(
    stream: &Stream,
    groups: &[Group],
    group: &str,
    first_pending: Option<StreamId>,
) -> Option<u64> {
    let ours = groups.iter().find(|candidate| candidate.name == group)?;
    let behind = stream.entries_added?.checked_sub(ours.entries_read?)?;
    let remaining = match stream.first {
        None => 0,
        Some(first) if first > ours.last_delivered => stream.length,
        // A pending entry before the first one is gone itself, and is not among those there are.
        Some(first)
            if groups.len() == 1 && first_pending.is_none_or(|pending| pending >= first) =>
        {
            stream.length.checked_sub(ours.pending)?
        }
        Some(_) => return None,
    };
    behind.checked_sub(remaining)
}

/// True if the member is new.
async fn remember(
    mut connection: Connection,
    url: &RedisUrl,
    member: String,
) -> redis::RedisResult<bool> {
    let mut command = cmd("ZADD");
    let added: u64 = command
        .arg(url.lost_topic())
        .arg("NX")
        .arg(now_ms())
        .arg(member)
        .query_async(&mut connection)
        .await?;
    Ok(added > 0)
}

/// The count before, and sets it if the new one is greater.
async fn raise_count(
    mut connection: Connection,
    url: &RedisUrl,
    count: u64,
) -> redis::RedisResult<u64> {
    let (key, member) = (url.lost_topic(), undelivered_member(&url.group));
    let mut transaction = pipe();
    transaction.atomic().cmd("ZSCORE").arg(&key).arg(&member);
    transaction.cmd("ZADD").arg(&key).arg("GT").arg(count).arg(&member).ignore();
    let (before,): (Option<u64>,) = transaction.query_async(&mut connection).await?;
    Ok(before.unwrap_or(0))
}

/// The count there is.
async fn count(mut connection: Connection, url: &RedisUrl) -> redis::RedisResult<u64> {
    let mut command = cmd("ZSCORE");
    command.arg(url.lost_topic()).arg(undelivered_member(&url.group));
    let count: Option<u64> = command.query_async(&mut connection).await?;
    Ok(count.unwrap_or(0))
}

async fn acknowledge(
    mut connection: Connection,
    url: &RedisUrl,
    id: StreamId,
) -> redis::RedisResult<()> {
    let mut command = cmd("XACK");
    command.arg(&url.topic).arg(&url.group).arg(id.to_string()).exec_async(&mut connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64) -> StreamId {
        StreamId { ms, seq: 0 }
    }

    fn stream(length: u64, first: Option<u64>, added: u64) -> Stream {
        Stream { length, first: first.map(id), entries_added: Some(added) }
    }

    fn group(read: Option<u64>, last: u64, pending: u64) -> Group {
        Group {
            name: "g".to_owned(),
            consumers: 1,
            pending,
            last_delivered: id(last),
            entries_read: read,
            lag: None,
        }
    }

    fn lost(stream: &Stream, ours: Group, first_pending: Option<u64>) -> Option<u64> {
        lost_undelivered(stream, &[ours], "g", first_pending.map(id))
    }

    #[test]
    fn what_is_missing_between_read_and_remaining_is_lost() {
        // Ten added, two read and deleted; then all but three trimmed.
        assert_eq!(lost(&stream(3, Some(8), 10), group(Some(2), 2, 0), None), Some(5));
        assert_eq!(lost(&stream(8, Some(3), 10), group(Some(2), 2, 0), None), Some(0));
        assert_eq!(lost(&stream(0, None, 10), group(Some(2), 2, 0), None), Some(8));
        // One of the three is read and in flight.
        assert_eq!(lost(&stream(3, Some(8), 10), group(Some(3), 8, 1), Some(8)), Some(5));
    }

    #[test]
    fn what_redis_does_not_tell_is_unknown() {
        assert_eq!(lost(&stream(3, Some(8), 10), group(None, 2, 0), None), None);
        let old = Stream { entries_added: None, ..stream(3, Some(8), 10) };
        assert_eq!(lost(&old, group(Some(2), 2, 0), None), None);
        // A pending entry is gone itself, so those that remain can't be counted.
        assert_eq!(lost(&stream(3, Some(8), 10), group(Some(3), 8, 2), Some(2)), None);
        let two =
            [group(Some(3), 8, 1), Group { name: "other".to_owned(), ..group(Some(3), 8, 1) }];
        assert_eq!(lost_undelivered(&stream(3, Some(8), 10), &two, "g", Some(id(8))), None);
        assert_eq!(lost_undelivered(&stream(3, Some(8), 10), &two, "absent", None), None);
    }

    #[test]
    fn impossible_counts_are_unknown() {
        assert_eq!(lost(&stream(3, Some(8), 1), group(Some(2), 2, 0), None), None);
        assert_eq!(lost(&stream(9, Some(8), 10), group(Some(2), 2, 0), None), None);
    }
}
