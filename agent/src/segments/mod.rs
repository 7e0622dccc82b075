//! The folder of segment files.
//!
//! | name | what it is |
//! | --- | --- |
//! | `<segment>-<block hash>.partial` | being written; a crash leaves it, and the next write replaces it |
//! | `<segment>-<block hash>.unproved` | whole and synced, with no proof yet |
//! | `<segment>-<block hash>.supplement` | what the format leaves out of the block, until the block is proved or skipped |
//! | `<heights>/<segment>-<proof>` | proved: the name that bsp-agent v1.9.2 uses, with the hash of the proof's transaction |
//! | `<heights>/<segment>-<block hash>.skipped` | the contract will never take its proof |
//! | `<heights>/<segment>-<block hash>.refused` | it does not re-execute |
//!
//! Files of blocks that are done with are in sub-folders of 10,000 heights, named by the lowest, so
//! that no folder grows without end. Former versions kept them all in the folder itself, where they
//! are still found.
//!
//! A name changes by a rename and a sync of the folders that are concerned, so no name ever stands
//! for bytes that are not there.

mod prune;

pub use prune::{OldSegment, PruneError, PrunePlan, Pruned, prune};

use crate::{
    block::{BlockId, SegmentName},
    failpoint,
    journal::SegmentFacts,
    retry::MayPass,
};
use alloy_primitives::B256;
use bsp_codec::digest;
use bsp_common::files::{read_if_there, remove_if_there, sync_folder};
use bytes::Bytes;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Heights whose files share a sub-folder.
const HEIGHTS: u64 = 10_000;

/// A folder that does not do what is asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentError {
    /// The system refuses.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is not there any more, under none of its names.
    #[error("{} is gone; was it moved by somebody else?", path.display())]
    Gone {
        /// Which file.
        path: PathBuf,
    },
    /// A file does not hold what was written.
    #[error("{} is not the segment that was written: {reason}", path.display())]
    Altered {
        /// Which file.
        path: PathBuf,
        /// What is different.
        reason: String,
    },
}

/// Disks are emptied and folders mounted again; a file that is gone or altered stays so.
impl MayPass for SegmentError {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}

/// What has become of a segment that is not proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproved {
    /// Its proof is still to come.
    Waiting,
    /// The contract will never take it.
    Skipped,
    /// It does not re-execute.
    Refused,
}

impl Unproved {
    const fn extension(self) -> &'static str {
        match self {
            Self::Waiting => "unproved",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
        }
    }
}

/// The folder. Calls block: they sync.
#[derive(Debug, Clone)]
pub struct SegmentFolder {
    folder: PathBuf,
}

impl SegmentFolder {
    /// A folder, which must exist.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Writes what a segment's format leaves out of its block, to be there before the segment is.
    /// On return it survives a crash, whole.
    pub fn store_supplement(
        &self,
        block: &BlockId,
        facts: &SegmentFacts,
        bytes: &[u8],
    ) -> Result<(), SegmentError> {
        let path = self.supplement(block, facts);
        let partial = path.with_extension("supplement.partial");
        write_synced(&partial, bytes).map_err(|error| io_error(&partial, error))?;
        self.rename(&partial, &path)
    }

    /// Reads what a segment's format leaves out of its block; `None` if nothing came with it. What
    /// is in it is not checked.
    pub fn read_supplement(
        &self,
        block: &BlockId,
        facts: &SegmentFacts,
    ) -> Result<Option<Bytes>, SegmentError> {
        let path = self.supplement(block, facts);
        let read = read_if_there(&path).map_err(|error| io_error(&path, error))?;
        Ok(read.map(Bytes::from))
    }

    /// Writes a segment. On return it survives a crash, whole, under its unproved name.
    pub fn store(
        &self,
        block: &BlockId,
        facts: &SegmentFacts,
        bytes: &[u8],
    ) -> Result<(), SegmentError> {
        let partial = self.folder.join(format!("{}-{}.partial", facts.name, block.hash));
        write_synced(&partial, bytes).map_err(|error| io_error(&partial, error))?;
        failpoint::hit("before_store_rename");
        self.rename(&partial, &self.unproved(block, facts))
    }

    /// Reads a segment that is not proved yet, and checks that it is what was written.
    pub fn read(&self, block: &BlockId, facts: &SegmentFacts) -> Result<Bytes, SegmentError> {
        self.read_named(&self.unproved(block, facts), facts)
    }

    /// Reads a segment that is refused, whether it has the name for that yet or not.
    pub fn read_refused(
        &self,
        block: &BlockId,
        facts: &SegmentFacts,
    ) -> Result<Bytes, SegmentError> {
        match self.read(block, facts) {
            Err(SegmentError::Gone { .. }) => {
                let name = Self::unproved_name(block, facts, Unproved::Refused);
                self.read_finished(block, &name, facts).map(|(_, bytes)| bytes)
            }
            read => read,
        }
    }

    fn read_named(&self, path: &Path, facts: &SegmentFacts) -> Result<Bytes, SegmentError> {
        let bytes = fs::read(path).map_err(|error| self.missing_or(path, error))?;
        check(path, facts, &bytes)?;
        Ok(bytes.into())
    }

    /// Reads a file of a block that is done with. Returns where it is, too: a former version may
    /// have left it in the folder itself.
    fn read_finished(
        &self,
        block: &BlockId,
        name: &str,
        facts: &SegmentFacts,
    ) -> Result<(PathBuf, Bytes), SegmentError> {
        let (path, former) = (self.finished(block.number, name), self.folder.join(name));
        let path = if !path.is_file() && former.is_file() { former } else { path };
        let bytes = self.read_named(&path, facts)?;
        Ok((path, bytes))
    }

    /// Gives a segment its final name, which it may have already, and removes files that tell of
    /// former refusals of the block. Returns the file's path.
    pub fn name_proved(
        &self,
        block: &BlockId,
        facts: &SegmentFacts,
        proof: B256,
    ) -> Result<PathBuf, SegmentError> {
        let path = self.settle(block, facts, &format!("{}-{proof}", facts.name))?;
        for other in [Unproved::Skipped, Unproved::Refused] {
            let name = Self::unproved_name(block, facts, other);
            remove_finished(&self.finished(block.number, &name));
            remove_finished(&self.folder.join(name));
        }
        remove_finished(&self.supplement(block, facts));
        Ok(path)
    }

    /// Where the file of a proved segment is.
    pub fn proved(&self, height: u64, name: &SegmentName, proof: B256) -> PathBuf {
        self.finished(height, &format!("{name}-{proof}"))
    }

    /// Names a segment that will not be proved. It may have that name already. Returns the file's
    /// path.
    pub fn name_unproved(
        &self,
        block: &BlockId,
        facts: &SegmentFacts,
        why: Unproved,
    ) -> Result<PathBuf, SegmentError> {
        let path = self.settle(block, facts, &Self::unproved_name(block, facts, why))?;
        // An operator who looks into a refusal needs it.
        if why != Unproved::Refused {
            remove_finished(&self.supplement(block, facts));
        }
        Ok(path)
    }

    fn supplement(&self, block: &BlockId, facts: &SegmentFacts) -> PathBuf {
        self.folder.join(format!("{}-{}.supplement", facts.name, block.hash))
    }

    fn unproved(&self, block: &BlockId, facts: &SegmentFacts) -> PathBuf {
        self.folder.join(Self::unproved_name(block, facts, Unproved::Waiting))
    }

    fn unproved_name(block: &BlockId, facts: &SegmentFacts, why: Unproved) -> String {
        format!("{}-{}.{}", facts.name, block.hash, why.extension())
    }

    /// Where a file of a block that is done with is.
    fn finished(&self, height: u64, name: &str) -> PathBuf {
        self.folder.join((height - height % HEIGHTS).to_string()).join(name)
    }

    /// Gives a file that is unproved its last name, or finds that a crash came after the rename.
    /// Returns where it is.
    fn settle(
        &self,
        block: &BlockId,
        facts: &SegmentFacts,
        name: &str,
    ) -> Result<PathBuf, SegmentError> {
        let (from, to) = (self.unproved(block, facts), self.finished(block.number, name));
        let sub_folder = to.parent().unwrap_or(&self.folder);
        match fs::create_dir(sub_folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(io_error(sub_folder, error));
            }
            _ => {}
        }
        let found = match fs::rename(&from, &to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.read_finished(block, name, facts)?.0
            }
            renamed => renamed.map(|()| to.clone()).map_err(|error| io_error(&from, error))?,
        };
        // The file's name, then that of the sub-folder, which this or another block has just made.
        sync(sub_folder)?;
        sync(&self.folder)?;
        Ok(found)
    }

    /// Of a file that can't be read. One that is missing is gone permanently only where its folder
    /// is there: a disk that is not mounted comes back.
    fn missing_or(&self, path: &Path, error: io::Error) -> SegmentError {
        if error.kind() == io::ErrorKind::NotFound && self.folder.is_dir() {
            return SegmentError::Gone { path: path.to_owned() };
        }
        io_error(path, error)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), SegmentError> {
        fs::rename(from, to).map_err(|error| io_error(from, error))?;
        // Without this a crash of the machine could bring the former name back.
        sync(&self.folder)
    }
}

fn sync(folder: &Path) -> Result<(), SegmentError> {
    sync_folder(folder).map_err(|error| io_error(folder, error))
}

/// Removes what is not needed any more for a finished block. If it stays, it only takes room.
fn remove_finished(path: &Path) {
    if let Err(error) = remove_if_there(path) {
        tracing::warn!("{}, of a finished block, can't be removed: {error}", path.display());
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    failpoint::hit("before_store_sync");
    file.sync_all()
}

fn check(path: &Path, facts: &SegmentFacts, bytes: &[u8]) -> Result<(), SegmentError> {
    let altered = |reason| SegmentError::Altered { path: path.to_owned(), reason };
    let length = bytes.len() as u64;
    if length != facts.length {
        return Err(altered(format!("it has {length} bytes, not {}", facts.length)));
    }
    let hash = digest::specimen_hash(bytes);
    if hash != facts.specimen_hash {
        return Err(altered(format!("its hash is {hash}, not {}", facts.specimen_hash)));
    }
    Ok(())
}

fn io_error(path: &Path, error: io::Error) -> SegmentError {
    SegmentError::Io { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests;
