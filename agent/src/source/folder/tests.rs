use super::*;
use crate::{
    alarm::AlarmKind,
    source::{DeadLetter, EntryId, Payload},
};
use alloy_primitives::B256;
use bsp_codec::{
    chunk::{ChunkName, encode_record},
    snappy,
};
use proptest::prelude::*;
use std::{fs::OpenOptions, io::Write};
use tempfile::TempDir;
use tokio::{runtime::Runtime, time::timeout};

/// A folder of chunks, and the agent's data folder.
struct Scene {
    scratch: TempDir,
    alarms: Alarms,
}

/// A source that is stopped when dropped.
struct Opened {
    source: Source,
    stop: CancellationToken,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Scene {
    fn new() -> Self {
        let scene = Self { scratch: tempfile::tempdir().unwrap(), alarms: Alarms::default() };
        fs::create_dir(scene.chunks()).unwrap();
        scene
    }

    fn chunks(&self) -> PathBuf {
        self.scratch.path().join("replicas")
    }

    fn dead(&self) -> PathBuf {
        self.scratch.path().join("data/dead")
    }

    fn source(&self) -> FolderSource {
        FolderSource::new(self.chunks(), self.scratch.path().join("data/source"))
    }

    fn open(&self) -> Opened {
        self.open_with(self.source())
    }

    fn open_with(&self, source: FolderSource) -> Opened {
        let stop = CancellationToken::new();
        Opened { source: source.open(&self.alarms, &stop).unwrap(), stop }
    }

    fn write(&self, chunk: ChunkName, bytes: &[u8]) {
        fs::write(self.chunks().join(chunk.to_string()), bytes).unwrap();
    }

    fn append(&self, chunk: ChunkName, bytes: &[u8]) {
        let path = self.chunks().join(chunk.to_string());
        OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
    }

    /// The payload of the dead letter of what was at that place.
    fn dead_letter(&self, chunk: ChunkName, offset: usize) -> Vec<u8> {
        fs::read(self.dead().join(format!("{chunk}_{offset}.bin"))).unwrap()
    }

    fn files(&self) -> usize {
        fs::read_dir(self.chunks()).unwrap().count()
    }

    fn alarm(&self, kind: AlarmKind) -> Option<String> {
        self.alarms.raised().get(&kind).map(|alarm| alarm.message.clone())
    }
}

impl Opened {
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

    async fn acknowledge(&self, entry: &EntryId) {
        self.source.settlement.acknowledge(entry).await.unwrap();
    }
}

const fn chunk(session: u64, chunk: u64) -> ChunkName {
    ChunkName { session, chunk }
}

fn hash(number: u64) -> B256 {
    B256::left_padding_from(&number.to_be_bytes())
}

fn record(number: u64) -> Vec<u8> {
    encode_record(hash(number), format!("replica {number}").as_bytes()).unwrap()
}

fn records(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
    numbers.into_iter().flat_map(record).collect()
}

/// The number of the replica, all of which is as it was written.
fn number(delivery: &Delivery) -> u64 {
    let Some(Payload::Rlp(rlp)) = &delivery.payload else { panic!("{delivery:?}") };
    let number =
        std::str::from_utf8(rlp).unwrap().strip_prefix("replica ").unwrap().parse().unwrap();
    assert_eq!(delivery.hash, Some(format!("{:#x}", hash(number))));
    number
}

#[tokio::test]
async fn an_entry_is_named_by_its_place() {
    let scene = Scene::new();
    scene.write(chunk(1, 0), &records(0..2));
    let mut opened = scene.open();
    let places = [opened.next().await.entry.0, opened.next().await.entry.0];
    let second = record(0).len();
    assert_eq!(
        places,
        [
            "sess-00000001-chunk-00000000.rlp:0".to_owned(),
            format!("sess-00000001-chunk-00000000.rlp:{second}")
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_restart_delivers_exactly_what_was_not_acknowledged(
        chunk_lengths in prop::collection::vec(0..4_u64, 1..4),
        runs in prop::collection::vec(prop::collection::vec(any::<bool>(), 12), 1..4),
    ) {
        let scene = Scene::new();
        let mut written = 0;
        for (index, length) in chunk_lengths.into_iter().enumerate() {
            scene.write(chunk(1, index as u64), &records(written..written + length));
            written += length;
        }
        let mut waiting: Vec<u64> = (0..written).collect();
        Runtime::new().unwrap().block_on(async {
            for choices in runs {
                let mut opened = scene.open();
                let mut kept = Vec::new();
                for (expected, acknowledged) in waiting.iter().zip(choices) {
                    let delivery = opened.next().await;
                    assert_eq!(number(&delivery), *expected);
                    if acknowledged {
                        opened.acknowledge(&delivery.entry).await;
                    } else {
                        kept.push(*expected);
                    }
                }
                waiting = kept;
            }
            // What comes last shows that nothing else is left.
            scene.write(chunk(2, 0), &record(written));
            waiting.push(written);
            assert_eq!(scene.open().numbers(waiting.len()).await, waiting);
        });
    }
}

#[tokio::test]
async fn many_acknowledgements_at_once_are_all_kept() {
    let scene = Scene::new();
    scene.write(chunk(1, 0), &records(0..200));
    let mut opened = scene.open();
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..200 {
        let entry = opened.next().await.entry;
        if index != 77 {
            let settlement = Arc::clone(&opened.source.settlement);
            tasks.spawn(async move { settlement.acknowledge(&entry).await.unwrap() });
        }
    }
    tasks.join_all().await;
    drop(opened);
    scene.write(chunk(2, 0), &record(200));
    assert_eq!(scene.open().numbers(2).await, [77, 200]);
}

#[tokio::test]
async fn a_torn_tail_waits_for_its_rest_while_there_is_no_later_chunk() {
    let scene = Scene::new();
    let mut opened = scene.open();
    scene.write(chunk(1, 0), &record(0));
    let (last, others) =
        record(1).split_last().map(|(last, others)| (*last, others.to_vec())).unwrap();
    for byte in others {
        scene.append(chunk(1, 0), &[byte]);
    }
    assert_eq!(opened.numbers(1).await, [0]);
    scene.append(chunk(1, 0), &[last]);
    assert_eq!(opened.numbers(1).await, [1]);
    assert!(!scene.dead().exists());
}

#[tokio::test]
async fn a_torn_tail_before_a_later_chunk_is_a_dead_letter_wherever_it_is_torn() {
    let bytes = records(0..2);
    let whole = record(0).len();
    for cut in whole + 1..bytes.len() {
        let scene = Scene::new();
        scene.write(chunk(1, 0), &bytes[..cut]);
        scene.write(chunk(2, 0), &record(2));
        assert_eq!(scene.open().numbers(2).await, [0, 2], "{cut}");
        assert_eq!(scene.dead_letter(chunk(1, 0), whole), bytes[whole..cut], "{cut}");
        assert!(scene.alarm(AlarmKind::DeadLetter).unwrap().contains("torn"));
    }
}

#[tokio::test]
async fn what_is_behind_a_damaged_place_is_a_dead_letter_once_the_chunk_is_complete() {
    let scene = Scene::new();
    let damaged = [&record(0)[..], &[0; 10], &record(1)].concat();
    scene.write(chunk(1, 0), &damaged);
    let mut opened = scene.open();
    let first = opened.next().await;
    while scene.alarm(AlarmKind::SourceUnavailable).is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!scene.dead().exists(), "more may come");
    scene.append(chunk(1, 0), &record(2));
    scene.write(chunk(1, 1), &record(3));
    assert_eq!(opened.numbers(1).await, [3]);
    let kept = scene.dead_letter(chunk(1, 0), record(0).len());
    assert_eq!([record(0), kept].concat(), [damaged, record(2)].concat());
    assert_eq!(opened.source.settlement.backlog().await.unwrap().dead, Some(1));

    opened.acknowledge(&first.entry).await;
    drop(opened);
    assert_eq!(scene.open().numbers(1).await, [3], "the damaged chunk is done with");
}

#[tokio::test]
async fn a_replica_that_is_too_long_does_not_stop_the_line() {
    let scene = Scene::new();
    let long = encode_record(B256::ZERO, &[7; 5000]).unwrap();
    scene.write(chunk(1, 0), &[&record(0)[..], &long].concat());
    scene.write(chunk(1, 1), &record(1));
    let mut opened = scene.open_with(scene.source().with_max_replica_bytes(1000));
    assert_eq!(opened.numbers(2).await, [0, 1]);
    assert!(scene.alarm(AlarmKind::DeadLetter).unwrap().contains("at most"));
}

#[tokio::test]
async fn a_released_entry_comes_again_and_a_settled_one_does_not() {
    let scene = Scene::new();
    scene.write(chunk(1, 0), &records(0..3));
    let mut opened = scene.open_with(scene.source().with_idle(Duration::ZERO));
    let entries = [opened.next().await, opened.next().await, opened.next().await];
    opened.acknowledge(&entries[0].entry).await;
    opened.source.settlement.release(&entries[0].entry);
    opened.source.settlement.release(&entries[1].entry);
    let again = opened.next().await;
    assert_eq!((number(&again), again.deliveries), (1, 2));
    assert_eq!(again.entry, entries[1].entry);
    assert_eq!(opened.source.settlement.backlog().await.unwrap().pending, Some(2));
}

/// The idle time is ten minutes: it is not waited for.
#[tokio::test]
async fn an_entry_that_is_to_be_delivered_again_comes_at_once() {
    let scene = Scene::new();
    scene.write(chunk(1, 0), &records(1..=2));
    let mut source = scene.open();
    let first = source.next().await;
    assert_eq!(source.numbers(1).await, [2]);
    source.source.settlement.redeliver(&first.entry);
    let again = source.next().await;
    assert_eq!((again.entry, again.payload), (first.entry, first.payload));
}

#[tokio::test]
async fn a_buried_entry_is_kept_as_a_stream_would_have_it_and_not_delivered_again() {
    let scene = Scene::new();
    scene.write(chunk(1, 0), &records(0..2));
    let mut opened = scene.open();
    let Delivery { entry, hash, payload, .. } = opened.next().await;
    let payload = Some(payload.unwrap().to_snappy().unwrap());
    let reason = "wrong roots".to_owned();
    let letter = DeadLetter { entry, hash, reason, payload, supplement: None };
    opened.source.settlement.bury(&letter).await.unwrap();
    drop(opened);
    let kept = scene.dead_letter(chunk(1, 0), 0);
    assert_eq!(snappy::decompress(&kept, 1000).unwrap(), b"replica 0");
    assert_eq!(scene.open().numbers(1).await, [1]);
}

#[tokio::test]
async fn chunks_are_removed_when_they_are_done_with_and_only_if_asked() {
    for (remove, left) in [(false, 6), (true, 2)] {
        let scene = Scene::new();
        let supplements = |index| scene.chunks().join(chunk(1, index).supplements());
        for index in 0..3 {
            scene.write(chunk(1, index), &record(index));
            fs::write(supplements(index), record(index)).unwrap();
        }
        let source = scene.source();
        let mut opened = scene.open_with(if remove { source.removing_finished() } else { source });
        for _ in 0..3 {
            let delivery = opened.next().await;
            opened.acknowledge(&delivery.entry).await;
        }
        // The reader may close a chunk after its last acknowledgement, and removes it then.
        while scene.files() > left {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(opened);
        let kept = [0, 1, 2].map(|index| supplements(index).exists());
        assert_eq!(kept, [!remove, !remove, true], "they go with their chunks");
        scene.write(chunk(1, 3), &record(3));
        assert_eq!(scene.open().numbers(1).await, [3]);
        assert!(scene.alarm(AlarmKind::EntriesLost).is_none());
    }
}

#[tokio::test]
async fn a_chunk_that_went_unread_is_reported_as_lost() {
    let scene = Scene::new();
    scene.write(chunk(1, 0), &records(0..2));
    let mut opened = scene.open();
    let first = opened.next().await.entry;
    opened.acknowledge(&first).await;
    drop(opened);
    fs::remove_file(scene.chunks().join(chunk(1, 0).to_string())).unwrap();
    scene.open();
    assert!(scene.alarm(AlarmKind::EntriesLost).is_none(), "the folder may not be mounted");
    scene.write(chunk(1, 1), &record(2));
    assert_eq!(scene.open().numbers(1).await, [2]);
    assert!(scene.alarm(AlarmKind::EntriesLost).unwrap().contains("sess-00000001-chunk-00000000"));
}

#[tokio::test]
async fn a_session_that_is_older_than_what_was_read_is_read_nevertheless() {
    let scene = Scene::new();
    scene.write(chunk(5, 0), &record(0));
    scene.write(chunk(6, 0), &record(1));
    let mut opened = scene.open();
    assert_eq!(opened.numbers(2).await, [0, 1]);
    scene.write(chunk(4, 0), &record(2));
    assert_eq!(opened.numbers(1).await, [2]);
    scene.append(chunk(4, 0), &record(3));
    assert_eq!(opened.numbers(1).await, [3]);
}

#[tokio::test]
async fn a_folder_that_is_gone_for_a_while_is_waited_for() {
    let scene = Scene::new();
    scene.write(chunk(1, 0), &record(0));
    let mut opened = scene.open();
    assert_eq!(opened.numbers(1).await, [0]);
    let away = scene.scratch.path().join("away");
    fs::rename(scene.chunks(), &away).unwrap();
    while scene.alarm(AlarmKind::SourceUnavailable).is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    fs::rename(&away, scene.chunks()).unwrap();
    scene.write(chunk(1, 1), &record(1));
    assert_eq!(opened.numbers(1).await, [1]);
    assert!(scene.alarm(AlarmKind::SourceUnavailable).is_none());
}

#[tokio::test]
async fn a_stop_ends_the_source() {
    let scene = Scene::new();
    let mut opened = scene.open();
    let stop = opened.stop.clone();
    let (next, ()) = tokio::join!(opened.source.deliveries.next(), async { stop.cancel() });
    assert!(next.unwrap().is_none());
}

#[test]
fn what_cannot_be_opened_is_refused() {
    let scene = Scene::new();
    let (alarms, stop) = (Alarms::default(), CancellationToken::new());
    let refusal = |source: FolderSource| source.open(&alarms, &stop).unwrap_err().to_string();
    let missing = FolderSource::new(scene.scratch.path().join("none"), scene.scratch.path());
    assert!(refusal(missing).contains("name the folder of the producer's file:// target"));

    scene.write(chunk(1, 0), b"");
    let file = scene.chunks().join(chunk(1, 0).to_string());
    let state_in_file = FolderSource::new(scene.chunks(), file.join("state"));
    assert!(refusal(state_in_file).contains("for the state"));

    let state = scene.scratch.path().join("data/source");
    fs::create_dir_all(&state).unwrap();
    fs::write(state.join("positions.json"), b"{").unwrap();
    assert!(refusal(scene.source()).contains("is damaged"));
}
