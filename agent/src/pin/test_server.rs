//! Servers for the tests of the pinners.

use super::{Content, PinError};
use axum::Router;
use bsp_codec::dag::cid_of;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A content of this length.
pub(crate) fn content(len: usize) -> Content {
    let bytes: Vec<u8> = (0..len).map(|index| (index / 1000) as u8).collect();
    Content { name: format!("1-{len}-replica"), cid: cid_of(&bytes), bytes: bytes.into() }
}

/// Why something failed that may pass.
#[track_caller]
pub(super) fn failure_of(result: Result<(), PinError>) -> String {
    match result {
        Err(PinError::Temporary { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(super) async fn serve(router: Router) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// A server that reads some of what comes, sends these bytes, and then ends or keeps the
/// connection.
pub(super) async fn raw(bytes: &'static [u8], keep: bool) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 100];
        stream.read_exact(&mut head).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        if keep {
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            std::future::pending::<()>().await;
        }
    });
    address
}
