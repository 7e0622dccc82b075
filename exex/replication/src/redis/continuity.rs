//! Whether a stream still has what was added to it.

use super::is_unavailable;
use crate::target::StreamPosition;
use bsp_stream::StreamId;
use redis::{RedisResult, Value, aio::ConnectionLike, from_redis_value};
use std::collections::HashMap;

/// What is known of a stream's ids. They grow for as long as the stream exists, whatever is removed
/// from it; so one whose last id is lower than one that it has given is another stream, or an older
/// state of it.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    /// The last id that the server has given.
    last: Option<StreamPosition>,
    /// Every group has acknowledged everything below.
    needed: StreamPosition,
    /// How many entries the stream has had in its life, at least, if that is known on this
    /// connection.
    count: Option<u64>,
}

impl Continuity {
    pub(super) const fn last(&self) -> Option<StreamPosition> {
        self.last
    }

    /// Whether the stream has to be there: it has given an id.
    pub(super) fn must_exist(&self) -> bool {
        self.last > Some(StreamPosition::default())
    }

    /// Up to where every group has acknowledged everything.
    pub(super) fn acknowledged(&self) -> StreamPosition {
        StreamPosition(self.needed.0.saturating_sub(1))
    }

    /// Notes an id that the server has given, in this process or an earlier one.
    pub(super) fn given(&mut self, id: StreamPosition) {
        if self.last < Some(id) {
            self.count = self.count.map(|count| count.saturating_add(1));
            self.last = Some(id);
        }
    }

    /// Whether a count of the entries that the stream has had is too low for the stream that was
    /// added to.
    pub(super) fn misses_some(&self, count: Option<u64>) -> bool {
        count.zip(self.count).is_some_and(|(count, least)| count < least)
    }

    /// The stream is another one, which somebody made when the one that was added to had gone.
    /// Returns up to where nothing is missing.
    pub(super) fn replaced(&mut self, by: StreamState) -> StreamPosition {
        self.count = by.count;
        self.acknowledged()
    }

    /// The stream that was added to is gone. Returns up to where nothing is missing.
    pub(super) fn gone(&mut self) -> StreamPosition {
        self.compare(StreamState::NONE).unwrap_or_default()
    }

    /// Notes the first id that some group may still need.
    pub(super) fn needed_from(&mut self, id: StreamPosition) {
        self.needed = self.needed.max(id);
    }

    /// Compares with what the stream says. If it has lost something, returns up to where nothing is
    /// missing, and believes the stream from now on.
    pub(super) fn compare(&mut self, state: StreamState) -> Option<StreamPosition> {
        let stream = state.last;
        self.count = state.count;
        let before = self.last.replace(stream);
        let acknowledged = self.acknowledged();
        self.needed = self.needed.min(stream);
        before.filter(|before| stream < *before).map(|_| stream.max(acknowledged))
    }
}

/// What a server says of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamState {
    /// The last id that it has given; zero if there is no stream.
    pub(super) last: StreamPosition,
    /// How many entries it has had in its life, whatever was removed; `None` before Redis 7.0.
    pub(super) count: Option<u64>,
}

impl StreamState {
    /// That of a stream that is not there.
    const NONE: Self = Self { last: StreamPosition(0), count: Some(0) };
}

/// Asks for a stream's state; `None` if the server does not tell. The answer has the first and the
/// last entry in it, so it is not asked for without a reason.
pub(super) async fn stream_state(
    connection: &mut (impl ConnectionLike + Send),
    topic: &str,
) -> RedisResult<Option<StreamState>> {
    let info = redis::cmd("XINFO").arg("STREAM").arg(topic).to_owned();
    match info.query_async::<HashMap<String, Value>>(connection).await {
        Ok(mut info) => {
            let last = info.remove("last-generated-id").map(from_redis_value::<String>);
            let last = last.and_then(|last| last.ok()?.parse::<StreamId>().ok());
            let count = info.remove("entries-added").map(from_redis_value);
            let count = count.and_then(Result::ok);
            Ok(last.map(|last| StreamState { last: last.into(), count }))
        }
        Err(error) if error.to_string().contains("no such key") => Ok(Some(StreamState::NONE)),
        Err(error) if is_unavailable(&error) => {
            tracing::debug!(target: "exex::bsp", %error, "XINFO STREAM fails, so lost entries would not be noticed");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u128) -> StreamState {
        StreamState { last: StreamPosition(last), count: None }
    }

    #[test]
    fn a_stream_that_goes_on_has_lost_nothing() {
        let mut continuity = Continuity::default();
        assert_eq!(continuity.compare(at(5)), None, "nothing was known");
        continuity.given(StreamPosition(7));
        assert_eq!(continuity.compare(at(7)), None);
        assert_eq!(continuity.compare(at(9)), None, "somebody else adds too");
        assert_eq!(continuity.last(), Some(StreamPosition(9)));
    }

    #[test]
    fn a_stream_that_is_older_or_gone_has() {
        let mut continuity = Continuity::default();
        continuity.given(StreamPosition(7));
        assert_eq!(continuity.compare(at(4)), Some(StreamPosition(4)));
        assert_eq!(continuity.compare(at(4)), None, "that is known by now");
        continuity.given(StreamPosition(8));
        assert_eq!(continuity.compare(at(0)), Some(StreamPosition(0)));
    }

    #[test]
    fn another_stream_has_had_fewer_entries() {
        let mut continuity = Continuity::default();
        assert!(!continuity.misses_some(Some(0)), "nothing was known");
        continuity.compare(StreamState { last: StreamPosition(7), count: Some(20) });
        for id in [8, 9, 9] {
            continuity.given(StreamPosition(id));
        }
        assert!(!continuity.misses_some(Some(22)), "an id that was given before is no other entry");
        assert!(!continuity.misses_some(Some(25)), "somebody else adds too");
        assert!(!continuity.misses_some(None));
        assert!(continuity.misses_some(Some(21)));
        continuity.needed_from(StreamPosition(6));
        let other = StreamState { last: StreamPosition(9), count: Some(1) };
        assert_eq!(continuity.replaced(other), StreamPosition(5));
        assert!(!continuity.misses_some(Some(1)), "it is told once");
        assert_eq!(continuity.last(), Some(StreamPosition(9)));
    }

    #[test]
    fn a_stream_that_is_gone_was_there() {
        let mut continuity = Continuity::default();
        assert!(!continuity.must_exist());
        continuity.given(StreamPosition(9));
        assert!(continuity.must_exist());
        continuity.needed_from(StreamPosition(6));
        assert_eq!(continuity.gone(), StreamPosition(5));
        assert!(!continuity.must_exist(), "the next addition makes it");
        continuity.given(StreamPosition(10));
        assert!(continuity.misses_some(Some(0)) && !continuity.misses_some(Some(1)));
    }

    #[test]
    fn what_everybody_has_acknowledged_is_not_missing() {
        let mut continuity = Continuity::default();
        continuity.given(StreamPosition(9));
        continuity.needed_from(StreamPosition(6));
        assert_eq!(continuity.compare(at(0)), Some(StreamPosition(5)));
        continuity.given(StreamPosition(3));
        assert_eq!(
            continuity.compare(at(1)),
            Some(StreamPosition(1)),
            "ids begin again in a new stream"
        );
    }
}
