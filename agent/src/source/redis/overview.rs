//! The state of a stream, for `/status` and `bsp status`.

use super::{
    dead_letters, group,
    losses::members::undelivered_member,
    refusal::{cannot_store, full_without_group},
    reply,
    settlement::trim,
};
use crate::{
    alarm::now_ms,
    source::{Backlog, SourceError},
};
use bsp_stream::server_error::{is_full, with_advice};
use bsp_stream::{Connection, Connector, RedisUrl, StreamId, TlsFiles, connect::REPLY_DEADLINE};
use redis::{RedisResult, Value, cmd};
use serde::Serialize;

/// Losses shown by name; the latest come first.
const SHOWN_LOSSES: usize = 20;

/// Everything about a stream that an operator wants on one screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// The URL, without user name and password.
    pub source: String,
    /// Entries there are.
    pub length: u64,
    /// The groups that read it, not only ours.
    pub groups: Vec<GroupOverview>,
    /// Age of the oldest entry that our group has not acknowledged, in milliseconds; see
    /// [`Backlog::oldest_age_ms`].
    pub oldest_age_ms: Option<u64>,
    /// Dead letters.
    pub dead: u64,
    /// Entries at the stream's beginning that no group will read, if there may be any.
    pub unread: Option<Unread>,
    /// How many entries were trimmed before they were delivered to our group.
    pub lost_undelivered: u64,
    /// Entries that were delivered to our group and trimmed before they were handled, the latest
    /// first.
    pub lost: Vec<LostEntry>,
}

/// Entries before every group's position of which it is not known that our group was ever given
/// them: it was made after them, or they were acknowledged by all when nobody could remove them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The id that they are before.
    pub before: String,
    /// How many, where Redis can tell.
    pub count: Option<u64>,
}

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupOverview {
    /// Its name.
    pub name: String,
    /// Whether it is the one that the URL names.
    pub ours: bool,
    /// Entries not delivered to it yet, where Redis can tell.
    pub lag: Option<u64>,
    /// Entries delivered and not acknowledged.
    pub pending: u64,
    /// Its consumers, also those that are gone.
    pub consumers: Vec<ConsumerOverview>,
}

/// A consumer of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsumerOverview {
    /// Its name.
    pub name: String,
    /// Entries delivered to it and not acknowledged.
    pub pending: u64,
    /// Milliseconds since it last did anything.
    pub idle_ms: u64,
}

/// An entry that went before it was handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LostEntry {
    /// Its id.
    pub entry: String,
    /// When that was found, in milliseconds since 1970.
    pub found_ms: u64,
}

/// Looks at a stream, once. A stream that does not exist is an error.
pub async fn overview(url: &RedisUrl, tls: &TlsFiles) -> Result<Overview, SourceError> {
    let connector = Connector::new(url.clone(), tls);
    let look = async {
        let mut connection = connector.connect(REPLY_DEADLINE).await?;
        look(&mut connection, url).await
    };
    look.await.map_err(|error| dead_letters::explain(url, &error))
}

/// As [`overview`], but `None` for a stream that does not exist.
pub async fn overview_if_there(
    url: &RedisUrl,
    tls: &TlsFiles,
) -> Result<Option<Overview>, SourceError> {
    let connector = Connector::new(url.clone(), tls);
    let look = async {
        let mut connection = connector.connect(REPLY_DEADLINE).await?;
        match cmd("EXISTS").arg(&url.topic).query_async(&mut connection).await? {
            true => look(&mut connection, url).await.map(Some),
            false => Ok(None),
        }
    };
    look.await.map_err(|error| dead_letters::explain(url, &error))
}

/// Tries, without changing anything, whether an agent could start on this server and settle entries
/// there: it may answer and yet not write. Returns what an operator should know although it works.
pub async fn check_writes(url: &RedisUrl, tls: &TlsFiles) -> Result<Option<String>, SourceError> {
    let connector = Connector::new(url.clone(), tls);
    let look = async {
        let mut connection = connector.connect(REPLY_DEADLINE).await?;
        group::probe(&mut connection, url).await?;
        // `XX` adds nothing to what is not there, and is refused all the same where nothing can be
        // added.
        let mut command = cmd("ZADD");
        command.arg(url.lost_topic()).arg("XX").arg(0).arg("");
        match command.exec_async(&mut connection).await {
            Ok(()) => Ok(None),
            Err(error) if is_full(&error) => {
                let groups = group::all(&mut connection, &url.topic).await.unwrap_or_default();
                Ok(Some((groups.iter().any(|group| group.name == url.group), error)))
            }
            Err(error) => Err(error),
        }
    };
    match look.await.map_err(|error| dead_letters::explain(url, &error))? {
        None => Ok(None),
        Some((true, error)) => Ok(Some(with_advice(&error))),
        Some((false, error)) => Err(SourceError::Refused {
            source_name: url.to_string(),
            reason: full_without_group(url, &error),
        }),
    }
}

async fn look(connection: &mut Connection, url: &RedisUrl) -> RedisResult<Overview> {
    let found = group::all(connection, &url.topic).await?;
    let before = match group::oldest_needed(connection, url, &found).await? {
        Some(needed) => trim::unread_before(connection, url, needed).await?,
        None => None,
    };
    let mut groups = Vec::new();
    for found in found {
        groups.push(group_overview(connection, url, found).await?);
    }
    let (lost_undelivered, lost) = losses(connection, url).await?;
    let backlog = backlog(connection, url).await?;
    let unread = before.map(|before| Unread {
        before: before.to_string(),
        count: match &groups[..] {
            [ours] => ours
                .lag
                .zip(backlog.length)
                .and_then(|(lag, length)| length.checked_sub(lag.saturating_add(ours.pending))),
            _ => None,
        },
    });
    Ok(Overview {
        source: url.to_string(),
        length: backlog.length.unwrap_or(0),
        groups,
        oldest_age_ms: backlog.oldest_age_ms,
        dead: backlog.dead.unwrap_or(0),
        unread,
        lost_undelivered,
        lost,
    })
}

async fn group_overview(
    connection: &mut Connection,
    url: &RedisUrl,
    group: reply::Group,
) -> RedisResult<GroupOverview> {
    let mut command = cmd("XINFO");
    let consumers: Value =
        command.arg("CONSUMERS").arg(&url.topic).arg(&group.name).query_async(connection).await?;
    let consumers = reply::consumers(consumers)?
        .into_iter()
        .map(|(name, pending, idle_ms)| ConsumerOverview { name, pending, idle_ms })
        .collect();
    Ok(GroupOverview {
        ours: group.name == url.group,
        name: group.name,
        lag: group.lag,
        pending: group.pending,
        consumers,
    })
}

/// How many were lost undelivered, and the latest of those that were lost after delivery.
async fn losses(connection: &mut Connection, url: &RedisUrl) -> RedisResult<(u64, Vec<LostEntry>)> {
    let mut command = cmd("ZREVRANGE");
    command.arg(url.lost_topic()).arg(0).arg(SHOWN_LOSSES * 10).arg("WITHSCORES");
    let rows: Vec<(String, u64)> = command.query_async(connection).await?;
    let prefix = format!("{}/", url.group);
    let entries = rows
        .into_iter()
        .filter_map(|(member, found_ms)| {
            let entry = member.strip_prefix(&prefix)?;
            entry.parse::<StreamId>().ok()?;
            Some(LostEntry { entry: entry.to_owned(), found_ms })
        })
        .take(SHOWN_LOSSES)
        .collect();
    let mut command = cmd("ZSCORE");
    command.arg(url.lost_topic()).arg(undelivered_member(&url.group));
    let undelivered: Option<u64> = command.query_async(connection).await?;
    Ok((undelivered.unwrap_or(0), entries))
}

/// How much waits for our group.
///
/// The age is that of the id of the oldest entry pending, or if none is, of the oldest in the
/// stream: an id is the time at which the entry was added, on the clock of Redis.
pub(super) async fn backlog(connection: &mut Connection, url: &RedisUrl) -> RedisResult<Backlog> {
    let groups = group::all(connection, &url.topic).await?;
    let length: u64 = cmd("XLEN").arg(&url.topic).query_async(connection).await?;
    let dead: RedisResult<u64> = cmd("XLEN").arg(url.dead_topic()).query_async(connection).await;
    let dead = match dead {
        Err(error) if !cannot_store(&error) => return Err(error),
        dead => dead.ok(),
    };
    let ours = groups.iter().find(|group| group.name == url.group);
    let pending = ours.map(|group| group.pending);
    // Redis can't tell after deletions in the middle. Where what is acknowledged is deleted, the
    // rest is what is to come.
    let rest =
        pending.filter(|_| groups.len() == 1).and_then(|pending| length.checked_sub(pending));
    let undelivered = ours.and_then(|group| group.lag).or(rest);
    let oldest = match (pending, undelivered) {
        (Some(1..), _) => group::first_pending(connection, &url.topic, &url.group).await?,
        (_, Some(0)) => None,
        _ => {
            let stream: Value =
                cmd("XINFO").arg("STREAM").arg(&url.topic).query_async(connection).await?;
            reply::stream(stream)?.first
        }
    };
    let oldest_age_ms = oldest.map(|id| now_ms().saturating_sub(id.ms));
    Ok(Backlog { length: Some(length), undelivered, pending, oldest_age_ms, dead })
}
