//! How much of the server's memory a stream may take.

use redis::{RedisResult, aio::ConnectionLike};

/// How many of the stream's nodes the server measures. An entry of mainnet's size is a node of its
/// own.
const SAMPLES: u32 = 256;
/// The stream is measured again when this part of the budget was added since.
const STEP: u64 = 16;

/// A stream's size: what the server said last, and what was added since.
#[derive(Debug)]
pub(super) struct Budget {
    limit: Option<u64>,
    measured: Option<u64>,
    added: u64,
}

impl Budget {
    pub(super) const fn new(limit: Option<u64>) -> Self {
        Self { limit, measured: None, added: 0 }
    }

    /// Notes bytes that were added.
    pub(super) const fn note_added(&mut self, bytes: u64) {
        self.added = self.added.saturating_add(bytes);
    }

    /// Has the stream measured before anything is added to it again.
    pub(super) const fn forget(&mut self) {
        self.measured = None;
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
        if !self.is_known_to_fit(limit) {
            let mut measure = redis::cmd("MEMORY");
            measure.arg("USAGE").arg(topic).arg("SAMPLES").arg(SAMPLES);
            let taken: Option<u64> = measure.query_async(connection).await?;
            (self.measured, self.added) = (Some(taken.unwrap_or(0)), 0);
        }
        let taken = self.measured.unwrap_or(0);
        Ok(if taken < limit { Ok(()) } else { Err(Spent { taken, limit }) })
    }

    fn is_known_to_fit(&self, limit: u64) -> bool {
        let size = self.measured.map(|measured| measured.saturating_add(self.added));
        size.is_some_and(|size| size < limit) && self.added < limit / STEP
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_measured_again_before_it_could_be_too_large() {
        let mut budget = Budget::new(Some(1600));
        assert!(!budget.is_known_to_fit(1600), "never measured");
        (budget.measured, budget.added) = (Some(1000), 0);
        assert!(budget.is_known_to_fit(1600));
        budget.note_added(99);
        assert!(budget.is_known_to_fit(1600));
        budget.note_added(1);
        assert!(!budget.is_known_to_fit(1600), "others may have added too");
        (budget.measured, budget.added) = (Some(1550), 50);
        assert!(!budget.is_known_to_fit(1600), "perhaps too large");
        (budget.measured, budget.added) = (Some(0), 0);
        budget.forget();
        assert!(!budget.is_known_to_fit(1600));
    }
}
