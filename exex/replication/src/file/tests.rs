use super::*;
use alloy_primitives::B256;
use bsp_codec::chunk::{CHUNK_ROTATE_BYTES, ChunkName, ChunkReader, encode_record};
use bytes::Bytes;
use proptest::prelude::*;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

fn entry(number: u64, replica: impl Into<Bytes>) -> Entry {
    Entry {
        hash: B256::from(alloy_primitives::U256::from(number)),
        number,
        replica: replica.into(),
        supplement: None,
    }
}

fn open(folder: &Path) -> FileTarget {
    FileTarget::open(folder, &FileOptions::UNLIMITED, CancellationToken::new()).unwrap()
}

fn refusal(folder: &Path) -> TargetError {
    FileTarget::open(folder, &FileOptions::UNLIMITED, CancellationToken::new()).unwrap_err()
}

fn chunks(folder: &Path) -> BTreeMap<ChunkName, Vec<u8>> {
    let mut chunks = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if let Ok(name) = path.file_name().unwrap().to_str().unwrap().parse() {
            chunks.insert(name, fs::read(path).unwrap());
        }
    }
    chunks
}

/// What a reader of the folder gets, as pairs of hash and replica.
fn records(folder: &Path) -> Vec<(B256, Bytes)> {
    let read = |chunk: &Vec<u8>| {
        ChunkReader::new(chunk)
            .map(|record| record.unwrap().record)
            .map(|record| (record.hash, record.replica_rlp.0))
            .collect::<Vec<_>>()
    };
    chunks(folder).values().flat_map(read).collect()
}

fn pairs(entries: &[Entry]) -> Vec<(B256, Bytes)> {
    entries.iter().map(|entry| (entry.hash, entry.replica.clone())).collect()
}

/// Bytes that stay as many when compressed, to fill chunks with.
fn incompressible(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    StdRng::seed_from_u64(1).fill_bytes(&mut bytes);
    bytes
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    /// Batches of several sessions, some of them long enough to fill a chunk.
    #[test]
    fn what_is_delivered_is_read_back(
        sessions in prop::collection::vec(
            prop::collection::vec(
                prop::collection::vec((any::<u8>(), 0..5_usize), 0..5),
                0..5,
            ),
            1..4,
        ),
    ) {
        let random = incompressible(3_000_000);
        let folder = tempfile::tempdir().unwrap();
        let mut delivered = Vec::new();
        let mut numbers = 0..;
        for batches in sessions {
            let mut target = open(folder.path());
            for batch in batches {
                let replica = |(first, size): (u8, usize)| {
                    let length = [0, 1, 70, 100_000, 3_000_000][size];
                    let mut bytes = random[..length].to_vec();
                    bytes.iter_mut().take(1).for_each(|byte| *byte = first);
                    bytes
                };
                let batch: Vec<_> =
                    batch.into_iter().map(replica).zip(&mut numbers).map(|(r, i)| entry(i, r)).collect();
                block_on(target.deliver(&batch)).unwrap();
                delivered.extend(pairs(&batch));
            }
        }
        prop_assert!(records(folder.path()) == delivered);
    }
}

#[test]
fn the_first_chunk_is_there_at_once_and_further_ones_follow_full_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made");
    let mut target = open(&path);
    assert_eq!(chunks(&path).into_values().collect::<Vec<_>>(), [Vec::<u8>::new()]);
    let random = incompressible(CHUNK_ROTATE_BYTES as usize);
    let batch = [entry(1, vec![1; 10]), entry(2, random), entry(3, vec![3; 10])];
    block_on(target.deliver(&batch)).unwrap();
    block_on(target.deliver(&[entry(4, vec![4; 10])])).unwrap();
    let chunks = chunks(&path);
    let lengths: Vec<_> = chunks.values().map(|chunk| ChunkReader::new(chunk).count()).collect();
    assert_eq!(lengths, [3, 1], "a batch is not split");
    let names: Vec<_> = chunks.into_keys().collect();
    assert_eq!(names[1], ChunkName { chunk: 1, ..names[0] });
    assert_eq!(names[0].chunk, 0);
}

#[test]
fn a_session_never_takes_the_name_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let far = ChunkName { session: 0xffff_ffff, chunk: 3 };
    fs::write(folder.path().join(far.to_string()), b"").unwrap();
    fs::write(folder.path().join("other.txt"), b"").unwrap();
    for session in [0x1_0000_0000, 0x1_0000_0001] {
        drop(open(folder.path()));
        let last = *chunks(folder.path()).last_key_value().unwrap().0;
        assert_eq!(last, ChunkName { session, chunk: 0 });
    }
}

#[test]
fn a_folder_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let refused = refusal(folder.path());
    assert!(refused.to_string().contains("another process writes"), "{refused}");
    drop(first);
    open(folder.path());
}

#[test]
fn a_torn_tail_is_cut_off_wherever_it_is_torn() {
    let whole: Vec<_> = [1, 2].map(|i| entry(i, vec![i as u8; 40])).into();
    let encoded: Vec<u8> =
        whole.iter().flat_map(|e| encode_record(e.hash, &e.replica).unwrap()).collect();
    let last = encode_record(whole[1].hash, &whole[1].replica).unwrap().len();
    for cut in encoded.len() - last..=encoded.len() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sess-00000001-chunk-00000000.rlp");
        fs::write(&path, &encoded[..cut]).unwrap();
        let mut target = open(folder.path());
        block_on(target.deliver(&whole[1..])).unwrap();
        assert_eq!(records(folder.path()), pairs(&whole), "{cut}");
        let torn = fs::read(path.with_extension("rlp.torn")).unwrap_or_default();
        assert_eq!([fs::read(path).unwrap(), torn].concat(), encoded[..cut], "{cut}");
    }
}

#[test]
fn what_the_last_session_wrote_is_written_again_for_a_reader_that_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    let batch = [entry(1, vec![1; 9]), entry(2, vec![2; 9])];
    block_on(open(folder.path()).deliver(&batch)).unwrap();
    let mut again = open(folder.path()).repeating().unwrap();
    for _ in 0..2 {
        block_on(again.deliver(&batch)).unwrap();
    }
    assert_eq!(records(folder.path()), [pairs(&batch), pairs(&batch)].concat());
}

#[test]
fn what_the_last_session_wrote_last_is_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let entries: Vec<_> = (0..6).map(|number| entry(number, vec![number as u8; 40])).collect();
    block_on(open(folder.path()).deliver(&entries[..3])).unwrap();
    // A session without records.
    drop(open(folder.path()));
    let mut next = open(folder.path());
    block_on(next.deliver(&entries[1..2])).unwrap();
    block_on(next.deliver(&entries[1..5])).unwrap();
    assert_eq!(records(folder.path()), pairs(&entries[..5]));
    block_on(next.deliver(&entries[4..6])).unwrap();
    assert_eq!(records(folder.path()), pairs(&entries));
    block_on(next.deliver(&entries[..1])).unwrap();
    assert_eq!(
        records(folder.path()).last(),
        pairs(&entries[..1]).last(),
        "once it has gone on, it takes what it is given"
    );
}

#[test]
fn other_damage_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sess-00000001-chunk-00000000.rlp");
    let mut bytes = encode_record(B256::ZERO, b"replica").unwrap();
    bytes.extend([0; 16]);
    fs::write(&path, &bytes).unwrap();
    drop(open(folder.path()));
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let refused = refusal(&file.join("inside"));
    assert!(matches!(refused, TargetError::Refused { .. }), "{refused}");
}

#[test]
fn a_folder_that_another_process_writes_to_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let other = open(folder.path());
    let mut target =
        FileTarget::open_or_wait(folder.path(), &FileOptions::UNLIMITED, CancellationToken::new());
    let health = target.health();
    assert!(health.trouble().unwrap().contains("another process writes"));
    block_on(async {
        let delivery = tokio::spawn(async move { target.deliver(&[entry(1, vec![1; 9])]).await });
        while health.retries() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!delivery.is_finished());
        drop(other);
        delivery.await.unwrap().unwrap();
    });
    assert_eq!(health.trouble(), None);
    assert_eq!(records(folder.path()), pairs(&[entry(1, vec![1; 9])]));
}

#[test]
fn a_folder_that_went_away_is_waited_for_and_what_it_took_half_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("replicas");
    let stop = CancellationToken::new();
    let mut target = FileTarget::open(&path, &FileOptions::UNLIMITED, stop.clone()).unwrap();
    // Ends the session's chunk, so that the next delivery has to make one.
    target.folder().open().unwrap().give_up_for_test();
    let away = folder.path().join("away");
    fs::rename(&path, &away).unwrap();
    block_on(async {
        let delivery = tokio::spawn(async move { target.deliver(&[entry(1, vec![1; 9])]).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!delivery.is_finished());
        fs::rename(&away, &path).unwrap();
        delivery.await.unwrap().unwrap();
    });
    assert_eq!(records(&path), pairs(&[entry(1, vec![1; 9])]));
    stop.cancel();
}

/// The same with a supplement.
fn supplemented(number: u64) -> Entry {
    let supplement = Some(Bytes::from(vec![0xc0; number as usize]));
    Entry { supplement, ..entry(number, vec![number as u8; 9]) }
}

/// The records of the files beside the chunks, as pairs of hash and supplement.
fn supplements(folder: &Path) -> Vec<(B256, Bytes)> {
    let beside = chunks(folder).into_keys().map(|chunk| folder.join(chunk.supplements()));
    let contents = beside.filter(|path| path.exists()).map(|path| fs::read(path).unwrap());
    let read = |content: Vec<u8>| {
        ChunkReader::new(&content)
            .map(|record| record.unwrap().record)
            .map(|record| (record.hash, record.replica_rlp.0))
            .collect::<Vec<_>>()
    };
    contents.flat_map(read).collect()
}

#[test]
fn supplements_lie_beside_the_chunks_whose_bytes_are_what_they_were() {
    let [with, without] = [(), ()].map(|()| tempfile::tempdir().unwrap());
    let batches = [vec![entry(1, vec![1; 9])], vec![supplemented(2), entry(3, vec![3; 9])]];
    let plain = |entry: &Entry| Entry { supplement: None, ..entry.clone() };
    let (mut target, mut other) = (open(with.path()), open(without.path()));
    for batch in &batches {
        block_on(target.deliver(batch)).unwrap();
        let plain: Vec<_> = batch.iter().map(plain).collect();
        block_on(other.deliver(&plain)).unwrap();
    }
    let bytes = |folder: &Path| chunks(folder).into_values().collect::<Vec<_>>();
    assert_eq!(bytes(with.path()), bytes(without.path()));
    assert_eq!(fs::read_dir(without.path()).unwrap().count(), 1, "nothing beside the chunk");
    let expected = |number| (supplemented(number).hash, supplemented(number).supplement.unwrap());
    assert_eq!(supplements(with.path()), [expected(2)]);

    // Further ones go into the same file, and those of another session into another.
    block_on(target.deliver(&[supplemented(4)])).unwrap();
    drop(target);
    let mut target = open(with.path());
    block_on(target.deliver(&[supplemented(5)])).unwrap();
    assert_eq!(supplements(with.path()), [2, 4, 5].map(expected));
    assert_eq!(fs::read_dir(with.path()).unwrap().count(), 4);
}

#[test]
fn no_record_is_written_before_its_supplement_is_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut target = open(folder.path());
    let name = *chunks(folder.path()).first_key_value().unwrap().0;
    // The supplement's file can't be made.
    fs::create_dir(folder.path().join(name.supplements())).unwrap();
    block_on(target.deliver(&[supplemented(1)])).unwrap();
    let chunks = chunks(folder.path());
    assert_eq!(chunks[&name], b"", "the chunk is given up");
    assert_eq!(records(folder.path()), pairs(&[supplemented(1)]));
    let next = ChunkName { chunk: 1, ..name };
    assert!(folder.path().join(next.supplements()).is_file());
}

#[test]
fn what_follows_the_damage_in_the_last_chunk_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let random = incompressible(1000);
    let batch = |number| [entry(number, random.clone())];
    let mut target = open(folder.path());
    assert_eq!(target.position(), None);
    let positions = [1, 2, 3].map(|number| {
        block_on(target.deliver(&batch(number))).unwrap();
        target.position().unwrap()
    });
    assert!(positions.is_sorted());
    drop(target);

    // Undamaged, also when it has been consumed and removed.
    let resumed = || {
        let mut target = open(folder.path());
        target.resume(positions[2]);
        target
    };
    block_on(resumed().deliver(&[])).unwrap();
    block_on(resumed().deliver(&batch(3))).unwrap();
    assert_eq!(records(folder.path()).len(), 3, "it is there already");

    // A bit in the second record's length.
    let (name, mut bytes) = chunks(folder.path()).into_iter().next().unwrap();
    let path = folder.path().join(name.to_string());
    let second = bytes.len() / 3;
    bytes[second] ^= 0x40;
    fs::write(&path, &bytes).unwrap();
    let mut target = resumed();
    let error = block_on(target.deliver(&batch(4))).unwrap_err();
    assert!(matches!(error, TargetError::Lost { kept, .. } if kept == positions[0]), "{error}");
    // It is told once, and what was written before the damage is not written again.
    block_on(target.deliver(&[2, 3, 4].map(|number| batch(number)[0].clone()))).unwrap();
    assert!(target.position().unwrap() > positions[2]);
    let last = chunks(folder.path()).into_values().next_back().unwrap();
    assert_eq!(ChunkReader::new(&last).count(), 3);

    drop(target);
    fs::remove_file(path).unwrap();
    block_on(resumed().deliver(&batch(5))).unwrap();
}

/// Begins a delivery that has to wait, and returns once it says so.
async fn held(
    mut target: FileTarget,
    batch: Vec<Entry>,
) -> (tokio::task::JoinHandle<Result<(), TargetError>>, TargetHealth, String) {
    let health = target.health();
    let delivery = tokio::spawn(async move { target.deliver(&batch).await });
    let trouble = loop {
        assert!(!delivery.is_finished(), "nothing keeps it from writing");
        match health.trouble() {
            Some(trouble) => break trouble,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    (delivery, health, trouble)
}

#[test]
fn a_folder_over_its_budget_waits_until_its_consumer_has_removed_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let options = FileOptions { byte_budget: Some(3 << 20), ..FileOptions::UNLIMITED };
    let mut target = FileTarget::open(folder.path(), &options, CancellationToken::new()).unwrap();
    let random = incompressible(1 << 20);
    let batch = |number| vec![entry(number, random.clone())];
    for number in 1..=3 {
        block_on(target.deliver(&batch(number))).unwrap();
    }
    block_on(async {
        let (delivery, health, trouble) = held(target, batch(4)).await;
        assert!(trouble.contains("take 3 MiB, and may take 3 MiB"), "{trouble}");
        assert!(trouble.contains("file-byte-budget"), "{trouble}");
        assert_eq!(health.retries(), 0, "nothing has failed");
        // The chunk is complete, and so the consumer's to remove, although it was far from full.
        let names: Vec<_> = chunks(folder.path()).into_keys().collect();
        assert_eq!(names.len(), 2);
        fs::remove_file(folder.path().join(names[0].to_string())).unwrap();
        delivery.await.unwrap().unwrap();
        assert_eq!(health.trouble(), None);
    });
    assert_eq!(records(folder.path()), pairs(&batch(4)));
}

#[test]
fn a_disk_that_would_run_low_is_left_alone_until_there_is_room() {
    static FREE: AtomicU64 = AtomicU64::new(0);
    FREE.store(5 << 30, Ordering::Relaxed);
    let folder = tempfile::tempdir().unwrap();
    let (options, stop) = (FileOptions::default(), CancellationToken::new());
    let target = FileTarget::open(folder.path(), &options, stop).unwrap();
    target.folder().room.free = |_| Ok(FREE.load(Ordering::Relaxed));
    block_on(async {
        let (delivery, health, trouble) = held(target, vec![entry(1, vec![1; 9])]).await;
        assert!(trouble.contains("5120 MiB free, and 8192 MiB have to stay free"), "{trouble}");
        assert_eq!((records(folder.path()).len(), chunks(folder.path()).len()), (0, 1));
        FREE.store(9 << 30, Ordering::Relaxed);
        delivery.await.unwrap().unwrap();
        assert_eq!(health.trouble(), None);
    });
    assert_eq!(records(folder.path()), pairs(&[entry(1, vec![1; 9])]));
}

#[test]
fn a_folder_whose_parent_is_missing_is_a_typing_error() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path().join("mistyped");
    let refused = refusal(&parent.join("replicas"));
    let expected = format!("{} does not exist: make that folder", parent.display());
    assert!(refused.to_string().contains(&expected), "{refused}");
    assert!(!parent.exists());
}
