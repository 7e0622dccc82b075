use super::*;
use crate::{
    dag::{DAG_CBOR, RAW, SHA2_256},
    store::{MAX_BLOCK_LEN, NewPin, Store, StoreOptions},
};
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use bsp_codec::dag::Dag;
use cid::multihash::Multihash;
use futures::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use url::Url;

/// How a server answers for what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Honest,
    /// With a block of the right length and other bytes.
    Lies,
    /// With bytes without an end.
    Endless,
    /// With a length that is too long, and nothing after it.
    Oversized,
    /// With the beginning, and then nothing.
    Stalls,
    /// From another path of the same server.
    RedirectsToItself,
    /// From another server.
    RedirectsAway,
    /// To itself again and again.
    RedirectsInCircles,
    Answers(StatusCode),
}

struct Server {
    blocks: HashMap<String, Bytes>,
    manner: Manner,
    elsewhere: Option<Url>,
    asked: AtomicUsize,
}

/// A server of blocks, until the test ends.
async fn serve(
    blocks: &[(Cid, Bytes)],
    manner: Manner,
    elsewhere: Option<Url>,
) -> (Url, Arc<Server>) {
    let blocks = blocks.iter().map(|(cid, block)| (cid.to_string(), block.clone())).collect();
    let server = Arc::new(Server { blocks, manner, elsewhere, asked: AtomicUsize::new(0) });
    let router = Router::new()
        .route("/ipfs/{cid}", get(answer))
        .route("/other/{cid}", get(other))
        .with_state(server.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, server)
}

async fn other(State(server): State<Arc<Server>>, Path(cid): Path<String>) -> Response {
    server.blocks.get(&cid).cloned().map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        axum::response::IntoResponse::into_response,
    )
}

async fn answer(State(server): State<Arc<Server>>, Path(cid): Path<String>) -> Response {
    server.asked.fetch_add(1, Ordering::Relaxed);
    let Some(block) = server.blocks.get(&cid).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let piece = |len| Ok::<_, Infallible>(Bytes::from(vec![7; len]));
    match server.manner {
        Manner::Honest => block.into_response(),
        Manner::Lies => vec![1; block.len()].into_response(),
        Manner::Endless => {
            Body::from_stream(stream::repeat_with(move || piece(65_536))).into_response()
        }
        Manner::Oversized => {
            let length = [(header::CONTENT_LENGTH, MAX_BLOCK_LEN + 1)];
            (length, Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()))
                .into_response()
        }
        Manner::Stalls => {
            let stalled = stream::iter([piece(100)]).chain(stream::pending());
            Body::from_stream(stalled).into_response()
        }
        Manner::RedirectsToItself => Redirect::temporary(&format!("/other/{cid}")).into_response(),
        Manner::RedirectsInCircles => Redirect::temporary(&format!("/ipfs/{cid}")).into_response(),
        Manner::RedirectsAway => {
            let url = server.elsewhere.as_ref().unwrap().join(&format!("/ipfs/{cid}")).unwrap();
            Redirect::temporary(url.as_str()).into_response()
        }
        Manner::Answers(status) => status.into_response(),
    }
}

fn gateway(url: &Url) -> Arc<dyn BlockSource> {
    Arc::new(Gateway::new(url, None).unwrap())
}

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    (folder, store)
}

fn limits() -> FetchLimits {
    FetchLimits { per_block: Duration::from_secs(20), ..FetchLimits::default() }
}

fn cid_with(codec: u64, block: &[u8]) -> Cid {
    Cid::new_v1(codec, Multihash::wrap(SHA2_256, &Sha256::digest(block)).unwrap())
}

fn file(len: usize) -> (Cid, Vec<(Cid, Bytes)>) {
    let content: Vec<u8> = (0..len).map(|at| (at / 1000 % 251) as u8).collect();
    let dag = Dag::build(&content);
    let blocks = dag.blocks().map(|(cid, block)| (cid, Bytes::copy_from_slice(block))).collect();
    (*dag.root(), blocks)
}

/// A chain of dag-cbor blocks, each of which links to the next; the first is the root.
fn chain(len: usize) -> (Cid, Vec<(Cid, Bytes)>) {
    let mut blocks = vec![(cid_with(RAW, b"end"), Bytes::from_static(b"end"))];
    for _ in 1..len {
        let block = serde_ipld_dagcbor::to_vec(&vec![blocks[0].0]).unwrap();
        blocks.insert(0, (cid_with(DAG_CBOR, &block), block.into()));
    }
    (blocks[0].0, blocks)
}

#[tokio::test]
async fn a_file_comes_from_a_gateway_and_is_pinned() {
    let (root, blocks) = file(3_000_000);
    let (url, server) = serve(&blocks, Manner::Honest, None).await;
    let (_folder, store) = store();
    let fetcher = Fetcher::new(store.clone(), vec![gateway(&url)], limits());
    let pin = fetcher.dag(&root, NewPin { name: "it".into(), ..NewPin::default() }).await.unwrap();
    assert_eq!((pin.root, pin.name.as_str()), (root, "it"));
    for (cid, block) in &blocks {
        assert_eq!(store.block(cid).unwrap().as_ref(), Some(block));
    }
    let asked = server.asked.load(Ordering::Relaxed);
    assert!(asked <= blocks.len());
    // What is here is not asked for again.
    fetcher.dag(&root, NewPin::default()).await.unwrap();
    assert_eq!(server.asked.load(Ordering::Relaxed), asked);
}

#[tokio::test]
async fn a_block_comes_from_the_first_source_that_gives_the_right_one() {
    let (root, blocks) = file(1000);
    for manner in [
        Manner::Lies,
        Manner::Endless,
        Manner::Oversized,
        Manner::RedirectsInCircles,
        Manner::Answers(StatusCode::NOT_FOUND),
        Manner::Answers(StatusCode::GONE),
        Manner::Answers(StatusCode::TOO_MANY_REQUESTS),
        Manner::Answers(StatusCode::BAD_GATEWAY),
        Manner::Answers(StatusCode::NO_CONTENT),
    ] {
        let (bad, _) = serve(&blocks, manner, None).await;
        let (good, server) = serve(&blocks, Manner::Honest, None).await;
        let (_folder, store) = store();
        let alone = Fetcher::new(store.clone(), vec![gateway(&bad)], limits());
        let error = alone.block(&root).await.unwrap_err();
        let absent = matches!(manner, Manner::Answers(StatusCode::NOT_FOUND | StatusCode::GONE));
        assert_eq!(matches!(error, FetchError::NotFound { .. }), absent, "{manner:?}: {error}");
        assert!(absent || matches!(error, FetchError::Unavailable { .. }), "{manner:?}: {error}");
        let both = Fetcher::new(store, vec![gateway(&bad), gateway(&good)], limits());
        assert_eq!(both.block(&root).await.unwrap(), blocks[0].1, "{manner:?}");
        assert_eq!(server.asked.load(Ordering::Relaxed), 1, "{manner:?}");
    }
}

#[tokio::test]
async fn a_source_that_stalls_is_left() {
    let (root, blocks) = file(1000);
    let (bad, _) = serve(&blocks, Manner::Stalls, None).await;
    let (good, _) = serve(&blocks, Manner::Honest, None).await;
    let (_folder, store) = store();
    let limits = FetchLimits { per_block: Duration::from_millis(200), ..limits() };
    let fetcher = Fetcher::new(store.clone(), vec![gateway(&bad), gateway(&good)], limits);
    assert_eq!(fetcher.block(&root).await.unwrap(), blocks[0].1);
    let limits = FetchLimits { per_dag: Duration::from_millis(200), ..limits };
    let limits = FetchLimits { per_block: Duration::from_secs(60), ..limits };
    let fetcher = Fetcher::new(store, vec![gateway(&bad)], limits);
    let error = fetcher.dag(&root, NewPin::default()).await.unwrap_err();
    assert!(matches!(error, FetchError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn redirections_stay_on_the_server() {
    let (root, blocks) = file(1000);
    let (other, server) = serve(&blocks, Manner::Honest, None).await;
    let (itself, _) = serve(&blocks, Manner::RedirectsToItself, None).await;
    let (away, _) = serve(&blocks, Manner::RedirectsAway, Some(other)).await;
    let (_folder, store) = store();
    let fetcher = Fetcher::new(store.clone(), vec![gateway(&itself)], limits());
    assert_eq!(fetcher.block(&root).await.unwrap(), blocks[0].1);
    let fetcher = Fetcher::new(store, vec![gateway(&away)], limits());
    let error = fetcher.block(&root).await.unwrap_err();
    assert!(error.to_string().contains("not followed"), "{error}");
    assert_eq!(server.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_server_that_is_down_may_have_the_block() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let (_folder, store) = store();
    let fetcher = Fetcher::new(store, vec![gateway(&url)], limits());
    let error = fetcher.block(&file(10).0).await.unwrap_err();
    assert!(matches!(error, FetchError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn a_dag_is_bounded() {
    let (root, blocks) = chain(20);
    let (url, _) = serve(&blocks, Manner::Honest, None).await;
    let bytes: u64 = blocks.iter().map(|(_, block)| block.len() as u64).sum();
    let fetch = async |limits| {
        let (_folder, store) = store();
        Fetcher::new(store, vec![gateway(&url)], limits).dag(&root, NewPin::default()).await
    };
    let exact = FetchLimits { blocks: 20, depth: 19, bytes, ..limits() };
    fetch(exact).await.unwrap();
    for less in [
        FetchLimits { blocks: 19, ..exact },
        FetchLimits { depth: 18, ..exact },
        FetchLimits { bytes: bytes - 1, ..exact },
    ] {
        let error = fetch(less).await.unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { .. }), "{less:?}: {error}");
    }
}

#[tokio::test]
async fn a_missing_leaf_leaves_no_pin() {
    let (root, mut blocks) = file(600_000);
    blocks.pop();
    let (url, _) = serve(&blocks, Manner::Honest, None).await;
    let (_folder, store) = store();
    let fetcher = Fetcher::new(store.clone(), vec![gateway(&url)], limits());
    let error = fetcher.dag(&root, NewPin::default()).await.unwrap_err();
    assert!(matches!(error, FetchError::NotFound { .. }), "{error}");
    assert_eq!(store.pinned(&root).unwrap(), None);
}

#[tokio::test]
async fn what_is_not_supported_is_not_asked_for() {
    let (url, server) = serve(&[], Manner::Honest, None).await;
    let (_folder, store) = store();
    let fetcher = Fetcher::new(store, vec![gateway(&url)], limits());
    let identity = Cid::new_v1(RAW, Multihash::wrap(0, b"leaf").unwrap());
    assert!(matches!(fetcher.block(&identity).await, Err(FetchError::Store(_))));
    assert_eq!(server.asked.load(Ordering::Relaxed), 0);
}
