//! A target of one's own: a file for each block, named by its number and hash.
//!
//! A target is one trait with one method that counts. The rule that makes everything else work:
//! when [`Target::deliver`] returns, the batch is safe, even if the power fails now.

use alloy_primitives::B256;
use async_trait::async_trait;
use bsp_replication::{Entry, Target, TargetError};
use bytes::Bytes;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Writes each replica's RLP to a file of its own.
#[derive(Debug)]
struct FilePerBlock {
    folder: PathBuf,
}

#[async_trait]
impl Target for FilePerBlock {
    fn name(&self) -> String {
        format!("file per block in {}", self.folder.display())
    }

    async fn deliver(&mut self, batch: &[Entry]) -> Result<(), TargetError> {
        let (folder, batch) = (self.folder.clone(), batch.to_vec());
        // A disk can hang, a network's one above all, and a target must not block its thread.
        let written = tokio::task::spawn_blocking(move || write_batch(&folder, &batch)).await;
        written.map_err(io::Error::from).flatten().map_err(|error| {
            // The producer says so, and tries again later.
            TargetError::Refused { target: self.name(), reason: error.to_string() }
        })
    }
}

/// On return the disk has all of the batch.
fn write_batch(folder: &Path, batch: &[Entry]) -> io::Result<()> {
    batch.iter().try_for_each(|entry| write_entry(folder, entry))?;
    File::open(folder)?.sync_all()
}

/// Under another name first, so that nobody ever sees half a file. Writing a block again changes
/// nothing, which is what a target has to be ready for: after an error the whole batch comes again.
fn write_entry(folder: &Path, Entry { hash, number, replica, .. }: &Entry) -> io::Result<()> {
    let path = folder.join(format!("{number:08}-{hash:#x}.rlp"));
    let unfinished = path.with_extension("part");
    let mut file = File::create(&unfinished)?;
    file.write_all(replica)?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}

#[tokio::main]
async fn main() -> eyre::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut target = FilePerBlock { folder: folder.path().to_owned() };
    // In a node the producer does this with the chain's blocks:
    // `node.install_bsp(Bsp::new(args).with_target("mine", …))`.
    let entry = |number: u64| Entry {
        hash: B256::with_last_byte(number as u8),
        number,
        replica: Bytes::from(vec![0xc0; 3]),
        supplement: None,
    };
    target.deliver(&[entry(1), entry(2)]).await?;
    for file in fs::read_dir(folder.path())? {
        println!("{}", file?.path().display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, replica: &'static [u8]) -> Entry {
        Entry {
            hash: B256::repeat_byte(7),
            number,
            replica: Bytes::from_static(replica),
            supplement: None,
        }
    }

    #[tokio::test]
    async fn each_block_is_a_file_however_often_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let mut target = FilePerBlock { folder: folder.path().to_owned() };
        target.deliver(&[entry(1, b"one"), entry(2, b"two")]).await.unwrap();
        target.deliver(&[entry(2, b"two")]).await.unwrap();
        let mut files: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let contents: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();
        assert_eq!(contents, [b"one", b"two"]);
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut target = FilePerBlock { folder: folder.path().join("gone") };
        let error = target.deliver(&[entry(1, b"one")]).await.unwrap_err();
        assert!(matches!(error, TargetError::Refused { .. }));
    }
}
