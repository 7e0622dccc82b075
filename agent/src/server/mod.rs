//! The HTTP server: what the agent does, for monitoring.
//!
//! | path | answer |
//! | --- | --- |
//! | `/metrics`, `/debug/metrics/prometheus` | metrics in Prometheus' text format |
//! | `/debug/metrics` | the same as JSON |
//! | `/health` | 200, or 503 and the alarms that are raised |
//! | `/status` | what is in flight, as JSON |
//! | `/blocks/<height or hash>` | what the journal says of a block, as a JSON list of records |
//!
//! The paths under `/debug` are those of bsp-agent v1.9.2. Nothing can be changed through it, and
//! there is no access control.

use crate::{
    alarm::Alarms,
    config::ServerConfig,
    journal::{BlockQuery, BlockRecord, JournalError},
    metrics::Metrics,
};
use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use serde_json::{Value, json};
use std::{fmt, io, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

/// Connections at once; more wait.
const MAX_CONNECTIONS: usize = 64;

/// Time for the head of a request, and for the next one on a connection that is kept.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// Time for an answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Time for one connection. A client that does not read its answers would keep it for ever.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(300);

/// Wait after a connection could not be taken, for lack of file descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Looks into the journal at once; more wait. One of them may walk through all records.
static LOOKUPS: Semaphore = Semaphore::const_new(1);

/// What the process is doing.
pub trait StatusSource: Send + Sync + fmt::Debug {
    /// A JSON object, without secrets. It must not block.
    fn status(&self) -> Value;

    /// What is recorded of the blocks that are asked for. It may block.
    ///
    /// # Errors
    ///
    /// A journal that can't be read.
    fn blocks(&self, wanted: BlockQuery) -> Result<Vec<BlockRecord>, JournalError>;
}

/// What the server shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// For `/metrics`.
    pub metrics: Metrics,
    /// For `/health`.
    pub alarms: Alarms,
    /// For `/status`.
    pub status: Arc<dyn StatusSource>,
}

/// Why the server does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Another process has the port.
    #[error(
        "{address} is in use: give another --metrics.port, or end the process that listens there"
    )]
    InUse {
        /// Host and port.
        address: String,
    },
    /// The port is reserved.
    #[error("{address} is not allowed: give a --metrics.port of 1024 or more")]
    Denied {
        /// Host and port.
        address: String,
    },
    /// The host is not of this machine, or not a host.
    #[error("{address} is no address of this machine ({source}): give another --metrics.addr")]
    Address {
        /// Host and port.
        address: String,
        /// Why.
        source: io::Error,
    },
}

/// The server, listening but not answering yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
}

impl Server {
    /// Takes the port.
    ///
    /// # Errors
    ///
    /// If it can't be had.
    pub async fn bind(config: &ServerConfig) -> Result<Self, ServerError> {
        let host = config.host.trim_matches(['[', ']']);
        let address = format!("{}:{}", config.host, config.port);
        match TcpListener::bind((host, config.port)).await {
            Ok(listener) => Ok(Self { listener }),
            Err(source) => Err(match source.kind() {
                io::ErrorKind::AddrInUse => ServerError::InUse { address },
                io::ErrorKind::PermissionDenied => ServerError::Denied { address },
                _ => ServerError::Address { address, source },
            }),
        }
    }

    /// Where it listens, with the port that was chosen if port 0 was asked for.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until it is stopped.
    pub async fn serve(self, shown: Shown, stop: CancellationToken) {
        let router = router(shown);
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        while let Some(Ok(permit)) =
            stop.run_until_cancelled(connections.clone().acquire_owned()).await
        {
            match stop.run_until_cancelled(self.listener.accept()).await {
                None => return,
                Some(Ok((stream, _))) => {
                    tokio::spawn(answer(stream, router.clone(), permit, stop.clone()));
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "The HTTP server can't take a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Answers one connection. Its errors are the client's affair.
async fn answer(
    stream: TcpStream,
    router: Router,
    _permit: OwnedSemaphorePermit,
    stop: CancellationToken,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let _ = stop.run_until_cancelled(tokio::time::timeout(CONNECTION_DEADLINE, connection)).await;
}

fn router(shown: Shown) -> Router {
    Router::new()
        .route("/metrics", get(metrics_text))
        .route("/debug/metrics/prometheus", get(metrics_text))
        .route("/debug/metrics", get(metrics_json))
        .route("/health", get(health))
        .route("/status", get(status))
        .route("/blocks/{block}", get(blocks))
        .layer(middleware::from_fn(in_time))
        .with_state(shown)
}

async fn in_time(request: Request, next: Next) -> Response {
    tokio::time::timeout(ANSWER_DEADLINE, next.run(request))
        .await
        .unwrap_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

async fn metrics_text(State(shown): State<Shown>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    match tokio::task::spawn_blocking(move || shown.metrics.render()).await {
        Ok(text) => (kind, text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn metrics_json(State(shown): State<Shown>) -> Response {
    match tokio::task::spawn_blocking(move || shown.metrics.render_json()).await {
        Ok(metrics) => Json(metrics).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn health(State(shown): State<Shown>) -> Response {
    let raised = shown.alarms.raised();
    if raised.is_empty() {
        return Json(json!({ "status": "ok" })).into_response();
    }
    let body = Json(json!({ "status": "alarm", "alarms": raised }));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

async fn status(State(shown): State<Shown>) -> Json<Value> {
    Json(shown.status.status())
}

/// The records of a block. What is signed stays inside: who has it can send it.
async fn blocks(State(shown): State<Shown>, Path(block): Path<String>) -> Response {
    let wanted: BlockQuery = match block.parse() {
        Ok(wanted) => wanted,
        Err(error) => return refused(StatusCode::BAD_REQUEST, &error),
    };
    let Ok(permit) = LOOKUPS.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let looked = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        shown.status.blocks(wanted)
    });
    match looked.await {
        Ok(Ok(records)) => {
            Json(records.iter().map(without_signed).collect::<Vec<_>>()).into_response()
        }
        Ok(Err(error)) => refused(StatusCode::INTERNAL_SERVER_ERROR, &error),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn refused(status: StatusCode, error: &dyn std::error::Error) -> Response {
    (status, Json(json!({ "error": error.to_string() }))).into_response()
}

/// A record as JSON, without the bytes of its transactions.
fn without_signed(record: &BlockRecord) -> Value {
    let mut record = json!(record);
    let attempts = record.pointer_mut("/stage/attempts").and_then(Value::as_array_mut);
    for attempt in attempts.into_iter().flatten() {
        let sent = attempt.get_mut("transactions").and_then(Value::as_array_mut);
        for transaction in sent.into_iter().flatten().filter_map(Value::as_object_mut) {
            transaction.remove("raw");
        }
    }
    record
}

#[cfg(test)]
mod tests;
