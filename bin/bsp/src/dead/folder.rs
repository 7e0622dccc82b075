//! The dead letters in `dead/` under an agent's data folder, for each a JSON object and, under the
//! same name, its payload and its supplement: those of an agent that reads files, and those that
//! Redis could not take.

use bsp_agent::source::{DeadLetter, StreamOrigin, redis::dead_letters::Letter};
use bsp_common::files::{read_if_there, remove_if_there};
use eyre::{Context, bail, ensure};
use serde::Deserialize;
use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// A longer object is none of the agent's.
const MAX_JSON_BYTES: u64 = 1 << 20;

/// What is read of an object.
#[derive(Deserialize)]
struct Description {
    #[serde(flatten)]
    letter: DeadLetter,
    #[serde(flatten)]
    origin: Option<StreamOrigin>,
}

/// The folder.
pub(super) struct DeadFolder(PathBuf);

impl DeadFolder {
    pub(super) fn open(data_dir: &Path) -> eyre::Result<Self> {
        ensure!(
            data_dir.is_dir(),
            "{} is no folder: name the agent's --data-dir",
            data_dir.display()
        );
        Ok(Self(data_dir.join("dead")))
    }

    /// All of them by their names, without their payloads.
    pub(super) fn list(&self) -> eyre::Result<Vec<Letter>> {
        let mut ids = self.ids()?;
        ids.sort();
        ids.iter().map(|id| self.read(id)).collect()
    }

    /// One of them, with its payload.
    pub(super) fn show(&self, id: &str) -> eyre::Result<Letter> {
        self.must_have(id)?;
        let mut letter = self.read(id)?;
        letter.payload = self.bytes(id, "bin")?.map(Into::into);
        letter.supplement = self.bytes(id, "supplement")?.map(Into::into);
        Ok(letter)
    }

    /// What is beside one under its name, if it is there.
    fn bytes(&self, id: &str, extension: &str) -> eyre::Result<Option<Vec<u8>>> {
        let path = self.path(id, extension);
        read_if_there(&path).wrap_err_with(|| format!("cannot read {}", path.display()))
    }

    /// Deletes one permanently: the object last, so that what is half deleted is still listed.
    pub(super) fn discard(&self, id: &str) -> eyre::Result<()> {
        self.must_have(id)?;
        for extension in ["bin", "supplement", "json"] {
            let path = self.path(id, extension);
            remove_if_there(&path).wrap_err_with(|| format!("cannot delete {}", path.display()))?;
        }
        Ok(())
    }

    fn ids(&self) -> eyre::Result<Vec<String>> {
        let files = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            files => files.wrap_err_with(|| format!("cannot read {}", self.0.display()))?,
        };
        let mut ids = Vec::new();
        for file in files {
            let name = file?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".json"));
            ids.extend(id.map(str::to_owned));
        }
        Ok(ids)
    }

    /// An id is the name of a file there is, so that none leads out of the folder.
    pub(super) fn has(&self, id: &str) -> eyre::Result<bool> {
        Ok(self.ids()?.iter().any(|present| present == id))
    }

    /// The stream that one came from, if it came from one.
    pub(super) fn topic(&self, id: &str) -> eyre::Result<Option<String>> {
        self.must_have(id)?;
        Ok(self.describe(id)?.origin.map(|origin| origin.topic))
    }

    fn must_have(&self, id: &str) -> eyre::Result<()> {
        if self.has(id)? {
            return Ok(());
        }
        bail!("there is no dead letter {id}: `bsp dead list` shows those there are")
    }

    fn describe(&self, id: &str) -> eyre::Result<Description> {
        let path = self.path(id, "json");
        let cannot = || format!("cannot read {}", path.display());
        let facts = fs::metadata(&path).wrap_err_with(cannot)?;
        ensure!(facts.len() <= MAX_JSON_BYTES, "{} is too long", path.display());
        let text = fs::read(&path).wrap_err_with(cannot)?;
        serde_json::from_slice(&text).wrap_err_with(cannot)
    }

    fn read(&self, id: &str) -> eyre::Result<Letter> {
        let Description { letter, origin } = self.describe(id)?;
        let path = self.path(id, "json");
        let facts =
            fs::metadata(&path).wrap_err_with(|| format!("cannot read {}", path.display()))?;
        let since = facts.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let payload = fs::metadata(self.path(id, "bin")).ok();
        Ok(Letter {
            id: id.to_owned(),
            entry: letter.entry.0,
            hash: letter.hash,
            reason: letter.reason,
            group: origin.map_or_else(String::new, |origin| origin.group),
            time_ms: since.and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or(0),
            bytes: payload.and_then(|facts| usize::try_from(facts.len()).ok()),
            payload: None,
            supplement: None,
        })
    }

    fn path(&self, id: &str, extension: &str) -> PathBuf {
        self.0.join(format!("{id}.{extension}"))
    }
}
