use super::*;
use crate::block::SegmentName;
use bsp_codec::{ReplicaKind, dag};
use tempfile::TempDir;

const BYTES: &[u8] = b"a segment";

fn block() -> BlockId {
    BlockId { network_id: 1, number: 5, hash: B256::repeat_byte(5) }
}

fn facts() -> SegmentFacts {
    SegmentFacts {
        name: SegmentName::new(&block(), ReplicaKind::Replica),
        length: BYTES.len() as u64,
        specimen_hash: digest::specimen_hash(BYTES),
        cid: dag::cid_of(BYTES).to_string(),
    }
}

/// The files, those in sub-folders with these.
fn names(folder: &TempDir) -> Vec<String> {
    let list = |path: &Path| -> Vec<String> {
        let files = fs::read_dir(path).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    };
    let mut names = Vec::new();
    for name in list(folder.path()) {
        let path = folder.path().join(&name);
        match path.is_dir() {
            true => names.extend(list(&path).iter().map(|file| format!("{name}/{file}"))),
            false => names.push(name),
        }
    }
    names
}

#[test]
fn a_proved_segment_has_the_networks_name() {
    let folder = TempDir::new().unwrap();
    let segments = SegmentFolder::new(folder.path());
    segments.store(&block(), &facts(), BYTES).unwrap();
    assert_eq!(names(&folder), [format!("1-5-replica-{}.unproved", block().hash)]);
    assert_eq!(segments.read(&block(), &facts()).unwrap(), BYTES);

    let proof = B256::repeat_byte(9);
    let path = segments.name_proved(&block(), &facts(), proof).unwrap();
    assert_eq!(names(&folder), [format!("0/1-5-replica-{proof}")]);
    assert_eq!(fs::read(path).unwrap(), BYTES);
}

#[test]
fn a_rename_may_have_happened_before() {
    let folder = TempDir::new().unwrap();
    let segments = SegmentFolder::new(folder.path());
    segments.store(&block(), &facts(), BYTES).unwrap();
    for _ in 0..2 {
        segments.name_unproved(&block(), &facts(), Unproved::Skipped).unwrap();
    }
    assert_eq!(names(&folder), [format!("0/1-5-replica-{}.skipped", block().hash)]);
}

/// As a build has left it that kept all files in one folder.
#[test]
fn a_rename_of_a_former_build_counts() {
    let folder = TempDir::new().unwrap();
    let segments = SegmentFolder::new(folder.path());
    segments.store(&block(), &facts(), BYTES).unwrap();
    let waiting = folder.path().join(&names(&folder)[0]);
    let flat = folder.path().join(format!("1-5-replica-{}", B256::ZERO));
    fs::rename(&waiting, &flat).unwrap();
    assert_eq!(segments.name_proved(&block(), &facts(), B256::ZERO).unwrap(), flat);
    let skipped = folder.path().join(format!("1-5-replica-{}.skipped", block().hash));
    fs::rename(&flat, &skipped).unwrap();
    assert_eq!(segments.name_unproved(&block(), &facts(), Unproved::Skipped).unwrap(), skipped);
    segments.store(&block(), &facts(), BYTES).unwrap();
    segments.name_proved(&block(), &facts(), B256::ZERO).unwrap();
    assert_eq!(names(&folder), [format!("0/1-5-replica-{}", B256::ZERO)]);
}

#[test]
fn files_of_ten_thousand_heights_share_a_folder() {
    let segments = SegmentFolder::new("segments");
    let folder_of = |height| {
        let path = segments.proved(height, &facts().name, B256::ZERO);
        path.parent().unwrap().to_owned()
    };
    assert_eq!(folder_of(0), Path::new("segments/0"));
    assert_eq!(folder_of(22_433_670), Path::new("segments/22430000"));
    assert_eq!(folder_of(22_430_000), folder_of(22_439_999));
    assert_ne!(folder_of(22_440_000), folder_of(22_439_999));
    assert_eq!(folder_of(u64::MAX), Path::new("segments/18446744073709550000"));
}

#[test]
fn a_file_that_was_cut_or_changed_is_never_taken_for_the_segment() {
    let folder = TempDir::new().unwrap();
    let segments = SegmentFolder::new(folder.path());
    segments.store(&block(), &facts(), BYTES).unwrap();
    let path = folder.path().join(&names(&folder)[0]);
    for other in [&BYTES[..4], b"A segment", b"", b"a segment and more"] {
        fs::write(&path, other).unwrap();
        let error = segments.read(&block(), &facts()).unwrap_err();
        assert!(matches!(error, SegmentError::Altered { .. }), "{error}");
    }
    let proved = segments.proved(5, &facts().name, B256::ZERO);
    fs::create_dir_all(proved.parent().unwrap()).unwrap();
    fs::rename(&path, proved).unwrap();
    let error = segments.name_proved(&block(), &facts(), B256::ZERO).unwrap_err();
    assert!(matches!(error, SegmentError::Altered { .. }), "{error}");
}

#[test]
fn a_file_that_is_gone_is_told_from_a_disk_that_is() {
    let folder = TempDir::new().unwrap();
    let segments = SegmentFolder::new(folder.path());
    for error in [
        segments.name_proved(&block(), &facts(), B256::ZERO).unwrap_err(),
        segments.name_unproved(&block(), &facts(), Unproved::Skipped).unwrap_err(),
        segments.read(&block(), &facts()).unwrap_err(),
    ] {
        assert!(matches!(error, SegmentError::Gone { .. }) && !error.may_pass(), "{error}");
    }
    let unmounted = SegmentFolder::new(folder.path().join("none"));
    let error = unmounted.name_proved(&block(), &facts(), B256::ZERO).unwrap_err();
    assert!(error.may_pass(), "{error}");
}

#[test]
fn what_tells_of_a_refusal_goes_when_the_block_is_proved() {
    let folder = TempDir::new().unwrap();
    let segments = SegmentFolder::new(folder.path());
    for why in [Unproved::Refused, Unproved::Skipped] {
        segments.store(&block(), &facts(), BYTES).unwrap();
        segments.name_unproved(&block(), &facts(), why).unwrap();
    }
    assert_eq!(segments.read_refused(&block(), &facts()).unwrap(), BYTES);
    assert_eq!(names(&folder).len(), 2);
    segments.store(&block(), &facts(), BYTES).unwrap();
    segments.name_proved(&block(), &facts(), B256::ZERO).unwrap();
    assert_eq!(names(&folder), [format!("0/1-5-replica-{}", B256::ZERO)]);
}

#[test]
fn a_supplement_is_kept_until_the_block_is_proved_or_skipped() {
    let folder = TempDir::new().unwrap();
    let segments = SegmentFolder::new(folder.path());
    let (block, facts) = (block(), facts());
    let stored = || segments.read_supplement(&block, &facts).unwrap();
    let store = || {
        segments.store_supplement(&block, &facts, b"left out").unwrap();
        segments.store(&block, &facts, BYTES).unwrap();
    };
    assert_eq!(stored(), None);
    store();
    assert_eq!(stored().unwrap(), &b"left out"[..]);
    assert!(names(&folder).contains(&format!("1-5-replica-{}.supplement", block.hash)));
    segments.name_unproved(&block, &facts, Unproved::Refused).unwrap();
    assert!(stored().is_some());
    store();
    segments.name_proved(&block, &facts, B256::ZERO).unwrap();
    assert_eq!(stored(), None);
    store();
    segments.name_unproved(&block, &facts, Unproved::Skipped).unwrap();
    assert_eq!(stored(), None);
}

#[test]
fn a_folder_that_is_gone_is_an_error() {
    let folder = TempDir::new().unwrap();
    let segments = SegmentFolder::new(folder.path().join("none"));
    let error = segments.store(&block(), &facts(), BYTES).unwrap_err();
    assert!(matches!(error, SegmentError::Io { .. }), "{error}");
}

#[test]
fn what_a_crash_left_half_written_is_replaced() {
    let folder = TempDir::new().unwrap();
    let segments = SegmentFolder::new(folder.path());
    let partial = format!("1-5-replica-{}.partial", block().hash);
    fs::write(folder.path().join(partial), b"a very long half of something").unwrap();
    segments.store(&block(), &facts(), BYTES).unwrap();
    assert_eq!(segments.read(&block(), &facts()).unwrap(), BYTES);
    assert_eq!(names(&folder).len(), 1);
}
