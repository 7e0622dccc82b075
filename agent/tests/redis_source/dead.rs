//! Dead letters: buried by the agent, handled by the operator.

use crate::fixture::{Fixture, next};
use bsp_agent::{
    alarm::AlarmKind,
    source::{
        DeadLetter, Delivery,
        redis::dead_letters::{DeadError, DeadLetters},
    },
};
use bsp_stream::TlsFiles;

fn letter_of(delivery: &Delivery, reason: &str) -> DeadLetter {
    DeadLetter {
        entry: delivery.entry.clone(),
        hash: delivery.hash.clone(),
        reason: reason.to_owned(),
        payload: delivery.payload.as_ref().map(|payload| payload.to_snappy().unwrap()),
        supplement: delivery.supplement.clone(),
    }
}

#[tokio::test]
async fn a_buried_entry_can_be_seen_tried_again_and_dropped() {
    let Some(mut fixture) = Fixture::start().await else { return };
    fixture.add(&[b"hash", b"0xaa", b"data", b"\x00\xff", b"supplement", b"\x01\xff"]).await;
    fixture.add(&[b"x", b"y"]).await;
    let mut source = fixture.source("one").await;
    let (first, empty) = (next(&mut source).await, next(&mut source).await);
    source.settlement.bury(&letter_of(&first, "not snappy")).await.unwrap();
    source.settlement.bury(&letter_of(&empty, "no fields")).await.unwrap();
    assert_eq!(fixture.remaining().await, (0, 0));
    assert!(fixture.alarms.raised()[&AlarmKind::DeadLetter].message.contains("no fields"));
    assert_eq!(source.settlement.backlog().await.unwrap().dead, Some(2));

    let mut dead = DeadLetters::open(&fixture.url, &TlsFiles::default()).await.unwrap();
    let letters = dead.list().await.unwrap();
    let seen: Vec<_> = letters.iter().map(|l| (&l.entry, l.hash.as_deref(), l.bytes)).collect();
    assert_eq!(seen, [(&first.entry.0, Some("0xaa"), Some(2)), (&empty.entry.0, None, None)]);
    assert!(letters.iter().all(|letter| letter.payload.is_none() && letter.group == "group"));
    let shown = dead.show(&letters[0].id).await.unwrap();
    assert_eq!(shown.payload.as_deref(), Some(&b"\x00\xff"[..]));
    assert_eq!(shown.supplement.as_deref(), Some(&b"\x01\xff"[..]));
    assert_eq!(shown.reason, "not snappy");

    dead.retry(&letters[0].id).await.unwrap();
    let again = next(&mut source).await;
    assert_ne!(again.entry, first.entry);
    assert_eq!((again.hash, again.payload), (first.hash, first.payload));
    assert!(first.supplement.is_some() && again.supplement == first.supplement);
    assert!(matches!(dead.retry(&letters[1].id).await, Err(DeadError::Empty(_))));
    dead.discard(&letters[1].id).await.unwrap();
    assert!(matches!(dead.discard(&letters[1].id).await, Err(DeadError::NoSuchLetter(_))));
    assert!(matches!(dead.show("no id").await, Err(DeadError::NoSuchLetter(_))));
    assert_eq!(dead.list().await.unwrap(), []);
}

#[tokio::test]
async fn a_huge_entry_is_delivered_and_buried() {
    let Some(mut fixture) = Fixture::start().await else { return };
    let payload = vec![7; 70 << 20];
    fixture.add(&[b"hash", b"0xaa", b"data", &payload]).await;
    fixture.add_block("next").await;
    let mut source = fixture.source("one").await;
    let huge = next(&mut source).await;
    assert_eq!(huge.payload.as_ref().unwrap().len(), payload.len());
    source.settlement.bury(&letter_of(&huge, "too long")).await.unwrap();
    assert_eq!(next(&mut source).await.hash.as_deref(), Some("next"));
    let mut dead = DeadLetters::open(&fixture.url, &TlsFiles::default()).await.unwrap();
    assert_eq!(dead.list().await.unwrap()[0].bytes, Some(payload.len()));
}
