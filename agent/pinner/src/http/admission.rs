//! How many requests are handled at once, and what is counted of them.

use super::{Request, api::PinnerApi, guard::refusal, problem::Problem, server::Face};
use axum::{extract::State, http::StatusCode, middleware::Next, response::Response};
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Time that a request waits for its turn.
const WAIT: Duration = Duration::from_secs(10);

/// What a listener's requests share.
#[derive(Debug, Clone)]
pub(super) struct Admission {
    face: Face,
    requests: Arc<Semaphore>,
}

impl Admission {
    pub(super) fn new(face: Face, api: &PinnerApi) -> Self {
        Self { face, requests: Arc::new(Semaphore::new(api.options().limits.requests)) }
    }
}

/// Handles a request when there is a place for it.
pub(super) async fn admit(
    State(admission): State<Admission>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let answer = match place(&admission.requests, "requests").await {
        Ok(_permit) => next.run(request).await,
        Err(problem) => refusal(&path, &problem),
    };
    let (face, status) = (admission.face.name(), answer.status().as_u16().to_string());
    metrics::counter!("pinner_http_requests_total", "listener" => face, "status" => status)
        .increment(1);
    answer
}

/// Waits for a place.
pub(super) async fn place(
    places: &Arc<Semaphore>,
    what: &str,
) -> Result<OwnedSemaphorePermit, Problem> {
    match tokio::time::timeout(WAIT, Arc::clone(places).acquire_owned()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the server is busy with other {what}: try again later"),
        )),
    }
}
