//! The folder of segment files.
//!
//! | name | what it is |
//! | --- | --- |
//! | `<segment>-<block hash>.partial` | being written; a crash leaves it, and the next write replaces it |
//! | `<segment>-<block hash>.unproved` | whole and synced, with no proof yet |
//! | `<segment>-<block hash>.skipped` | the contract will never take its proof |
//! | `<segment>-<block hash>.refused` | it does not re-execute |
//! | `<segment>-<block hash>.supplement` | what the format leaves out of the block, until the block is proved or skipped |
//! | `<segment>-<proof>` | proved: the name that bsp-agent v1.9.2 uses, with the hash of the proof's transaction |
//!
//! A name changes by a rename and a sync of the folder, so no name ever stands for bytes that are
//! not there.

use crate::{block::BlockId, failpoint, journal::SegmentFacts, retry::MayPass};
use alloy_primitives::B256;
use bsp_codec::digest;
use bsp_common::files::{read_if_there, remove_if_there};
use bytes::Bytes;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

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
        self.rename(&partial, &self.unproved(block, facts, Unproved::Waiting))
    }

    /// Reads a segment that is not proved yet, and checks that it is what was written.
    pub fn read(&self, block: &BlockId, facts: &SegmentFacts) -> Result<Bytes, SegmentError> {
        self.read_named(&self.unproved(block, facts, Unproved::Waiting), facts)
    }

    /// Reads a segment that is refused, whether it has the name for that yet or not.
    pub fn read_refused(
        &self,
        block: &BlockId,
        facts: &SegmentFacts,
    ) -> Result<Bytes, SegmentError> {
        match self.read(block, facts) {
            Err(SegmentError::Gone { .. }) => {
                self.read_named(&self.unproved(block, facts, Unproved::Refused), facts)
            }
            read => read,
        }
    }

    fn read_named(&self, path: &Path, facts: &SegmentFacts) -> Result<Bytes, SegmentError> {
        let bytes = fs::read(path).map_err(|error| self.missing_or(path, error))?;
        check(path, facts, &bytes)?;
        Ok(bytes.into())
    }

    /// Gives a segment its final name, which it may have already, and removes files that tell of
    /// former refusals of the block. Returns the file's path.
    pub fn name_proved(
        &self,
        block: &BlockId,
        facts: &SegmentFacts,
        proof: B256,
    ) -> Result<PathBuf, SegmentError> {
        let path = self.folder.join(format!("{}-{proof}", facts.name));
        self.settle(&self.unproved(block, facts, Unproved::Waiting), &path, facts)?;
        for other in [Unproved::Skipped, Unproved::Refused] {
            remove_finished(&self.unproved(block, facts, other));
        }
        remove_finished(&self.supplement(block, facts));
        Ok(path)
    }

    /// Names a segment that will not be proved. It may have that name already. Returns the file's
    /// path.
    pub fn name_unproved(
        &self,
        block: &BlockId,
        facts: &SegmentFacts,
        why: Unproved,
    ) -> Result<PathBuf, SegmentError> {
        let path = self.unproved(block, facts, why);
        self.settle(&self.unproved(block, facts, Unproved::Waiting), &path, facts)?;
        // An operator who looks into a refusal needs it.
        if why != Unproved::Refused {
            remove_finished(&self.supplement(block, facts));
        }
        Ok(path)
    }

    fn supplement(&self, block: &BlockId, facts: &SegmentFacts) -> PathBuf {
        self.folder.join(format!("{}-{}.supplement", facts.name, block.hash))
    }

    fn unproved(&self, block: &BlockId, facts: &SegmentFacts, why: Unproved) -> PathBuf {
        self.folder.join(format!("{}-{}.{}", facts.name, block.hash, why.extension()))
    }

    /// Renames, or finds that a crash came after the rename.
    fn settle(&self, from: &Path, to: &Path, facts: &SegmentFacts) -> Result<(), SegmentError> {
        match self.rename(from, to) {
            Err(SegmentError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                self.read_named(to, facts).map(drop)
            }
            other => other,
        }
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
        let sync = File::open(&self.folder).and_then(|folder| folder.sync_all());
        sync.map_err(|error| io_error(&self.folder, error))
    }
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
mod tests {
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

    fn names(folder: &TempDir) -> Vec<String> {
        let files = fs::read_dir(folder.path()).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
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
        assert_eq!(names(&folder), [format!("1-5-replica-{proof}")]);
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
        assert_eq!(names(&folder), [format!("1-5-replica-{}.skipped", block().hash)]);
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
        let proved = folder.path().join(format!("1-5-replica-{}", B256::ZERO));
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
        assert_eq!(names(&folder), [format!("1-5-replica-{}", B256::ZERO)]);
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
}
