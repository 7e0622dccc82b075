//! A stand-in for ipfs-pinner's HTTP server: `/upload`, `/cid`, `/get` and `/health`, content kept
//! in memory, and faults on demand.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bsp_codec::dag;
use futures::stream;
use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{net::TcpListener, task::JoinHandle};

/// How uploads are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PinnerFault {
    /// As they should be.
    #[default]
    None,
    /// Status 500, with an error whose quotes are not escaped, as the real one's.
    ServerError,
    /// Status 200, with an error.
    ErrorBody,
    /// Status 200 and nothing.
    Nothing,
    /// The content is kept, and the answer names another CID.
    OtherCid,
    /// The answer comes byte by byte, a second apart.
    Drip,
    /// No answer.
    Silence,
}

#[derive(Debug, Default)]
struct Shared {
    content: HashMap<String, Bytes>,
    fault: PinnerFault,
    uploads: u64,
}

/// A running pinner.
#[derive(Debug)]
pub struct StandInPinner {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    task: JoinHandle<()>,
}

impl StandInPinner {
    /// Starts one that holds nothing.
    ///
    /// # Errors
    ///
    /// Where there is no free port.
    pub async fn start() -> eyre::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Mutex::new(Shared::default()));
        let router = Router::new()
            .route("/upload", post(upload))
            .route("/cid", post(upload))
            .route("/get", get(fetch))
            .route("/health", get(health))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // The task's end is the server's.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, task })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how uploads are answered from now on.
    pub fn set(&self, fault: PinnerFault) {
        lock(&self.shared).fault = fault;
    }

    /// How many uploads came, whatever became of them.
    pub fn uploads(&self) -> u64 {
        lock(&self.shared).uploads
    }

    /// What it holds under a CID.
    pub fn content(&self, cid: &str) -> Option<Bytes> {
        lock(&self.shared).content.get(cid).cloned()
    }
}

impl Drop for StandInPinner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn upload(
    State(shared): State<Arc<Mutex<Shared>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(file) = only_part(&headers, &body) else {
        return (StatusCode::OK, "").into_response();
    };
    let fault = {
        let mut shared = lock(&shared);
        shared.uploads += 1;
        shared.fault
    };
    let keep = || {
        let cid = dag::cid_of(&file).to_string();
        lock(&shared).content.insert(cid.clone(), file.clone());
        format!("{{\"cid\": \"{cid}\"}}")
    };
    match fault {
        PinnerFault::None => keep().into_response(),
        PinnerFault::ServerError => {
            let body = "{\"error\": \"open \"/tmp/car\": no such file\"}";
            (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
        }
        PinnerFault::ErrorBody => "{\"error\": \"w3 up failed\"}".into_response(),
        PinnerFault::Nothing => "".into_response(),
        PinnerFault::OtherCid => {
            keep();
            format!("{{\"cid\": \"{}\"}}", dag::cid_of(b"something else")).into_response()
        }
        PinnerFault::Drip => Body::from_stream(drip(keep())).into_response(),
        PinnerFault::Silence => std::future::pending().await,
    }
}

/// A body that comes byte by byte.
fn drip(text: String) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> {
    stream::unfold(text.into_bytes().into_iter(), async |mut bytes| {
        let byte = bytes.next()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok(Bytes::from(vec![byte])), bytes))
    })
}

async fn fetch(
    State(shared): State<Arc<Mutex<Shared>>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let Some(cid) = query.get("cid") else { return "".into_response() };
    match lock(&shared).content.get(cid) {
        Some(content) => content.clone().into_response(),
        None => {
            let body = format!("{{\"error\": \"{cid} not found\"}}");
            (StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
        }
    }
}

async fn health() -> &'static str {
    "I'm healthy"
}

/// The content of a multipart form's only part.
fn only_part(headers: &HeaderMap, body: &Bytes) -> Option<Bytes> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let boundary = content_type.split_once("boundary=")?.1.trim_matches('"');
    let begin = find(body, b"\r\n\r\n")? + 4;
    let last = format!("\r\n--{boundary}--");
    let end = body.len().checked_sub(last.len() + 2).filter(|end| *end >= begin)?;
    let end = end + find(&body[end..], last.as_bytes())?;
    Some(body.slice(begin..end))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn upload_to(pinner: &StandInPinner, bytes: Vec<u8>) -> (StatusCode, String) {
        let part = reqwest::multipart::Part::bytes(bytes).file_name("specimen");
        let form = reqwest::multipart::Form::new().part("file", part);
        let url = format!("http://{}/upload", pinner.address());
        let reply = reqwest::Client::new().post(url).multipart(form).send().await.unwrap();
        (reply.status(), reply.text().await.unwrap())
    }

    #[tokio::test]
    async fn what_is_uploaded_is_kept_under_its_cid() {
        let pinner = StandInPinner::start().await.unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        let cid = dag::cid_of(&bytes).to_string();
        let (status, body) = upload_to(&pinner, bytes.clone()).await;
        assert_eq!((status, body), (StatusCode::OK, format!("{{\"cid\": \"{cid}\"}}")));
        assert_eq!(pinner.content(&cid).unwrap(), bytes);

        let url = format!("http://{}/get?cid={cid}", pinner.address());
        assert_eq!(reqwest::get(url).await.unwrap().bytes().await.unwrap(), bytes);
    }

    #[tokio::test]
    async fn a_fault_keeps_nothing() {
        let pinner = StandInPinner::start().await.unwrap();
        pinner.set(PinnerFault::ServerError);
        let (status, _) = upload_to(&pinner, b"hello".to_vec()).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(pinner.content(&dag::cid_of(b"hello").to_string()), None);
        assert_eq!(pinner.uploads(), 1);
    }
}
