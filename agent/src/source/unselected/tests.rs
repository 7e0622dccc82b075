use super::*;
use alloy_primitives::B256;
use bsp_codec::snappy;
use futures::FutureExt;
use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

const ROOM: u64 = 1 << 20;

fn block(number: u64) -> BlockId {
    BlockId { network_id: 1, number, hash: B256::with_last_byte(number as u8) }
}

fn payload(number: u64) -> Payload {
    Payload::Snappy(snappy::compress(format!("block {number:03}").as_bytes()).unwrap().into())
}

fn open(folder: &Path, budget: u64) -> UnselectedFolder {
    UnselectedFolder::open(folder, budget, &Alarms::default(), &CancellationToken::new()).unwrap()
}

async fn keep(folder: &UnselectedFolder, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        folder.keep(&block(number), ReplicaKind::Replica, &payload(number), None).await.unwrap();
    }
}

fn divisor(divisor: u64) -> NonZeroU64 {
    NonZeroU64::new(divisor).unwrap()
}

/// The numbers of the blocks whose files are there.
fn numbers(folder: &Path) -> Vec<u64> {
    let name = |file: io::Result<fs::DirEntry>| file.unwrap().file_name().into_string().unwrap();
    let mut numbers: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| name(file).parse::<FileName>().expect("no other files").block.number)
        .collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test]
async fn what_another_divisor_selects_is_delivered_until_it_is_acknowledged() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("unselected");
    let folder = open(&path, ROOM);
    keep(&folder, [5, 1, 2, 4, 7, 8]).await;
    keep(&folder, [4]).await;
    for settled in [false, true] {
        let folder = open(&path, ROOM);
        let mut source = folder.selected_by(divisor(2));
        assert_eq!(source.settlement.backlog().await.unwrap().length, Some(3));
        for number in [2, 4, 8] {
            let delivery = source.deliveries.next().await.unwrap().unwrap();
            assert_eq!(delivery.payload, Some(payload(number)));
            assert_eq!(delivery.hash, Some(format!("{:#x}", block(number).hash)));
            assert!(source.settlement.owns(&delivery.entry));
            if settled {
                source.settlement.acknowledge(&delivery.entry).await.unwrap();
                source.settlement.acknowledge(&delivery.entry).await.unwrap();
            } else {
                source.settlement.release(&delivery.entry);
            }
        }
        assert!(source.deliveries.next().await.unwrap().is_none());
    }
    assert_eq!(numbers(&path), [1, 5, 7]);
}

#[tokio::test]
async fn a_supplement_is_kept_with_its_block_and_goes_with_it() {
    let scratch = tempfile::tempdir().unwrap();
    let files = || fs::read_dir(scratch.path()).unwrap().count();
    let supplement = Bytes::from_static(b"what is left out");
    let keep_both = async |folder: &UnselectedFolder, number| {
        let (block, payload) = (block(number), payload(number));
        let kept = folder.keep(&block, ReplicaKind::Replica, &payload, Some(&supplement));
        kept.await.unwrap();
    };
    let folder = open(scratch.path(), ROOM);
    keep_both(&folder, 2).await;
    keep(&folder, [4]).await;
    assert_eq!(files(), 3);
    // Its file never came.
    let orphan = FileName::new(block(6), ReplicaKind::Replica).supplement();
    fs::write(scratch.path().join(&orphan), b"x").unwrap();
    fs::write(scratch.path().join(format!("{orphan}.partial")), b"x").unwrap();
    let folder = open(scratch.path(), ROOM);
    assert_eq!(files(), 3);
    let mut source = folder.selected_by(divisor(2));
    for expected in [Some(supplement.clone()), None] {
        let delivery = source.deliveries.next().await.unwrap().unwrap();
        assert_eq!(delivery.supplement, expected);
        source.settlement.acknowledge(&delivery.entry).await.unwrap();
    }
    assert_eq!(files(), 0);
    // Both count, and go together when there is no room.
    let size = payload(1).len() as u64 + supplement.len() as u64;
    for _ in 0..2 {
        let folder = open(scratch.path(), size);
        keep_both(&folder, 3).await;
        keep_both(&folder, 5).await;
        assert_eq!(files(), 2);
    }
}

#[tokio::test]
async fn the_oldest_go_when_there_is_no_room() {
    let scratch = tempfile::tempdir().unwrap();
    let size = payload(1).len() as u64;
    keep(&open(scratch.path(), 3 * size), [9, 3, 5]).await;
    assert_eq!(numbers(scratch.path()), [3, 5, 9]);
    // The order in which they were kept, after a restart as well. A file system's clock may be too
    // slow to tell it.
    for (seconds, number) in [9, 3, 5].into_iter().enumerate() {
        let path =
            scratch.path().join(FileName::new(block(number), ReplicaKind::Replica).to_string());
        let kept = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds as u64);
        fs::File::open(path).unwrap().set_modified(kept).unwrap();
    }
    let folder = open(scratch.path(), 3 * size);
    keep(&folder, [1, 3, 2]).await;
    assert_eq!(numbers(scratch.path()), [1, 2, 5]);
    let smaller = open(scratch.path(), size);
    assert_eq!(numbers(scratch.path()), [1, 2, 5], "nothing goes before something comes");
    keep(&smaller, [4]).await;
    assert_eq!(numbers(scratch.path()), [4]);
}

#[tokio::test]
async fn what_is_selected_does_not_go_for_want_of_room() {
    let scratch = tempfile::tempdir().unwrap();
    let size = payload(1).len() as u64;
    keep(&open(scratch.path(), 2 * size), [2, 4]).await;
    let folder = open(scratch.path(), 2 * size);
    let mut source = folder.selected_by(divisor(2));
    keep(&folder, [1, 3, 5, 2]).await;
    assert_eq!(numbers(scratch.path()), [2, 3, 4, 5]);
    for number in [2, 4] {
        assert_eq!(source.deliveries.next().await.unwrap().unwrap().payload, Some(payload(number)));
    }
}

#[tokio::test]
async fn no_budget_keeps_nothing_and_removes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    keep(&open(scratch.path(), ROOM), [1]).await;
    keep(&open(scratch.path(), 0), [2, 3]).await;
    assert_eq!(numbers(scratch.path()), [1]);
}

#[tokio::test]
async fn a_bad_message_does_not_keep_a_good_one_about_the_same_block_out() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("unselected");
    let folder = open(&path, ROOM);
    // 8 and 9 have the same length, 1000 another.
    for content in [8, 9, 8, 1000, 9, 1000] {
        folder.keep(&block(2), ReplicaKind::Replica, &payload(content), None).await.unwrap();
    }
    assert_eq!(numbers(&path), [2, 2, 2]);
    let folder = open(&path, ROOM);
    let mut source = folder.selected_by(divisor(2));
    keep(&folder, [9]).await;
    for content in [8, 9, 1000] {
        let delivery = source.deliveries.next().await.unwrap().unwrap();
        assert_eq!(delivery.payload, Some(payload(content)));
        source.settlement.acknowledge(&delivery.entry).await.unwrap();
    }
    assert!(source.deliveries.next().await.unwrap().is_none());
    assert_eq!(numbers(&path), [9]);
}

#[tokio::test]
async fn what_is_to_be_delivered_again_comes_again_and_keeps_the_source_open() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = open(scratch.path(), ROOM);
    keep(&folder, [1, 2]).await;
    let mut source = folder.selected_by(divisor(1));
    let first = source.deliveries.next().await.unwrap().unwrap();
    let second = source.deliveries.next().await.unwrap().unwrap();
    assert!(source.deliveries.next().now_or_never().is_none(), "they are in flight");
    source.settlement.redeliver(&first.entry);
    let again = source.deliveries.next().await.unwrap().unwrap();
    assert_eq!((&again.entry, &again.payload), (&first.entry, &first.payload));
    source.settlement.acknowledge(&again.entry).await.unwrap();
    source.settlement.release(&second.entry);
    assert!(source.deliveries.next().await.unwrap().is_none());
}

#[tokio::test]
async fn rlp_is_compressed() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = open(scratch.path(), ROOM);
    let rlp = Payload::Rlp(Bytes::from_static(b"block 006"));
    folder.keep(&block(6), ReplicaKind::Specimen, &rlp, None).await.unwrap();
    let delivery = folder.selected_by(divisor(1)).deliveries.next().await.unwrap().unwrap();
    assert_eq!(delivery.payload, Some(payload(6)));
}

#[tokio::test]
async fn a_buried_block_goes_to_the_dead_letters() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("unselected");
    let folder = open(&path, ROOM);
    keep(&folder, [1, 2]).await;
    let mut source = folder.selected_by(divisor(1));
    for with_payload in [true, false] {
        let Delivery { entry, hash, payload, .. } =
            source.deliveries.next().await.unwrap().unwrap();
        let bytes = payload.unwrap().to_snappy().unwrap();
        let stem = entry.0.replace(':', "_");
        let payload = with_payload.then(|| bytes.clone());
        let reason = "wrong".to_owned();
        let letter = DeadLetter { entry, hash, reason, payload, supplement: None };
        source.settlement.bury(&letter).await.unwrap();
        let kept = fs::read(scratch.path().join("dead").join(format!("{stem}.bin"))).unwrap();
        assert_eq!(kept, bytes);
    }
    assert_eq!(numbers(&path), [0; 0]);
}

#[tokio::test]
async fn what_a_crash_left_unfinished_and_what_somebody_removed_is_no_trouble() {
    let scratch = tempfile::tempdir().unwrap();
    keep(&open(scratch.path(), ROOM), [1, 2]).await;
    let unfinished = FileName::new(block(3), ReplicaKind::Replica).to_string() + ".partial";
    fs::write(scratch.path().join(unfinished), b"half").unwrap();
    let mut source = open(scratch.path(), ROOM).selected_by(divisor(1));
    assert_eq!(numbers(scratch.path()), [1, 2]);
    fs::remove_file(scratch.path().join(FileName::new(block(1), ReplicaKind::Replica).to_string()))
        .unwrap();
    let last = source.deliveries.next().await.unwrap().unwrap();
    assert_eq!(last.payload, Some(payload(2)));
    source.settlement.acknowledge(&last.entry).await.unwrap();
    assert!(source.deliveries.next().await.unwrap().is_none());
}

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file");
    fs::write(&file, b"").unwrap();
    let (alarms, stop) = (Alarms::default(), CancellationToken::new());
    let refused = UnselectedFolder::open(file.join("in"), ROOM, &alarms, &stop).unwrap_err();
    assert!(matches!(refused, SourceError::Refused { .. }), "{refused}");
}
