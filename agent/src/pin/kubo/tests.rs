//! A server that behaves as Kubo does, and servers that do not.

use super::*;
use crate::pin::test_server::{content, failure_of, raw, serve};
use axum::{
    Json, Router,
    extract::{Multipart, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use bsp_codec::car::{CarLimits, CarReader};
use bytes::Bytes;
use serde_json::json;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

/// Keeps what is imported, as a node does.
#[derive(Debug, Default)]
struct Node {
    blocks: Mutex<HashMap<Cid, Bytes>>,
    pins: Mutex<Vec<Cid>>,
    headers: Mutex<Vec<HeaderMap>>,
}

type Arguments = Query<HashMap<String, String>>;

fn refused(message: &str) -> Response {
    let body = json!({ "Message": message, "Code": 0, "Type": "error" });
    (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
}

impl Node {
    fn argument(arguments: &HashMap<String, String>) -> Cid {
        arguments["arg"].parse().unwrap()
    }

    async fn import(
        State(node): State<Arc<Self>>,
        Query(arguments): Arguments,
        headers: HeaderMap,
        mut form: Multipart,
    ) -> Response {
        assert_eq!(arguments["pin-roots"], "true");
        node.headers.lock().unwrap().push(headers);
        let part = form.next_field().await.unwrap().unwrap();
        assert_eq!(part.name(), Some("file"));
        let bytes = part.bytes().await.unwrap();
        let mut car = CarReader::new(&bytes[..], CarLimits::default()).unwrap();
        let &[root] = car.roots() else { panic!("{:?}", car.roots()) };
        while let Some((cid, block)) = car.next_block().unwrap() {
            node.blocks.lock().unwrap().insert(cid, Bytes::copy_from_slice(block));
        }
        assert!(form.next_field().await.unwrap().is_none());
        node.pins.lock().unwrap().push(root);
        let line = json!({ "Root": { "Cid": { "/": root.to_string() }, "PinErrorMsg": "" } });
        format!("{line}\n").into_response()
    }

    async fn list(State(node): State<Arc<Self>>, Query(arguments): Arguments) -> Response {
        let cid = Self::argument(&arguments);
        if !node.pins.lock().unwrap().contains(&cid) {
            return refused(&format!("path '{cid}' is not pinned"));
        }
        let keys = json!({ "Keys": { cid.to_string(): { "Type": "recursive" } } });
        Json(keys).into_response()
    }

    async fn block(State(node): State<Arc<Self>>, Query(arguments): Arguments) -> Response {
        assert_eq!(arguments["offline"], "true");
        let block = node.blocks.lock().unwrap().get(&Self::argument(&arguments)).cloned();
        block.map_or_else(
            || refused("block was not found locally (offline): ipld: could not find"),
            IntoResponse::into_response,
        )
    }

    async fn start() -> (Arc<Self>, SocketAddr) {
        let node = Arc::<Self>::default();
        let version = || async { Json(json!({ "Version": "0.43.1", "Commit": "" })) };
        let router = Router::new()
            .route("/api/v0/dag/import", post(Self::import))
            .route("/api/v0/pin/ls", post(Self::list))
            .route("/api/v0/block/get", post(Self::block))
            .route("/api/v0/version", post(version))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&node));
        (node, serve(router).await)
    }
}

fn kubo(address: SocketAddr) -> KuboPinner {
    KuboPinner::new(&format!("http://{address}").parse().unwrap(), None).unwrap()
}

/// A server that takes the whole import and answers this.
async fn answering(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> KuboPinner {
    let handler = move |_: Bytes| async move { answer() };
    kubo(serve(Router::new().route("/api/v0/dag/import", post(handler))).await)
}

#[tokio::test]
async fn a_file_is_pinned_whole_and_given_back() {
    let (node, address) = Node::start().await;
    let pinner = kubo(address);
    assert_eq!(
        pinner.check().await.unwrap(),
        format!("Kubo's RPC at http://{address} says: version 0.43.1")
    );
    for len in [0, 1, 262_144, 700_000] {
        let content = content(len);
        assert!(!pinner.holds(&content).await.unwrap(), "{len}");
        pinner.pin(&content).await.unwrap();
        pinner.pin(&content).await.unwrap();
        assert!(pinner.holds(&content).await.unwrap(), "{len}");
    }
    let content = content(700_000);
    let dag = Dag::build(&content.bytes);
    let (last, _) = dag.blocks().last().unwrap();
    let block = node.blocks.lock().unwrap().insert(last, Bytes::from_static(b"damaged"));
    assert!(!pinner.holds(&content).await.unwrap(), "a block is another");
    node.blocks.lock().unwrap().remove(&last);
    assert!(!pinner.holds(&content).await.unwrap(), "a block is gone");
    node.blocks.lock().unwrap().insert(last, block.unwrap());
    node.pins.lock().unwrap().clear();
    assert!(!pinner.holds(&content).await.unwrap(), "what is not pinned goes sooner or later");
}

#[tokio::test]
async fn a_token_is_a_bearers() {
    let (node, address) = Node::start().await;
    let base = format!("http://{address}/").parse().unwrap();
    let token = Some(Secret::new("t0ken".to_owned()));
    let pinner = KuboPinner::new(&base, token).unwrap();
    pinner.pin(&content(1)).await.unwrap();
    let headers = node.headers.lock().unwrap();
    assert_eq!(headers[0]["authorization"], "Bearer t0ken");
    assert!(!format!("{pinner:?} {}", pinner.name()).contains("t0ken"));
}

#[tokio::test]
async fn another_root_is_told_apart() {
    let other = content(2).cid.to_string();
    let line = json!({ "Root": { "Cid": { "/": other }, "PinErrorMsg": "" } }).to_string();
    let pinner = answering(move || line.clone().into_response()).await;
    match pinner.pin(&content(1)).await {
        Err(PinError::OtherCid { computed, returned, .. }) => {
            assert_eq!((*computed, returned), (content(1).cid, other));
        }
        result => panic!("{result:?}"),
    }
}

#[tokio::test]
async fn errors_are_told_and_may_pass() {
    let root =
        json!({ "Root": { "Cid": { "/": content(1).cid.to_string() }, "PinErrorMsg": "full" } });
    let root = root.to_string();
    type Answer = Box<dyn Fn() -> Response + Send + Sync>;
    let cases: [(Answer, &str); 6] = [
        (Box::new(move || root.clone().into_response()), "not pinned: full"),
        (Box::new(|| refused("no space left")), "status 500: no space left"),
        (Box::new(|| StatusCode::UNAUTHORIZED.into_response()), "status 401"),
        (Box::new(|| "".into_response()), "names no root"),
        (Box::new(|| vec![b' '; 1 << 20].into_response()), "longer than 65536 bytes"),
        (
            Box::new(|| (StatusCode::FOUND, [("location", "http://127.0.0.1:1/")]).into_response()),
            "redirects to another URL",
        ),
    ];
    for (answer, reason) in cases {
        let answer = Arc::new(answer);
        let told = failure_of(answering(move || answer()).await.pin(&content(1)).await);
        assert!(told.contains(reason), "{told}");
    }
}

#[tokio::test]
async fn a_service_that_says_nothing_or_half_ends_at_the_deadline() {
    for head in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 80\r\n\r\n{"] {
        let pinner = kubo(raw(head, true).await).with_deadline(Duration::from_millis(200));
        let told = failure_of(pinner.pin(&content(1)).await);
        assert_eq!(told, "no complete answer in time");
    }
}

/// An answer that never ends is not read for longer than it may be.
#[tokio::test]
async fn an_endless_block_is_not_read() {
    let endless = || async {
        let chunks = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![7; 1 << 16]));
        axum::body::Body::from_stream(chunks)
    };
    let keys = json!({ "Keys": { content(9).cid.to_string(): {} } });
    let router = Router::new()
        .route("/api/v0/pin/ls", post(move || async move { Json(keys) }))
        .route("/api/v0/block/get", post(endless));
    assert!(!kubo(serve(router).await).holds(&content(9)).await.unwrap());
}
