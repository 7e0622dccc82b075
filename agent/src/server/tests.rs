use super::*;
use crate::{
    alarm::AlarmKind,
    block::{BlockId, SegmentName},
    journal::{SegmentFacts, Stage, Verification},
    proof::{Attempt, SentTransaction},
};
use alloy_primitives::B256;
use bsp_codec::ReplicaKind;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[derive(Debug)]
struct Status;

impl StatusSource for Status {
    fn status(&self) -> Value {
        json!({ "stages": { "pinned": 3 } })
    }

    fn blocks(&self, wanted: BlockQuery) -> Result<Vec<BlockRecord>, JournalError> {
        let record = being_proved();
        Ok(if wanted.matches(&record) { vec![record] } else { Vec::new() })
    }
}

/// Block 7, whose proof is on its way.
fn being_proved() -> BlockRecord {
    let block = BlockId { network_id: 1, number: 7, hash: B256::repeat_byte(7) };
    let name = SegmentName::new(&block, ReplicaKind::Replica);
    let sent = SentTransaction {
        hash: B256::repeat_byte(8),
        max_fee_per_gas: 1,
        max_priority_fee_per_gas: 1,
        signed_ms: 1,
        raw: b"signed".into(),
    };
    let stage = Stage::ProofSent {
        segment: SegmentFacts {
            name,
            length: 3,
            specimen_hash: B256::ZERO,
            cid: "bafk".to_owned(),
        },
        verification: Verification::Executed,
        attempts: vec![Attempt { nonce: 5, transactions: vec![sent] }],
    };
    BlockRecord::new(block, ReplicaKind::Replica, Vec::new(), stage)
}

fn local(port: u16) -> ServerConfig {
    ServerConfig { host: "127.0.0.1".to_owned(), port }
}

/// A server on a free port, and what ends it.
async fn serving(alarms: Alarms) -> (SocketAddr, CancellationToken) {
    let server = Server::bind(&local(0)).await.unwrap();
    let address = server.local_addr().unwrap();
    let shown = Shown { metrics: Metrics::detached(), alarms, status: Arc::new(Status) };
    let stop = CancellationToken::new();
    tokio::spawn(server.serve(shown, stop.clone()));
    (address, stop)
}

async fn get_path(address: SocketAddr, path: &str) -> (u16, String, String) {
    let response = reqwest::get(format!("http://{address}{path}")).await.unwrap();
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    (response.status().as_u16(), kind.unwrap_or_default(), response.text().await.unwrap())
}

#[tokio::test]
async fn metrics_come_as_text_and_json() {
    let (address, _stop) = serving(Alarms::default()).await;
    for path in ["/metrics", "/debug/metrics/prometheus"] {
        let (code, kind, text) = get_path(address, path).await;
        assert_eq!((code, kind.starts_with("text/plain; version=0.0.4")), (200, true));
        assert!(text.contains("test_total 1"), "{text}");
    }
    let (code, kind, text) = get_path(address, "/debug/metrics").await;
    assert_eq!((code, kind.as_str()), (200, "application/json"));
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["test_total"], 1);
}

#[tokio::test]
async fn health_follows_the_alarms() {
    let alarms = Alarms::default();
    let (address, _stop) = serving(alarms.clone()).await;
    let (code, _, text) = get_path(address, "/health").await;
    assert_eq!((code, text.as_str()), (200, "{\"status\":\"ok\"}"));
    alarms.raise(AlarmKind::PinnerFailing, "no answer");
    let (code, _, text) = get_path(address, "/health").await;
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, 503);
    assert_eq!(body["alarms"]["pinner_failing"]["message"], "no answer");
    alarms.clear(AlarmKind::PinnerFailing);
    assert_eq!(get_path(address, "/health").await.0, 200);
}

#[tokio::test]
async fn the_status_is_the_pipelines() {
    let (address, _stop) = serving(Alarms::default()).await;
    let (code, _, text) = get_path(address, "/status").await;
    assert_eq!((code, text.as_str()), (200, "{\"stages\":{\"pinned\":3}}"));
}

#[tokio::test]
async fn a_block_is_found_by_height_and_hash_without_what_was_signed() {
    let (address, _stop) = serving(Alarms::default()).await;
    for name in ["7".to_owned(), B256::repeat_byte(7).to_string()] {
        let (code, _, text) = get_path(address, &format!("/blocks/{name}")).await;
        let records: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(code, 200);
        assert_eq!(records[0]["block"]["number"], 7);
        let attempt = &records[0]["stage"]["attempts"][0];
        assert_eq!(attempt["transactions"][0]["hash"], B256::repeat_byte(8).to_string());
        assert!(attempt["transactions"][0].get("raw").is_none(), "{text}");
    }
    assert_eq!(get_path(address, "/blocks/8").await, (200, "application/json".into(), "[]".into()));
    for name in ["latest", "0x12", "-1"] {
        let (code, _, text) = get_path(address, &format!("/blocks/{name}")).await;
        assert_eq!(code, 400, "{name}");
        assert!(text.contains("expected a height"), "{text}");
    }
}

#[tokio::test]
async fn nothing_else_is_answered() {
    let (address, _stop) = serving(Alarms::default()).await;
    assert_eq!(get_path(address, "/").await.0, 404);
    let client = reqwest::Client::new();
    let post = client.post(format!("http://{address}/status")).body("x").send().await.unwrap();
    assert_eq!(post.status(), 405);
}

#[tokio::test]
async fn garbage_does_not_stop_it() {
    let (address, _stop) = serving(Alarms::default()).await;
    for garbage in [&b"\0\0\0\r\n\r\n"[..], b"GET / HTTP/9\r\n\r\n", &[b'a'; 1 << 20]] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(garbage).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    assert_eq!(get_path(address, "/health").await.0, 200);
}

#[tokio::test]
async fn it_ends_with_its_connections() {
    let (address, stop) = serving(Alarms::default()).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    assert_eq!(get_path(address, "/health").await.0, 200);
    stop.cancel();
    assert_eq!(idle.read_to_end(&mut Vec::new()).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn ports_that_cannot_be_had_are_told_apart() {
    let first = Server::bind(&local(0)).await.unwrap();
    let port = first.local_addr().unwrap().port();
    let in_use = Server::bind(&local(port)).await.unwrap_err();
    assert!(matches!(in_use, ServerError::InUse { .. }), "{in_use:?}");
    assert!(in_use.to_string().contains("--metrics.port"), "{in_use}");
    for host in ["192.0.2.1", "not a host"] {
        let error =
            Server::bind(&ServerConfig { host: host.to_owned(), port: 0 }).await.unwrap_err();
        assert!(matches!(error, ServerError::Address { .. }), "{error:?}");
    }
}
