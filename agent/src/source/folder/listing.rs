//! Which chunks a folder has, and which of them is next.

use bsp_codec::chunk::ChunkName;
use std::{
    collections::BTreeSet,
    fs, io,
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

/// A folder whose time of change is as old as this when it is listed gets another time with the
/// next change, even where the file system's clock ticks once in two seconds.
const CLOCK_TICK: Duration = Duration::from_secs(2);
/// After this it is listed again even if it says that nothing changed, for file systems that don't
/// tell.
const LONGEST_TRUST: Duration = Duration::from_secs(10);

/// The chunks that a folder has, or had: one that is not there for a while is not new when it is
/// there again.
#[derive(Debug)]
pub(super) struct Listing {
    folder: PathBuf,
    known: BTreeSet<ChunkName>,
    /// When the folder was last listed, and the time of change that it had then, if another change
    /// is sure to change it.
    listed: Option<(Instant, Option<SystemTime>)>,
}

impl Listing {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder, known: BTreeSet::new(), listed: None }
    }

    /// Looks, and returns the chunks that were not there before. Cheap where nothing has changed.
    pub(super) fn refresh(&mut self) -> io::Result<Vec<ChunkName>> {
        let changed = fs::metadata(&self.folder)?.modified()?;
        if let Some((at, Some(seen))) = self.listed
            && seen == changed
            && at.elapsed() < LONGEST_TRUST
        {
            return Ok(Vec::new());
        }
        let settled = changed.elapsed().is_ok_and(|age| age > CLOCK_TICK);
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            found.extend(name.to_str().and_then(|name| name.parse::<ChunkName>().ok()));
        }
        let new = found.difference(&self.known).copied().collect();
        self.known.append(&mut found);
        self.listed = Some((Instant::now(), settled.then_some(changed)));
        Ok(new)
    }

    /// Whether there is, or was, a chunk with a later name.
    pub(super) fn has_later_than(&self, chunk: ChunkName) -> bool {
        self.known.last() > Some(&chunk)
    }

    /// Whether the chunk is, or was, there.
    pub(super) fn has(&self, chunk: ChunkName) -> bool {
        self.known.contains(&chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_chunks_are_noticed_once() {
        let scratch = tempfile::tempdir().unwrap();
        let touch = |name: &str| fs::write(scratch.path().join(name), b"").unwrap();
        let mut listing = Listing::new(scratch.path().to_owned());
        assert_eq!(listing.refresh().unwrap(), []);
        for number in 0..50 {
            let chunk = ChunkName { session: 1, chunk: number };
            touch("sess-00000001-chunk-00000000.rlp.torn");
            touch(&chunk.to_string());
            assert_eq!(listing.refresh().unwrap(), [chunk], "however quickly they come");
            assert_eq!(listing.refresh().unwrap(), []);
            assert!(!listing.has_later_than(chunk) && listing.has(chunk));
        }
        for file in fs::read_dir(scratch.path()).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        assert_eq!(listing.refresh().unwrap(), []);
        touch("sess-00000001-chunk-00000007.rlp");
        assert_eq!(listing.refresh().unwrap(), [], "it is not new");
        assert!(listing.has_later_than(ChunkName { session: 1, chunk: 48 }));
        assert!(listing.has_later_than(ChunkName { session: 0, chunk: 60 }));
    }
}
