//! The Pinning Service API, by its specification.

use crate::support::{Server, content};
use bsp_codec::dag::cid_of;
use bsp_common::secret::Secret;
use bsp_pinner::{
    Cid,
    fetch::{BlockSource, FetchLimits, Fetcher, SourceError},
    http::{Access, Face, HttpOptions, PinnerApi},
    store::{Store, StoreOptions},
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

impl Server {
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.client.request(method.parse().unwrap(), self.url(path));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn pin(&self, body: Value) -> Value {
        let (status, made) = self.ask("POST", "/pins", Some(body)).await;
        assert_eq!(status, 202, "{made}");
        made
    }

    /// The names of the requests that a query finds, and how many there are.
    async fn names(&self, query: &str) -> (u64, Vec<String>) {
        let (status, found) = self.ask("GET", &format!("/pins{query}"), None).await;
        assert_eq!(status, 200, "{query}: {found}");
        let results = found["results"].as_array().unwrap();
        let names = results.iter().map(|result| result["pin"]["name"].as_str().unwrap().to_owned());
        (found["count"].as_u64().unwrap(), names.collect())
    }

    /// The request when it is no longer under way.
    async fn settled(&self, made: &Value) -> Value {
        let path = format!("/pins/{}", made["requestid"].as_str().unwrap());
        for _ in 0..1000 {
            let (_, shown) = self.ask("GET", &path, None).await;
            if !matches!(shown["status"].as_str().unwrap(), "queued" | "pinning") {
                return shown;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the request is still under way");
    }
}

#[tokio::test]
async fn content_that_is_here_is_pinned_at_once() {
    let server = Server::private().await;
    let cid = cid_of(b"hello");
    server.store.put_blocks(&[(cid, Bytes::from_static(b"hello"))]).unwrap();
    let pin = json!({
        "cid": cid.to_string(), "name": "greeting",
        "origins": ["/ip4/127.0.0.1/tcp/4001"], "meta": { "app": "a" },
    });
    let made = server.pin(pin.clone()).await;
    assert_eq!((&made["status"], &made["pin"]), (&json!("pinned"), &pin));
    assert!(made["delegates"].is_array() && made["created"].is_string());
    assert_eq!(server.store.pinned(&cid).unwrap().unwrap().name, "greeting");

    let path = format!("/pins/{}", made["requestid"].as_str().unwrap());
    assert_eq!(server.ask("GET", &path, None).await, (200, made.clone()));
    let (_, listed) = server.ask("GET", "/pins", None).await;
    assert_eq!(listed, json!({ "count": 1, "results": [made] }));

    assert_eq!(server.ask("DELETE", &path, None).await.0, 202);
    assert_eq!(server.ask("GET", &path, None).await.0, 404);
    assert_eq!(server.ask("DELETE", &path, None).await.0, 404);
    assert_eq!(server.store.pinned(&cid).unwrap(), None);
}

#[tokio::test]
async fn a_pin_stays_while_anything_needs_it() {
    let server = Server::private().await;
    let uploaded = server.keep(b"uploaded");
    let made = server.pin(json!({ "cid": uploaded.to_string() })).await;
    let path = format!("/pins/{}", made["requestid"].as_str().unwrap());
    assert_eq!(server.ask("DELETE", &path, None).await.0, 202);
    assert!(server.store.pinned(&uploaded).unwrap().is_some());

    let cid = cid_of(b"hello");
    server.store.put_blocks(&[(cid, Bytes::from_static(b"hello"))]).unwrap();
    let mut paths = Vec::new();
    for _ in 0..2 {
        let made = server.pin(json!({ "cid": cid.to_string() })).await;
        paths.push(format!("/pins/{}", made["requestid"].as_str().unwrap()));
    }
    assert_ne!(paths[0], paths[1]);
    assert_eq!(server.ask("DELETE", &paths[0], None).await.0, 202);
    assert!(server.store.pinned(&cid).unwrap().is_some());
    assert_eq!(server.ask("DELETE", &paths[1], None).await.0, 202);
    assert!(server.store.pinned(&cid).unwrap().is_none());
}

#[tokio::test]
async fn a_request_is_replaced_in_one_step() {
    let server = Server::private().await;
    let (old, new) = (cid_of(b"old"), cid_of(b"new"));
    let blocks = [(old, Bytes::from_static(b"old")), (new, Bytes::from_static(b"new"))];
    server.store.put_blocks(&blocks).unwrap();
    let made = server.pin(json!({ "cid": old.to_string(), "name": "old" })).await;
    let path = format!("/pins/{}", made["requestid"].as_str().unwrap());
    let body = json!({ "cid": new.to_string(), "name": "new" });
    let (status, replaced) = server.ask("POST", &path, Some(body.clone())).await;
    assert_eq!(status, 202);
    assert_ne!(replaced["requestid"], made["requestid"]);
    assert_eq!(server.names("").await, (1, vec!["new".to_owned()]));
    assert!(server.store.pinned(&old).unwrap().is_none());
    assert!(server.store.pinned(&new).unwrap().is_some());
    assert_eq!(server.ask("POST", &path, Some(body)).await.0, 404);
}

#[tokio::test]
async fn requests_are_filtered_and_paged() {
    let server = Server::private().await;
    let mut created = Vec::new();
    for index in 0..12 {
        let cid = server.keep(format!("content {index}").as_bytes());
        let parity = (index % 2).to_string();
        let name = format!("Pin {index}");
        let body = json!({ "cid": cid.to_string(), "name": name, "meta": { "parity": parity } });
        created.push(server.pin(body).await["created"].as_str().unwrap().to_owned());
    }
    let gone = cid_of(b"elsewhere");
    server.pin(json!({ "cid": gone.to_string(), "name": "gone" })).await;

    let (count, names) = server.names("").await;
    assert_eq!((count, names.len()), (12, 10));
    assert_eq!((names[0].as_str(), names[9].as_str()), ("Pin 11", "Pin 2"));
    assert_eq!(
        server.names(&format!("?status=pinned&before={}", created[2])).await.1,
        ["Pin 1", "Pin 0"]
    );
    assert_eq!(server.names(&format!("?status=pinned&after={}", created[10])).await.1, ["Pin 11"]);
    assert_eq!(server.names("?limit=3").await.1.len(), 3);
    assert_eq!(server.names("?name=Pin%201").await.1, ["Pin 1"]);
    assert!(server.names("?name=pin%201").await.1.is_empty());
    assert_eq!(server.names("?name=pin%201&match=iexact").await.1, ["Pin 1"]);
    assert_eq!(server.names("?name=in%201&match=partial").await.1, ["Pin 11", "Pin 10", "Pin 1"]);
    assert_eq!(server.names("?name=PIN%2011&match=ipartial").await.1, ["Pin 11"]);
    assert_eq!(server.names("?meta={%22parity%22:%221%22}&limit=1").await.0, 6);
    assert_eq!(server.names("?status=queued,failed").await.1, ["gone"]);
    assert_eq!(server.names("?status=failed&status=pinned&limit=1000").await.0, 13);
    let (first, last) = (cid_of(b"content 0"), cid_of(b"content 11"));
    assert_eq!(server.names(&format!("?cid={first},{last}")).await.1, ["Pin 11", "Pin 0"]);
    assert_eq!(server.names(&format!("?cid={first}&cid={last}&cid={gone}")).await.0, 3);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_in_the_specified_form() {
    let server = Server::private().await;
    let cid = cid_of(b"hello").to_string();
    let long = "n".repeat(256);
    for (method, path, body, status, reason) in [
        ("POST", "/pins", None, 400, "BAD_REQUEST"),
        ("POST", "/pins", Some(json!({})), 400, "BAD_REQUEST"),
        ("POST", "/pins", Some(json!({ "cid": "none" })), 400, "BAD_REQUEST"),
        ("POST", "/pins", Some(json!({ "cid": cid, "name": long })), 400, "BAD_REQUEST"),
        (
            "POST",
            "/pins",
            Some(json!({ "cid": cid, "origins": vec!["/a"; 21] })),
            400,
            "BAD_REQUEST",
        ),
        ("POST", "/pins", Some(json!({ "cid": cid, "meta": { "a": 1 } })), 400, "BAD_REQUEST"),
        ("POST", "/pins", Some(json!({ "cid": "a".repeat(20_000) })), 413, "PAYLOAD_TOO_LARGE"),
        ("GET", "/pins?limit=0", None, 400, "BAD_REQUEST"),
        ("GET", "/pins?limit=1001", None, 400, "BAD_REQUEST"),
        ("GET", "/pins?status=done", None, 400, "BAD_REQUEST"),
        ("GET", "/pins?match=like", None, 400, "BAD_REQUEST"),
        ("GET", "/pins?before=yesterday", None, 400, "BAD_REQUEST"),
        ("GET", "/pins?meta=[]", None, 400, "BAD_REQUEST"),
        ("GET", "/pins?cid=none", None, 400, "BAD_REQUEST"),
        ("GET", "/pins/none", None, 404, "NOT_FOUND"),
        ("GET", "/pins/..%2f..", None, 404, "NOT_FOUND"),
        ("DELETE", "/pins/0123456789abcdef", None, 404, "NOT_FOUND"),
    ] {
        let (found, error) = server.ask(method, path, body).await;
        assert_eq!(found, status, "{method} {path}: {error}");
        assert_eq!(error["error"]["reason"], reason, "{method} {path}");
        assert!(error["error"]["details"].is_string());
    }
}

#[tokio::test]
async fn a_token_is_asked_for_in_the_specified_form() {
    let access = Access::Token(Secret::new("secret".to_owned()));
    let server = Server::start(Face::Private, HttpOptions { access, ..Default::default() }).await;
    let (status, error) = server.ask("GET", "/pins", None).await;
    assert_eq!((status, &error["error"]["reason"]), (401, &json!("UNAUTHORIZED")));
    let answer = server.get_with("/pins", &[("authorization", "Bearer secret")]).await;
    assert_eq!(answer.status(), 200);
}

/// What another store holds.
#[derive(Debug)]
struct Elsewhere(Store);

#[async_trait::async_trait]
impl BlockSource for Elsewhere {
    fn name(&self) -> String {
        "elsewhere".to_owned()
    }

    async fn block(&self, cid: &Cid) -> Result<Bytes, SourceError> {
        let block = self.0.block(cid).unwrap();
        block.ok_or_else(|| SourceError::NotFound { from: self.name() })
    }
}

#[tokio::test]
async fn content_that_is_elsewhere_is_fetched() {
    let there = Server::private().await;
    let bytes = content(700_000);
    let root = there.keep(&bytes);
    let options = |store: &Store| HttpOptions {
        fetcher: Some(Fetcher::new(
            store.clone(),
            vec![Arc::new(Elsewhere(there.store.clone()))],
            FetchLimits::default(),
        )),
        ..Default::default()
    };
    let here = Server::start_with(Face::Private, options).await;
    let made = here.pin(json!({ "cid": root.to_string(), "name": "fetched" })).await;
    assert_eq!(here.settled(&made).await["status"], "pinned");
    assert_eq!(here.store.pinned(&root).unwrap().unwrap().name, "fetched");
    let answer = here.get(&format!("/get?cid={root}")).await;
    assert_eq!(answer.bytes().await.unwrap(), bytes);

    let made = here.pin(json!({ "cid": cid_of(b"nowhere").to_string() })).await;
    let failed = here.settled(&made).await;
    assert_eq!(failed["status"], "failed");
    let details = failed["info"]["status_details"].as_str().unwrap();
    assert!(details.contains("elsewhere: not found"), "{details}");

    let other = there.keep(b"other");
    let url = here.url(&format!("/api/v0/pin/add?arg={other}"));
    assert_eq!(here.client.post(url).send().await.unwrap().status(), 200);
    assert!(here.store.pinned(&other).unwrap().is_some());

    let third = there.keep(b"third");
    assert_eq!(here.get(&format!("/get?cid={third}")).await.text().await.unwrap(), "third");
    assert!(here.store.pinned(&third).unwrap().is_none());
    let nowhere = cid_of(b"nowhere");
    assert_eq!(here.get(&format!("/get?cid={nowhere}")).await.status(), 500);
    assert_eq!(here.get(&format!("/ipfs/{}", there.keep(b"fourth"))).await.status(), 404);
}

#[tokio::test]
async fn requests_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let options = |_: &Store| HttpOptions {
        requests: Some(folder.path().join("requests.redb")),
        ..Default::default()
    };
    let mut server = Server::start_with(Face::Private, options).await;
    let cid = server.keep(b"hello");
    let mut ids = Vec::new();
    for index in 0..3 {
        let made = server.pin(json!({ "cid": cid.to_string(), "name": format!("{index}") })).await;
        ids.push(made["requestid"].as_str().unwrap().to_owned());
    }
    server.ask("DELETE", &format!("/pins/{}", ids[1]), None).await;
    server.stop.cancel();
    (&mut server.task).await.unwrap();
    drop(server);

    let server = Server::start_with(Face::Private, options).await;
    server.keep(b"hello");
    assert_eq!(server.names("").await, (2, vec!["2".to_owned(), "0".to_owned()]));
    let held = options(&server.store);
    let error = PinnerApi::new(server.store.clone(), held).unwrap_err();
    assert!(error.to_string().contains("in use by another process"), "{error}");
    // A pin that is gone is not called one.
    server.store.unpin(&cid).unwrap();
    let (_, shown) = server.ask("GET", &format!("/pins/{}", ids[0]), None).await;
    assert_eq!(shown["status"], "failed");
}

#[tokio::test]
async fn a_file_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests.redb");
    std::fs::write(&path, b"something else").unwrap();
    let store = Store::open(&folder.path().join("pins"), StoreOptions::default()).unwrap();
    let options = HttpOptions { requests: Some(path.clone()), ..Default::default() };
    let error = PinnerApi::new(store, options).unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()), "{error}");
}
