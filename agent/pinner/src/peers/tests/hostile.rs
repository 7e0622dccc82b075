//! Peers that break the rules, or stretch them.

use super::{stranger::Stranger, *};
use crate::{
    bitswap::{Block, Entry, MAX_MESSAGE_LEN, Message, Presence, PresenceType, WantType, Wantlist},
    peers::answers::WANTS_PER_PEER,
};
use futures::AsyncWriteExt as _;
use std::collections::HashSet;

/// Our node still serves others.
async fn assert_serves(node: &Ours) {
    let root = node.pin(b"still there").root;
    let mut other = Stranger::at(node).await;
    other.send(node, &Message::of_wants(vec![Entry::want(&root, WantType::Block)])).await;
    let answer = other.next().await;
    assert_eq!(answer.payload, [Block::new(&root, Bytes::from_static(b"still there"))]);
}

#[tokio::test]
async fn garbage_ends_the_connection() {
    let node = Ours::start(|_| {}).await;
    let garbage: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n",
        // No number, a field that is cut off, a message that is too long.
        &[0xff; 40],
        &[3, 0x0a, 9, 9],
        &[0x81, 0x80, 0x80, 0x02],
    ];
    for bytes in garbage {
        let stranger = Stranger::at(&node).await;
        let mut stream = stranger.open(&node).await;
        stream.write_all(bytes).await.unwrap();
        // The request's first letter is a length of 71 bytes.
        let rest = vec![b'x'; 100];
        let _ = stream.write_all(&rest).await;
        let _ = stream.flush().await;
        node.until_gone(stranger.id).await;
    }
    assert_serves(&node).await;
}

#[tokio::test]
async fn a_message_that_never_ends_ends_the_connection() {
    let node = Ours::start(|options| options.deadlines.message = Duration::from_millis(300)).await;
    let stranger = Stranger::at(&node).await;
    let mut stream = stranger.open(&node).await;
    stream.write_all(&[0x80, 0x80, 0x80, 0x02, 0x0a]).await.unwrap();
    stream.flush().await.unwrap();
    node.until_gone(stranger.id).await;
    assert_serves(&node).await;
}

#[tokio::test]
async fn a_list_of_too_many_wants_ends_the_connection() {
    let node = Ours::start(|_| {}).await;
    let stranger = Stranger::at(&node).await;
    stranger.send(&node, &Message::of_wants(vec![Entry::default(); 100_000])).await;
    node.until_gone(stranger.id).await;
    assert_serves(&node).await;
}

#[tokio::test]
async fn of_many_lists_no_more_than_the_limit_is_kept() {
    let node = Ours::start(|_| {}).await;
    let mut stranger = Stranger::at(&node).await;
    let mut told = HashSet::new();
    for round in 0..10u32 {
        let wants = (0..10_000u32).map(|number| {
            let cid = cid_of(&(round * 10_000 + number).to_le_bytes());
            Entry::want(&cid, WantType::Have)
        });
        stranger.send(&node, &Message::of_wants(wants.collect())).await;
    }
    let root = node.pin(b"asked for in the end").root;
    let full = Wantlist { entries: vec![Entry::want(&root, WantType::Have)], full: true };
    let peer = node.peers.shared.connected.get(stranger.id).unwrap();
    while told.len() < WANTS_PER_PEER {
        assert!(peer.asked_of_us().len() <= WANTS_PER_PEER);
        told.extend(stranger.next().await.presences.into_iter().map(|presence| presence.cid));
    }
    stranger.send(&node, &Message { wantlist: Some(full), ..Message::default() }).await;
    let has = Presence::new(&root, PresenceType::Have);
    while !stranger.next().await.presences.contains(&has) {}
    assert_serves(&node).await;
}

#[tokio::test]
async fn who_asks_for_everything_and_reads_nothing_is_left() {
    let node = Ours::start(|options| options.deadlines.answer = Duration::from_secs(2)).await;
    let blocks: Vec<_> = (0..64u32)
        .map(|number| {
            let block: Bytes = [&number.to_le_bytes()[..], &[7; 1 << 20]].concat().into();
            (cid_of_leaf(&block), block)
        })
        .collect();
    node.store.put_blocks(&blocks).unwrap();
    let mut stranger = Stranger::at(&node).await;
    let wants = blocks.iter().map(|(cid, _)| Entry::want(cid, WantType::Block)).collect();
    stranger.send(&node, &Message::of_wants(wants)).await;
    let unread = stranger.unread().await;
    let peer = node.peers.shared.connected.get(stranger.id).unwrap();
    // What is read from the store is what the stream takes, not what was asked for.
    assert!(peer.asked_of_us().len() > 32);
    node.until_gone(stranger.id).await;
    assert!(peer.asked_of_us().len() > 32);
    drop(unread);
    assert_serves(&node).await;
}

/// The identifier of a block, however long.
fn cid_of_leaf(block: &[u8]) -> Cid {
    let hash = <sha2::Sha256 as sha2::Digest>::digest(block);
    let hash = cid::multihash::Multihash::wrap(crate::dag::SHA2_256, &hash).unwrap();
    Cid::new_v1(crate::dag::RAW, hash)
}

#[tokio::test]
async fn who_sends_what_nobody_wanted_is_left() {
    let node = Ours::start(|_| {}).await;
    let stranger = Stranger::at(&node).await;
    let block = Bytes::from(vec![1; MAX_MESSAGE_LEN / 2 - 100]);
    let message =
        Message { payload: vec![Block::new(&cid_of(b""), block); 2], ..Message::default() };
    let mut stream = stranger.open(&node).await;
    // Until it is too much, the node takes them and drops them.
    for _ in 0..20 {
        if crate::peers::framing::write_message(&mut stream, &message).await.is_err() {
            break;
        }
    }
    node.until_gone(stranger.id).await;
    assert!(!node.peers.shared.connected.wants.any());
    assert_eq!(node.store.usage().unwrap().blocks, 0);
    assert_serves(&node).await;
}

#[tokio::test]
async fn a_wrong_block_is_no_answer() {
    let node = Ours::start(|_| {}).await;
    let mut stranger = Stranger::at(&node).await;
    let cid = cid_of(b"right");
    let peers = node.peers.clone();
    let asking = tokio::spawn(async move { peers.block(&cid).await });
    let asked = stranger.next().await.wantlist.unwrap();
    assert_eq!(asked.entries, [Entry::want(&cid, WantType::Block)]);
    let wrong = Message {
        payload: vec![Block::new(&cid, Bytes::from_static(b"wrong"))],
        presences: vec![Presence::new(&cid_of(b"other"), PresenceType::DontHave)],
        ..Message::default()
    };
    stranger.send(&node, &wrong).await;
    let lacks = vec![Presence::new(&cid, PresenceType::DontHave)];
    stranger.send(&node, &Message { presences: lacks, ..Message::default() }).await;
    let answer = asking.await.unwrap();
    assert!(matches!(answer, Err(SourceError::NotFound { .. })), "{answer:?}");
    // The want is over.
    assert_eq!(stranger.next().await.wantlist.unwrap().entries, [Entry::cancel(&cid)]);
}

#[tokio::test]
async fn a_peer_that_goes_away_is_not_waited_for() {
    let node = Ours::start(|options| options.deadlines.message = Duration::from_millis(300)).await;
    let mut stranger = Stranger::at(&node).await;
    let cid = cid_of(b"wanted");
    let peers = node.peers.clone();
    let asking = tokio::spawn(async move { peers.block(&cid).await });
    stranger.next().await;
    // Something to be disconnected for.
    let mut stream = stranger.open(&node).await;
    stream.write_all(&[0xff; 40]).await.unwrap();
    stream.flush().await.unwrap();
    let answer = asking.await.unwrap();
    assert!(matches!(answer, Err(SourceError::NotFound { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_block_that_comes_later_is_sent() {
    let node = Ours::start(|options| options.deadlines.unmet = Duration::from_millis(50)).await;
    let mut stranger = Stranger::at(&node).await;
    let cid = cid_of(b"later");
    stranger.send(&node, &Message::of_wants(vec![Entry::want(&cid, WantType::Block)])).await;
    let lacks = vec![Presence::new(&cid, PresenceType::DontHave)];
    assert_eq!(stranger.next().await.presences, lacks);
    node.pin(b"later");
    let given = vec![Block::new(&cid, Bytes::from_static(b"later"))];
    assert_eq!(stranger.next().await.payload, given);
}
