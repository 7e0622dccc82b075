//! The store on a disk that tears, flips and loses.

use super::*;
use std::{fs, path::PathBuf};

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to.join("packs")).unwrap();
    for folder in ["", "packs"] {
        for entry in fs::read_dir(from.join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), to.join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
}

fn first_pack(fixture: &Fixture) -> PathBuf {
    fixture.path().join("packs/0000000001.pack")
}

/// A store whose files are as a crash would leave them: the index is that of the start.
fn crashed(fixture: &Fixture, fill: impl FnOnce(&Store)) {
    let store = fixture.open();
    fill(&store);
    let left = fixture.folder.path().join("left");
    copy(&fixture.path(), &left);
    drop(store);
    fs::remove_dir_all(fixture.path()).unwrap();
    fs::rename(left, fixture.path()).unwrap();
}

#[test]
fn what_was_answered_survives_without_the_index() {
    let fixture = Fixture::new();
    let files = [content(600_000, 1), content(10, 2), content(600_000, 3)];
    crashed(&fixture, |store| {
        files.iter().for_each(|file| drop(import(store, file)));
        store.unpin(&cid_of(&files[1])).unwrap();
        store.confirm(&cid_of(&files[2])).unwrap();
    });
    for round in 0..4 {
        match round {
            0 => {}
            1 => fs::remove_file(fixture.path().join("index.redb")).unwrap(),
            2 => fs::write(fixture.path().join("index.redb"), "no database").unwrap(),
            _ => {
                let path = fixture.path().join("index.redb");
                let mut bytes = fs::read(&path).unwrap();
                let len = bytes.len();
                bytes[len / 3..].fill(0x5a);
                fs::write(path, bytes).unwrap();
            }
        }
        let store = fixture.open();
        for index in [0, 2] {
            assert!(read(&store, &cid_of(&files[index])) == files[index], "round {round}");
        }
        assert_eq!(store.pinned(&cid_of(&files[1])).unwrap(), None);
        let states: Vec<PinState> =
            [0, 2].map(|n| store.pinned(&cid_of(&files[n])).unwrap().unwrap().state).into();
        assert_eq!(states, [PinState::Unconfirmed, PinState::Confirmed]);
    }
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off() {
    let fixture = Fixture::new();
    let mut ends = Vec::new();
    crashed(&fixture, |store| {
        for n in 0u8..3 {
            import(store, &[n; 20]);
            ends.push(fs::metadata(first_pack(&fixture)).unwrap().len());
        }
    });
    let whole = fs::read(first_pack(&fixture)).unwrap();
    let start = ends[1];
    for len in start..=whole.len() as u64 {
        let torn = Fixture::new();
        copy(&fixture.path(), &torn.path());
        fs::write(first_pack(&torn), &whole[..len as usize]).unwrap();
        let store = torn.open();
        for (n, end) in (0u8..).zip(&ends) {
            let root = cid_of(&[n; 20]);
            let pinned = store.pinned(&root).unwrap().is_some();
            assert_eq!(pinned, *end <= len, "file {n} of a pack of {len} bytes");
            if pinned {
                assert_eq!(read(&store, &root), [n; 20]);
            }
        }
        if len % 16 != 0 {
            continue;
        }
        // What comes next is not lost behind what was torn.
        let next = import(&store, b"next");
        drop(store);
        assert_eq!(read(&torn.open(), &next.root), b"next");
    }
}

#[test]
fn a_flipped_byte_costs_no_more_than_its_frame() {
    let fixture = Fixture::new();
    let files: Vec<Vec<u8>> = (0u8..4).map(|n| vec![n; 20]).collect();
    crashed(&fixture, |store| files.iter().for_each(|file| drop(import(store, file))));
    let whole = fs::read(first_pack(&fixture)).unwrap();
    for place in (0..whole.len()).step_by(7) {
        let flipped = Fixture::new();
        copy(&fixture.path(), &flipped.path());
        fs::remove_file(flipped.path().join("index.redb")).unwrap();
        let mut bytes = whole.clone();
        bytes[place] ^= 0x10;
        fs::write(first_pack(&flipped), bytes).unwrap();
        let store = flipped.open();
        let whole = |file: &&Vec<u8>| {
            let root = cid_of(file);
            let pinned = store.pinned(&root).unwrap().is_some();
            let there = store.file(&root).unwrap().is_some();
            if there {
                assert_eq!(read(&store, &root), **file);
            }
            pinned && there
        };
        let left = files.iter().filter(whole).count();
        assert!(left >= 3, "byte {place}: {left} files");
        // All can be stored again, and are whole then.
        for file in &files {
            let pin = import(&store, file);
            assert_eq!(read(&store, &pin.root), *file, "byte {place}");
        }
    }
}

#[test]
fn a_block_that_decays_is_noticed_and_can_be_stored_again() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let file = content(600_000, 1);
    let pin = import(&store, &file);
    let mut bytes = fs::read(first_pack(&fixture)).unwrap();
    bytes[300_000] ^= 1;
    fs::write(first_pack(&fixture), bytes).unwrap();
    let mut out = Vec::new();
    let error = store.file(&pin.root).unwrap().unwrap().read_to_end(&mut out).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    assert!(file.starts_with(&out));
    let error = store.file(&pin.root).unwrap().unwrap().read_to_end(&mut out).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    assert_eq!(import(&store, &file), pin);
    assert!(read(&store, &pin.root) == file);
    drop(store);
    assert!(read(&fixture.open(), &pin.root) == file);
}
