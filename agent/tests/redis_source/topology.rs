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
use bsp_stream::{RedisUrl, TlsFiles};
use bsp_tests::servers::{certificate::Certificates, redis::RedisServer};
use redis::cmd;
use std::time::{Duration, Instant};
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
async fn use_it(source: &mut Source, url: &RedisUrl, tls: &TlsFiles) {
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
    let mut dead = DeadLetters::open(url, tls).await.unwrap();
    let letters = dead.list().await.unwrap();
    dead.retry(&letters[0].id).await.unwrap();
    let again = next(source).await;
    source.settlement.acknowledge(&again.entry).await.unwrap();
    let seen = overview(url, tls).await.unwrap();
    assert_eq!((seen.length, seen.dead, seen.groups[0].pending), (0, 0, 0));
}

fn add_block() -> redis::Cmd {
    let mut command = cmd("XADD");
    command.arg("t").arg("*").arg("hash").arg("0xaa").arg("data").arg("d");
    command
}

#[tokio::test]
async fn tls_works_with_an_authority_of_ones_own_and_not_without() {
    let (certificates, tls_port) = (Certificates::make(), free_port());
    let arguments = certificates.redis_arguments(tls_port);
    let Some(server) = start(&borrowed(&arguments)).await else { return };
    let mut redis = connection(&format!("redis://127.0.0.1:{}", server.address().port())).await;
    add_block().exec_async(&mut redis).await.unwrap();

    let url = tls_url(tls_port);
    let (ca_file, folder) = (certificates.authority(), tempfile::tempdir().unwrap());
    std::fs::copy(&ca_file, folder.path().join("our-authority.crt")).unwrap();
    std::fs::write(folder.path().join("README"), "nothing of the kind").unwrap();
    let in_folder = TlsFiles { ca_folders: vec![folder.path().to_owned()], ..TlsFiles::default() };
    for tls in [TlsFiles::trusting(ca_file.clone()), in_folder] {
        let config = RedisSourceConfig { tls: tls.clone(), ..config(&url, "one", CLAIM_IDLE) };
        let mut source = open_patiently(config).await;
        use_it(&mut source, &url, &tls).await;
        add_block().exec_async(&mut redis).await.unwrap();
    }

    let distrusting = refusal(&url, &TlsFiles::default()).await.to_string();
    assert!(distrusting.contains("UnknownIssuer") && distrusting.contains("REDIS_TLS_CA_FILE"));
    let missing = ca_file.with_file_name("missing.pem");
    let no_certificate = folder.path().join("README");
    let empty = TlsFiles {
        ca_folders: vec![tempfile::tempdir().unwrap().path().to_owned()],
        ..TlsFiles::default()
    };
    for (tls, told) in [
        (TlsFiles::trusting(missing), "missing.pem"),
        (TlsFiles::trusting(no_certificate), "README: it holds no certificate"),
        (empty, "No such file"),
    ] {
        let error = refusal(&url, &tls).await;
        assert!(
            matches!(&error, SourceError::Refused { reason, .. } if reason.contains(told)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_of_its_clients_gets_one() {
    let (certificates, tls_port) = (Certificates::make(), free_port());
    let arguments = certificates.redis_arguments_with_client_certificates(tls_port);
    let Some(server) = start(&borrowed(&arguments)).await else { return };
    let mut redis = connection(&format!("redis://127.0.0.1:{}", server.address().port())).await;
    add_block().exec_async(&mut redis).await.unwrap();

    let url = tls_url(tls_port);
    let (certificate, key) = certificates.client();
    let trusting = TlsFiles::trusting(certificates.authority());
    let tls = TlsFiles {
        client_certificate: Some(certificate.clone()),
        client_key: Some(key.clone()),
        ..trusting.clone()
    };
    let config = RedisSourceConfig { tls: tls.clone(), ..config(&url, "one", CLAIM_IDLE) };
    let mut source = open_patiently(config).await;
    use_it(&mut source, &url, &tls).await;

    // Certificate and key in one file.
    let both = certificate.with_file_name("both.pem");
    let text = [&certificate, &key].map(|file| std::fs::read_to_string(file).unwrap()).concat();
    std::fs::write(&both, text).unwrap();
    let in_one = TlsFiles { client_certificate: Some(both), ..trusting.clone() };
    overview(&url, &in_one).await.unwrap();

    let with = |client_certificate, client_key| TlsFiles {
        client_certificate,
        client_key,
        ..trusting.clone()
    };
    let others = Certificates::make();
    let foreign = others.client();
    let encrypted = certificate.with_file_name("encrypted.key");
    let text = std::fs::read_to_string(&key).unwrap().replace("PRIVATE", "ENCRYPTED PRIVATE");
    std::fs::write(&encrypted, text).unwrap();
    for (tls, told) in [
        (trusting.clone(), "name one in REDIS_TLS_CERT_FILE and its key in REDIS_TLS_KEY_FILE"),
        (with(None, Some(key)), "set REDIS_TLS_CERT_FILE"),
        (with(Some(certificate.clone()), None), "name the key's file in REDIS_TLS_KEY_FILE"),
        (with(Some(certificate.clone()), Some(encrypted)), "write it without a passphrase"),
        (with(Some(certificate), Some(foreign.1)), "does not belong to the certificate"),
    ] {
        let error = refusal(&url, &tls).await.to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[tokio::test]
async fn an_authority_that_is_its_own_server_is_told_as_such() {
    let (certificates, tls_port) = (Certificates::make(), free_port());
    let arguments = certificates.redis_arguments_of_an_authority(tls_port);
    let Some(_server) = start(&borrowed(&arguments)).await else { return };
    let error = refusal(&tls_url(tls_port), &TlsFiles::trusting(certificates.authority())).await;
    assert!(error.to_string().contains("basicConstraints=critical,CA:FALSE"), "{error}");
}

#[tokio::test]
async fn a_port_that_speaks_otherwise_than_the_url_is_told_as_such() {
    let (certificates, tls_port) = (Certificates::make(), free_port());
    let arguments = certificates.redis_arguments(tls_port);
    let Some(server) = start(&borrowed(&arguments)).await else { return };
    let (trusting, plain_port) =
        (TlsFiles::trusting(certificates.authority()), server.address().port());
    let plain = refusal(&tls_url(plain_port), &trusting).await.to_string();
    let told = format!("127.0.0.1:{plain_port} answers without TLS: write redis://");
    assert!(plain.contains(&told), "{plain}");
    let url = RedisUrl::parse(&format!("redis://127.0.0.1:{tls_port}?topic=t"), None).unwrap();
    let with_tls = refusal(&url, &trusting).await.to_string();
    let told = format!("127.0.0.1:{tls_port} answers with TLS: write rediss://");
    assert!(with_tls.contains(&told), "{with_tls}");
}

fn tls_url(port: u16) -> RedisUrl {
    RedisUrl::parse(&format!("rediss://127.0.0.1:{port}?topic=t"), None).unwrap()
}

fn borrowed(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// Why a source does not open.
async fn refusal(url: &RedisUrl, tls: &TlsFiles) -> SourceError {
    let config = RedisSourceConfig { tls: tls.clone(), ..config(url, "one", CLAIM_IDLE) };
    open(config, Alarms::default(), CancellationToken::new()).await.unwrap_err()
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
    use_it(&mut source, &url, &TlsFiles::default()).await;

    let text = format!("redis+sentinel://127.0.0.1:{}/absent?topic=t", sentinel.address().port());
    let url = RedisUrl::parse(&text, None).unwrap();
    let error = overview(&url, &TlsFiles::default()).await.unwrap_err();
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
    use_it(&mut source, &url, &TlsFiles::default()).await;
}
