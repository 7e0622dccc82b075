use super::*;
use crate::{SegmentName, block::BlockId, proof::Proof, source::EntryId};
use bsp_codec::ReplicaKind;
use proptest::prelude::*;
use std::fs;
use tempfile::TempDir;

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
async fn records_survive_the_process() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.redb");
    let stored = record(1, Stage::Stored { segment: facts(1) });
    let done = record(2, acknowledged(2));
    {
        let journal = Journal::open(&path).unwrap();
        put(&journal, &record(1, Stage::Received)).await;
        put(&journal, &stored).await;
        put(&journal, &done).await;
        journal.set_fact("consumer", "here").await.unwrap();
    }
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.get(&stored.key().unwrap()).unwrap(), Some(stored.clone()));
    assert_eq!(journal.unfinished().unwrap(), [stored]);
    assert_eq!(journal.fact("consumer").unwrap().as_deref(), Some("here"));
    assert!(journal.knows(block(2).hash).unwrap());
    assert!(!journal.knows(block(3).hash).unwrap());
}

#[tokio::test]
async fn what_was_noted_is_durable_with_the_next_write() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.redb");
    let noted = record(1, Stage::Received);
    {
        let journal = Journal::open(&path).unwrap();
        journal.note(noted.key().unwrap(), &noted);
        put(&journal, &record(2, Stage::Received)).await;
    }
    assert_eq!(Journal::open(&path).unwrap().get(&noted.key().unwrap()).unwrap(), Some(noted));
}

#[tokio::test]
async fn kinds_of_one_block_have_records_of_their_own() {
    let folder = TempDir::new().unwrap();
    let journal = Journal::open(&folder.path().join("journal.redb")).unwrap();
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
    let journal = Journal::open(&folder.path().join("journal.redb")).unwrap();
    let mut old = record(1, acknowledged(1));
    old.updated_ms = 10;
    let mut waiting = record(2, Stage::Stored { segment: facts(2) });
    waiting.updated_ms = 10;
    let recent = record(3, acknowledged(3));
    for record in [&old, &waiting, &recent] {
        put(&journal, record).await;
    }
    assert_eq!(journal.forget_before(1000).await.unwrap(), 1);
    assert_eq!(journal.get(&old.key().unwrap()).unwrap(), None);
    assert_eq!(journal.get(&waiting.key().unwrap()).unwrap(), Some(waiting));
    assert_eq!(journal.get(&recent.key().unwrap()).unwrap(), Some(recent));
}

#[tokio::test]
async fn a_second_agent_is_told_that_the_folder_is_in_use() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.redb");
    let _open = Journal::open(&path).unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::InUse { .. })));
}

#[test]
fn a_file_of_something_else_is_called_damaged() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.redb");
    fs::write(&path, b"not a database at all, but longer than a header of one").unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_not_called_damaged() {
    let folder = TempDir::new().unwrap();
    let error = Journal::open(&folder.path().join("none").join("journal.redb")).unwrap_err();
    assert!(matches!(error, JournalError::Storage { .. }), "{error}");
}

fn file_with_records(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("journal.redb");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let journal = Journal::open(&path).unwrap();
    runtime.block_on(async {
        for number in 1..40 {
            put(&journal, &record(number, acknowledged(number))).await;
        }
    });
    path
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever happens to the file, a record is either what was written or an error. It never changes.
    #[test]
    fn a_damaged_file_never_yields_another_record(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let folder = TempDir::new().unwrap();
        let path = file_with_records(&folder);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        fs::write(&path, bytes).unwrap();
        let Ok(journal) = Journal::open(&path) else { return Ok(()) };
        let read = journal.for_each(|found| {
            let expected = record(found.block.number, acknowledged(found.block.number));
            assert_eq!(BlockRecord { updated_ms: 0, ..found }, BlockRecord { updated_ms: 0, ..expected });
        });
        read.unwrap();
    }
}
