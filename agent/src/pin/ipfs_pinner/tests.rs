use super::*;
use crate::pin::test_server::{listen, raw, serve};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{any, post},
};
use bsp_codec::dag::cid_of;
use bytes::Bytes;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

fn content() -> Content {
    let bytes = Bytes::from(vec![7; 300_000]);
    Content { name: String::new(), cid: cid_of(&bytes), bytes }
}

fn pinner(address: SocketAddr) -> IpfsPinner {
    IpfsPinner::new(&format!("http://{address}").parse().unwrap(), None).unwrap()
}

/// A server that takes the whole upload and answers this.
async fn answering(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> IpfsPinner {
    let handler = move |_: Bytes| async move { answer() };
    pinner(serve(Router::new().route("/upload", any(handler))).await)
}

async fn failure(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> String {
    match answering(answer).await.pin(&content()).await {
        Err(PinError::Temporary { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

/// See [`raw`].
async fn sending(bytes: &'static [u8], keep: bool) -> IpfsPinner {
    pinner(raw(bytes, keep).await)
}

#[tokio::test]
async fn the_upload_is_the_agents() {
    type Seen = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;
    async fn take(State(seen): State<Seen>, headers: HeaderMap, body: Bytes) -> Response {
        seen.lock().unwrap().push((headers, body));
        // As ewm-das does, which warns of the old API.
        let warning = [("warning", "199 - \"Deprecated API, use /api/v1/upload\"")];
        (warning, format!("{{\"cid\": \"{}\"}}", content().cid)).into_response()
    }
    let seen = Seen::default();
    let router = Router::new()
        .route("/upload", post(take))
        .route("/below/upload", post(take))
        .with_state(seen.clone());
    let address = serve(router).await;
    for base in ["", "/", "/below", "/below/"] {
        let base = format!("http://user:pa55word@{address}{base}").parse().unwrap();
        let pinner = IpfsPinner::new(&base, None).unwrap();
        pinner.pin(&content()).await.unwrap();
        assert!(!format!("{pinner:?} {}", pinner.name()).contains("pa55word"));
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 4);
    for (headers, body) in seen.iter() {
        let kind = headers["content-type"].to_str().unwrap();
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"specimen\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        assert_eq!(*body, [head.as_bytes(), &content().bytes, tail.as_bytes()].concat());
        assert_eq!(headers["content-length"], body.len().to_string());
        assert!(headers["authorization"].to_str().unwrap().starts_with("Basic "));
    }
}

#[tokio::test]
async fn an_error_is_an_error_whatever_the_status() {
    let error = || "{\"error\": \"w3 says \"no\"\"}".into_response();
    assert_eq!(failure(error).await, "w3 says \"no\"");
    for status in [400u16, 405, 415, 429, 500, 502] {
        let reason = failure(move || {
            (StatusCode::from_u16(status).unwrap(), "{\"error\": \"refused\"}").into_response()
        });
        assert_eq!(reason.await, format!("status {status}: refused"));
    }
}

#[tokio::test]
async fn another_cid_is_told_apart() {
    for other in [cid_of(b"other").to_string(), "\u{1b}[31mbafk".to_owned()] {
        let returned = other.clone();
        let pinner =
            answering(move || serde_json::json!({ "cid": returned }).to_string().into_response());
        match pinner.await.pin(&content()).await {
            Err(PinError::OtherCid { computed, returned, .. }) => {
                assert_eq!(*computed, content().cid);
                assert!(!returned.contains('\u{1b}') && other.contains("bafk"), "{returned:?}");
            }
            result => panic!("{result:?}"),
        }
    }
}

#[tokio::test]
async fn nothing_and_garbage_are_no_reply() {
    assert_eq!(failure(|| "".into_response()).await, "the reply is empty");
    let garbage = failure(|| vec![0xff; 1000].into_response()).await;
    assert!(garbage.contains("not a JSON object"), "{garbage}");
}

#[tokio::test]
async fn a_huge_reply_is_not_read() {
    let reason = failure(|| vec![b' '; 1 << 20].into_response()).await;
    assert_eq!(reason, "the reply is longer than 65536 bytes");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = answering(|| panic!("the upload was redirected")).await;
    let location = elsewhere.service.url(&["upload"]).to_string();
    for status in [StatusCode::FOUND, StatusCode::TEMPORARY_REDIRECT] {
        let location = location.clone();
        let reason =
            failure(move || (status, [("location", location.clone())]).into_response()).await;
        assert!(reason.contains("redirects to another URL"), "{reason}");
    }
}

#[tokio::test]
async fn a_reply_that_drips_ends_at_the_deadline() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 80\r\n\r\n{";
    let pinner = sending(head, true).await.with_deadline(Duration::from_millis(200));
    let error = pinner.pin(&content()).await.unwrap_err().to_string();
    assert!(error.ends_with("no complete answer in time"), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_ends_at_the_deadline() {
    let pinner = sending(b"", true).await.with_deadline(Duration::from_millis(200));
    let error = pinner.pin(&content()).await.unwrap_err().to_string();
    assert!(error.ends_with("no complete answer in time"), "{error}");
}

#[tokio::test]
async fn a_broken_connection_is_temporary() {
    for bytes in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 80\r\n\r\n{\"cid\"", b"\0\0\0"] {
        let error = sending(bytes, false).await.pin(&content()).await.unwrap_err();
        assert!(matches!(error, PinError::Temporary { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn an_absent_server_is_named_without_its_secrets() {
    let (listener, address) = listen().await;
    drop(listener);
    let base = format!("http://user:pa55word@{address}/t0ken?key=t0ken").parse().unwrap();
    let error = IpfsPinner::new(&base, None).unwrap().pin(&content()).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(shown.contains(&format!("ipfs-pinner at http://{address}: ")), "{shown}");
    assert!(
        shown.contains("refused") && !shown.contains("pa55word") && !shown.contains("t0ken"),
        "{shown}"
    );
}

#[tokio::test]
async fn health_is_asked_for() {
    let router = |status: StatusCode| {
        Router::new().route("/health", any(move || async move { (status, "I'm healthy\n") }))
    };
    let healthy = pinner(serve(router(StatusCode::OK)).await).check().await.unwrap();
    assert!(healthy.ends_with("says: I'm healthy"), "{healthy}");
    let sick = pinner(serve(router(StatusCode::INTERNAL_SERVER_ERROR)).await);
    let sick = sick.check().await.unwrap_err().to_string();
    assert!(sick.ends_with("/health answers status 500: I'm healthy"), "{sick}");
    let silent = pinner(serve(Router::new()).await);
    let silent = silent.check().await.unwrap_err().to_string();
    assert!(silent.ends_with("/health answers status 404"), "{silent}");
}
