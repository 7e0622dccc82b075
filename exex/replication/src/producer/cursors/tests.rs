use super::{
    history::{REMEMBERED, Skip},
    inventory::{CursorFile, TargetCursor},
    *,
};
use alloy_primitives::B256;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use std::{
    fs,
    io::{Read, Write},
};

fn at(number: u64, branch: u8) -> BlockNumHash {
    let mut hash = B256::from(alloy_primitives::U256::from(number));
    hash.0[0] = branch;
    BlockNumHash { number, hash }
}

fn delivered(number: u64, branch: u8) -> HandledBlock {
    let parent = at(number - 1, branch).hash;
    let position = StreamPosition(number.into());
    HandledBlock {
        block: at(number, branch),
        disposition: Disposition::Delivered { parent, position },
    }
}

struct Lane {
    folder: tempfile::TempDir,
    cursors: Option<Cursors>,
    id: CursorId,
    history: DeliveryHistory,
}

impl Lane {
    fn begin(start: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cursors = Cursors::open(&folder.path().join("cursors.redb")).unwrap();
        assert_eq!(cursors.read("there").unwrap(), None);
        let (id, history) = cursors.begin("there", start).unwrap();
        Self { folder, cursors: Some(cursors), id, history }
    }

    fn cursors(&self) -> &Cursors {
        self.cursors.as_ref().unwrap()
    }

    fn advance(&mut self, handled: &[HandledBlock]) {
        self.history.advance(handled);
        self.cursors().advance(self.id, handled, self.history.first_kept(), None).unwrap();
    }

    fn step_back(&mut self, to: Option<u64>) {
        self.history.step_back(to);
        self.cursors().step_back("there", to, self.history.next()).unwrap();
    }

    /// What a start reads.
    fn reopened(&mut self) -> DeliveryHistory {
        self.cursors = None;
        self.cursors = Some(Cursors::open(&self.folder.path().join("cursors.redb")).unwrap());
        let (id, history) = self.cursors().read("there").unwrap().unwrap();
        assert_eq!(id, self.id);
        history
    }
}

#[test]
fn what_was_written_is_read_again() {
    let mut lane = Lane::begin(7);
    assert_eq!(lane.reopened(), DeliveryHistory::starting_at(7));
    lane.advance(&[delivered(7, 0), delivered(8, 0), delivered(9, 0)]);
    lane.step_back(Some(8));
    lane.advance(&[
        delivered(9, 1),
        HandledBlock { block: at(10, 0), disposition: Disposition::HadAlready },
        HandledBlock {
            block: at(11, 0),
            disposition: Disposition::Skipped { from: 11, why: Skip::BeforeDefinition },
        },
    ]);
    assert_eq!(lane.reopened(), lane.history);
    lane.step_back(None);
    assert_eq!(lane.reopened(), lane.history);
    assert_eq!(lane.history.next(), 7);
}

#[test]
fn what_a_target_has_lost_is_forgotten_in_the_file_too() {
    let mut lane = Lane::begin(7);
    lane.advance(&[delivered(7, 0), delivered(8, 0), delivered(9, 0)]);
    for kept in [8, 0] {
        lane.history.lose(StreamPosition(kept));
        lane.cursors().lose("there", StreamPosition(kept), lane.history.next()).unwrap();
        let read = lane.reopened();
        assert_eq!(
            (read.cursor(), read.next(), read.position()),
            (lane.history.cursor(), lane.history.next(), lane.history.position())
        );
    }
}

#[test]
fn what_consumers_have_acknowledged_is_kept_until_the_target_loses_some() {
    let mut lane = Lane::begin(7);
    let id = lane.id;
    assert_eq!(lane.cursors().acknowledged(id).unwrap(), None);
    for (number, acknowledged) in
        [(7, Some(StreamPosition(6))), (8, None), (9, Some(StreamPosition(8)))]
    {
        lane.cursors().advance(id, &[delivered(number, 0)], 0, acknowledged).unwrap();
        lane.reopened();
        let kept = acknowledged.unwrap_or(StreamPosition(6));
        assert_eq!(lane.cursors().acknowledged(id).unwrap(), Some(kept));
    }
    lane.cursors().lose("there", StreamPosition(8), 9).unwrap();
    assert_eq!(lane.cursors().acknowledged(id).unwrap(), None);
}

#[test]
fn targets_are_kept_apart() {
    let mut lane = Lane::begin(1);
    let (other, _) = lane.cursors().begin("elsewhere", 5).unwrap();
    lane.advance(&[delivered(1, 0)]);
    lane.cursors().advance(other, &[delivered(5, 0)], 0, None).unwrap();
    lane.step_back(None);
    assert_eq!(lane.reopened(), lane.history);
    let (_, elsewhere) = lane.cursors().read("elsewhere").unwrap().unwrap();
    assert_eq!(elsewhere.cursor(), Some(at(5, 0)));
}

#[test]
fn old_heights_leave_the_file_too() {
    let mut lane = Lane::begin(1);
    let blocks: Vec<_> = (1..=REMEMBERED + 50).map(|number| delivered(number, 0)).collect();
    for batch in blocks.chunks(1_000) {
        lane.advance(batch);
    }
    let history = lane.reopened();
    assert_eq!(history, lane.history);
    assert_eq!(history.lowest(), Some(at(51, 0)));
    let bytes = fs::metadata(lane.folder.path().join("cursors.redb")).unwrap().len();
    assert!(bytes < 8 << 20, "the file of one target has {bytes} bytes");
}

#[test]
fn adjoining_skipped_ranges_are_one() {
    let mut lane = Lane::begin(1);
    let skip = |from, to, why| HandledBlock {
        block: at(to, 0),
        disposition: Disposition::Skipped { from, why },
    };
    lane.advance(&[skip(1, 1, Skip::BeforeDefinition), skip(2, 2, Skip::BeforeDefinition)]);
    lane.advance(&[skip(3, 90, Skip::Pruned)]);
    lane.advance(&[delivered(91, 0), skip(92, 93, Skip::Pruned)]);
    let found = lane.cursors().skipped(lane.id).unwrap();
    let found: Vec<_> =
        found.iter().map(|range| (range.first, range.last, range.reason.as_str())).collect();
    assert_eq!(found, [(1, 2, "before_definition"), (3, 90, "pruned"), (92, 93, "pruned")]);
}

#[test]
fn a_file_in_use_is_told_from_a_damaged_one() {
    let mut lane = Lane::begin(1);
    let path = lane.folder.path().join("cursors.redb");
    let error = Cursors::open(&path).unwrap_err().to_string();
    assert!(error.contains("another process"), "{error}");
    lane.cursors = None;
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..64].fill(7);
    std::fs::write(&path, bytes).unwrap();
    let error = Cursors::open(&path).unwrap_err().to_string();
    assert!(error.contains("damaged") && error.contains("move it away"), "{error}");
}

#[test]
fn a_stopped_nodes_targets_are_listed_and_one_of_them_is_reset() {
    let mut lane = Lane::begin(3);
    let path = lane.folder.path().join("cursors.redb");
    let skipped = Disposition::Skipped { from: 3, why: Skip::Pruned };
    lane.advance(&[HandledBlock { block: at(4, 0), disposition: skipped }, delivered(5, 0)]);
    let (other, _) = lane.cursors().begin("elsewhere", 5).unwrap();
    let acknowledged = Some(StreamPosition(1));
    lane.cursors().advance(other, &[delivered(5, 0)], 0, acknowledged).unwrap();
    let error = CursorFile::open(&path).unwrap_err().to_string();
    assert!(error.contains("a running node: stop that first"), "{error}");
    lane.cursors = None;

    let file = CursorFile::open(&path).unwrap();
    let there = TargetCursor {
        target: "there".to_owned(),
        first: 3,
        cursor: Some(at(5, 0)),
        next: 6,
        skipped: vec![SkippedRange { first: 3, last: 4, reason: "pruned".to_owned() }],
    };
    let elsewhere = TargetCursor {
        target: "elsewhere".to_owned(),
        first: 5,
        cursor: Some(at(5, 0)),
        next: 6,
        skipped: vec![],
    };
    assert_eq!(file.targets().unwrap(), [elsewhere, there.clone()]);
    let last = at(5, 0).hash;
    assert_eq!(
        there.to_string(),
        format!(
            "there\n  first block  3\n  last block   5 {last}\n  next block   6\n  left out     3 to 4 (pruned)"
        )
    );
    assert!(!file.reset("nowhere").unwrap());
    assert!(file.reset("elsewhere").unwrap());
    assert_eq!(file.targets().unwrap(), [there]);
    drop(file);

    // A new one with the same number has nothing of it.
    assert_eq!(lane.reopened(), lane.history);
    let (new, history) = lane.cursors().begin("new", 9).unwrap();
    assert_eq!(new, other);
    assert_eq!(lane.cursors().read("new").unwrap(), Some((new, history)));
    assert_eq!(lane.cursors().acknowledged(new).unwrap(), None);
    assert_eq!(lane.cursors().skipped(new).unwrap(), []);
}

#[test]
fn a_file_that_is_not_there_is_not_made_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursors.redb");
    let error = CursorFile::open(&path).unwrap_err().to_string();
    assert!(error.contains("no such file"), "{error}");
    assert!(!path.exists());
}

/// Cursors that were written by the version that introduced format 1, compressed.
const FORMAT_1: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/cursors-format-1.redb.gz");

/// What is in that file, of its target.
fn blocks_of_format_1() -> [HandledBlock; 4] {
    let other = |number, disposition| HandledBlock { block: at(number, 0), disposition };
    [
        other(4, Disposition::Skipped { from: 2, why: Skip::Pruned }),
        delivered(5, 0),
        delivered(6, 0),
        other(7, Disposition::HadAlready),
    ]
}

#[test]
fn a_file_that_an_earlier_version_wrote_is_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursors.redb");
    let mut file = Vec::new();
    GzDecoder::new(fs::File::open(FORMAT_1).unwrap()).read_to_end(&mut file).unwrap();
    fs::write(&path, file).unwrap();
    let cursors = Cursors::open(&path).unwrap();
    let (id, mut history) = cursors.read("there").unwrap().unwrap();
    let mut expected = DeliveryHistory::starting_at(2);
    expected.advance(&blocks_of_format_1());
    assert_eq!(history, expected);
    assert_eq!(cursors.acknowledged(id).unwrap(), Some(StreamPosition(5)));
    let skipped = cursors.skipped(id).unwrap();
    assert_eq!(skipped.iter().map(|range| (range.first, range.last)).collect::<Vec<_>>(), [(2, 4)]);
    let next = [delivered(8, 0)];
    history.advance(&next);
    cursors.advance(id, &next, history.first_kept(), None).unwrap();
    assert_eq!(cursors.read("there").unwrap(), Some((id, history)));
}

/// For a new format: give the file a new name first.
#[test]
#[ignore = "writes the file that the test above reads"]
fn write_a_file_for_later_versions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cursors.redb");
    {
        let cursors = Cursors::open(&path).unwrap();
        let (id, mut history) = cursors.begin("there", 2).unwrap();
        let blocks = blocks_of_format_1();
        history.advance(&blocks);
        cursors.advance(id, &blocks, history.first_kept(), Some(StreamPosition(5))).unwrap();
    }
    let mut file = GzEncoder::new(fs::File::create_new(FORMAT_1).unwrap(), Compression::best());
    file.write_all(&fs::read(&path).unwrap()).unwrap();
    file.finish().unwrap();
}
