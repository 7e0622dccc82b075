//! Pins of earlier versions, which kept each block and an archive of each file in files of their
//! own:
//!
//! ```text
//! pins/blocks/<xx>/<cid>        each block of a file's DAG
//! pins/car/<xx>/<cid>.car       the whole DAG in one archive, under its root
//! pins/tmp/                     what was being written
//! ```
//!
//! `<xx>` are the two characters before the last of the CID. Every file goes into the store, and
//! only then its archive and its blocks are removed, so that a start which ends in the middle is
//! continued by the next one.

use bsp_codec::{
    car::{CarLimits, read_car},
    dag::{Cid, ExtractLimits, extract_file, node_links},
};
use bsp_pinner::store::{FileImport, NewPin, PinState, Store, StoreError};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// The longest archive that is read.
const MAX_ARCHIVE: u64 = 2 << 30;

/// The codec of nodes, dag-pb.
const DAG_PB: u64 = 0x70;

/// Why the pins of an earlier version can't be taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeoverError {
    /// A file or folder of theirs.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The store they go to.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TakenOver {
    /// Files that are in the store now.
    pub files: u64,
    /// Files that can't be put together from their blocks, nor from their archive. They stay.
    pub damaged: u64,
}

/// The folders of an earlier version.
struct Former<'a> {
    blocks: PathBuf,
    cars: PathBuf,
    temporary: PathBuf,
    store: &'a Store,
}

/// Takes over what is in the folder of a store; `None` if there is nothing. `is_proved` tells of a
/// root whether its proof is confirmed. It may block for as long as it takes to read all of it.
///
/// # Errors
///
/// [`TakeoverError`]. What was done by then stays done.
pub fn take_over(
    folder: &Path,
    store: &Store,
    is_proved: &dyn Fn(&Cid) -> bool,
) -> Result<Option<TakenOver>, TakeoverError> {
    let [blocks, cars, temporary] = ["blocks", "car", "tmp"].map(|name| folder.join(name));
    if !blocks.is_dir() && !cars.is_dir() {
        return Ok(None);
    }
    let former = Former { blocks, cars, temporary, store };
    let mut taken = TakenOver::default();
    for root in former.roots()? {
        let state = if is_proved(&root) { PinState::Confirmed } else { PinState::Unconfirmed };
        if !former.import(&root, state)? {
            tracing::warn!(cid = %root, "A pin of an earlier version is damaged; its files stay");
            taken.damaged += 1;
            continue;
        }
        let car = sharded(&former.cars, &root, ".car");
        removed(&car)?;
        taken.files += 1;
        if taken.files.is_multiple_of(100) {
            tracing::info!(files = taken.files, "Pins of an earlier version are taken over");
        }
    }
    former.clear()?;
    Ok(Some(taken))
}

impl Former<'_> {
    /// All files: those that have an archive, and the blocks that are of no other one. A block that
    /// the store has already was left by a start that ended in the middle.
    fn roots(&self) -> Result<BTreeSet<Cid>, TakeoverError> {
        let mut roots: BTreeSet<Cid> = names(&self.cars)?
            .iter()
            .filter_map(|(_, name)| name.strip_suffix(".car")?.parse().ok())
            .collect();
        let (mut blocks, mut children) = (BTreeSet::new(), BTreeSet::new());
        for (path, name) in names(&self.blocks)? {
            let Ok(cid) = name.parse::<Cid>() else { continue };
            if self.store.block_len(&cid)?.is_some() {
                continue;
            }
            blocks.insert(cid);
            if cid.codec() == DAG_PB {
                let block = read(&path, MAX_ARCHIVE)?.unwrap_or_default();
                children.extend(node_links(&block).unwrap_or_default());
            }
        }
        roots.extend(blocks.difference(&children));
        Ok(roots)
    }

    /// Takes a file into the store, from its blocks or from its archive. `false` if neither gives
    /// it.
    fn import(&self, root: &Cid, state: PinState) -> Result<bool, TakeoverError> {
        if self.store.pinned(root)?.is_some() {
            return Ok(true);
        }
        let from_blocks = |cid: &Cid| {
            let path = sharded(&self.blocks, cid, "");
            read(&path, MAX_ARCHIVE).map_err(io::Error::other)
        };
        if self.extract(root, state, from_blocks)? {
            return Ok(true);
        }
        let archive = read(&sharded(&self.cars, root, ".car"), MAX_ARCHIVE)?.unwrap_or_default();
        match read_car(&archive, CarLimits::default()) {
            Ok(car) => self.extract(root, state, |cid| Ok(car.blocks.get(cid).copied())),
            Err(_) => Ok(false),
        }
    }

    fn extract<B: AsRef<[u8]>>(
        &self,
        root: &Cid,
        state: PinState,
        block_of: impl FnMut(&Cid) -> io::Result<Option<B>>,
    ) -> Result<bool, TakeoverError> {
        let mut out = Importing { import: self.store.import(), failed: None };
        let extracted = extract_file(root, block_of, &ExtractLimits::default(), &mut out);
        if let Some(error) = out.failed {
            return Err(error.into());
        }
        if extracted.is_err() {
            return Ok(false);
        }
        let pin = out.import.finish(NewPin { state, ..NewPin::default() })?;
        if pin.root == *root {
            return Ok(true);
        }
        // A file that was cut in another way: no earlier version made one.
        self.store.unpin(&pin.root)?;
        Ok(false)
    }

    /// Removes what the store has, and the folders that are empty then.
    fn clear(&self) -> Result<(), TakeoverError> {
        for (path, name) in names(&self.blocks)? {
            let Ok(cid) = name.parse::<Cid>() else { continue };
            if self.store.block(&cid).is_ok_and(|block| block.is_some()) {
                removed(&path)?;
            }
        }
        for (path, _) in files(&self.temporary)? {
            removed(&path)?;
        }
        for folder in [&self.blocks, &self.cars] {
            for (shard, _) in files(folder)? {
                // One that is not empty stays.
                let _ = fs::remove_dir(shard);
            }
            let _ = fs::remove_dir(folder);
        }
        let _ = fs::remove_dir(&self.temporary);
        Ok(())
    }
}

/// Writes into the store.
struct Importing {
    import: FileImport,
    failed: Option<StoreError>,
}

impl io::Write for Importing {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        match self.import.update(piece) {
            Ok(()) => Ok(piece.len()),
            Err(error) => {
                self.failed = Some(error);
                Err(io::ErrorKind::Other.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sharded(folder: &Path, cid: &Cid, suffix: &str) -> PathBuf {
    let name = cid.to_string();
    let shard = name.len().checked_sub(3).and_then(|start| name.get(start..start + 2));
    folder.join(shard.unwrap_or("__")).join(format!("{name}{suffix}"))
}

/// The files in the sub-folders of a folder, by path and name.
fn names(folder: &Path) -> Result<Vec<(PathBuf, String)>, TakeoverError> {
    let mut found = Vec::new();
    for (shard, _) in files(folder)? {
        if shard.is_dir() {
            found.extend(files(&shard)?);
        }
    }
    Ok(found)
}

/// What is in a folder, by path and name; nothing if it is not there.
fn files(folder: &Path) -> Result<Vec<(PathBuf, String)>, TakeoverError> {
    let failed = |error| TakeoverError::Io { path: folder.to_owned(), error };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        found.push((entry.path(), entry.file_name().to_string_lossy().into_owned()));
    }
    Ok(found)
}

/// A file's bytes; `None` if it is not there.
fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, TakeoverError> {
    let failed = |error| TakeoverError::Io { path: path.to_owned(), error };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Ok(found) if found.len() > limit => Ok(None),
        Err(error) => Err(failed(error)),
        Ok(_) => fs::read(path).map(Some).map_err(failed),
    }
}

fn removed(path: &Path) -> Result<(), TakeoverError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(TakeoverError::Io { path: path.to_owned(), error })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pin::{Content, test_server::content};
    use bsp_codec::{car::write_car, dag::Dag};
    use bsp_pinner::store::StoreOptions;

    struct Scene {
        folder: tempfile::TempDir,
    }

    impl Scene {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn pins(&self) -> PathBuf {
            self.folder.path().join("pins")
        }

        /// As an earlier version kept it.
        fn keep(&self, content: &Content, with_archive: bool) {
            let dag = Dag::build(&content.bytes);
            let write = |path: PathBuf, bytes: &[u8]| {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            };
            for (cid, block) in dag.blocks() {
                write(sharded(&self.pins().join("blocks"), &cid, ""), block);
            }
            if with_archive {
                let mut car = Vec::new();
                write_car(dag.root(), dag.blocks(), &mut car).unwrap();
                write(self.car(content), &car);
            }
            fs::create_dir_all(self.pins().join("tmp")).unwrap();
            fs::write(self.pins().join("tmp/1-2"), b"half").unwrap();
        }

        fn car(&self, content: &Content) -> PathBuf {
            sharded(&self.pins().join("car"), &content.cid, ".car")
        }

        fn block(&self, cid: &Cid) -> PathBuf {
            sharded(&self.pins().join("blocks"), cid, "")
        }

        fn store(&self) -> Store {
            Store::open(&self.pins(), StoreOptions::default()).unwrap()
        }

        fn take_over(&self, store: &Store) -> Option<TakenOver> {
            take_over(&self.pins(), store, &|root| *root == content(700_000).cid).unwrap()
        }
    }

    fn has(store: &Store, content: &Content) -> bool {
        super::super::holds(store, content).unwrap()
    }

    #[test]
    fn all_files_go_into_the_store_and_nothing_else_stays() {
        let scene = Scene::new();
        let contents = [0, 1, 200_000, 700_000, 900_000].map(content);
        for (index, content) in contents.iter().enumerate() {
            scene.keep(content, index % 2 == 1);
        }
        let store = scene.store();
        let taken = scene.take_over(&store);
        assert_eq!(taken, Some(TakenOver { files: 5, damaged: 0 }));
        for content in &contents {
            assert!(has(&store, content), "{}", content.name);
            let pin = store.pinned(&content.cid).unwrap().unwrap();
            let is_proved = content.bytes.len() == 700_000;
            assert_eq!(pin.state == PinState::Confirmed, is_proved);
        }
        assert_eq!(store.usage().unwrap().pins, 5, "no leaf is a file of its own");
        for gone in ["blocks", "car", "tmp"] {
            assert!(!scene.pins().join(gone).exists(), "{gone}");
        }
        assert_eq!(scene.take_over(&store), None);
    }

    #[test]
    fn a_damaged_block_comes_from_the_archive_and_what_nobody_has_stays() {
        let scene = Scene::new();
        let (mended, lost) = (content(700_000), content(900_000));
        scene.keep(&mended, true);
        scene.keep(&lost, true);
        let leaf = |content: &Content| {
            let dag = Dag::build(&content.bytes);
            dag.blocks().last().unwrap().0
        };
        fs::write(scene.block(&leaf(&mended)), b"damaged").unwrap();
        fs::remove_file(scene.block(&leaf(&lost))).unwrap();
        fs::write(scene.car(&lost), b"damaged").unwrap();
        let store = scene.store();
        assert_eq!(scene.take_over(&store), Some(TakenOver { files: 1, damaged: 1 }));
        assert!(has(&store, &mended) && !has(&store, &lost));
        assert!(scene.block(&lost.cid).exists() && scene.car(&lost).exists());
        assert!(!scene.block(&mended.cid).exists() && !scene.car(&mended).exists());
    }

    /// Every place at which a start can end: what is removed is removed in this order.
    #[test]
    fn another_start_goes_on() {
        let contents = [1, 700_000].map(content);
        let all = {
            let scene = Scene::new();
            contents.iter().for_each(|content| scene.keep(content, true));
            names(&scene.pins().join("blocks")).unwrap().len()
        };
        for removed_blocks in 0..=all {
            let scene = Scene::new();
            contents.iter().for_each(|content| scene.keep(content, true));
            let store = scene.store();
            let former = Former {
                blocks: scene.pins().join("blocks"),
                cars: scene.pins().join("car"),
                temporary: scene.pins().join("tmp"),
                store: &store,
            };
            former.import(&contents[1].cid, PinState::Unconfirmed).unwrap();
            fs::remove_file(scene.car(&contents[1])).unwrap();
            if removed_blocks > 0 {
                former.import(&contents[0].cid, PinState::Unconfirmed).unwrap();
                fs::remove_file(scene.car(&contents[0])).unwrap();
                let blocks = names(&former.blocks).unwrap();
                blocks
                    .iter()
                    .take(removed_blocks)
                    .for_each(|(path, _)| fs::remove_file(path).unwrap());
            }
            drop(store);
            let store = scene.store();
            scene.take_over(&store);
            assert!(contents.iter().all(|content| has(&store, content)), "{removed_blocks}");
            assert_eq!(store.usage().unwrap().pins, 2, "{removed_blocks}");
            assert!(!scene.pins().join("blocks").exists(), "{removed_blocks}");
        }
    }
}
