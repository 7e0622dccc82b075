//! Keeps a node startable whose log of notifications has gaps.
//!
//! reth v2.5.1 keeps notifications for Execution Extensions in files `<id>.wal`, and expects every
//! id from the lowest to the highest when it starts. But it removes old ones in no particular
//! order, so a process that ends meanwhile, a SIGTERM is enough, leaves gaps, and from then on a
//! node with any extension refuses to start ("notification 75 not found").

use std::{
    fs, io,
    path::{Path, PathBuf},
};
use tracing::{error, warn};

/// Renames the files so that their ids follow each other in the same order. No notification is
/// lost. To be called before the node opens the log, and with the node's data directory locked.
pub(crate) fn close_gaps(log: &Path) {
    match renumber(log) {
        Ok(0) => {}
        Ok(files) => {
            warn!(target: "exex::bsp", log = %log.display(), files, "The node's log of notifications had gaps, as after a stop at the wrong moment; its files were renumbered");
        }
        Err(error) => {
            error!(target: "exex::bsp", log = %log.display(), %error, "The node's log of notifications can't be looked through; if the node does not start, remove that folder");
        }
    }
}

/// How many files were renamed. In ascending order, so that a file never takes the name of another,
/// and that the next start can go on after a crash.
fn renumber(log: &Path) -> io::Result<usize> {
    let mut ids = match fs::read_dir(log) {
        Ok(entries) => entries
            .map(|entry| Ok(id_of(&entry?.path())))
            .filter_map(Result::transpose)
            .collect::<io::Result<Vec<u32>>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    ids.sort_unstable();
    let first = ids.first().copied().unwrap_or_default();
    let misnamed = ids.into_iter().zip(first..=u32::MAX).filter(|(id, expected)| id != expected);
    let mut renamed = 0;
    for (id, expected) in misnamed {
        fs::rename(file(log, id), file(log, expected))?;
        renamed += 1;
    }
    Ok(renamed)
}

fn file(log: &Path, id: u32) -> PathBuf {
    log.join(format!("{id}.wal"))
}

/// `None` for a file that is none of the log's, such as one that was being written.
fn id_of(path: &Path) -> Option<u32> {
    let id = path.file_name()?.to_str()?.strip_suffix(".wal")?;
    // Only as reth writes it: `007.wal` is not `7.wal`.
    id.parse().ok().filter(|number: &u32| number.to_string() == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            fs::write(folder.path().join(name), name).unwrap();
        }
        folder
    }

    /// Names and contents, by name.
    fn contents(folder: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
        let read = |path: PathBuf| fs::read_to_string(path).unwrap();
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut files: Vec<_> =
            entries.map(|entry| (name(&entry.path()), read(entry.path()))).collect();
        files.sort();
        files
    }

    fn pair(name: &str, content: &str) -> (String, String) {
        (name.to_owned(), content.to_owned())
    }

    #[test]
    fn gaps_are_closed_and_the_order_is_kept() {
        let log = log_of(&["8.wal", "100.wal", "11.wal", "10.wal", "9.tmp"]);
        assert_eq!(renumber(log.path()).unwrap(), 3);
        let expected = [
            pair("10.wal", "11.wal"),
            pair("11.wal", "100.wal"),
            pair("8.wal", "8.wal"),
            pair("9.tmp", "9.tmp"),
            pair("9.wal", "10.wal"),
        ];
        assert_eq!(contents(log.path()), expected);
        assert_eq!(renumber(log.path()).unwrap(), 0);
    }

    #[test]
    fn a_log_without_gaps_is_left_alone() {
        let log = log_of(&["7.wal", "8.wal", "9.wal"]);
        let before = contents(log.path());
        assert_eq!(renumber(log.path()).unwrap(), 0);
        assert_eq!(contents(log.path()), before);
    }

    #[test]
    fn no_log_is_no_error() {
        let folder = log_of(&[]);
        assert_eq!(renumber(folder.path()).unwrap(), 0);
        assert_eq!(renumber(&folder.path().join("none")).unwrap(), 0);
    }
}
