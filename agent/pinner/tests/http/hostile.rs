//! Requests that nobody should send.

use crate::support::{Server, content};
use bsp_pinner::http::{Face, HttpLimits, HttpOptions};
use std::fmt::Write as _;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const FORM: &str = "Content-Type: multipart/form-data; boundary=x\r\n";
const FILE: &str = "--x\r\nContent-Disposition: form-data; name=file; filename=f\r\n\r\n";

async fn small() -> Server {
    let limits = HttpLimits { body: 2 << 20, ..Default::default() };
    Server::start(Face::Private, HttpOptions { limits, ..Default::default() }).await
}

/// Sends the head of an upload and then `pieces` of a body, chunk by chunk, until the server has
/// had enough. Returns what it answers, and the bytes that it took.
async fn pour(server: &Server, begin: &str, piece: &[u8], pieces: usize) -> (String, usize) {
    let (mut from, mut to) = TcpStream::connect(server.address).await.unwrap().into_split();
    let answer = tokio::spawn(async move {
        let mut answer = Vec::new();
        let _ = from.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    });
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{FORM}\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    let mut taken = 0;
    let chunk =
        |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let mut broken = to.write_all(head.as_bytes()).await.is_err();
    broken |= to.write_all(&chunk(begin.as_bytes())).await.is_err();
    for _ in 0..pieces {
        broken = broken || to.write_all(&chunk(piece)).await.is_err();
        if broken {
            break;
        }
        taken += piece.len();
    }
    drop(to);
    (answer.await.unwrap(), taken)
}

#[tokio::test]
async fn a_body_without_an_end_is_broken_off() {
    let server = small().await;
    let (answer, taken) = pour(&server, FILE, &content(1 << 16), 4096).await;
    assert!(taken < 64 << 20, "{taken} bytes were taken");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(server.is_empty());
    assert_eq!(server.post("/upload", &[("a", b"hello")]).await.0, 200);
}

#[tokio::test]
async fn a_form_without_a_part_is_not_kept_in_memory() {
    let limits = HttpLimits { body: 1 << 40, ..Default::default() };
    let options = HttpOptions { limits, ..Default::default() };
    let server = Server::start(Face::Private, options).await;
    // No boundary at all, and a part whose head has no end.
    for begin in ["", "--x\r\nContent-Disposition: form-data"] {
        let (answer, taken) = pour(&server, begin, &[b'a'; 1 << 16], 4096).await;
        assert!(taken < 64 << 20, "{taken} bytes were taken");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 500"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_is_announced_too_long_is_refused() {
    let server = small().await;
    let (status, body) = server.post("/upload", &[("a", &content(3 << 20))]).await;
    assert_eq!(status, 413, "{body}");
    assert!(body.starts_with("{\"error\": \""), "{body}");
    assert!(server.is_empty());
}

#[tokio::test]
async fn a_form_that_breaks_off_keeps_nothing() {
    let server = Server::private().await;
    let whole = format!("{FILE}first\r\n{}second\r\n--x--\r\n", FILE.replace("=f\r", "=g\r"));
    for len in [whole.len() - 5, whole.len() - 20, FILE.len() + 3, FILE.len() - 5, 3] {
        let body = &whole[..len];
        let head = format!(
            "POST /upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{FORM}\
             Content-Length: {len}\r\n\r\n"
        );
        let answer = server.exchange(format!("{head}{body}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 500"), "{len}: {answer}");
        assert!(answer.contains("{\"error\": \"the form is malformed"), "{answer}");
    }
    assert!(server.is_empty());
}

#[tokio::test]
async fn a_lost_connection_keeps_nothing() {
    let server = Server::private().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: localhost\r\n{FORM}Content-Length: 9999999\r\n\r\n"
    );
    stream.write_all(format!("{head}{FILE}").as_bytes()).await.unwrap();
    stream.write_all(&content(2 << 20)).await.unwrap();
    drop(stream);
    server.stop.cancel();
    let mut server = server;
    (&mut server.task).await.unwrap();
    assert_eq!(server.store.usage().unwrap().pins, 0);
}

#[tokio::test]
async fn forms_of_too_many_parts_are_refused() {
    let server = Server::private().await;
    let mut body = String::new();
    for index in 0..2000 {
        write!(body, "--x\r\nContent-Disposition: form-data; name=a{index}\r\n\r\n\r\n").unwrap();
    }
    body.push_str("--x--\r\n");
    let files = (0..100).map(|index| (index.to_string(), Vec::new())).collect::<Vec<_>>();
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(name, file)| (name.as_str(), &file[..])).collect();
    let sent = server.client.post(server.url("/upload"));
    let kind = ("content-type", "multipart/form-data; boundary=x");
    let answer = sent.header(kind.0, kind.1).body(body).send().await.unwrap();
    assert!(answer.text().await.unwrap().contains("more than 1024 parts"));
    assert!(server.post("/upload", &files).await.1.contains("more than 64 files"));
    assert_eq!(server.store.usage().unwrap().pins, 0);
}

#[tokio::test]
async fn heads_that_are_none_are_refused() {
    let server = Server::private().await;
    for request in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n",
    ] {
        let answer = server.exchange(request).await;
        assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
    }
    let long =
        format!("GET /health HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
    let answer = server.exchange(long.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(server.get("/health").await.status(), 200);
}
