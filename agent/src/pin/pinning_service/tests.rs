//! A server that behaves as a pinning service does, and servers that do not.

use super::*;
use crate::pin::test_server::{content, failure_of, raw, serve};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

/// One request as the service keeps it.
#[derive(Debug, Clone)]
struct Kept {
    id: String,
    pin: Value,
    /// What it says at the next looks; the last for good.
    states: Vec<&'static str>,
}

/// Keeps requests, and says of each what the test tells it to.
#[derive(Debug, Default)]
struct Fake {
    kept: Mutex<Vec<Kept>>,
    /// What new requests will say.
    next: Mutex<Vec<&'static str>>,
    headers: Mutex<Vec<HeaderMap>>,
}

impl Kept {
    fn look(&mut self) -> Value {
        let state = if self.states.len() > 1 { self.states.remove(0) } else { self.states[0] };
        json!({
            "requestid": self.id, "status": state, "created": "2026-11-01T00:00:00Z",
            "pin": self.pin, "delegates": [], "info": { "status_details": "no peer has it" }
        })
    }
}

impl Fake {
    async fn list(
        State(fake): State<Arc<Self>>,
        Query(asked): Query<HashMap<String, String>>,
    ) -> Response {
        let states: Vec<_> =
            asked.get("status").map_or("pinned", |states| states).split(',').collect();
        let cid = asked.get("cid");
        let mut kept = fake.kept.lock().unwrap();
        let fits = |kept: &&mut Kept| {
            states.contains(&kept.states[0]) && cid.is_none_or(|cid| kept.pin["cid"] == *cid)
        };
        let results: Vec<_> = kept.iter_mut().filter(fits).map(Kept::look).collect();
        Json(json!({ "count": results.len(), "results": results })).into_response()
    }

    async fn add(
        State(fake): State<Arc<Self>>,
        headers: HeaderMap,
        Json(pin): Json<Value>,
    ) -> Response {
        fake.headers.lock().unwrap().push(headers);
        let states = fake.next.lock().unwrap().clone();
        let mut kept = fake.kept.lock().unwrap();
        let mut new = Kept { id: format!("id/{}", kept.len()), pin, states };
        let answer = new.look();
        kept.push(new);
        (StatusCode::ACCEPTED, Json(answer)).into_response()
    }

    async fn replace(
        State(fake): State<Arc<Self>>,
        Path(id): Path<String>,
        Json(pin): Json<Value>,
    ) -> Response {
        let mut kept = fake.kept.lock().unwrap();
        let old = kept.iter_mut().find(|kept| kept.id == id).unwrap();
        (old.pin, old.states) = (pin, fake.next.lock().unwrap().clone());
        (StatusCode::ACCEPTED, Json(old.look())).into_response()
    }

    async fn one(State(fake): State<Arc<Self>>, Path(id): Path<String>) -> Response {
        let mut kept = fake.kept.lock().unwrap();
        let found = kept.iter_mut().find(|kept| kept.id == id).unwrap();
        Json(found.look()).into_response()
    }

    async fn start(next: &[&'static str]) -> (Arc<Self>, PinningService) {
        let fake = Arc::new(Self { next: Mutex::new(next.to_vec()), ..Self::default() });
        let router = Router::new()
            .route("/psa/pins", get(Self::list).post(Self::add))
            .route("/psa/pins/{id}", get(Self::one).post(Self::replace))
            .with_state(Arc::clone(&fake));
        (fake, service(serve(router).await))
    }
}

const ORIGIN: &str = "/ip4/192.0.2.1/tcp/4001/p2p/12D3KooW";

fn service(address: SocketAddr) -> PinningService {
    let base = format!("http://{address}/psa").parse().unwrap();
    let token = Some(Secret::new("t0ken".to_owned()));
    PinningService::new(&base, token, vec![ORIGIN.to_owned()]).unwrap()
}

#[tokio::test]
async fn a_request_is_followed_until_the_content_is_pinned() {
    let (fake, service) = Fake::start(&["queued", "pinning", "pinned"]).await;
    let content = content(7);
    assert!(!service.holds(&content).await.unwrap());
    service.pin(&content).await.unwrap();
    assert!(service.holds(&content).await.unwrap());
    service.pin(&content).await.unwrap();
    let kept = fake.kept.lock().unwrap().clone();
    assert_eq!(kept.len(), 1, "what is pinned is not requested again");
    let cid = content.cid.to_string();
    assert_eq!(kept[0].pin, json!({ "cid": cid, "name": "1-7-replica", "origins": [ORIGIN] }));
    assert_eq!(fake.headers.lock().unwrap()[0]["authorization"], "Bearer t0ken");
    assert!(!format!("{service:?} {}", service.name()).contains("t0ken"));
    assert!(service.check().await.unwrap().ends_with("lists its pins"));
}

#[tokio::test]
async fn a_failed_request_is_replaced_at_the_next_attempt() {
    let (fake, service) = Fake::start(&["failed"]).await;
    let told = failure_of(service.pin(&content(7)).await);
    assert_eq!(told, "the request failed: no peer has it");
    *fake.next.lock().unwrap() = vec!["pinned"];
    service.pin(&content(7)).await.unwrap();
    assert_eq!(fake.kept.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_taken_up_again() {
    let (fake, service) = Fake::start(&["queued"]).await;
    let service = service.with_deadline(Duration::ZERO);
    let told = failure_of(service.pin(&content(7)).await);
    assert!(told.contains("not fetched after 0 s"), "{told}");
    fake.kept.lock().unwrap()[0].states = vec!["pinned"];
    service.pin(&content(7)).await.unwrap();
    assert_eq!(fake.kept.lock().unwrap().len(), 1);
}

async fn answering(
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
) -> PinningService {
    let empty = || async { Json(json!({ "count": 0, "results": [] })) };
    let router = Router::new().route("/psa/pins", post(move || async move { answer() }).get(empty));
    service(serve(router).await)
}

#[tokio::test]
async fn another_cid_is_told_apart() {
    let other = content(8).cid.to_string();
    let answer = json!({ "requestid": "1", "status": "pinned", "pin": { "cid": other } });
    let service = answering(move || Json(answer.clone()).into_response()).await;
    let error = service.pin(&content(7)).await.unwrap_err();
    assert!(matches!(error, PinError::OtherCid { .. }), "{error:?}");
}

#[tokio::test]
async fn errors_are_told_and_may_pass() {
    let denied = || {
        let body = json!({ "error": { "reason": "INSUFFICIENT_FUNDS", "details": "pay" } });
        (StatusCode::CONFLICT, Json(body)).into_response()
    };
    let told = failure_of(answering(denied).await.pin(&content(7)).await);
    assert_eq!(told, "status 409: INSUFFICIENT_FUNDS pay");
    let endless = || vec![b' '; 1 << 20].into_response();
    let told = failure_of(answering(endless).await.pin(&content(7)).await);
    assert!(told.contains("longer than 65536 bytes"), "{told}");
    let elsewhere =
        || (StatusCode::TEMPORARY_REDIRECT, [("location", "http://127.0.0.1:1/")]).into_response();
    let told = failure_of(answering(elsewhere).await.pin(&content(7)).await);
    assert!(told.contains("redirects"), "{told}");
    let garbage = || "<html>".into_response();
    let told = failure_of(answering(garbage).await.pin(&content(7)).await);
    assert!(told.contains("not that of a pinning service"), "{told}");
    let told = failure_of(service(raw(b"\0\0", false).await).pin(&content(7)).await);
    assert!(!told.is_empty());
}
