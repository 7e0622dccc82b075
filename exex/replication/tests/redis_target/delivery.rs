//! What arrives.

use crate::fixture::{
    TOPIC, command, entries, entry, expected, plain_target, server, stream, until,
};
use bsp_codec::snappy;
use bsp_replication::{Entry, RedisOptions, RedisTarget, Target, TargetUrl};
use bsp_stream::TlsFiles;
use bsp_tests::servers::{certificate::Certificates, free_address};
use bytes::Bytes;
use redis::streams::{StreamId, StreamReadReply};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn entries_arrive_in_order_with_the_fields_of_the_network() {
    let Some(server) = server(&[]).await else { return };
    let mut target = plain_target(server.address());
    target.deliver(&[]).await.unwrap();
    target.deliver(&entries(0..200)).await.unwrap();
    target.deliver(&[entry(200)]).await.unwrap();
    assert_eq!(stream(&server).await, expected(&entries(0..=200)));
    assert_eq!((target.health().trouble(), target.health().retries()), (None, 0));
}

/// bsp-agent v1.9.2 reads with XREADGROUP and takes the values named `hash` and `data`.
#[tokio::test]
async fn a_supplement_is_a_further_field_that_nobody_has_to_know() {
    let Some(server) = server(&[]).await else { return };
    let _: String = command(&server, &["XGROUP", "CREATE", TOPIC, "group", "0", "MKSTREAM"]).await;
    let supplement = Bytes::from_static(&[0xc2, 0x01, 0x80]);
    let with = Entry { supplement: Some(supplement.clone()), ..entry(2) };
    let mut target = plain_target(server.address());
    target.deliver(&[entry(1), with, entry(3)]).await.unwrap();

    let read = ["XREADGROUP", "GROUP", "group", "me", "COUNT", "9", "STREAMS", TOPIC, ">"];
    let reply: StreamReadReply = command(&server, &read).await;
    let entries_read = &reply.keys[0].ids;
    let named = |id: &StreamId| {
        let data: Vec<u8> = id.get("data").unwrap();
        (id.get::<String>("hash").unwrap(), snappy::decompress(&data, 1 << 20).unwrap())
    };
    assert_eq!(
        entries_read.iter().map(named).collect::<Vec<_>>(),
        expected(&entries(1..=3)),
        "by name, they are what they were"
    );
    let supplements: Vec<_> =
        entries_read.iter().map(|id| id.get::<Vec<u8>>("supplement")).collect();
    assert_eq!(supplements, [None, Some(supplement.to_vec()), None]);
    assert_eq!(entries_read.iter().map(|id| id.map.len()).collect::<Vec<_>>(), [2, 3, 2]);

    // The raw reply: the new field stands behind the two.
    let raw: Vec<(String, Vec<Vec<u8>>)> = command(&server, &["XRANGE", TOPIC, "-", "+"]).await;
    let names: Vec<_> = raw[1].1.iter().step_by(2).map(Vec::as_slice).collect();
    assert_eq!(names, [&b"hash"[..], b"data", b"supplement"]);
}

#[tokio::test]
async fn what_is_there_already_is_known_with_and_without_its_supplement() {
    let Some(server) = server(&[]).await else { return };
    let supplement = Some(Bytes::from_static(&[0xc0]));
    let with = |number| Entry { supplement: supplement.clone(), ..entry(number) };
    plain_target(server.address()).deliver(&[entry(1), with(2)]).await.unwrap();
    // Another process looks at the end of the stream first.
    let mut next = plain_target(server.address());
    next.deliver(&[with(1), entry(2), with(3)]).await.unwrap();
    assert_eq!(command::<u64>(&server, &["XLEN", TOPIC]).await, 3);
}

#[tokio::test]
async fn a_transaction_is_what_a_consumer_sees_of_it() {
    let Some(server) = server(&[]).await else { return };
    plain_target(server.address()).deliver(&entries(0..10)).await.unwrap();
    let statistics: String = command(&server, &["INFO", "commandstats"]).await;
    assert!(statistics.contains("cmdstat_exec:calls=1,"), "{statistics}");
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_where_tls_is_asked_for() {
    let Some(server) = server(&[]).await else { return };
    let url = format!("rediss://{}/?topic=replication", server.address());
    let TargetUrl::Redis(url) = url.parse().unwrap() else { panic!("{url}") };
    let stop = CancellationToken::new();
    let mut target = RedisTarget::new(&url, &RedisOptions::default(), stop.clone());
    let health = target.health();
    let delivery = tokio::spawn(async move { target.deliver(&[entry(1)]).await });
    until("an attempt fails", async || health.retries() > 0).await;
    stop.cancel();
    assert!(delivery.await.unwrap().is_err());
    assert_eq!(stream(&server).await, []);
}

#[tokio::test]
async fn a_server_is_believed_if_its_authority_is_named_and_gets_a_certificate_if_it_wants_one() {
    let (certificates, address) = (Certificates::make(), free_address().unwrap());
    let arguments = certificates.redis_arguments_with_client_certificates(address.port());
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let Some(server) = server(&arguments).await else { return };
    let TargetUrl::Redis(url) = format!("rediss://{address}/?topic=replication").parse().unwrap()
    else {
        panic!("{address}")
    };
    let stop = CancellationToken::new();
    let target = |tls: TlsFiles| {
        let options = RedisOptions { tls, ..RedisOptions::default() };
        RedisTarget::new(&url, &options, stop.clone())
    };
    let (client_certificate, client_key) = certificates.client();
    let tls = TlsFiles {
        client_certificate: Some(client_certificate),
        client_key: Some(client_key),
        ..TlsFiles::trusting(certificates.authority())
    };
    let mut trusting = target(tls);
    trusting.deliver(&[entry(1)]).await.unwrap();
    assert_eq!(stream(&server).await, expected(&[entry(1)]));

    let missing = certificates.authority().with_extension("missing");
    for (tls, trouble) in [
        (TlsFiles::default(), "SSL_CERT_FILE"),
        (TlsFiles::trusting(missing), "ca.missing"),
        (TlsFiles::trusting(certificates.authority()), "REDIS_TLS_CERT_FILE"),
    ] {
        let mut distrusting = target(tls);
        let health = distrusting.health();
        let delivery = tokio::spawn(async move { distrusting.deliver(&[entry(2)]).await });
        until("it says why", async || health.trouble().is_some_and(|it| it.contains(trouble)))
            .await;
        delivery.abort();
    }
    assert_eq!(stream(&server).await, expected(&[entry(1)]));
}
