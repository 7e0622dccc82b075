//! What Redis can't take when it is full or may not write: dead letters and losses, in the agent's
//! data folder.
//!
//! They stay there: a server that was full is not filled again with what nobody waits for. `bsp
//! dead` shows the letters with `--data-dir`, and puts one back into the stream when the operator
//! wants it.

use crate::{
    alarm::{AlarmKind, Alarms, now_ms},
    retry::{Retry, join},
    source::{
        DeadLetter, SourceError,
        dead_letters::{DeadLetterFolder, StreamOrigin},
    },
};
use bsp_stream::RedisUrl;
use serde::Serialize;
use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};
use tokio_util::sync::CancellationToken;

/// The data folder, for a stream.
#[derive(Debug)]
pub(crate) struct Overflow {
    url: RedisUrl,
    dead: DeadLetterFolder,
    /// The file of losses, one JSON object a line.
    losses: PathBuf,
    alarms: Alarms,
    stop: CancellationToken,
}

/// What was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Lost<'a> {
    /// An entry that had been delivered.
    Entry(&'a str),
    /// So many in all the group's time before any delivery.
    Undelivered(u64),
}

/// A line of the file of losses.
#[derive(Serialize)]
struct LossLine<'a> {
    topic: &'a str,
    group: &'a str,
    #[serde(flatten)]
    lost: Lost<'a>,
    found_ms: u64,
}

impl Overflow {
    /// In the folders `dead` and the file `lost.jsonl` of that data folder.
    pub(crate) fn new(
        url: RedisUrl,
        data_dir: &Path,
        alarms: Alarms,
        stop: CancellationToken,
    ) -> Self {
        let dead = DeadLetterFolder::new(data_dir.join("dead"));
        Self { url, dead, losses: data_dir.join("lost.jsonl"), alarms, stop }
    }

    /// Keeps a dead letter. On return it is on disk. Waits, with an alarm, for a disk that can't
    /// take it.
    pub(crate) async fn keep(&self, letter: &DeadLetter) -> Result<PathBuf, SourceError> {
        let origin = StreamOrigin { topic: self.url.topic.clone(), group: self.url.group.clone() };
        let what = format!("writing the dead letter of entry {}", letter.entry);
        let (alarm, alarms) = (AlarmKind::StoreFailing, self.alarms.clone());
        let retry = Retry { alarm, alarms, stop: self.stop.clone() };
        let attempt = || {
            let (dead, letter, origin) = (self.dead.clone(), letter.clone(), origin.clone());
            blocking(move || dead.keep_of_stream(&letter, &origin))
        };
        let kept = retry.until_done(&what, attempt).await;
        kept.map(|()| self.dead.path().to_owned()).map_err(|_| SourceError::Unavailable {
            source_name: self.url.to_string(),
            reason: format!("{what}: stopped before it succeeded"),
        })
    }

    /// How many dead letters there are, if the folder can be read.
    pub(crate) async fn count(&self) -> Option<u64> {
        let dead = self.dead.clone();
        blocking(move || dead.count()).await.ok()
    }

    /// Notes a loss. A disk that can't take it is told in the log, and not waited for: the loss
    /// itself is in the log too.
    pub(crate) async fn note_loss(&self, lost: Lost<'_>) {
        let RedisUrl { topic, group, .. } = &self.url;
        let line = LossLine { topic, group, lost, found_ms: now_ms() };
        let Ok(mut line) = serde_json::to_vec(&line) else { return };
        line.push(b'\n');
        let path = self.losses.clone();
        if let Err(error) = blocking(move || append(&path, &line)).await {
            tracing::warn!("The loss is not noted in {}: {error}", self.losses.display());
        }
    }
}

fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line)?;
    file.sync_all()
}

/// Works on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    join(tokio::task::spawn_blocking(work).await)
}
