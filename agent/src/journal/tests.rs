use super::*;
use crate::{
    alarm::AlarmKind,
    block::{BlockId, SegmentName},
    proof::{Attempt, Proof, SentTransaction},
    source::EntryId,
};
use bsp_codec::ReplicaKind;
use bsp_tests::{small_disk::SmallDisk, wait::wait_for};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use proptest::prelude::*;
use std::{
    fs,
    io::{Read, Write},
    sync::OnceLock,
    time::Duration,
};
use tempfile::TempDir;

fn open(path: &Path) -> Result<Journal, JournalError> {
    Journal::open(path, Alarms::default())
}

fn block(number: u64) -> BlockId {
    BlockId { network_id: 1, number, hash: B256::with_last_byte(number as u8) }
}

fn record(number: u64, stage: Stage) -> BlockRecord {
    let entries = vec![EntryId(format!("{number}-0"))];
    BlockRecord::new(block(number), ReplicaKind::Replica, entries, stage)
}

fn facts(number: u64) -> SegmentFacts {
    SegmentFacts {
        name: SegmentName::new(&block(number), ReplicaKind::Replica),
        length: 3,
        specimen_hash: B256::repeat_byte(1),
        cid: "bafk".to_owned(),
    }
}

fn acknowledged(number: u64) -> Stage {
    let proof = Proof { id: B256::repeat_byte(2), mined_in: Some((7, B256::ZERO)) };
    let segment = facts(number);
    Stage::Acknowledged { segment, verification: Verification::Executed, proof }
}

async fn put(journal: &Journal, record: &BlockRecord) {
    journal.put(record.key().unwrap(), record).await.unwrap();
}

#[tokio::test]
async fn blocks_are_found_by_height_and_by_hash() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder.path().join("journal.redb")).unwrap();
    let (one, two) = (record(1, Stage::Received), record(2, acknowledged(2)));
    let sibling = BlockRecord {
        block: BlockId { hash: B256::repeat_byte(9), ..block(2) },
        ..record(2, Stage::Received)
    };
    for record in [&one, &two, &sibling] {
        put(&journal, record).await;
    }
    let found = |wanted| journal.find(wanted).unwrap();
    assert_eq!(found(BlockQuery::Height(1)), [one]);
    assert_eq!(found(BlockQuery::Height(2)), [two.clone(), sibling]);
    assert_eq!(found(BlockQuery::Hash(block(2).hash)), [two]);
    assert!(found(BlockQuery::Height(3)).is_empty());
    assert!(found(BlockQuery::Hash(B256::ZERO)).is_empty());
}

#[tokio::test]
async fn records_survive_the_process() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.redb");
    let stored = record(1, Stage::Stored { segment: facts(1) });
    let done = record(2, acknowledged(2));
    {
        let journal = open(&path).unwrap();
        put(&journal, &record(1, Stage::Received)).await;
        put(&journal, &stored).await;
        put(&journal, &done).await;
        journal.set_fact("consumer", "here").await.unwrap();
    }
    let journal = open(&path).unwrap();
    assert_eq!(journal.get(&stored.key().unwrap()).unwrap(), Some(stored.clone()));
    assert_eq!(journal.unfinished().unwrap(), [stored]);
    assert_eq!(journal.fact("consumer").unwrap().as_deref(), Some("here"));
    assert!(journal.knows(block(2).hash).unwrap());
    assert!(!journal.knows(block(3).hash).unwrap());
}

#[tokio::test]
async fn attempts_are_found_again_with_fees_of_any_size() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder.path().join("journal.redb")).unwrap();
    let transaction = SentTransaction {
        hash: B256::repeat_byte(4),
        max_fee_per_gas: u128::MAX,
        max_priority_fee_per_gas: 0,
        signed_ms: u64::MAX,
        raw: alloy_primitives::Bytes::from_static(b"raw"),
    };
    let sent = record(
        1,
        Stage::ProofSent {
            segment: facts(1),
            verification: Verification::ExecutionImpossible,
            attempts: vec![Attempt { nonce: u64::MAX, transactions: vec![transaction] }],
        },
    );
    put(&journal, &sent).await;
    assert_eq!(journal.get(&sent.key().unwrap()).unwrap(), Some(sent));
}

#[tokio::test]
async fn what_was_noted_is_durable_with_the_next_write() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.redb");
    let noted = record(1, Stage::Received);
    {
        let journal = open(&path).unwrap();
        journal.note(noted.key().unwrap(), &noted);
        put(&journal, &record(2, Stage::Received)).await;
    }
    assert_eq!(open(&path).unwrap().get(&noted.key().unwrap()).unwrap(), Some(noted));
}

#[tokio::test]
async fn kinds_of_one_block_have_records_of_their_own() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder.path().join("journal.redb")).unwrap();
    let specimen = BlockRecord::new(block(1), ReplicaKind::Specimen, Vec::new(), Stage::Received);
    put(&journal, &specimen).await;
    assert_eq!(journal.get(&specimen.key().unwrap()).unwrap(), Some(specimen.clone()));
    let result = BlockKey { hash: block(1).hash, kind: ReplicaKind::Result };
    assert_eq!(journal.get(&result).unwrap(), None);
    assert!(journal.knows(block(1).hash).unwrap());
}

#[tokio::test]
async fn only_what_is_dealt_with_is_forgotten() {
    let folder = TempDir::new().unwrap();
    let journal = open(&folder.path().join("journal.redb")).unwrap();
    let mut old = record(1, acknowledged(1));
    old.updated_ms = 10;
    let mut waiting = record(2, Stage::Stored { segment: facts(2) });
    waiting.updated_ms = 10;
    let recent = record(3, acknowledged(3));
    // Its entry went before it was handled: there is nothing to be done for it.
    let mut lost = record(4, Stage::Received);
    lost.updated_ms = 10;
    for record in [&old, &waiting, &recent, &lost] {
        put(&journal, record).await;
    }
    assert_eq!(journal.forget_before(1000).await.unwrap(), 2);
    assert_eq!(journal.get(&old.key().unwrap()).unwrap(), None);
    assert_eq!(journal.get(&lost.key().unwrap()).unwrap(), None);
    assert_eq!(journal.get(&waiting.key().unwrap()).unwrap(), Some(waiting));
    assert_eq!(journal.get(&recent.key().unwrap()).unwrap(), Some(recent));
}

#[tokio::test]
async fn a_block_is_forgotten_on_request_in_each_kind_that_is_dealt_with() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.redb");
    let done = record(1, acknowledged(1));
    let under_way = BlockRecord::new(
        block(1),
        ReplicaKind::Specimen,
        Vec::new(),
        Stage::Stored { segment: facts(1) },
    );
    let other = record(2, acknowledged(2));
    {
        let journal = open(&path).unwrap();
        for record in [&done, &under_way, &other] {
            put(&journal, record).await;
        }
        assert_eq!(journal.forget(block(1).hash).await.unwrap(), std::slice::from_ref(&done));
        assert!(journal.forget(block(1).hash).await.unwrap().is_empty());
        assert!(journal.forget(block(3).hash).await.unwrap().is_empty());
    }
    let journal = open(&path).unwrap();
    assert_eq!(journal.get(&done.key().unwrap()).unwrap(), None);
    assert_eq!(journal.get(&under_way.key().unwrap()).unwrap(), Some(under_way));
    assert_eq!(journal.get(&other.key().unwrap()).unwrap(), Some(other));
}

#[test]
fn a_record_without_the_newer_fields_is_read() {
    let written = record(1, Stage::Received);
    let mut json = serde_json::to_value(&written).unwrap();
    assert!(json.as_object_mut().unwrap().remove("unsettled").is_none(), "absent when empty");
    assert_eq!(serde_json::from_value::<BlockRecord>(json).unwrap(), written);
}

/// redb takes nothing more after an I/O error, until the file is opened again.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_for() {
    let folder = TempDir::new().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path()) else { return };
    let alarms = Alarms::default();
    let journal = Journal::open(&folder.path().join("journal.redb"), alarms.clone()).unwrap();
    put(&journal, &record(1, acknowledged(1))).await;
    disk.fill();
    let long =
        Stage::Skipped { segment: facts(2), reason: "x".repeat(1 << 20), acknowledged: true };
    let (writing, long) = (journal.clone(), record(2, long));
    let expected = long.clone();
    let written = tokio::spawn(async move { put(&writing, &long).await });
    let failing = async || alarms.raised().contains_key(&AlarmKind::JournalFailing).then_some(());
    wait_for("an alarm", Duration::from_secs(30), failing).await.unwrap();
    assert!(!written.is_finished());
    assert!(journal.get(&record(1, Stage::Received).key().unwrap()).unwrap().is_some());

    disk.empty();
    written.await.unwrap();
    assert_eq!(journal.get(&expected.key().unwrap()).unwrap(), Some(expected));
    assert!(alarms.raised().is_empty());
    drop(journal);
}

#[tokio::test]
async fn a_second_agent_is_told_that_the_folder_is_in_use() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.redb");
    let _open = open(&path).unwrap();
    assert!(matches!(open(&path), Err(JournalError::InUse { .. })));
}

#[test]
fn a_file_of_something_else_is_called_damaged() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.redb");
    fs::write(&path, b"not a database at all, but longer than a header of one").unwrap();
    let error = open(&path).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_not_called_damaged() {
    let folder = TempDir::new().unwrap();
    let error = open(&folder.path().join("none").join("journal.redb")).unwrap_err();
    assert!(matches!(error, JournalError::Storage { .. }), "{error}");
}

/// A journal's file that holds forty records. It is made once: every record takes a sync.
fn file_with_records() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("journal.redb");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let journal = open(&path).unwrap();
        for number in 1..40 {
            let record = record(number, acknowledged(number));
            journal.note(record.key().unwrap(), &record);
        }
        runtime.block_on(put(&journal, &record(40, acknowledged(40))));
        drop(journal);
        fs::read(path).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Whatever happens to the file, a record is either what was written or an error. It never
    /// changes.
    #[test]
    fn a_damaged_file_never_yields_another_record(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("journal.redb");
        let mut bytes = file_with_records().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        fs::write(&path, bytes).unwrap();
        let Ok(journal) = open(&path) else { return Ok(()) };
        let read = journal.for_each(|found| {
            let expected = record(found.block.number, acknowledged(found.block.number));
            assert_eq!(BlockRecord { updated_ms: 0, ..found }, BlockRecord { updated_ms: 0, ..expected });
        });
        read.unwrap();
    }
}

/// A journal that was written by the version that introduced format 1, compressed.
const FORMAT_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/journal-format-1.redb.gz");

/// What is in that file: a record of each stage.
fn records_of_format_1() -> Vec<BlockRecord> {
    let proof = Proof { id: B256::repeat_byte(2), mined_in: Some((7, B256::repeat_byte(3))) };
    let transaction = SentTransaction {
        hash: B256::repeat_byte(4),
        max_fee_per_gas: 5,
        max_priority_fee_per_gas: 6,
        signed_ms: 1_700_000_000_000,
        raw: alloy_primitives::Bytes::from_static(b"raw"),
    };
    let in_part = Verification::ExecutedInPart { transactions: 3, of: 4 };
    let reason = || "a reason".to_owned();
    let attempts = vec![Attempt { nonce: 8, transactions: vec![transaction] }];
    let stages = [
        Stage::Received,
        Stage::Encoded { segment: facts(2) },
        Stage::Stored { segment: facts(3) },
        Stage::Pinned { segment: facts(4) },
        Stage::Verified { segment: facts(5), verification: in_part },
        Stage::ProofSent { segment: facts(6), verification: Verification::Roots, attempts },
        Stage::ProofConfirmed {
            segment: facts(7),
            verification: Verification::ExecutionImpossible,
            proof: proof.clone(),
        },
        Stage::Acknowledged {
            segment: facts(8),
            verification: Verification::Executed,
            proof: Proof { mined_in: None, ..proof },
        },
        Stage::Skipped { segment: facts(9), reason: reason(), acknowledged: true },
        Stage::Refused { segment: facts(10), reason: reason(), acknowledged: false },
    ];
    let records = (1..).zip(stages).map(|(number, stage)| record(number, stage));
    let dated = records.map(|record| BlockRecord { updated_ms: 1_700_000_000_000, ..record });
    let mut records: Vec<_> = dated.collect();
    records[9].unsettled = vec![EntryId("elsewhere".to_owned())];
    records
}

fn mark_of_format_1() -> (EntryId, Mark) {
    (EntryId("11-0".to_owned()), Mark { ends: 2, in_flight: true })
}

#[tokio::test]
async fn a_file_that_an_earlier_version_wrote_is_read_and_written() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.redb");
    let mut file = Vec::new();
    GzDecoder::new(fs::File::open(FORMAT_1).unwrap()).read_to_end(&mut file).unwrap();
    fs::write(&path, file).unwrap();
    let journal = open(&path).unwrap();
    let records = records_of_format_1();
    assert_eq!(records.len(), Stage::NAMES.len());
    for record in &records {
        assert_eq!(journal.get(&record.key().unwrap()).unwrap().as_ref(), Some(record));
    }
    assert_eq!(journal.fact("consumer").unwrap().as_deref(), Some("here"));
    assert_eq!(journal.marks().unwrap(), [mark_of_format_1()]);
    let next = record(11, Stage::Received);
    put(&journal, &next).await;
    assert_eq!(journal.get(&next.key().unwrap()).unwrap(), Some(next));
}

/// For a new format: give the file a new name first.
#[tokio::test]
#[ignore = "writes the file that the test above reads"]
async fn write_a_file_for_later_versions() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.redb");
    {
        let journal = open(&path).unwrap();
        for record in records_of_format_1() {
            put(&journal, &record).await;
        }
        journal.set_fact("consumer", "here").await.unwrap();
        let (entry, mark) = mark_of_format_1();
        journal.mark(&entry, mark).await.unwrap();
    }
    let mut file = GzEncoder::new(fs::File::create_new(FORMAT_1).unwrap(), Compression::best());
    file.write_all(&fs::read(&path).unwrap()).unwrap();
    file.finish().unwrap();
}
