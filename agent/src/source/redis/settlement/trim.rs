//! Removing what every group has acknowledged, and nothing that somebody may still want.
//!
//! An entry of an earlier time than a group's position is either acknowledged or was never given to
//! anybody: a group that was made at `$` begins after what there is. Redis knows no difference. So
//! nothing is removed before it is certain that our group was given all there is: it once had
//! nothing before its position, and has read on from there. That is remembered in Redis, beside the
//! losses, because it goes with the stream.

use crate::source::redis::{group, losses::members::complete_member, refusal::cannot_store, reply};
use bsp_stream::RedisUrl;
use bsp_stream::{Connection, StreamId};
use redis::{RedisResult, Value, cmd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Removes the beginning of a stream.
#[derive(Debug, Default)]
pub(crate) struct Trimmer {
    is_complete: AtomicBool,
    has_warned: AtomicBool,
}

impl Trimmer {
    /// Removes the stream's beginning as far as every group has acknowledged it.
    pub(crate) async fn trim(
        &self,
        connection: &mut Connection,
        url: &RedisUrl,
    ) -> RedisResult<()> {
        let groups = group::all(connection, &url.topic).await?;
        let Some(needed) = group::oldest_needed(connection, url, &groups).await? else {
            return Ok(());
        };
        if !self.is_complete(connection, url, needed).await? {
            return Ok(());
        }
        let mut command = cmd("XTRIM");
        command.arg(&url.topic).arg("MINID").arg(needed.to_string()).exec_async(connection).await
    }

    async fn is_complete(
        &self,
        connection: &mut Connection,
        url: &RedisUrl,
        needed: StreamId,
    ) -> RedisResult<bool> {
        if self.is_complete.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let is_complete = match unread_before(connection, url, needed).await? {
            None => remember(connection, url).await?,
            Some(before) => {
                if !self.has_warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "The stream {} begins with entries before {before} that no group will read: group {} was \
                         made after them, or they were acknowledged long ago. `XGROUP SETID {} {} 0` has all \
                         entries read again, `XTRIM {} MINID {before}` removes those before",
                        url.topic,
                        url.group,
                        url.topic,
                        url.group,
                        url.topic
                    );
                }
                false
            }
        };
        self.is_complete.store(is_complete, Ordering::Relaxed);
        Ok(is_complete)
    }
}

/// The oldest entry that a group needs, if others lie before it of which it is not known that our
/// group was ever given them.
pub(crate) async fn unread_before(
    connection: &mut Connection,
    url: &RedisUrl,
    needed: StreamId,
) -> RedisResult<Option<StreamId>> {
    let mut command = cmd("ZSCORE");
    command.arg(url.lost_topic()).arg(complete_member(&url.group));
    let score: RedisResult<Option<u64>> = command.query_async(connection).await;
    match score {
        Ok(Some(_)) => return Ok(None),
        Err(error) if !cannot_store(&error) => return Err(error),
        _ => {}
    }
    let stream: Value = cmd("XINFO").arg("STREAM").arg(&url.topic).query_async(connection).await?;
    Ok(reply::stream(stream)?.first.filter(|first| *first < needed).map(|_| needed))
}

/// Remembers that the group was given all there is; `false` if Redis can't now.
async fn remember(connection: &mut Connection, url: &RedisUrl) -> RedisResult<bool> {
    let mut command = cmd("ZADD");
    command.arg(url.lost_topic()).arg(0).arg(complete_member(&url.group));
    match command.exec_async(connection).await {
        Ok(()) => Ok(true),
        Err(error) if cannot_store(&error) => Ok(false),
        Err(error) => Err(error),
    }
}
