//! A server that behaves as a bucket does, and servers that do not.

use super::*;
use crate::pin::test_server::{content, failure_of, raw, serve};
use axum::{
    Router,
    extract::{Path as PathPart, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::put,
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

/// An object with what is noted beside it.
#[derive(Debug, Clone)]
struct Object {
    bytes: Bytes,
    digest: String,
}

/// Keeps objects, and how often one was put.
#[derive(Debug, Default)]
struct Fake {
    objects: Mutex<HashMap<String, Object>>,
    puts: Mutex<usize>,
    forgets: bool,
}

impl Fake {
    async fn put(
        State(fake): State<Arc<Self>>,
        PathPart(key): PathPart<String>,
        headers: HeaderMap,
        bytes: Bytes,
    ) -> Response {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        assert!(header("authorization").is_some_and(|value| value.contains("Credential=AKIA/")));
        let checksum = header("x-amz-checksum-sha256").map(str::to_owned);
        assert_eq!(checksum, Some(base64_simd::STANDARD.encode_to_string(Sha256::digest(&bytes))));
        *fake.puts.lock().unwrap() += 1;
        if !fake.forgets {
            let digest = header("x-amz-meta-sha256").unwrap().to_owned();
            fake.objects.lock().unwrap().insert(key, Object { bytes, digest });
        }
        ([("etag", "\"1\"")], ()).into_response()
    }

    /// HEAD and GET, of which the server sends no body for the first.
    async fn get(State(fake): State<Arc<Self>>, PathPart(key): PathPart<String>) -> Response {
        let Some(object) = fake.objects.lock().unwrap().get(&key).cloned() else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let headers = [
            ("etag", "\"1\"".to_owned()),
            ("last-modified", "Sat, 28 Nov 2026 00:00:00 GMT".to_owned()),
            ("x-amz-meta-sha256", object.digest),
        ];
        (headers, object.bytes).into_response()
    }

    async fn start(forgets: bool) -> (Arc<Self>, S3Bucket) {
        let fake = Arc::new(Self { forgets, ..Self::default() });
        let router = Router::new()
            .route("/segments/{*key}", put(Self::put).get(Self::get))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&fake));
        (fake, bucket(serve(router).await))
    }
}

fn bucket(address: SocketAddr) -> S3Bucket {
    let builder = AmazonS3Builder::new()
        .with_endpoint(format!("http://{address}"))
        .with_access_key_id("AKIA")
        .with_secret_access_key("s3cret");
    S3Bucket::with(builder, "segments", "mainnet/car").unwrap()
}

#[tokio::test]
async fn an_archive_is_put_once_and_given_back() {
    let (fake, bucket) = Fake::start(false).await;
    assert_eq!(bucket.check().await.unwrap(), "bucket segments answers");
    for len in [0, 262_144, 700_000] {
        let content = content(len);
        assert!(!bucket.holds(&content).await.unwrap());
        bucket.pin(&content).await.unwrap();
        bucket.pin(&content).await.unwrap();
        assert!(bucket.holds(&content).await.unwrap());
        let key = format!("mainnet/car/{}.car", content.cid);
        let kept = fake.objects.lock().unwrap()[&key].clone();
        assert_eq!(kept.bytes, CarBody::of(&content).await.pieces().concat());
    }
    assert_eq!(*fake.puts.lock().unwrap(), 3);
    assert!(!format!("{bucket:?}").contains("s3cret"), "{bucket:?}");
}

#[tokio::test]
async fn what_is_damaged_is_not_given_back_and_what_is_cut_is_put_again() {
    let (fake, bucket) = Fake::start(false).await;
    let content = content(700_000);
    bucket.pin(&content).await.unwrap();
    let key = format!("mainnet/car/{}.car", content.cid);
    let damage = |change: fn(&mut Vec<u8>)| {
        let mut objects = fake.objects.lock().unwrap();
        let object = objects.get_mut(&key).unwrap();
        let mut bytes = object.bytes.to_vec();
        change(&mut bytes);
        object.bytes = bytes.into();
    };
    damage(|bytes| bytes[500_000] ^= 1);
    assert!(!bucket.holds(&content).await.unwrap());
    damage(|bytes| bytes.truncate(1000));
    assert!(!bucket.holds(&content).await.unwrap());
    bucket.pin(&content).await.unwrap();
    assert!(bucket.holds(&content).await.unwrap());
}

#[tokio::test]
async fn a_bucket_that_does_not_hold_what_it_took_is_found_out() {
    let (_, bucket) = Fake::start(true).await;
    let told = failure_of(bucket.pin(&content(7)).await);
    assert!(told.contains("does not hold it"), "{told}");
}

#[tokio::test]
async fn errors_are_told_and_may_pass() {
    let denied = || async {
        let body = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        (StatusCode::FORBIDDEN, body)
    };
    let elsewhere =
        || async { (StatusCode::TEMPORARY_REDIRECT, [("location", "http://127.0.0.1:1/")]) };
    let routers = [
        Router::new().route("/segments/{*key}", put(denied).get(denied)),
        Router::new().route("/segments/{*key}", put(elsewhere).get(elsewhere)),
    ];
    for router in routers {
        let bucket = bucket(serve(router).await);
        let told = failure_of(bucket.pin(&content(7)).await);
        assert!(!told.is_empty() && !told.contains("s3cret"), "{told}");
        bucket.check().await.unwrap_err();
    }
    for bytes in [&b""[..], b"HTTP/1.1 200 OK\r\ncontent-length: 80\r\n\r\n{"] {
        failure_of(bucket(raw(bytes, false).await).pin(&content(7)).await);
    }
}

#[test]
fn half_a_key_is_no_key() {
    let builder = AmazonS3Builder::new().with_access_key_id("AKIA");
    let error = S3Bucket::with(builder, "segments", "").unwrap_err().to_string();
    assert!(error.starts_with("the bucket can't be used: "), "{error}");
}
