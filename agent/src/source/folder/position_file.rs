//! The positions on disk.

use super::positions::{Positions, Progress};
use crate::source::dead_letters::write_file;
use bsp_codec::chunk::ChunkName;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

const FILE_NAME: &str = "positions.json";
const VERSION: u32 = 1;
/// The file has some hundred bytes for each chunk in flight.
const MAX_BYTES: u64 = 64 << 20;

/// The file `positions.json` of one folder.
#[derive(Debug)]
pub(super) struct PositionFile {
    path: PathBuf,
    /// The folder of chunks that it is about.
    folder: PathBuf,
}

/// The file's content.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedPositions {
    version: u32,
    folder: PathBuf,
    done_through: Option<String>,
    chunks: BTreeMap<String, SavedProgress>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedProgress {
    acknowledged: u64,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    beyond: BTreeSet<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    done: bool,
}

impl PositionFile {
    pub(super) fn new(state_dir: &Path, folder: PathBuf) -> Self {
        Self { path: state_dir.join(FILE_NAME), folder }
    }

    /// Reads the file; nothing is acknowledged where there is none. The error says what to do.
    pub(super) fn load(&self) -> Result<Positions, String> {
        let path = self.path.display();
        let mut json = Vec::new();
        match File::open(&self.path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut json)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Positions::default());
            }
            read => read.map_err(|error| format!("cannot read {path}: {error}"))?,
        };
        let saved: SavedPositions =
            serde_json::from_slice(&json).map_err(|error| damaged(&path, &error))?;
        if saved.version != VERSION {
            return Err(format!("{path} is of another version of this program: use that one"));
        }
        if saved.folder != self.folder {
            return Err(format!(
                "{path} is about {}: use another --data-dir for this folder, or, if it was moved here, change \
                 \"folder\" in that file",
                saved.folder.display()
            ));
        }
        saved.positions().ok_or_else(|| damaged(&path, &"it names something that is no chunk"))
    }

    /// Replaces the file. On return it is on disk.
    pub(super) fn save(&self, positions: &Positions) -> io::Result<()> {
        let saved = SavedPositions::of(self.folder.clone(), positions);
        write_file(&self.path, &mut &serde_json::to_vec(&saved)?[..])
    }
}

fn damaged(path: &impl std::fmt::Display, error: &impl std::fmt::Display) -> String {
    format!(
        "{path} is damaged ({error}): restore it, or remove it to have everything in the folder delivered again"
    )
}

impl SavedPositions {
    fn of(folder: PathBuf, positions: &Positions) -> Self {
        let progress = |progress: &Progress| SavedProgress {
            acknowledged: progress.acknowledged,
            beyond: progress.beyond.clone(),
            done: progress.done,
        };
        Self {
            version: VERSION,
            folder,
            done_through: positions.done_through.as_ref().map(ToString::to_string),
            chunks: positions
                .chunks
                .iter()
                .map(|(name, p)| (name.to_string(), progress(p)))
                .collect(),
        }
    }

    /// `None` if it holds a name that is no chunk's.
    fn positions(self) -> Option<Positions> {
        let name = |text: String| text.parse::<ChunkName>().ok();
        let progress = |SavedProgress { acknowledged, beyond, done }| {
            Progress::restored(acknowledged, beyond, done)
        };
        let done_through = match self.done_through {
            Some(text) => Some(name(text)?),
            None => None,
        };
        let chunks =
            self.chunks.into_iter().map(|(text, saved)| Some((name(text)?, progress(saved))));
        Some(Positions::restored(done_through, chunks.collect::<Option<_>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::folder::entry::Record;
    use std::fs;

    const FIRST: ChunkName = ChunkName { session: 7, chunk: 0 };
    const SECOND: ChunkName = ChunkName { session: 7, chunk: 1 };

    fn positions() -> Positions {
        let mut positions = Positions::restored(Some(FIRST), BTreeMap::new());
        positions.acknowledge(Record { chunk: SECOND, offset: 30 });
        positions.close(ChunkName { session: 8, chunk: 0 }, 0);
        positions
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let scratch = tempfile::tempdir().unwrap();
        let file = PositionFile::new(scratch.path(), "/replicas".into());
        assert_eq!(file.load(), Ok(Positions::default()));
        file.save(&positions()).unwrap();
        let loaded = file.load().unwrap();
        assert_eq!(loaded.done_through, Some(FIRST));
        assert_eq!(loaded.chunks[&SECOND].beyond, BTreeSet::from([30]));
        assert!(loaded.is_done(ChunkName { session: 8, chunk: 0 }));
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "nothing partial is left");
    }

    #[test]
    fn a_file_that_cannot_be_used_says_what_to_do() {
        let scratch = tempfile::tempdir().unwrap();
        let file = PositionFile::new(scratch.path(), "/replicas".into());
        file.save(&positions()).unwrap();
        let text = fs::read_to_string(&file.path).unwrap();
        let refusal = |text: &str| {
            fs::write(&file.path, text).unwrap();
            file.load().unwrap_err()
        };
        for cut in 0..text.len() {
            assert!(refusal(&text[..cut]).contains("is damaged"), "{cut}");
        }
        assert!(refusal(&text.replace("sess-00000007", "sess-7")).contains("no chunk"));
        assert!(
            refusal(&text.replace("\"version\":1", "\"version\":2")).contains("another version")
        );
        assert!(refusal(&text.replace("/replicas", "/others")).contains("is about /others"));
    }
}
