//! Who is listened to, and for how long.

use crate::support::{Server, content};
use bsp_common::secret::Secret;
use bsp_pinner::{
    http::{Access, Face, HttpLimits, HttpOptions, PinnerApi, PinnerServer, ServerError},
    store::{Store, StoreOptions},
};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::{io::AsyncReadExt, net::TcpStream};

fn api(access: Access) -> PinnerApi {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("pins"), StoreOptions::default()).unwrap();
    PinnerApi::new(store, HttpOptions { access, ..HttpOptions::default() }).unwrap()
}

#[tokio::test]
async fn other_machines_need_a_token_or_leave() {
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let refused = PinnerServer::bind(api(Access::ThisMachine), Face::Private, anywhere).await;
    let error = refused.unwrap_err();
    assert!(matches!(error, ServerError::Exposed { .. }), "{error}");
    for access in [Access::Token(Secret::new("secret".to_owned())), Access::Anyone] {
        PinnerServer::bind(api(access), Face::Private, anywhere).await.unwrap();
    }
    PinnerServer::bind(api(Access::ThisMachine), Face::Public, anywhere).await.unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = Server::private().await;
    let again = PinnerServer::bind(api(Access::ThisMachine), Face::Private, taken.address).await;
    assert!(
        matches!(again.unwrap_err(), ServerError::InUse { address } if address == taken.address)
    );
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
    let error =
        PinnerServer::bind(api(Access::Anyone), Face::Private, elsewhere).await.unwrap_err();
    assert!(matches!(error, ServerError::Address { .. }), "{error}");
}

#[tokio::test]
async fn the_public_listener_has_the_gateway_alone() {
    let server = Server::public().await;
    let cid = server.keep(b"hello");
    assert_eq!(server.get(&format!("/ipfs/{cid}")).await.text().await.unwrap(), "hello");
    for path in ["/health", "/get", "/api/v0/version", "/pins", "/", "/ipfs", "/ipfs/"] {
        assert_eq!(server.get(path).await.status(), 404, "{path}");
    }
    assert_eq!(server.post("/upload", &[("a", b"more")]).await.0, 404);
    let posted = server.client.post(server.url(&format!("/ipfs/{cid}"))).send().await.unwrap();
    assert_eq!(posted.status(), 405);
    assert_eq!(server.store.usage().unwrap().pins, 1);
}

#[tokio::test]
async fn web_pages_read_public_content_and_nothing_else() {
    let server = Server::public().await;
    let cid = server.keep(b"hello");
    let answer =
        server.get_with(&format!("/ipfs/{cid}"), &[("origin", "https://page.example")]).await;
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let options = reqwest::Method::OPTIONS;
    let url = server.url(&format!("/ipfs/{cid}"));
    let answer = server.client.request(options, url).send().await.unwrap();
    assert_eq!(answer.status(), 204);
    assert!(answer.headers().contains_key("access-control-allow-headers"));

    let server = Server::private().await;
    let origin = [("origin", "https://page.example")];
    assert_eq!(server.get_with("/get", &origin).await.status(), 403);
    assert_eq!(server.get_with("/health", &[("host", "page.example")]).await.status(), 403);
    assert_eq!(server.get("/health").await.status(), 200);
}

#[tokio::test]
async fn a_token_is_needed_where_one_is_set() {
    let access = Access::Token(Secret::new("secret".to_owned()));
    let server = Server::start(Face::Private, HttpOptions { access, ..Default::default() }).await;
    let answer = server.get("/get").await;
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    assert!(answer.text().await.unwrap().starts_with("{\"error\": "));
    let answer = server.get_with("/get", &[("authorization", "Bearer secret")]).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn it_ends_when_it_is_told_to() {
    let mut server = Server::private().await;
    assert_eq!(server.get("/health").await.status(), 200);
    server.stop.cancel();
    (&mut server.task).await.unwrap();
    TcpStream::connect(server.address).await.unwrap_err();
}

#[tokio::test]
async fn a_thousand_idle_connections_are_no_hindrance() {
    let server = Server::private().await;
    let cid = server.keep(&content(600_000));
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    for _ in 0..3 {
        let answer = server.get(&format!("/ipfs/{cid}")).await;
        assert_eq!(answer.bytes().await.unwrap(), content(600_000));
        assert_eq!(server.post("/upload", &[("a", b"hello")]).await.0, 200);
    }
    // The earliest had to make room.
    assert_eq!(idle[0].read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn more_uploads_than_there_are_places_for_wait() {
    let limits = HttpLimits { uploads: 1, ..Default::default() };
    let server = Server::start(Face::Private, HttpOptions { limits, ..Default::default() }).await;
    let answers = futures::future::join_all((0u8..8).map(|each| {
        let server = &server;
        async move { server.post("/upload", &[("a", &[each])]).await.0 }
    }));
    assert_eq!(answers.await, [200; 8]);
    assert_eq!(server.store.usage().unwrap().pins, 8);
}
