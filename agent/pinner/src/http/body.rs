//! The body of a request, bounded in length, in time, and in how much of it is held in memory.

use super::problem::Problem;
use axum::{
    body::{Body, BodyDataStream, Bytes},
    http::StatusCode,
};
use futures::{StreamExt, stream};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// Time that a body gets besides that for its bytes.
const GRACE: Duration = Duration::from_secs(30);

/// The slowest sender that is waited for, in bytes a second.
const SLOWEST: u64 = 16 << 10;

/// Bytes that a decoder may take in without giving anything out, which it keeps in memory.
const MAX_UNDIGESTED: u64 = 1 << 20;

/// Why a body is not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum BodyError {
    #[error("the body has more than the {0} bytes that are accepted")]
    TooLong(u64),
    #[error("the body comes too slowly: at least 16 KiB a second are expected")]
    TooSlow,
    #[error("the body is no form that can be read: 1 MiB without the head of a part")]
    Undigested,
    #[error("the connection was lost in the middle of the body")]
    Lost,
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::TooLong(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyError::Undigested | BodyError::Lost => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

/// What became of a body so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    undigested: AtomicU64,
    error: Mutex<Option<BodyError>>,
}

impl Meter {
    /// The decoder gave out what it had taken in.
    pub(super) fn digested(&self) {
        self.shared.undigested.store(0, Ordering::Relaxed);
    }

    /// Why the body ended early, if it did.
    pub(super) fn problem(&self) -> Option<Problem> {
        self.shared.error.lock().unwrap_or_else(PoisonError::into_inner).map(Problem::from)
    }

    fn fails(&self, error: BodyError) -> BodyError {
        *self.shared.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        error
    }
}

struct Metered {
    body: BodyDataStream,
    meter: Meter,
    begun: Instant,
    received: u64,
    limit: u64,
}

/// A body within bounds, for a decoder, and the meter that tells why it ended.
pub(super) fn metered(body: Body, limit: u64) -> (Body, Meter) {
    let meter = Meter::default();
    let metered = Metered {
        body: body.into_data_stream(),
        meter: meter.clone(),
        begun: Instant::now(),
        received: 0,
        limit,
    };
    let pieces = stream::unfold(Some(metered), async |state| {
        let mut metered = state?;
        // A decoder that takes in all that is ready would otherwise never stop before a fast
        // sender.
        tokio::task::yield_now().await;
        match metered.next().await {
            Ok(None) => None,
            Ok(Some(piece)) => Some((Ok(piece), Some(metered))),
            Err(error) => Some((Err(metered.meter.fails(error)), None)),
        }
    });
    (Body::from_stream(pieces), meter)
}

impl Metered {
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let deadline = self.begun + GRACE + Duration::from_secs(self.received / SLOWEST);
        let next = tokio::time::timeout_at(deadline, self.body.next());
        let piece = match next.await {
            Err(_) => return Err(BodyError::TooSlow),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(BodyError::Lost),
            Ok(Some(Ok(piece))) => piece,
        };
        let len = piece.len() as u64;
        self.received += len;
        if self.received > self.limit {
            return Err(BodyError::TooLong(self.limit));
        }
        if self.meter.shared.undigested.fetch_add(len, Ordering::Relaxed) > MAX_UNDIGESTED {
            return Err(BodyError::Undigested);
        }
        Ok(Some(piece))
    }
}

/// A short body as a whole.
pub(super) async fn whole(body: Body, limit: u32) -> Result<Bytes, Problem> {
    let (body, meter) = metered(body, u64::from(limit));
    let bytes = axum::body::to_bytes(body, limit as usize).await;
    bytes
        .map_err(|error| meter.problem().unwrap_or_else(|| Problem::bad_request(error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn pieces(len: usize, count: usize) -> Body {
        let piece = move |_| Ok::<_, io::Error>(Bytes::from(vec![0; len]));
        Body::from_stream(stream::iter((0..count).map(piece)))
    }

    async fn outcome(body: Body, limit: u64) -> Result<u64, StatusCode> {
        let (body, meter) = metered(body, limit);
        let mut body = body.into_data_stream();
        let mut received = 0;
        while let Some(piece) = body.next().await {
            let Ok(piece) = piece else { return Err(meter.problem().unwrap().status) };
            received += piece.len() as u64;
            meter.digested();
        }
        assert!(meter.problem().is_none());
        Ok(received)
    }

    #[tokio::test]
    async fn a_body_is_as_long_as_it_may_be() {
        assert_eq!(outcome(pieces(10, 10), 100).await, Ok(100));
        assert_eq!(outcome(pieces(10, 10), 99).await, Err(StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(whole(pieces(10, 10), 100).await.unwrap().len(), 100);
        let problem = whole(pieces(10, 10), 99).await.unwrap_err();
        assert_eq!(problem.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let silent = Body::from_stream(stream::pending::<Result<Bytes, io::Error>>());
        assert_eq!(outcome(silent, 100).await, Err(StatusCode::REQUEST_TIMEOUT));
        let drip = Box::pin(stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, io::Error>(Bytes::from_static(b"x")), ()))
        }));
        assert_eq!(
            outcome(Body::from_stream(drip), 1 << 30).await,
            Err(StatusCode::REQUEST_TIMEOUT)
        );
    }

    #[tokio::test]
    async fn a_decoder_keeps_no_more_than_it_may() {
        let (body, meter) = metered(pieces(1 << 16, 1 << 16), 1 << 40);
        let mut body = body.into_data_stream();
        let mut kept = 0;
        while let Some(Ok(piece)) = body.next().await {
            kept += piece.len();
        }
        assert!(kept <= (1 << 20) + (1 << 17), "{kept}");
        assert_eq!(meter.problem().unwrap().status, StatusCode::BAD_REQUEST);
    }
}
