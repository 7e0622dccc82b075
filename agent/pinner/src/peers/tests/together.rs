//! Our nodes among themselves.

use super::*;
use std::{net::TcpListener, path::Path};

async fn fetched_both_ways(listen: &str) {
    let first = Ours::start(|options| options.listen = vec![listen.parse().unwrap()]).await;
    let second = Ours::knowing(first.peers.addresses().await).await;
    second.until_connected(first.peers.id()).await;
    first.until_connected(second.peers.id()).await;
    for (from, to) in [(&first, &second), (&second, &first)] {
        let content = [to.peers.id().to_bytes(), content(3_000_000)].concat();
        let root = from.pin(&content).root;
        to.fetcher().dag(&root, NewPin::default()).await.unwrap();
        for block in bsp_codec::dag::Dag::build(&content).blocks() {
            assert_eq!(to.store.block(&block.0).unwrap().unwrap(), block.1);
        }
        assert!(to.store.pinned(&root).unwrap().is_some());
    }
}

#[tokio::test]
async fn nodes_fetch_from_each_other_over_tcp() {
    fetched_both_ways(TCP).await;
}

#[tokio::test]
async fn nodes_fetch_from_each_other_over_quic() {
    fetched_both_ways(QUIC).await;
}

#[tokio::test]
async fn real_segments_are_fetched() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/mainnet"));
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".replica.avro") {
            segments.push(std::fs::read(path).unwrap());
        }
    }
    if segments.is_empty() {
        eprintln!("SKIPPED: no mainnet data at {}", folder.display());
        return;
    }
    let giver = Ours::start(|_| {}).await;
    let taker = Ours::knowing(giver.peers.addresses().await).await;
    taker.until_connected(giver.peers.id()).await;
    for segment in segments {
        let root = giver.pin(&segment).root;
        assert_eq!(root, cid_of(&segment));
        taker.fetcher().dag(&root, NewPin::default()).await.unwrap();
        let blocks = |root: &Cid| taker.store.block(root).unwrap().map(|block| block.to_vec());
        let mut out = Vec::new();
        let limits = bsp_codec::dag::ExtractLimits::default();
        bsp_codec::dag::extract_file(&root, |cid| Ok(blocks(cid)), &limits, &mut out).unwrap();
        assert!(out == segment);
    }
}

#[tokio::test]
async fn what_nobody_has_is_not_found() {
    let nobody = cid_of(b"nobody has this");
    let alone = Ours::start(|_| {}).await;
    let error = alone.peers.block(&nobody).await.unwrap_err();
    assert!(matches!(error, SourceError::NotFound { .. }), "{error}");
    let other = Ours::knowing(alone.peers.addresses().await).await;
    other.until_connected(alone.peers.id()).await;
    let error = other.peers.block(&nobody).await.unwrap_err();
    assert!(matches!(error, SourceError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn the_peer_that_has_it_is_found_among_others() {
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(Ours::start(|_| {}).await);
    }
    let mut addresses = Vec::new();
    for other in &others {
        addresses.extend(other.peers.addresses().await);
    }
    let taker = Ours::knowing(addresses).await;
    for other in &others {
        taker.until_connected(other.peers.id()).await;
    }
    for (number, other) in others.iter().enumerate() {
        let content = [number as u8; 1000];
        other.pin(&content);
        assert_eq!(taker.peers.block(&cid_of(&content)).await.unwrap(), content.to_vec());
    }
}

#[tokio::test]
async fn a_peer_that_starts_later_is_dialled_again() {
    // A node whose key and port are known before it runs.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let id = identity::load_or_make(&folder.path().join("key")).unwrap().public().to_peer_id();
    let known = address.clone().with_p2p(id).unwrap();
    let waiting = Ours::knowing(vec![known]).await;
    let late = Ours::start(|options| {
        options.key_file = folder.path().join("key");
        options.listen = vec![address];
    })
    .await;
    assert_eq!(late.peers.id(), id);
    waiting.until_connected(id).await;
    // It stops when its last handle is gone, and is noticed to be gone.
    drop(late);
    waiting.until_gone(id).await;
}

#[tokio::test]
async fn providers_are_found_through_the_table() {
    let dht = |bootstrap: Vec<Multiaddr>, provide| {
        let protocol = "/bsp-test/kad/1.0.0".to_owned();
        Some(DhtOptions { protocol, bootstrap, provide })
    };
    let begin = Ours::start(|options| options.dht = dht(vec![], None)).await;
    let known = begin.peers.addresses().await;
    let giver = Ours::start(|options| options.dht = dht(known.clone(), None)).await;
    let taker = Ours::start(|options| options.dht = dht(known, None)).await;
    let root = giver.pin(b"announced").root;
    while !giver.peers.provide(&root).await {
        pause().await;
    }
    taker.until_connected(begin.peers.id()).await;
    let block = loop {
        // The table may not know the way at once.
        match taker.peers.block(&root).await {
            Ok(block) => break block,
            Err(_) => pause().await,
        }
    };
    assert_eq!(block, b"announced".to_vec());
    assert!(taker.peers.connected().contains(&giver.peers.id()));
    // Pins that are there at the start are announced without being asked for.
    assert!(!Ours::start(|_| {}).await.peers.provide(&root).await);
}

#[tokio::test]
async fn pins_are_announced_at_the_start() {
    let protocol = "/bsp-test/kad/1.0.0".to_owned();
    let dht =
        |bootstrap, provide| Some(DhtOptions { protocol: protocol.clone(), bootstrap, provide });
    let begin = Ours::start(|options| options.dht = dht(vec![], None)).await;
    let known = begin.peers.addresses().await;
    let provide = Some(Duration::from_millis(100));
    let giver = Ours::start(|options| options.dht = dht(known.clone(), provide)).await;
    let root = giver.pin(b"announced").root;
    let taker = Ours::start(|options| options.dht = dht(known, None)).await;
    while taker.peers.block(&root).await.is_err() {
        pause().await;
    }
}

#[tokio::test]
async fn wrong_settings_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let start = async |adjust: &dyn Fn(&mut PeerOptions)| {
        let mut options = PeerOptions::new(folder.path().join("key"));
        adjust(&mut options);
        Peers::start(store.clone(), &options).await.map(|_| ()).unwrap_err()
    };
    let error = start(&|options| options.key_file = folder.path().join("none/key")).await;
    assert!(matches!(error, PeersError::Key { .. }), "{error}");
    let error = start(&|options| options.peers = vec![TCP.parse().unwrap()]).await;
    assert!(matches!(error, PeersError::Address(_)), "{error}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let busy = format!("/ip4/127.0.0.1/tcp/{port}");
    let error = start(&|options| options.listen = vec![busy.parse().unwrap()]).await;
    assert!(matches!(error, PeersError::Listen { .. }), "{error}");
    let dht = DhtOptions { protocol: "kad".to_owned(), ..DhtOptions::default() };
    let error = start(&|options| options.dht = Some(dht.clone())).await;
    assert!(matches!(error, PeersError::Protocol(_)), "{error}");
}
