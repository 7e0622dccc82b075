//! How much of the server's memory a stream may take.

use crate::measured_size::MeasuredSize;
use redis::{RedisResult, aio::ConnectionLike};

/// How many of the stream's nodes the server measures. An entry of mainnet's size is a node of its
/// own.
const SAMPLES: u32 = 256;

/// What a stream may take, and its size.
#[derive(Debug)]
pub(super) struct Budget {
    limit: Option<u64>,
    size: MeasuredSize,
}

impl Budget {
    pub(super) const fn new(limit: Option<u64>) -> Self {
        Self { limit, size: MeasuredSize::UNKNOWN }
    }

    /// Notes bytes that were added.
    pub(super) const fn note_added(&mut self, bytes: u64) {
        self.size.note_added(bytes);
    }

    /// Has the stream measured before anything is added to it again.
    pub(super) const fn forget(&mut self) {
        self.size = MeasuredSize::UNKNOWN;
    }

    /// Gives up the budget, where the server does not tell a stream's size.
    pub(super) const fn lift(&mut self) {
        self.limit = None;
    }

    /// Whether there is room; otherwise how much the stream takes, and how much it may.
    pub(super) async fn check(
        &mut self,
        connection: &mut (impl ConnectionLike + Send),
        topic: &str,
    ) -> RedisResult<Result<(), Spent>> {
        let Some(limit) = self.limit else { return Ok(Ok(())) };
        if !self.size.is_known_to_fit(limit) {
            let mut measure = redis::cmd("MEMORY");
            measure.arg("USAGE").arg(topic).arg("SAMPLES").arg(SAMPLES);
            let taken: Option<u64> = measure.query_async(connection).await?;
            self.size.set(taken.unwrap_or(0));
        }
        let taken = self.size.last();
        Ok(if taken < limit { Ok(()) } else { Err(Spent { taken, limit }) })
    }
}

/// A stream that has no room.
#[derive(Debug, thiserror::Error)]
#[error(
    "the stream takes {taken} bytes of the server's memory, and may take {limit}: start or mend its consumers, or raise \
     the budget (the option redis-byte-budget)"
)]
pub(super) struct Spent {
    taken: u64,
    limit: u64,
}
