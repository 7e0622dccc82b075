//! Removing what every consumer group has acknowledged.

use bsp_stream::StreamId;
use redis::{
    RedisResult,
    aio::ConnectionLike,
    streams::{StreamInfoGroupsReply, StreamPendingReply},
};
use std::time::{Duration, Instant};

/// How often, at most.
const INTERVAL: Duration = Duration::from_secs(10);
/// How many entries at a time: the server does nothing else meanwhile.
const MOST_AT_ONCE: u32 = 1000;

/// When a stream is trimmed.
#[derive(Debug)]
pub(super) struct Retention {
    is_on: bool,
    /// Whether the server lets us look.
    may_look: bool,
    last: Option<Instant>,
}

impl Retention {
    pub(super) const fn new(is_on: bool) -> Self {
        Self { is_on, may_look: true, last: None }
    }

    /// Whether it is time to look at the groups, also if nothing is removed. Says so once for each
    /// interval.
    pub(super) fn is_due(&mut self) -> bool {
        let due = self.may_look && self.last.is_none_or(|last| last.elapsed() >= INTERVAL);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }

    /// Whether anything is ever removed.
    pub(super) const fn is_on(&self) -> bool {
        self.is_on
    }

    /// No longer looks, nor removes anything.
    pub(super) const fn end(&mut self) {
        (self.is_on, self.may_look) = (false, false);
    }
}

/// What a stream's groups say of it.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// The first entry that some group may still need; `None` if there is no group.
    pub(super) needed: Option<StreamId>,
    /// How many entries the stream has had in its life, as far as its groups tell. It may be too
    /// few.
    pub(super) count: Option<u64>,
}

/// Removes the stream's oldest entries, up to the first that some group may still need. Returns how
/// many that were.
///
/// The server may leave some of those that share a node with later ones.
pub(super) async fn trim(
    connection: &mut (impl ConnectionLike + Send),
    topic: &str,
    needed: StreamId,
) -> RedisResult<u64> {
    let mut trim = redis::cmd("XTRIM");
    trim.arg(topic).arg("MINID").arg("~").arg(needed.to_string());
    trim.arg("LIMIT").arg(MOST_AT_ONCE);
    trim.query_async(connection).await
}

/// Asks for the stream's groups.
pub(super) async fn groups(
    connection: &mut (impl ConnectionLike + Send),
    topic: &str,
) -> RedisResult<Groups> {
    let groups = redis::cmd("XINFO").arg("GROUPS").arg(topic).to_owned();
    let groups: StreamInfoGroupsReply = groups.query_async(connection).await?;
    let mut first_kept: Option<StreamId> = None;
    for group in &groups.groups {
        let pending = redis::cmd("XPENDING").arg(topic).arg(&group.name).to_owned();
        let first_pending = match pending.query_async(connection).await? {
            StreamPendingReply::Data(pending) => Some(pending.start_id),
            _ => None,
        };
        // An id that can't be read keeps everything.
        let needed = needed_by(&group.last_delivered_id, first_pending.as_deref());
        let needed = needed.unwrap_or(StreamId::ZERO);
        first_kept = Some(first_kept.map_or(needed, |kept| kept.min(needed)));
    }
    let counts = groups.groups.iter().filter_map(|group| {
        // Neither is told before Redis 7.0, nor always after it.
        group.entries_read.or(group.lag)?;
        let [read, lag] = [group.entries_read, group.lag].map(Option::unwrap_or_default);
        u64::try_from(read.saturating_add(lag)).ok()
    });
    Ok(Groups { needed: first_kept, count: counts.max() })
}

/// The first entry that a group needs: the first that it has not acknowledged, or the one after the
/// last it was given.
///
/// The list of pending ones is asked for after the last delivered. What was delivered in between is
/// pending, later than all that was acknowledged, or behind the last delivered that we know of.
fn needed_by(last_delivered: &str, first_pending: Option<&str>) -> Option<StreamId> {
    match first_pending {
        Some(pending) => pending.parse().ok(),
        None => last_delivered.parse().ok().map(StreamId::after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_needs_what_it_has_not_acknowledged() {
        assert_eq!(needed_by("7-1", None), Some(StreamId { ms: 7, seq: 2 }));
        assert_eq!(needed_by("7-1", Some("5-3")), Some(StreamId { ms: 5, seq: 3 }));
        assert_eq!(needed_by("0-0", None), Some(StreamId { ms: 0, seq: 1 }));
        assert_eq!(needed_by("7-18446744073709551615", None), Some(StreamId { ms: 8, seq: 0 }));
        for odd in ["", "7", "7-", "a-1", "-1-1", "99999999999999999999-0"] {
            assert_eq!(needed_by(odd, None), None, "{odd}");
            assert_eq!(needed_by("7-1", Some(odd)), None, "{odd}");
        }
    }

    #[test]
    fn a_stream_is_trimmed_once_in_an_interval() {
        let mut retention = Retention::new(true);
        assert!(retention.is_due());
        assert!(!retention.is_due());
        let mut looking = Retention::new(false);
        assert!(looking.is_due() && !looking.is_on());
        let mut ended = Retention::new(true);
        ended.end();
        assert!(!ended.is_due() && !ended.is_on());
    }
}
