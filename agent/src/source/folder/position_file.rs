//! The positions on disk.

use super::{
    finished_chunks::FinishedChunks,
    positions::{Positions, Progress},
};
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
/// Version 1 listed each finished chunk by itself, which can still be read.
const VERSION: u32 = 2;
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
    /// The first and the last chunk of each span.
    #[serde(default)]
    finished: BTreeMap<String, String>,
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
        if !(1..=VERSION).contains(&saved.version) {
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
            finished: positions
                .finished
                .iter()
                .map(|(first, last)| (first.to_string(), last.to_string()))
                .collect(),
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
        let mut finished = FinishedChunks::default();
        for (first, last) in self.finished {
            let (first, last) = (name(first)?, name(last)?);
            (first.session == last.session && first <= last).then_some(())?;
            finished.insert_span(first, last.chunk);
        }
        let chunks =
            self.chunks.into_iter().map(|(text, saved)| Some((name(text)?, progress(saved))));
        Some(Positions::restored(done_through, finished, chunks.collect::<Option<_>>()?))
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
        let finished = FinishedChunks::default();
        let mut positions = Positions::restored(Some(FIRST), finished, BTreeMap::new());
        positions.acknowledge(Record { chunk: SECOND, offset: 30 });
        for chunk in 0..3 {
            positions.close(ChunkName { session: 8, chunk }, 0);
        }
        positions.compact();
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
        assert_eq!(loaded.chunks.len(), 1);
        assert!((0..3).all(|chunk| loaded.is_done(ChunkName { session: 8, chunk })));
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "nothing partial is left");
    }

    /// Version 1 listed every chunk that came after one that waits.
    #[test]
    fn a_file_of_version_1_can_be_read() {
        let scratch = tempfile::tempdir().unwrap();
        let file = PositionFile::new(scratch.path(), "/replicas".into());
        let text = r#"{"version":1,"folder":"/replicas","done_through":"sess-00000007-chunk-00000000.rlp","chunks":{
            "sess-00000007-chunk-00000001.rlp":{"acknowledged":0,"beyond":[30]},
            "sess-00000008-chunk-00000000.rlp":{"acknowledged":0,"done":true},
            "sess-00000008-chunk-00000001.rlp":{"acknowledged":0,"done":true},
            "sess-00000008-chunk-00000002.rlp":{"acknowledged":0,"done":true}}}"#;
        fs::write(&file.path, text).unwrap();
        let mut loaded = file.load().unwrap();
        loaded.compact();
        let written = positions();
        assert_eq!((loaded.chunks, loaded.finished), (written.chunks, written.finished));
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
            refusal(&text.replace("\"version\":2", "\"version\":3")).contains("another version")
        );
        assert!(refusal(&text.replace("/replicas", "/others")).contains("is about /others"));
    }
}
