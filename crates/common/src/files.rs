//! Files that may be missing, and names that have to survive a crash.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

/// Reads a file; `None` if it is not there.
///
/// # Errors
///
/// Where it is there and can't be read.
pub fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        bytes => bytes.map(Some),
    }
}

/// Removes a file that may be gone already.
///
/// # Errors
///
/// Where it is there and can't be removed.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Has the names in a folder on disk: after a file was made, renamed or removed there.
///
/// # Errors
///
/// Where the folder is missing, or the disk refuses.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        assert_eq!(read_if_there(&path).unwrap(), None);
        remove_if_there(&path).unwrap();
        fs::write(&path, b"bytes").unwrap();
        assert_eq!(read_if_there(&path).unwrap().unwrap(), b"bytes");
        remove_if_there(&path).unwrap();
        assert!(!path.exists());
        assert!(read_if_there(folder.path()).is_err() && remove_if_there(folder.path()).is_err());
    }
}
