//! The store on a disk that is what it should be.

mod dags;
mod damage;
mod garbage;
mod mainnet;
mod model;
mod small_disk;

use super::*;
use bsp_codec::dag::{CHUNK_LEN, Dag, cid_of};
use std::io::{Read, Seek, SeekFrom};

/// A file whose chunks all differ, and do not compress.
pub(super) fn content(len: usize, seed: u64) -> Vec<u8> {
    // splitmix64: a generator of `rand` takes seconds for some megabytes without optimisation.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(word ^ (word >> 31)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

pub(super) struct Fixture {
    pub(super) folder: tempfile::TempDir,
    pub(super) options: StoreOptions,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), options: StoreOptions::default() }
    }

    pub(super) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("store")
    }

    pub(super) fn open(&self) -> Store {
        Store::open(&self.path(), self.options.clone()).unwrap()
    }
}

/// Stores a file as one piece.
pub(super) fn import(store: &Store, content: &[u8]) -> Pin {
    let mut import = store.import();
    import.update(content).unwrap();
    import.finish(NewPin::default()).unwrap()
}

pub(super) fn read(store: &Store, root: &Cid) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.file(root).unwrap().unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn named(name: &str) -> NewPin {
    NewPin { name: name.to_owned(), ..NewPin::default() }
}

#[test]
fn files_come_back_under_the_reference_identifier() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let lens = [0, 1, 100, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 3 * CHUNK_LEN + 7];
    let files: Vec<Vec<u8>> = lens.iter().map(|len| content(*len, *len as u64)).collect();
    for (len, file) in lens.iter().zip(&files) {
        let pin = import(&store, file);
        assert_eq!(pin.root, cid_of(file), "{len} bytes");
        let dag: u64 = Dag::build(file).blocks().map(|(_, block)| block.len() as u64).sum();
        assert_eq!(pin.size, dag, "{len} bytes");
        assert_eq!(pin.blocks, Dag::build(file).blocks().count() as u64);
        assert_eq!(store.pinned(&pin.root).unwrap().as_ref(), Some(&pin));
        assert!(read(&store, &pin.root) == *file, "{len} bytes");
    }
    drop(store);
    let store = fixture.open();
    for file in &files {
        assert!(read(&store, &cid_of(file)) == *file);
    }
    assert_eq!(store.usage().unwrap().pins, lens.len() as u64);
}

#[test]
fn files_of_174_and_175_leaves_have_the_reference_identifier() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let file = content(174 * CHUNK_LEN + 1, 5);
    for len in [174 * CHUNK_LEN, 174 * CHUNK_LEN + 1] {
        let mut import = store.import();
        file[..len].chunks(1_000_003).for_each(|piece| import.update(piece).unwrap());
        let pin = import.finish(NewPin::default()).unwrap();
        assert_eq!(pin.root, cid_of(&file[..len]));
        assert!(read(&store, &pin.root) == file[..len]);
    }
}

#[test]
fn a_file_is_read_from_any_position() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let file = content(5 * CHUNK_LEN + 100, 1);
    let pin = import(&store, &file);
    let mut stored = store.file(&pin.root).unwrap().unwrap();
    assert_eq!(stored.len(), file.len() as u64);
    for start in [0, 1, CHUNK_LEN - 1, 4 * CHUNK_LEN, 2 * CHUNK_LEN + 5, file.len() - 1] {
        stored.seek(SeekFrom::Start(start as u64)).unwrap();
        let mut bytes = vec![0; (file.len() - start).min(CHUNK_LEN + 3)];
        stored.read_exact(&mut bytes).unwrap();
        assert!(bytes == file[start..start + bytes.len()], "from {start}");
    }
    stored.seek(SeekFrom::End(5)).unwrap();
    assert_eq!(stored.read(&mut [0; 8]).unwrap(), 0);
    assert!(stored.seek(SeekFrom::Current(-i64::MAX)).is_err());
}

#[test]
fn equal_blocks_are_stored_once_and_stay_while_one_pin_holds_them() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (first, second) = (content(CHUNK_LEN, 1), content(CHUNK_LEN, 2));
    let both = import(&store, &[&first[..], &second, &first].concat());
    assert_eq!(both.blocks, 3);
    let alone = import(&store, &first);
    assert_eq!(store.usage().unwrap().blocks, 3);
    store.unpin(&both.root).unwrap().unwrap();
    assert_eq!(store.usage().unwrap().blocks, 1);
    assert!(read(&store, &alone.root) == first);
    assert_eq!(store.unpin(&both.root).unwrap(), None);
    store.unpin(&alone.root).unwrap().unwrap();
    let usage = store.usage().unwrap();
    assert_eq!((usage.blocks, usage.block_bytes, usage.pins), (0, 0, 0));
    assert!(store.file(&alone.root).unwrap().is_none());
}

#[test]
fn pinning_again_fills_the_name_and_keeps_a_confirmation() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let pin = import(&store, b"content");
    assert_eq!((pin.name.as_str(), pin.state), ("", PinState::Unconfirmed));
    let again = store.pin(&pin.root, named("name")).unwrap();
    assert_eq!(again, Pin { name: "name".to_owned(), ..pin });
    assert_eq!(store.pin(&pin.root, named("other")).unwrap(), again);
    assert!(store.confirm(&pin.root).unwrap());
    assert!(!store.confirm(&cid_of(b"none")).unwrap());
    let confirmed = Pin { state: PinState::Confirmed, ..again };
    assert_eq!(import(&store, b"content"), confirmed);
    drop(store);
    let store = fixture.open();
    assert_eq!(store.pinned(&pin.root).unwrap(), Some(confirmed));
    let error = store.pin(&pin.root, named(&"x".repeat(2000))).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
}

#[test]
fn pins_are_listed_in_pages() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let mut roots: Vec<Vec<u8>> =
        (0u8..10).map(|byte| import(&store, &[byte]).root.to_bytes()).collect();
    roots.sort();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = store.pins(after.as_ref(), 3).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.root);
        listed.extend(page.iter().map(|pin| pin.root.to_bytes()));
    }
    assert_eq!(listed, roots);
}

#[test]
fn an_import_that_is_given_up_leaves_nothing() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let kept = import(&store, &content(CHUNK_LEN, 1));
    let mut given_up = store.import();
    given_up.update(&content(3 * CHUNK_LEN, 1)).unwrap();
    drop(given_up);
    assert_eq!(store.usage().unwrap().blocks, 1);
    assert!(store.block(&kept.root).unwrap().is_some());
}

#[test]
fn only_one_may_have_a_store_open() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let second = Store::open(&fixture.path(), StoreOptions::default());
    assert!(matches!(second, Err(StoreError::InUse)));
    drop(store);
    fixture.open();
}

#[test]
fn blocks_are_what_their_identifiers_say() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let cid = cid_of(b"right");
    let error = store.put_blocks(&[(cid, Bytes::from_static(b"wrong"))]).unwrap_err();
    assert!(matches!(error, StoreError::WrongBlock(_)), "{error}");
    let long = Bytes::from(vec![0; MAX_BLOCK_LEN + 1]);
    let long_cid = super::cid_of(&Sha256::digest(&long).into());
    let error = store.put_blocks(&[(long_cid, long)]).unwrap_err();
    assert!(matches!(error, StoreError::BlockTooLong { .. }), "{error}");
    assert_eq!(store.usage().unwrap().blocks, 0);
    store.put_blocks(&[(cid, Bytes::from_static(b"right"))]).unwrap();
    assert_eq!(store.block(&cid).unwrap().unwrap(), "right");
    assert_eq!(store.block_len(&cid).unwrap(), Some(5));
    assert_eq!(store.block_len(&cid_of(b"other")).unwrap(), None);
    let identity = Cid::new_v1(walk::RAW, Multihash::wrap(0, b"abc").unwrap());
    assert!(matches!(store.block(&identity), Err(StoreError::UnsupportedCid(_))));
}

#[test]
fn compression_saves_disk_where_it_can() {
    let text = b"0x60806040526004361061".repeat(20_000);
    let disk = |uncompressed| {
        let mut fixture = Fixture::new();
        fixture.options.uncompressed = uncompressed;
        let store = fixture.open();
        let before = store.usage().unwrap().disk_bytes;
        let pin = import(&store, &text);
        assert!(read(&store, &pin.root) == text);
        store.usage().unwrap().disk_bytes - before
    };
    assert!(disk(false) * 10 < disk(true));
}

#[test]
fn packs_are_begun_as_they_fill() {
    let mut fixture = Fixture::new();
    fixture.options.pack_len = Some(1 << 20);
    let store = fixture.open();
    let file = content(3 << 20, 1);
    let pin = import(&store, &file);
    assert!(std::fs::read_dir(fixture.path().join("packs")).unwrap().count() >= 3);
    drop(store);
    std::fs::remove_file(fixture.path().join("index.redb")).unwrap();
    let store = fixture.open();
    assert!(read(&store, &pin.root) == file);
    assert_eq!(store.pinned(&pin.root).unwrap(), Some(pin));
}

#[test]
fn imports_at_the_same_time_do_not_disturb_one_another() {
    let fixture = Fixture::new();
    let store = fixture.open();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for file in 0..5 {
                    // Half of the content is the same in all threads.
                    let bytes =
                        [content(CHUNK_LEN, file), content(CHUNK_LEN, 100 * thread)].concat();
                    let pin = import(store, &bytes);
                    assert!(read(store, &pin.root) == bytes);
                    if file % 2 == 0 {
                        store.unpin(&pin.root).unwrap().unwrap();
                    }
                }
            });
        }
    });
    for thread in 0..4 {
        for file in [1, 3] {
            let bytes = [content(CHUNK_LEN, file), content(CHUNK_LEN, 100 * thread)].concat();
            assert!(read(&store, &cid_of(&bytes)) == bytes);
        }
    }
    assert_eq!(store.usage().unwrap().pins, 8);
}
