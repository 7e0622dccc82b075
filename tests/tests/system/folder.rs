//! A folder of chunk files between the producer that writes it and the agent that reads it.

use alloy_primitives::B256;
use bsp_agent::{
    alarm::Alarms,
    source::{Delivery, Payload, Source, folder::FolderSource},
};
use bsp_codec::chunk::{ChunkName, encode_record};
use bsp_replication::{Entry, FileOptions, FileTarget, Target};
use bytes::Bytes;
use std::{fs, path::PathBuf, time::Duration};
use tempfile::TempDir;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The folder, and the agent's data folder.
struct Scene(TempDir);

/// A source that is stopped when dropped.
struct Reader {
    source: Source,
    stop: CancellationToken,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Scene {
    fn new() -> Self {
        let scene = Self(tempfile::tempdir().unwrap());
        fs::create_dir(scene.chunks()).unwrap();
        scene
    }

    fn chunks(&self) -> PathBuf {
        self.0.path().join("replicas")
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn producer(&self) -> FileTarget {
        FileTarget::open(&self.chunks(), &FileOptions::UNLIMITED, CancellationToken::new()).unwrap()
    }

    fn reader(&self) -> Reader {
        let stop = CancellationToken::new();
        let source = FolderSource::new(self.chunks(), self.data().join("source"));
        Reader { source: source.open(&Alarms::default(), &stop).unwrap(), stop }
    }
}

impl Reader {
    async fn next(&mut self) -> Delivery {
        let next = timeout(Duration::from_secs(30), self.source.deliveries.next());
        next.await.expect("a delivery").unwrap().unwrap()
    }

    /// The numbers of the replicas that come next.
    async fn numbers(&mut self, count: usize) -> Vec<u64> {
        let mut numbers = Vec::new();
        for _ in 0..count {
            numbers.push(number(&self.next().await));
        }
        numbers
    }

    /// The supplements of the replicas that come next.
    async fn supplements(&mut self, count: usize) -> Vec<Option<Bytes>> {
        let mut supplements = Vec::new();
        for _ in 0..count {
            supplements.push(self.next().await.supplement);
        }
        supplements
    }
}

fn entry(number: u64) -> Entry {
    let replica = Bytes::from(format!("replica {number}"));
    let hash = B256::left_padding_from(&number.to_be_bytes());
    Entry { hash, number, replica, supplement: None }
}

/// The number of the replica, all of which is as it was written.
fn number(delivery: &Delivery) -> u64 {
    let Some(Payload::Rlp(rlp)) = &delivery.payload else { panic!("{delivery:?}") };
    let number =
        std::str::from_utf8(rlp).unwrap().strip_prefix("replica ").unwrap().parse().unwrap();
    assert_eq!(delivery.hash, Some(format!("{:#x}", entry(number).hash)));
    number
}

async fn deliver(target: &mut FileTarget, numbers: impl IntoIterator<Item = u64>) {
    target.deliver(&numbers.into_iter().map(entry).collect::<Vec<_>>()).await.unwrap();
}

#[tokio::test]
async fn a_producer_is_followed_through_its_restarts() {
    let scene = Scene::new();
    let mut reader = scene.reader();
    for session in 0..3 {
        let mut producer = scene.producer();
        for batch in 0..3 {
            let first = session * 100 + batch * 10;
            deliver(&mut producer, first..first + 5).await;
            assert_eq!(reader.numbers(5).await, (first..first + 5).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn a_tail_that_its_producer_cuts_off_is_no_dead_letter() {
    let scene = Scene::new();
    let record = |number| encode_record(entry(number).hash, &entry(number).replica).unwrap();
    let chunk = ChunkName { session: 1, chunk: 0 };
    let torn = [&record(0)[..], &record(1)[..9]].concat();
    fs::write(scene.chunks().join(chunk.to_string()), torn).unwrap();
    let mut reader = scene.reader();
    assert_eq!(reader.numbers(1).await, [0]);
    deliver(&mut scene.producer(), [1]).await;
    assert_eq!(reader.numbers(1).await, [1]);
    assert!(!scene.data().join("dead").exists());
}

#[tokio::test]
async fn a_record_comes_with_its_supplement_again_and_again() {
    let scene = Scene::new();
    let mut producer = scene.producer();
    let supplement = Some(Bytes::from_static(b"left out"));
    let with = |number| Entry { supplement: supplement.clone(), ..entry(number) };
    producer.deliver(&[entry(0), with(1), entry(2)]).await.unwrap();
    let mut reader = scene.reader();
    assert_eq!(reader.supplements(1).await, [None]);
    let second = reader.next().await;
    assert_eq!(second.supplement, supplement);
    assert_eq!(reader.supplements(1).await, [None]);
    reader.source.settlement.redeliver(&second.entry);
    assert_eq!(reader.next().await.supplement, supplement);
    // The chunk continues.
    producer.deliver(&[with(3)]).await.unwrap();
    assert_eq!(reader.next().await.supplement, supplement);
    drop(reader);
    let again = scene.reader().supplements(4).await;
    assert_eq!(again, [None, supplement.clone(), None, supplement]);
}
