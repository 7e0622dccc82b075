//! A dev chain's files, made once, and changed copies of them.

use crate::program::bsp;
use alloy_primitives::B256;
use bsp_codec::{Profile, Replica, Segment, avro};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// Seed of the chain whose files the tests look at.
const SEED: &str = "7";
/// Enough blocks for one without type-4 transactions and one with them.
const BLOCKS: u64 = 12;

/// The data folder of a run of `bsp dev`. Nobody changes anything in it.
pub(crate) fn data_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dev-chain");
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        make_chain(&folder, SEED, BLOCKS);
        folder
    })
}

/// Runs `bsp dev` to its end and returns what it printed.
pub(crate) fn make_chain(folder: &Path, seed: &str, blocks: u64) -> String {
    let blocks = blocks.to_string();
    let data_dir = folder.to_str().unwrap();
    let args = ["dev", "--blocks", &blocks, "--seed", seed, "--data-dir", data_dir];
    bsp(args).expect(0).text().to_owned()
}

/// All segments, in the order of their blocks.
pub(crate) fn segments() -> Vec<PathBuf> {
    (1..=BLOCKS).map(|number| segment(data_folder(), number)).collect()
}

/// The only segment of a block in a data folder. Its name ends with the proof's hash.
pub(crate) fn segment(data_folder: &Path, number: u64) -> PathBuf {
    let begin = format!("1337-{number}-replica-0x");
    let is_wanted =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(&begin);
    let entries = fs::read_dir(data_folder.join("segments/0")).unwrap();
    let found: Vec<_> = entries.map(|entry| entry.unwrap().path()).filter(is_wanted).collect();
    assert_eq!(found.len(), 1, "block {number}: {found:?}");
    found.into_iter().next().unwrap()
}

/// The segment of a block that can be re-executed from its file, with reads of every kind.
pub(crate) fn plain_segment() -> PathBuf {
    first(|replica| {
        let state = &replica.state;
        replica.transactions.iter().all(|tx| tx.tx_type != 4)
            && replica.transactions.len() > 1
            && replica.transactions.iter().any(|tx| tx.tx_type == 2)
            && state.account_read.len() > 1
            && state.storage_read.iter().any(|row| !row.value.is_zero())
            && !state.code_read.is_empty()
    })
}

/// The segment of a block with type-4 transactions, and the file of their authorizations.
pub(crate) fn segment_with_authorizations() -> (PathBuf, PathBuf) {
    let segment = first(|replica| replica.transactions.iter().any(|tx| tx.tx_type == 4));
    let name = segment.file_name().unwrap().to_str().unwrap();
    let (name, _proof) = name.rsplit_once('-').unwrap();
    let lists = data_folder().join(format!("authorizations/{name}.json"));
    (segment, lists)
}

fn first(wanted: fn(&Replica) -> bool) -> PathBuf {
    let found = segments().into_iter().find(|path| wanted(&decode(path).replica));
    found.expect("another seed, or more blocks")
}

pub(crate) fn decode(path: &Path) -> Segment {
    avro::decode_segment(&fs::read(path).unwrap()).unwrap()
}

/// A place for one test's files.
#[derive(Debug)]
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The names of all files, also hidden ones.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A copy of the plain segment with one change to its replica.
    pub(crate) fn tampered(&self, name: &str, change: impl FnOnce(&mut Replica)) -> PathBuf {
        let mut replica = decode(&plain_segment()).replica;
        change(&mut replica);
        let segment = Segment::of(replica);
        self.file(name, &avro::encode_segment(&segment, Profile::Network).unwrap())
    }
}

/// Makes the hash right again after a change to the header, as a careful forger would.
pub(crate) fn rehash(replica: &mut Replica) {
    replica.hash = replica.header.hash_slow();
    assert_ne!(replica.hash, B256::ZERO);
}
