//! Files that become durable together.
//!
//! Each is written under a temporary name, synced, and only then given its own, so that a file
//! under its own name is whole, whatever crashed. Syncing is what takes the time: many files are
//! written before the first is synced, and each folder is synced once.

use bsp_common::files::sync_folder;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

/// Files that are written and not synced yet are open, and a process may have only so many.
const MOST_OPEN: usize = 32;

/// Files on their way into their folders. Dropped before [`commit`](Self::commit), it removes them.
#[derive(Debug)]
pub(super) struct FileBatch<'a> {
    temporary: &'a Path,
    written: Vec<Written>,
    folders: BTreeSet<PathBuf>,
}

#[derive(Debug)]
struct Written {
    /// `None` once it is synced.
    file: Option<File>,
    temporary: PathBuf,
    path: PathBuf,
}

impl<'a> FileBatch<'a> {
    /// A batch whose temporary files are in a folder of the same disk.
    pub(super) const fn new(temporary: &'a Path) -> Self {
        Self { temporary, written: Vec::new(), folders: BTreeSet::new() }
    }

    /// Writes a file that is to have this path. Its folder is made; the one above must be there.
    pub(super) fn write(
        &mut self,
        path: PathBuf,
        content: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        self.folder_of(&path)?;
        if self.written.iter().filter(|written| written.file.is_some()).count() >= MOST_OPEN {
            self.sync_files()?;
        }
        let temporary = self.temporary.join(unique_name());
        let mut file = File::options().write(true).create_new(true).open(&temporary)?;
        let result = content(&mut file);
        self.written.push(Written { file: Some(file), temporary, path });
        result
    }

    fn sync_files(&mut self) -> io::Result<()> {
        for written in &mut self.written {
            if let Some(file) = written.file.take() {
                file.sync_all()?;
            }
        }
        Ok(())
    }

    /// Takes a file that is there already along: it is whole, but its name may not be on disk yet.
    pub(super) fn keep(&mut self, path: &Path) -> io::Result<()> {
        self.folder_of(path)
    }

    /// Makes all of it durable, and gives the files their names.
    pub(super) fn commit(mut self) -> io::Result<()> {
        self.sync_files()?;
        // From the last to the first, so that what fails to be renamed is still removed.
        while let Some(written) = self.written.last() {
            fs::rename(&written.temporary, &written.path)?;
            self.written.pop();
        }
        self.folders.iter().try_for_each(|folder| sync_folder(folder))
    }

    fn folder_of(&mut self, path: &Path) -> io::Result<()> {
        let Some(folder) = path.parent() else { return Ok(()) };
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Also of a folder that was there the name may not be on disk yet: another batch, or a run
        // that crashed, has just made it. Syncing costs nothing where nothing has changed.
        self.folders.extend(folder.parent().map(Path::to_owned));
        self.folders.insert(folder.to_owned());
        Ok(())
    }
}

impl Drop for FileBatch<'_> {
    fn drop(&mut self) {
        for written in &self.written {
            let _ = fs::remove_file(&written.temporary);
        }
    }
}

/// A name that no other file of this process has.
fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    struct Folders {
        root: tempfile::TempDir,
        temporary: PathBuf,
    }

    impl Folders {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let temporary = root.path().join("tmp");
            fs::create_dir(&temporary).unwrap();
            Self { root, temporary }
        }

        fn temporary_files(&self) -> usize {
            fs::read_dir(&self.temporary).unwrap().count()
        }
    }

    #[test]
    fn files_appear_at_commit() {
        let folders = Folders::new();
        let path = folders.root.path().join("a/file");
        let mut batch = FileBatch::new(&folders.temporary);
        batch.write(path.clone(), |file| file.write_all(b"content")).unwrap();
        assert!(!path.exists());
        batch.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"content");
        assert_eq!(folders.temporary_files(), 0);
    }

    #[test]
    fn a_large_batch_holds_few_files_open() {
        let folders = Folders::new();
        let path = |index: usize| folders.root.path().join(format!("a/{index}"));
        let mut batch = FileBatch::new(&folders.temporary);
        for index in 0..3 * MOST_OPEN {
            batch.write(path(index), |file| write!(file, "{index}")).unwrap();
            let open = batch.written.iter().filter(|written| written.file.is_some()).count();
            assert!(open <= MOST_OPEN, "{open}");
        }
        batch.commit().unwrap();
        for index in 0..3 * MOST_OPEN {
            assert_eq!(fs::read_to_string(path(index)).unwrap(), index.to_string());
        }
        assert_eq!(folders.temporary_files(), 0);
    }

    #[test]
    fn a_batch_that_fails_leaves_nothing() {
        let folders = Folders::new();
        let (good, bad) = (folders.root.path().join("good"), folders.root.path().join("bad"));
        let mut batch = FileBatch::new(&folders.temporary);
        batch.write(good.clone(), |file| file.write_all(b"content")).unwrap();
        batch.write(bad, |_| Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        drop(batch);
        assert!(!good.exists());
        assert_eq!(folders.temporary_files(), 0);
    }

    #[test]
    fn a_name_that_is_taken_by_a_folder_fails_the_batch() {
        let folders = Folders::new();
        let taken = folders.root.path().join("taken");
        fs::create_dir_all(taken.join("inside")).unwrap();
        let mut batch = FileBatch::new(&folders.temporary);
        batch.write(taken, |file| file.write_all(b"content")).unwrap();
        batch.commit().unwrap_err();
        assert_eq!(folders.temporary_files(), 0);
    }
}
