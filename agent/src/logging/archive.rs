//! Log files that were rotated: named by day, compressed, and removed when they are many or old.

use chrono::{Days, NaiveDate};
use flate2::{Compression, write::GzEncoder};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// What is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retention {
    /// Most files.
    pub(super) files: usize,
    /// Most days that a file is kept.
    pub(super) days: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { files: 10, days: 60 }
    }
}

/// The archives of a folder. Compressing takes seconds, so it has a thread of its own, one at a
/// time.
#[derive(Debug, Clone)]
pub(super) struct Archives {
    folder: PathBuf,
    retention: Retention,
    tidying: Arc<Mutex<()>>,
}

/// One archive by what its name says: ordered from old to new.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Archive {
    day: NaiveDate,
    number: u32,
    is_compressed: bool,
    path: PathBuf,
}

impl Archives {
    pub(super) fn new(folder: &Path, retention: Retention) -> Self {
        Self { folder: folder.to_owned(), retention, tidying: Arc::default() }
    }

    /// Renames the log of a day to the next name of that day.
    pub(super) fn take(&self, log: &Path, day: NaiveDate) -> io::Result<()> {
        let numbers = self.list()?.into_iter().filter(|archive| archive.day == day);
        let next = numbers.map(|archive| archive.number + 1).max().unwrap_or(0);
        fs::rename(log, self.folder.join(file_name(day, next)))
    }

    /// Compresses and removes in a thread. If none can be started, the next time does it.
    pub(super) fn tidy_in_background(&self, today: NaiveDate) {
        let archives = self.clone();
        let _ = thread::Builder::new().name("logs".to_owned()).spawn(move || archives.tidy(today));
    }

    /// Removes first, which makes room on a full disk.
    fn tidy(&self, today: NaiveDate) {
        let _alone = self.tidying.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(mut archives) = self.list() else { return };
        archives.sort();
        let oldest_kept = today.checked_sub_days(Days::new(self.retention.days));
        let surplus = archives.len().saturating_sub(self.retention.files);
        for (index, archive) in archives.iter().enumerate() {
            if index < surplus || oldest_kept.is_some_and(|oldest| archive.day < oldest) {
                let _ = fs::remove_file(&archive.path);
            } else if !archive.is_compressed {
                let _ = compress(&archive.path);
            }
        }
    }

    fn list(&self) -> io::Result<Vec<Archive>> {
        let paths = fs::read_dir(&self.folder)?.filter_map(|entry| Some(entry.ok()?.path()));
        Ok(paths.filter_map(Archive::of).collect())
    }

    /// Waits until the threads that were started have had their turn.
    #[cfg(test)]
    pub(super) fn wait(&self) {
        while Arc::strong_count(&self.tidying) > 1 {
            thread::yield_now();
        }
    }
}

impl Archive {
    /// `None` for any other file.
    fn of(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_prefix("log-")?;
        let plain = name.strip_suffix(".gz");
        let is_compressed = plain.is_some();
        let stem = plain.unwrap_or(name).strip_suffix(".log")?;
        let (day, number) = match stem.split_once('.') {
            Some((day, number)) => (day, number.parse().ok()?),
            None => (stem, 0),
        };
        Some(Self { day: day.parse().ok()?, number, is_compressed, path })
    }
}

fn file_name(day: NaiveDate, number: u32) -> String {
    if number == 0 { format!("log-{day}.log") } else { format!("log-{day}.{number}.log") }
}

/// Puts a compressed file in the place of a plain one: whole, or not at all.
fn compress(plain: &Path) -> io::Result<()> {
    let (done, unfinished) = (with_suffix(plain, ".gz"), with_suffix(plain, ".gz.tmp"));
    let result = write_compressed(plain, &unfinished).and_then(|()| fs::rename(&unfinished, &done));
    match result {
        Ok(()) => fs::remove_file(plain),
        Err(error) => {
            let _ = fs::remove_file(&unfinished);
            Err(error)
        }
    }
}

fn write_compressed(plain: &Path, compressed: &Path) -> io::Result<()> {
    let mut encoder = GzEncoder::new(File::create(compressed)?, Compression::default());
    io::copy(&mut File::open(plain)?, &mut encoder)?;
    encoder.finish()?.sync_all()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn only_archives_are_taken_for_archives() {
        for name in [
            "log.log",
            "log-.log",
            "log-2026-13-01.log",
            "log-2026-01-01.log.gz.tmp",
            "x-2026-01-01.log",
            "log-2026-01-01.-1.log",
        ] {
            assert_eq!(Archive::of(PathBuf::from(name)), None, "{name}");
        }
        let archive = Archive::of(PathBuf::from("/x/log-2026-01-02.3.log.gz")).unwrap();
        assert_eq!(
            (archive.day, archive.number, archive.is_compressed),
            (day("2026-01-02"), 3, true)
        );
    }

    #[test]
    fn compressed_files_hold_what_the_plain_ones_held() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("log-2026-01-02.log");
        fs::write(&plain, "a line\n".repeat(1000)).unwrap();
        Archives::new(folder.path(), Retention::default()).tidy(day("2026-01-02"));
        assert!(!plain.exists());
        let mut text = String::new();
        let file = File::open(folder.path().join("log-2026-01-02.log.gz")).unwrap();
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "a line\n".repeat(1000));
    }

    #[test]
    fn many_and_old_files_go_the_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "2025-12-01.log",
            "2026-01-30.log.gz",
            "2026-02-01.log.gz",
            "2026-02-01.1.log.gz",
            "2026-02-01.10.log.gz",
        ];
        for name in names {
            fs::write(folder.path().join(format!("log-{name}")), "").unwrap();
        }
        fs::write(folder.path().join("other.log"), "").unwrap();
        let left = |retention| {
            let archives = Archives::new(folder.path(), retention);
            archives.tidy(day("2026-02-02"));
            let mut left = archives.list().unwrap();
            left.sort();
            left.into_iter()
                .map(|archive| (archive.day.to_string(), archive.number))
                .collect::<Vec<_>>()
        };
        let february = |number| ("2026-02-01".to_owned(), number);
        assert_eq!(
            left(Retention { files: 10, days: 60 }),
            [("2026-01-30".to_owned(), 0), february(0), february(1), february(10)]
        );
        assert_eq!(left(Retention { files: 2, days: 60 }), [february(1), february(10)]);
        assert!(folder.path().join("other.log").exists());
    }
}
