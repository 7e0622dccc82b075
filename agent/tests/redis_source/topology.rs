//! TLS, sentinels and clusters.

use crate::{
    fixture::{CLAIM_IDLE, config, next},
    server::{PATIENCE, connection, free_port, start},
};
use bsp_agent::{
    alarm::Alarms,
    source::{
        DeadLetter, Source, SourceError,
        redis::{RedisSourceConfig, dead_letters::DeadLetters, open, overview},
    },
};
use bsp_stream::RedisUrl;
use bsp_tests::servers::{certificate::Certificate, redis::RedisServer};
use redis::cmd;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Opens as soon as that works: sentinels and clusters need a moment to find together.
async fn open_patiently(config: RedisSourceConfig) -> Source {
    let begin = Instant::now();
    loop {
        match open(config.clone(), Alarms::default(), CancellationToken::new()).await {
            Ok(source) => return source,
            Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// An entry through all that the source does.
async fn use_it(source: &mut Source, url: &RedisUrl, ca_file: Option<&Path>) {
    let first = next(source).await;
    assert_eq!(first.hash.as_deref(), Some("0xaa"));
    let letter = DeadLetter {
        entry: first.entry,
        hash: first.hash,
        reason: "bad".to_owned(),
        payload: None,
        supplement: None,
    };
    source.settlement.bury(&letter).await.unwrap();
    let mut dead = DeadLetters::open(url, ca_file).await.unwrap();
    let letters = dead.list().await.unwrap();
    dead.retry(&letters[0].id).await.unwrap();
    let again = next(source).await;
    source.settlement.acknowledge(&again.entry).await.unwrap();
    let seen = overview(url, ca_file).await.unwrap();
    assert_eq!((seen.length, seen.dead, seen.groups[0].pending), (0, 0, 0));
}

fn add_block() -> redis::Cmd {
    let mut command = cmd("XADD");
    command.arg("t").arg("*").arg("hash").arg("0xaa").arg("data").arg("d");
    command
}

#[tokio::test]
async fn tls_works_with_an_authority_of_ones_own_and_not_without() {
    let Some(certificate) = Certificate::make() else { return };
    let tls_port = free_port();
    let arguments = certificate.redis_arguments(tls_port);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let Some(server) = start(&arguments).await else { return };
    let mut redis = connection(&format!("redis://127.0.0.1:{}", server.address().port())).await;
    add_block().exec_async(&mut redis).await.unwrap();

    let url = RedisUrl::parse(&format!("rediss://127.0.0.1:{tls_port}?topic=t"), None).unwrap();
    let (ca_file, folder) = (certificate.file(), tempfile::tempdir().unwrap());
    let trusting =
        RedisSourceConfig { ca_file: Some(ca_file.clone()), ..config(&url, "one", CLAIM_IDLE) };
    let mut source = open_patiently(trusting.clone()).await;
    use_it(&mut source, &url, Some(&ca_file)).await;

    let open = |config| open(config, Alarms::default(), CancellationToken::new());
    let distrusting = open(RedisSourceConfig { ca_file: None, ..trusting.clone() }).await;
    assert!(distrusting.unwrap_err().to_string().contains("certificate"));
    let missing = ca_file.with_file_name("missing.pem");
    let error =
        open(RedisSourceConfig { ca_file: Some(missing), ..trusting.clone() }).await.unwrap_err();
    assert!(
        matches!(&error, SourceError::Refused { reason, .. } if reason.contains("missing.pem"))
    );
    let key = folder.path().join("no-certificate.pem");
    std::fs::write(&key, "nothing of the kind").unwrap();
    let error = open(RedisSourceConfig { ca_file: Some(key), ..trusting }).await.unwrap_err();
    assert!(
        matches!(&error, SourceError::Refused { reason, .. } if reason.contains("no certificate"))
    );
}

#[tokio::test]
async fn sentinels_name_the_master() {
    let Some(master) = start(&[]).await else { return };
    let sentinel = RedisServer::start_sentinel("main", master.address()).await.unwrap();
    let mut redis = connection(&format!("redis://127.0.0.1:{}/2", master.address().port())).await;
    add_block().exec_async(&mut redis).await.unwrap();

    let nobody = free_port();
    let text = format!(
        "redis+sentinel://127.0.0.1:{nobody},127.0.0.1:{}/main/2?topic=t",
        sentinel.address().port()
    );
    let url = RedisUrl::parse(&text, None).unwrap();
    let mut source = open_patiently(config(&url, "one", CLAIM_IDLE)).await;
    use_it(&mut source, &url, None).await;

    let text = format!("redis+sentinel://127.0.0.1:{}/absent?topic=t", sentinel.address().port());
    let url = RedisUrl::parse(&text, None).unwrap();
    let error = overview(&url, None).await.unwrap_err();
    assert!(matches!(error, SourceError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn a_cluster_is_read_and_settled() {
    let bus = free_port().to_string();
    let Some(server) = start(&["--cluster-enabled", "yes", "--cluster-port", &bus]).await else {
        return;
    };
    let mut redis = connection(&format!("redis://127.0.0.1:{}", server.address().port())).await;
    let slots = ["CLUSTER", "ADDSLOTSRANGE", "0", "16383"];
    redis::Cmd::new().arg(&slots).exec_async(&mut redis).await.unwrap();

    let text = format!("redis+cluster://127.0.0.1:{}?topic=t", server.address().port());
    let url = RedisUrl::parse(&text, None).unwrap();
    let mut source = open_patiently(config(&url, "one", CLAIM_IDLE)).await;
    add_block().exec_async(&mut redis).await.unwrap();
    use_it(&mut source, &url, None).await;
}
