//! Whether a stream still has what was added to it.

use super::{entry_id::EntryId, trouble::is_unavailable};
use crate::Mark;
use redis::{RedisResult, aio::ConnectionLike, streams::StreamInfoStreamReply};

/// What is known of a stream's ids. They grow for as long as the stream exists, whatever is removed from it; so one whose last
/// id is lower than one that it has given is another stream, or an older state of it.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    /// The last id that the server has given.
    last: Option<Mark>,
    /// Every group has acknowledged everything below.
    needed: Mark,
}

impl Continuity {
    pub(super) const fn last(&self) -> Option<Mark> {
        self.last
    }

    /// Notes an id that the server has given, in this process or an earlier one.
    pub(super) fn given(&mut self, id: Mark) {
        self.last = self.last.max(Some(id));
    }

    /// Notes the first id that some group may still need.
    pub(super) fn needed_from(&mut self, id: Mark) {
        self.needed = self.needed.max(id);
    }

    /// Compares with what the stream says. If it has lost something, returns up to where nothing is missing, and believes
    /// the stream from now on.
    pub(super) fn compare(&mut self, stream: Mark) -> Option<Mark> {
        let before = self.last.replace(stream);
        let acknowledged = Mark(self.needed.0.saturating_sub(1));
        self.needed = self.needed.min(stream);
        before.filter(|before| stream < *before).map(|_| stream.max(acknowledged))
    }
}

/// The last id that a stream has given; zero if there is no stream, `None` if the server does not tell.
pub(super) async fn last_given(
    connection: &mut (impl ConnectionLike + Send),
    topic: &str,
) -> RedisResult<Option<Mark>> {
    let info = redis::cmd("XINFO").arg("STREAM").arg(topic).to_owned();
    match info.query_async::<StreamInfoStreamReply>(connection).await {
        Ok(info) => Ok(EntryId::parse(&info.last_generated_id).map(Mark::from)),
        Err(error) if error.to_string().contains("no such key") => Ok(Some(Mark::default())),
        Err(error) if is_unavailable(&error) => {
            tracing::debug!("XINFO STREAM fails, so it is not known what the stream has: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_goes_on_has_lost_nothing() {
        let mut continuity = Continuity::default();
        assert_eq!(continuity.compare(Mark(5)), None, "nothing was known");
        continuity.given(Mark(7));
        assert_eq!(continuity.compare(Mark(7)), None);
        assert_eq!(continuity.compare(Mark(9)), None, "somebody else adds too");
        assert_eq!(continuity.last(), Some(Mark(9)));
    }

    #[test]
    fn a_stream_that_is_older_or_gone_has() {
        let mut continuity = Continuity::default();
        continuity.given(Mark(7));
        assert_eq!(continuity.compare(Mark(4)), Some(Mark(4)));
        assert_eq!(continuity.compare(Mark(4)), None, "that is known by now");
        continuity.given(Mark(8));
        assert_eq!(continuity.compare(Mark(0)), Some(Mark(0)));
    }

    #[test]
    fn what_everybody_has_acknowledged_is_not_missing() {
        let mut continuity = Continuity::default();
        continuity.given(Mark(9));
        continuity.needed_from(Mark(6));
        assert_eq!(continuity.compare(Mark(0)), Some(Mark(5)));
        continuity.given(Mark(3));
        assert_eq!(continuity.compare(Mark(1)), Some(Mark(1)), "ids begin again in a new stream");
    }
}
