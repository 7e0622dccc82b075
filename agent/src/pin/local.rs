//! Content kept in a folder of this machine.
//!
//! ```text
//! pins/blocks/<xx>/<cid>        each block of a file's DAG
//! pins/car/<xx>/<cid>.car       the whole DAG in one archive, under its root
//! pins/tmp/                     what is being written
//! ```
//!
//! `<xx>` are the two characters before the last of the CID, as in kubo's block store: the first
//! ones are nearly the same for all. Nothing is remote: others fetch the content only if something
//! serves the folder.

use super::{Content, PinError, Pinner, batch::FileBatch, measured};
use async_trait::async_trait;
use bsp_codec::{
    car,
    dag::{Cid, Dag},
};
use bsp_common::files::sync_folder;
use std::{
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A folder of blocks and archives.
#[derive(Debug, Clone)]
pub struct LocalPinner {
    folders: Arc<Folders>,
}

#[derive(Debug)]
struct Folders {
    root: PathBuf,
    blocks: PathBuf,
    cars: PathBuf,
    temporary: PathBuf,
}

impl LocalPinner {
    /// Opens the folder, or makes it; the one above must be there. What an earlier run has left
    /// unfinished is removed, so no other process may use the folder.
    ///
    /// # Errors
    ///
    /// If the folder can't be made or read.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let folders = Folders::of(folder);
        for folder in [&folders.root, &folders.blocks, &folders.cars, &folders.temporary] {
            match fs::create_dir(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        sync_folder(folder)?;
        folder.canonicalize()?.parent().map_or(Ok(()), sync_folder)?;
        for unfinished in fs::read_dir(&folders.temporary)? {
            fs::remove_file(unfinished?.path())?;
        }
        Ok(Self { folders: Arc::new(folders) })
    }

    /// The folder of a pinner that may be at work, to look at alone.
    pub fn existing(folder: &Path) -> Self {
        Self { folders: Arc::new(Folders::of(folder)) }
    }

    async fn keep(&self, content: &Content) -> Result<(), PinError> {
        let (folders, given) = (self.folders.clone(), content.clone());
        let root = tokio::task::spawn_blocking(move || folders.keep(&given))
            .await
            .map_err(|error| self.failed(&error))
            .and_then(|kept| kept.map_err(|error| self.failed(&error)));
        root.and_then(|root| {
            if root == content.cid {
                return Ok(());
            }
            let (computed, returned) = (Box::new(content.cid), root.to_string());
            Err(PinError::OtherCid { pinner: self.name(), computed, returned })
        })
    }

    fn failed(&self, reason: &dyn ToString) -> PinError {
        PinError::Temporary { pinner: self.name(), reason: reason.to_string() }
    }
}

#[async_trait]
impl Pinner for LocalPinner {
    fn name(&self) -> String {
        format!("local pinner in {}", self.folders.root.display())
    }

    async fn pin(&self, content: &Content) -> Result<(), PinError> {
        measured(self.keep(content)).await
    }

    async fn holds(&self, content: &Content) -> Result<bool, PinError> {
        let (folders, content) = (self.folders.clone(), content.clone());
        tokio::task::spawn_blocking(move || folders.has_all(&content))
            .await
            .map_err(|error| self.failed(&error))
    }

    async fn check(&self) -> Result<String, PinError> {
        let folders = self.folders.clone();
        tokio::task::spawn_blocking(move || folders.probe())
            .await
            .map_err(|error| self.failed(&error))?
            .map_err(|error| self.failed(&error))?;
        Ok(format!("{}, nothing remote", self.name()))
    }
}

impl Folders {
    fn of(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            blocks: root.join("blocks"),
            cars: root.join("car"),
            temporary: root.join("tmp"),
        }
    }

    /// Whether all blocks of a content are there, and right.
    fn has_all(&self, content: &Content) -> bool {
        let dag = Dag::build(&content.bytes);
        let mut blocks = dag.blocks();
        *dag.root() == content.cid
            && blocks.all(|(cid, block)| {
                holds(&sharded(&self.blocks, &cid.to_string(), ""), |out| out.write_all(block))
            })
    }

    /// Keeps the blocks and the archive of a content, and returns its root.
    fn keep(&self, content: &Content) -> io::Result<Cid> {
        let dag = Dag::build(&content.bytes);
        if *dag.root() != content.cid {
            return Ok(*dag.root());
        }
        let mut batch = FileBatch::new(&self.temporary);
        for (cid, block) in dag.blocks() {
            let path = sharded(&self.blocks, &cid.to_string(), "");
            add(&mut batch, path, |out| out.write_all(block))?;
        }
        let path = sharded(&self.cars, &dag.root().to_string(), ".car");
        add(&mut batch, path, |mut out| {
            car::write_car(dag.root(), dag.blocks(), &mut out).map(drop)
        })?;
        batch.commit()?;
        Ok(*dag.root())
    }

    /// Writes a file, and removes it.
    fn probe(&self) -> io::Result<()> {
        let path = self.temporary.join("check");
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(b"check")?;
            file.sync_all()
        });
        written.and(fs::remove_file(&path))
    }
}

/// Adds a file to a batch, unless it is there with the right bytes.
fn add(
    batch: &mut FileBatch<'_>,
    path: PathBuf,
    write: impl Fn(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    if holds(&path, &write) {
        return batch.keep(&path);
    }
    batch.write(path, |file| {
        let mut out = BufWriter::new(file);
        write(&mut out)?;
        out.flush()
    })
}

fn sharded(folder: &Path, cid: &str, suffix: &str) -> PathBuf {
    let shard = cid.len().checked_sub(3).and_then(|start| cid.get(start..start + 2));
    folder.join(shard.unwrap_or("__")).join(format!("{cid}{suffix}"))
}

/// Whether a file is there with exactly the bytes that `write` writes. One that can't be read is
/// not.
fn holds(path: &Path, write: impl Fn(&mut dyn Write) -> io::Result<()>) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let mut present = Present { file, read: Vec::new() };
    write(&mut present).is_ok() && present.is_at_end()
}

/// A file to which only what it holds already can be written.
struct Present {
    file: File,
    read: Vec<u8>,
}

impl Present {
    fn is_at_end(&mut self) -> bool {
        matches!(self.file.read(&mut [0]), Ok(0))
    }
}

impl Write for Present {
    fn write(&mut self, expected: &[u8]) -> io::Result<usize> {
        self.read.resize(expected.len(), 0);
        self.file.read_exact(&mut self.read)?;
        if self.read == expected {
            Ok(expected.len())
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsp_codec::{
        car::{CarLimits, CarReader},
        dag::{ExtractLimits, cid_of, extract_file},
    };
    use bytes::Bytes;
    use std::{collections::HashMap, io::BufReader};

    fn content(len: usize) -> Content {
        let bytes: Vec<u8> = (0..len).map(|index| (index / 1000) as u8).collect();
        Content { name: String::new(), cid: cid_of(&bytes), bytes: bytes.into() }
    }

    fn open() -> (tempfile::TempDir, LocalPinner) {
        let folder = tempfile::tempdir().unwrap();
        let pinner = LocalPinner::new(&folder.path().join("pins")).unwrap();
        (folder, pinner)
    }

    impl LocalPinner {
        fn block(&self, cid: &Cid) -> PathBuf {
            sharded(&self.folders.blocks, &cid.to_string(), "")
        }

        fn car(&self, cid: &Cid) -> PathBuf {
            sharded(&self.folders.cars, &cid.to_string(), ".car")
        }

        /// The content as somebody else would fetch it: block by block from the root.
        fn fetched(&self, root: &Cid) -> Vec<u8> {
            let mut blocks = HashMap::new();
            let mut names = vec![*root];
            let file = BufReader::new(File::open(self.car(root)).unwrap());
            let mut car = CarReader::new(file, CarLimits::default()).unwrap();
            while let Some(block) = car.next_block().unwrap() {
                names.push(block.0);
            }
            for cid in names {
                blocks.insert(cid, fs::read(self.block(&cid)).unwrap());
            }
            let mut bytes = Vec::new();
            extract_file(root, |cid| Ok(blocks.get(cid)), &ExtractLimits::default(), &mut bytes)
                .unwrap();
            bytes
        }
    }

    #[tokio::test]
    async fn what_is_pinned_can_be_fetched() {
        let (_folder, pinner) = open();
        for len in [0, 1, 262_144, 262_145, 1_000_000] {
            let content = content(len);
            pinner.pin(&content).await.unwrap();
            assert_eq!(pinner.fetched(&content.cid), content.bytes, "{len} bytes");
        }
        assert_eq!(fs::read_dir(&pinner.folders.temporary).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn pinning_again_changes_nothing() {
        let (folder, pinner) = open();
        let content = content(600_000);
        pinner.pin(&content).await.unwrap();
        let written = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        let car = pinner.car(&content.cid);
        let before = written(&car);
        let pinner = LocalPinner::new(&folder.path().join("pins")).unwrap();
        pinner.pin(&content).await.unwrap();
        assert_eq!(written(&car), before);
    }

    #[tokio::test]
    async fn what_is_there_is_not_trusted() {
        let (_folder, pinner) = open();
        let content = content(600_000);
        pinner.pin(&content).await.unwrap();
        let (block, car) = (pinner.block(&content.cid), pinner.car(&content.cid));
        for path in [&block, &car] {
            let good = fs::read(path).unwrap();
            let mut flipped = good.clone();
            flipped[good.len() / 2] ^= 1;
            let longer = [&good[..], b"x"].concat();
            for bad in [&flipped[..], &longer, &good[..good.len() - 1], b""] {
                fs::write(path, bad).unwrap();
                pinner.pin(&content).await.unwrap();
                assert_eq!(fs::read(path).unwrap(), good);
            }
        }
    }

    #[tokio::test]
    async fn it_holds_what_can_be_fetched_whole() {
        let (_folder, pinner) = open();
        let content = content(600_000);
        assert!(!pinner.holds(&content).await.unwrap());
        pinner.pin(&content).await.unwrap();
        let looking = LocalPinner::existing(&pinner.folders.root);
        assert!(looking.holds(&content).await.unwrap());
        for (cid, block) in Dag::build(&content.bytes).blocks() {
            let path = pinner.block(&cid);
            fs::write(&path, &block[1..]).unwrap();
            assert!(!looking.holds(&content).await.unwrap(), "{cid}");
            fs::remove_file(&path).unwrap();
            assert!(!looking.holds(&content).await.unwrap(), "{cid}");
            fs::write(&path, block).unwrap();
        }
        assert!(looking.holds(&content).await.unwrap());
    }

    #[tokio::test]
    async fn content_under_a_wrong_name_is_refused() {
        let (_folder, pinner) = open();
        let (cid, bytes) = (cid_of(b"other"), Bytes::from_static(b"content"));
        let wrong = Content { name: String::new(), cid, bytes };
        let error = pinner.pin(&wrong).await.unwrap_err();
        assert!(matches!(error, PinError::OtherCid { .. }), "{error}");
        assert_eq!(fs::read_dir(&pinner.folders.blocks).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn trouble_with_the_disk_is_temporary() {
        let (_folder, pinner) = open();
        let content = content(600_000);
        fs::remove_dir(&pinner.folders.temporary).unwrap();
        let error = pinner.pin(&content).await.unwrap_err();
        assert!(matches!(error, PinError::Temporary { .. }), "{error}");
        assert!(pinner.check().await.is_err());
        fs::create_dir(&pinner.folders.temporary).unwrap();
        fs::create_dir_all(pinner.block(&content.cid).join("in/the/way")).unwrap();
        pinner.pin(&content).await.unwrap_err();
        assert_eq!(fs::read_dir(&pinner.folders.temporary).unwrap().count(), 0);
        fs::remove_dir_all(pinner.block(&content.cid)).unwrap();
        pinner.pin(&content).await.unwrap();
        assert!(pinner.check().await.unwrap().ends_with("nothing remote"));
    }

    #[tokio::test]
    async fn one_content_may_be_pinned_twice_at_once() {
        let (_folder, pinner) = open();
        let content = content(600_000);
        let both = futures::future::join_all((0..4).map(|_| pinner.pin(&content))).await;
        assert!(both.iter().all(Result::is_ok), "{both:?}");
        assert_eq!(pinner.fetched(&content.cid), content.bytes);
    }

    #[test]
    fn what_was_unfinished_goes_at_the_start() {
        let (folder, pinner) = open();
        fs::write(pinner.folders.temporary.join("1-1"), "half").unwrap();
        let pinner = LocalPinner::new(&folder.path().join("pins")).unwrap();
        assert_eq!(fs::read_dir(&pinner.folders.temporary).unwrap().count(), 0);
    }
}
