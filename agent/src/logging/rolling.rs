//! The log file: `log.log`, rotated each day and whenever it is large.
//!
//! Files rotated are called `log-<date>[.<n>].log.gz`. As with bsp-agent v1.9.2, ten of them are
//! kept, for at most 60 days, and none is larger than 100 MB before it is compressed. Days are
//! those of UTC.

use super::archive::{Archives, Retention};
use chrono::{DateTime, NaiveDate, Utc};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Bytes after which a file is rotated before its day is over.
const MAX_FILE_LEN: u64 = 100 * 1000 * 1000;

/// Writes the log. A line that can't be written is lost, and nothing else happens: a full disk must
/// not stop the agent.
pub(super) struct RollingFile {
    path: PathBuf,
    max_len: u64,
    clock: fn() -> SystemTime,
    archives: Archives,
    open: Option<OpenFile>,
    is_failing: bool,
}

struct OpenFile {
    file: File,
    day: NaiveDate,
    len: u64,
}

impl RollingFile {
    /// Opens the log of a folder, to add to it, and compresses what an earlier run has rotated.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        Self::with_limits(folder, MAX_FILE_LEN, Retention::default(), SystemTime::now)
    }

    fn with_limits(
        folder: &Path,
        max_len: u64,
        retention: Retention,
        clock: fn() -> SystemTime,
    ) -> io::Result<Self> {
        let path = folder.join(super::FILE);
        let archives = Archives::new(folder, retention);
        let open = Some(OpenFile::open(&path, day_of(clock()))?);
        archives.tidy_in_background(day_of(clock()));
        Ok(Self { path, max_len, clock, archives, open, is_failing: false })
    }

    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let today = day_of((self.clock)());
        // Others rotate logs too, by moving or deleting the file.
        if self.open.as_ref().is_some_and(|open| open.is_gone_from(&self.path)) {
            self.open = None;
        }
        if self.open.as_ref().is_some_and(|open| open.is_due(today, line.len(), self.max_len)) {
            self.archive(today);
        }
        let open = match &mut self.open {
            Some(open) => open,
            closed => closed.insert(OpenFile::open(&self.path, today)?),
        };
        open.file.write_all(line)?;
        open.len += line.len() as u64;
        Ok(())
    }

    /// Where the file can't be renamed, it is written on, past its day and length.
    fn archive(&mut self, today: NaiveDate) {
        let Some(open) = &mut self.open else { return };
        if self.archives.take(&self.path, open.day).is_ok() {
            self.open = None;
            self.archives.tidy_in_background(today);
        } else {
            (open.day, open.len) = (today, 0);
        }
    }
}

impl OpenFile {
    /// Opens or makes the file. One that is there is of the day of its last line.
    fn open(path: &Path, today: NaiveDate) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let len = file.metadata()?.len();
        let day = if len == 0 { today } else { day_of(fs::metadata(path)?.modified()?) };
        Ok(Self { file, day, len })
    }

    /// Whether no file, or another one, has its name now.
    fn is_gone_from(&self, path: &Path) -> bool {
        match (self.file.metadata(), fs::metadata(path)) {
            (Ok(own), Ok(there)) => (own.dev(), own.ino()) != (there.dev(), there.ino()),
            (_, Err(error)) => error.kind() == io::ErrorKind::NotFound,
            (Err(_), _) => false,
        }
    }

    fn is_due(&self, today: NaiveDate, line_len: usize, max_len: u64) -> bool {
        self.len > 0 && (self.day != today || self.len.saturating_add(line_len as u64) > max_len)
    }
}

impl Write for RollingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.write_line(line) {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                self.open = None;
                if !self.is_failing {
                    self.is_failing = true;
                    let path = self.path.display();
                    let _ = writeln!(
                        io::stderr(),
                        "bsp-agent: can't write {path}, lines are lost: {error}"
                    );
                }
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn day_of(time: SystemTime) -> NaiveDate {
    DateTime::<Utc>::from(time).date_naive()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        time::Duration,
    };

    const DAY: u64 = 86_400;
    const RETENTION: Retention = Retention { files: 3, days: 60 };

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn each_day_has_its_own_file() {
        static NOW: AtomicU64 = AtomicU64::new(0);
        let clock = || SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.load(Ordering::SeqCst));
        let folder = tempfile::tempdir().unwrap();
        let mut log = RollingFile::with_limits(folder.path(), 1000, RETENTION, clock).unwrap();
        for day in 0..6 {
            NOW.store(day * DAY, Ordering::SeqCst);
            log.write_all(b"morning\n").unwrap();
            NOW.store(day * DAY + DAY - 1, Ordering::SeqCst);
            log.write_all(b"evening\n").unwrap();
        }
        log.archives.wait();
        assert_eq!(fs::read(folder.path().join("log.log")).unwrap(), b"morning\nevening\n");
        assert_eq!(
            names(folder.path()),
            ["log-1970-01-03.log.gz", "log-1970-01-04.log.gz", "log-1970-01-05.log.gz", "log.log"]
        );
    }

    #[test]
    fn a_large_file_is_put_aside_within_its_day() {
        let folder = tempfile::tempdir().unwrap();
        let clock = || SystemTime::UNIX_EPOCH;
        let mut log = RollingFile::with_limits(folder.path(), 10, RETENTION, clock).unwrap();
        for line in [&b"12345678\n"[..], b"abcdefgh\n", b"longer than a file may be\n", b"x\n"] {
            log.write_all(line).unwrap();
        }
        log.archives.wait();
        assert_eq!(fs::read(folder.path().join("log.log")).unwrap(), b"x\n");
        assert_eq!(
            names(folder.path()),
            [
                "log-1970-01-01.1.log.gz",
                "log-1970-01-01.2.log.gz",
                "log-1970-01-01.log.gz",
                "log.log"
            ]
        );
    }

    #[test]
    fn another_start_adds_to_the_file_of_the_same_day() {
        let folder = tempfile::tempdir().unwrap();
        for line in [b"first\n", b"again\n"] {
            RollingFile::open(folder.path()).unwrap().write_all(line).unwrap();
        }
        assert_eq!(fs::read(folder.path().join("log.log")).unwrap(), b"first\nagain\n");
    }

    #[test]
    fn another_start_puts_an_older_days_file_aside() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("log.log"), "old\n").unwrap();
        let clock = || SystemTime::now() + Duration::from_secs(2 * DAY);
        let mut log = RollingFile::with_limits(folder.path(), 1000, RETENTION, clock).unwrap();
        log.write_all(b"new\n").unwrap();
        log.archives.wait();
        assert_eq!(fs::read(folder.path().join("log.log")).unwrap(), b"new\n");
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn a_file_that_others_move_or_delete_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.log");
        let text = || fs::read_to_string(&path).unwrap();
        let mut log = RollingFile::open(folder.path()).unwrap();
        log.write_all(b"one\n").unwrap();
        let moved = folder.path().join("log.log.1");
        fs::rename(&path, &moved).unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!((fs::read_to_string(&moved).unwrap(), text()), ("one\n".into(), "two\n".into()));
        fs::remove_file(&path).unwrap();
        log.write_all(b"three\n").unwrap();
        assert_eq!(text(), "three\n");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "theirs\n").unwrap();
        log.write_all(b"four\n").unwrap();
        assert_eq!(text(), "theirs\nfour\n");
    }

    #[test]
    fn a_folder_that_goes_away_costs_lines_only() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("logs");
        fs::create_dir(&folder).unwrap();
        let clock = || SystemTime::UNIX_EPOCH;
        let mut log = RollingFile::with_limits(&folder, 4, RETENTION, clock).unwrap();
        log.write_all(b"one\n").unwrap();
        log.archives.wait();
        fs::remove_dir_all(&folder).unwrap();
        log.write_all(b"two\n").unwrap();
        fs::create_dir(&folder).unwrap();
        log.open = None;
        log.write_all(b"three\n").unwrap();
        assert_eq!(fs::read(folder.join("log.log")).unwrap(), b"three\n");
    }

    #[test]
    fn a_full_disk_costs_lines_only() {
        let folder = tempfile::tempdir().unwrap();
        let full = Path::new("/dev/full");
        if !full.exists() {
            eprintln!("SKIPPED: there is no /dev/full here");
            return;
        }
        let path = folder.path().join("log.log");
        std::os::unix::fs::symlink(full, &path).unwrap();
        let mut log = RollingFile::open(folder.path()).unwrap();
        assert_eq!(log.write(b"lost\n").unwrap(), 5);
        fs::remove_file(&path).unwrap();
        assert_eq!(log.write(b"kept\n").unwrap(), 5);
        assert_eq!(fs::read(&path).unwrap(), b"kept\n");
    }
}
