//! The client before a server that answers as a script says, and counts what it is asked.

use super::*;
use axum::{
    Router,
    body::Bytes,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpListener;

/// Answers the request with this number, counted from 1.
type Script = fn(usize, &Value) -> Response;

struct Server {
    rpc: Rpc,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start(script: Script) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        let app = Router::new().fallback(post(move |body: Bytes| async move {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            script(number, &serde_json::from_slice(&body).unwrap())
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/s3cret-s3cret", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let limits = RpcLimits { patience: Duration::from_secs(10), ..RpcLimits::default() };
        Self { rpc: Rpc::new(Endpoint::parse(&url).unwrap(), limits).unwrap(), requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    async fn batch(&self, calls: usize) -> Result<Vec<Answer>, RpcError> {
        let calls: Vec<_> = (0..calls).map(|_| Call::gas_price()).collect();
        self.rpc.batch(&calls).await
    }
}

/// The right answer to any request: a batch's in reverse order.
fn good(request: &Value) -> Response {
    let answer = |call: &Value| json!({"jsonrpc": "2.0", "id": call["id"], "result": "0x7"});
    match request {
        Value::Array(calls) => axum::Json(calls.iter().rev().map(answer).collect::<Value>()),
        call => axum::Json(answer(call)),
    }
    .into_response()
}

fn error(code: i64, message: &str) -> Response {
    axum::Json(json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": message}}))
        .into_response()
}

fn limited(error: &RpcError) -> bool {
    matches!(error, RpcError::RateLimited { .. })
}

/// One refusal by its rate must not turn each batch into as many requests as it has calls.
#[tokio::test]
async fn a_rate_limit_makes_no_more_requests() {
    for first in [
        (|number, request| match number {
            1 => error(429, "Too Many Requests, s3cret-s3cret"),
            _ => good(request),
        }) as Script,
        |number, request| match number {
            1 => StatusCode::TOO_MANY_REQUESTS.into_response(),
            _ => good(request),
        },
        |number, request| match number {
            1 => axum::Json(json!([
                {"jsonrpc": "2.0", "id": 0, "error": {"code": -32005, "message": "limit exceeded"}},
                {"jsonrpc": "2.0", "id": 1, "result": "0x7"},
            ]))
            .into_response(),
            _ => good(request),
        },
    ] {
        let server = Server::start(first).await;
        let refused = server.batch(5).await.unwrap_err();
        assert!(limited(&refused) && !refused.to_string().contains("s3cret"), "{refused}");
        assert_eq!(server.requests(), 1);
        assert_eq!(server.batch(5).await.unwrap().len(), 5);
        assert_eq!(server.requests(), 2);
    }
}

/// However many wait, none asks before the time that the RPC names.
#[tokio::test]
async fn retry_after_is_obeyed_by_all() {
    let server = Server::start(|_, _| {
        (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3600")], "slow down").into_response()
    })
    .await;
    let RpcError::RateLimited { pause, .. } = server.batch(3).await.unwrap_err() else {
        panic!("not seen as a rate limit");
    };
    assert!(pause > Duration::from_secs(500) && pause <= Duration::from_secs(600), "{pause:?}");
    let waiting = futures::future::join_all((0..64).map(|_| server.batch(5)));
    assert!(tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err());
    assert_eq!(server.requests(), 1);
}

/// A caller that waits for its turn does not wait for ever, and asks nothing.
#[tokio::test]
async fn patience_ends() {
    let server = Server::start(|_, _| StatusCode::TOO_MANY_REQUESTS.into_response()).await;
    let limits = RpcLimits { patience: Duration::ZERO, ..RpcLimits::default() };
    let rpc = Rpc::new(server.rpc.endpoint().clone(), limits).unwrap();
    assert!(limited(&rpc.chain_id().await.unwrap_err()));
    let error = rpc.chain_id().await.unwrap_err();
    assert!(error.to_string().contains("no turn within 0 s"), "{error}");
    assert_eq!(server.requests(), 1);
}

/// A server in trouble says nothing about batches.
#[tokio::test]
async fn an_http_error_does_not_end_batches() {
    let server = Server::start(|number, request| match number {
        1..=4 => (StatusCode::BAD_GATEWAY, "<h1>bad gateway</h1>").into_response(),
        5 => error(-32000, "internal"),
        _ => good(request),
    })
    .await;
    for _ in 0..4 {
        let error = server.batch(5).await.unwrap_err();
        assert!(matches!(error, RpcError::HttpStatus { status: 502, .. }), "{error}");
    }
    assert_eq!(server.requests(), 4);
    // One refusal: single calls this once, and a batch the next time.
    server.batch(5).await.unwrap();
    assert_eq!(server.requests(), 4 + 1 + 5);
    server.batch(5).await.unwrap();
    assert_eq!(server.requests(), 11);
}

#[tokio::test]
async fn an_rpc_without_batches_gets_single_calls_after_two_refusals() {
    let server = Server::start(|_, request| match request {
        Value::Array(_) => error(-32005, "Batched requests are not supported by this server"),
        _ => good(request),
    })
    .await;
    server.batch(3).await.unwrap();
    assert_eq!(server.requests(), 1 + 3);
    server.batch(3).await.unwrap();
    assert_eq!(server.requests(), 4 + 1 + 3);
    server.batch(3).await.unwrap();
    assert_eq!(server.requests(), 8 + 3);
}

/// Substrate's and geth's nodes take this many calls at once, and no more.
#[tokio::test]
async fn an_rpc_with_smaller_batches_gets_smaller_ones() {
    let server = Server::start(|_, request| match request {
        Value::Array(calls) if calls.len() > 10 => error(-32010, "The batch request was too large"),
        _ => good(request),
    })
    .await;
    for _ in 0..2 {
        assert_eq!(server.batch(40).await.unwrap().len(), 40);
    }
    let before = server.requests();
    assert_eq!(server.batch(40).await.unwrap().len(), 40);
    assert_eq!(server.requests() - before, 4);
}

#[tokio::test]
async fn single_calls_end_with_the_connection() {
    let server = Server::start(|number, request| match request {
        Value::Array(_) => error(-32600, "no batches"),
        _ if number > 3 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        call => good(call),
    })
    .await;
    assert!(server.batch(50).await.is_err());
    assert!(server.requests() < 10, "{}", server.requests());
}

#[tokio::test]
async fn ids_as_texts_are_taken() {
    let server = Server::start(|_, request| {
        let answer = |call: &Value| {
            let id = call["id"].to_string();
            json!({"jsonrpc": "2.0", "id": id, "result": format!("0x{}", call["id"])})
        };
        axum::Json(match request {
            Value::Array(calls) => calls.iter().rev().map(answer).collect(),
            call => answer(call),
        })
        .into_response()
    })
    .await;
    assert_eq!(server.rpc.chain_id().await.unwrap(), 0);
    let answers = server.batch(3).await.unwrap();
    let numbers: Vec<_> = answers.iter().map(|it| it.as_ref().unwrap().get()).collect();
    assert_eq!(numbers, [r#""0x0""#, r#""0x1""#, r#""0x2""#]);
    assert_eq!(server.requests(), 2);
}
