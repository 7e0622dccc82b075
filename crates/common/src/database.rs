//! The file of an embedded database (redb).
//!
//! redb takes no more changes after an I/O error, and notices some damage by a panic. So both
//! halves open their file again after a failure, and neither lets a panic of the database end a
//! thread.

use redb::{Database, DatabaseError, StorageError};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

/// Bytes of a file that are kept in memory. redb's own default, 1 GiB, would be more than all else
/// that the programs use.
pub const CACHE_BYTES: usize = 32 << 20;

/// Why a database file can't be opened or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("it is in use by another process")]
    InUse,
    /// The system refuses. This may pass.
    #[error("{0}")]
    Io(io::Error),
    /// What is in the file is no database, or not a whole one.
    #[error("{0}")]
    Damaged(String),
}

/// Opens a database file, and makes it if it is not there.
///
/// # Errors
///
/// [`OpenError`].
pub fn open(path: &Path) -> Result<Database, OpenError> {
    open_with(path, |_| Ok(()))
}

/// The same, and mends what can be computed from the rest of the file.
///
/// # Errors
///
/// [`OpenError`].
pub fn open_mended(path: &Path) -> Result<Database, OpenError> {
    open_with(path, |database| database.check_integrity().map(drop))
}

fn open_with(
    path: &Path,
    look: impl FnOnce(&mut Database) -> Result<(), DatabaseError>,
) -> Result<Database, OpenError> {
    let open = || {
        let mut database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
        look(&mut database)?;
        Ok(database)
    };
    guarded(open).unwrap_or_else(|| Err(OpenError::Damaged("it can't be read at all".to_owned())))
}

/// Does something with a database; `None` where that panicked.
pub fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

impl From<DatabaseError> for OpenError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen => Self::InUse,
            DatabaseError::Storage(StorageError::Io(error))
                if error.kind() != io::ErrorKind::InvalidData =>
            {
                Self::Io(error)
            }
            error => Self::Damaged(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_is_made_and_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.redb");
        for _ in 0..2 {
            open(&path).unwrap();
            open_mended(&path).unwrap();
        }
    }

    #[test]
    fn what_stands_in_the_way_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.redb");
        let _held = open(&path).unwrap();
        assert!(matches!(open(&path), Err(OpenError::InUse)));
        let error = open(&folder.path().join("none/file.redb")).unwrap_err();
        assert!(matches!(error, OpenError::Io(_)), "{error}");
        let other = folder.path().join("other");
        for content in
            [&b"something else"[..], &[0xff; 8192], &b"redb\x1a\x0a\xa9\x0d\x0a".repeat(600)]
        {
            fs::write(&other, content).unwrap();
            let error = open_mended(&other).unwrap_err();
            assert!(matches!(error, OpenError::Damaged(_)), "{error:?}");
        }
    }
}
