//! The Pinning Service API, version 0.1.2 of <https://ipfs.github.io/pinning-services-api-spec/>.
//!
//! | path | method | what it does |
//! | --- | --- | --- |
//! | `/pins` | GET | lists requests, with all filters of the specification |
//! | `/pins` | POST | asks for a pin; 202 |
//! | `/pins/<requestid>` | GET, POST, DELETE | shows, replaces, removes a request |
//!
//! Content that is here is pinned at once. Other content is fetched in the background from the
//! sources that there are; without any, the request fails. Requests survive a restart where a file
//! is set for them, and those that were not done then begin again. Removing the last request for
//! some content unpins it, unless it was pinned before the first one.

mod filter;
mod record;
mod requests;
mod worker;

pub(super) use requests::PinRequests;
pub use requests::RequestsError;
pub(super) use worker::fetch_queued;

use super::{
    Request,
    api::PinnerApi,
    body,
    problem::{Problem, blocking},
};
use axum::{
    Json, Router,
    body::Body,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use filter::Filter;
use record::{PinBody, PinRequest, Wanted};
use serde_json::{Value, json};

/// The longest request, in bytes.
const MAX_BODY: u32 = 16 << 10;

pub(super) fn routes() -> Router<PinnerApi> {
    Router::new()
        .route("/pins", get(list).post(add))
        .route("/pins/{id}", get(show).post(replace).delete(remove))
}

async fn list(State(api): State<PinnerApi>, RawQuery(query): RawQuery) -> Response {
    let listed = async {
        let filter = Filter::of(query.as_deref().unwrap_or_default())?;
        let shared = api.clone();
        let looked = blocking(move || shared.requests().list(&filter, shared.store()));
        let (count, found) = looked.await?;
        let results: Vec<Value> = found.iter().map(|request| shown(&api, request)).collect();
        Ok(Json(json!({ "count": count, "results": results })).into_response())
    };
    answered(listed.await)
}

async fn add(State(api): State<PinnerApi>, request: Request) -> Response {
    answered(put(&api, None, request.into_body()).await)
}

async fn replace(
    State(api): State<PinnerApi>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let replaced = async { put(&api, Some(id_of(&id)?), request.into_body()).await };
    answered(replaced.await)
}

/// Makes a request, in the place of another one if so wanted.
async fn put(api: &PinnerApi, replaced: Option<u64>, body: Body) -> Result<Response, Problem> {
    let body = body::whole(body, MAX_BODY).await?;
    let body: PinBody = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format!("the body is no pin object: {error}")))?;
    let (wanted, shared): (Wanted, _) = (body.checked()?, api.clone());
    let can_fetch = api.fetcher().is_some();
    let made = blocking(move || {
        let requests = shared.requests();
        requests.add(wanted, shared.store(), can_fetch, replaced)
    });
    let made = made.await?;
    Ok((StatusCode::ACCEPTED, Json(shown(api, &made))).into_response())
}

async fn show(State(api): State<PinnerApi>, Path(id): Path<String>) -> Response {
    let request = async {
        let (id, shared) = (id_of(&id)?, api.clone());
        let request = blocking(move || shared.requests().get(id, shared.store())).await?;
        Ok(Json(shown(&api, &request)).into_response())
    };
    answered(request.await)
}

async fn remove(State(api): State<PinnerApi>, Path(id): Path<String>) -> Response {
    let removed = async {
        let id = id_of(&id)?;
        blocking(move || api.requests().remove(id, api.store())).await?;
        Ok(StatusCode::ACCEPTED.into_response())
    };
    answered(removed.await)
}

/// A request's identifier is the time of its creation, which no other one has.
fn id_of(text: &str) -> Result<u64, Problem> {
    let id = (text.len() <= 16).then(|| u64::from_str_radix(text, 16).ok()).flatten();
    id.ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::not_found("there is no such pin request")
}

fn shown(api: &PinnerApi, request: &PinRequest) -> Value {
    let mut shown = request.shown();
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("delegates".to_owned(), json!(api.options().delegates));
    }
    shown
}

fn answered(answer: Result<Response, Problem>) -> Response {
    answer.unwrap_or_else(|problem| failure(&problem))
}

pub(super) fn failure(problem: &Problem) -> Response {
    if problem.is_ours() {
        tracing::error!(target: "bsp::pinner", error = problem.reason, "A pin request failed");
    }
    let reason = problem.status.canonical_reason().unwrap_or("error");
    let reason = reason.to_ascii_uppercase().replace([' ', '-'], "_");
    let body = json!({ "error": { "reason": reason, "details": problem.reason } });
    (problem.status, Json(body)).into_response()
}
