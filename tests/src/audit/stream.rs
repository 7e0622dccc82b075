//! What is left in Redis.

use super::{
    disk::{AgentFolders, names_with_prefix},
    fed::{Expect, FedEntry, sha256},
    violation::Violation,
};
use redis::{
    aio::MultiplexedConnection,
    streams::{StreamId, StreamPendingReply, StreamRangeReply},
};
use serde_json::Value;
use std::{collections::HashMap, fs, path::Path};

/// A stream with one consumer group.
#[derive(Debug, Clone)]
pub struct StreamName {
    /// Its key.
    pub topic: String,
    /// The group.
    pub group: String,
}

impl StreamName {
    /// The key of its dead letters.
    pub fn dead_letters(&self) -> String {
        format!("{}.dead", self.topic)
    }

    /// How many entries there are, and how many of them are pending.
    ///
    /// # Errors
    ///
    /// Where Redis does not answer.
    pub async fn remaining(&self, redis: &mut MultiplexedConnection) -> eyre::Result<(u64, u64)> {
        let entries = redis::cmd("XLEN").arg(&self.topic).query_async(redis).await?;
        let mut pending = redis::cmd("XPENDING");
        pending.arg(&self.topic).arg(&self.group);
        let pending: StreamPendingReply = match pending.query_async(redis).await {
            // Nobody has ever read.
            Err(error) if error.code() == Some("NOGROUP") => StreamPendingReply::Empty,
            reply => reply?,
        };
        Ok((entries, pending.count() as u64))
    }
}

/// A dead letter, wherever it lies.
#[derive(Debug)]
struct Letter {
    entry: String,
    reason: String,
    payload: Option<[u8; 32]>,
}

/// Checks that the stream is empty but for the entries that had to be held, and that the dead
/// letters are the bad entries, as they came: beside the stream, or in an agent's folder where
/// Redis could not take them. A crash between the two may leave one in both.
///
/// # Errors
///
/// Where Redis does not answer, or a folder can't be read.
pub async fn check(
    stream: &StreamName,
    folders: &[AgentFolders],
    fed: &[FedEntry],
    redis: &mut MultiplexedConnection,
) -> eyre::Result<Vec<Violation>> {
    let mut violations = Vec::new();
    let (entries, pending) = stream.remaining(redis).await?;
    let held = fed.iter().filter(|entry| matches!(entry.expect, Expect::Held(_))).count() as u64;
    // Whether one that is held has been delivered to a consumer is the agents' business.
    if entries != held || pending > held {
        violations.push(Violation::StreamNotEmpty { entries, pending });
    }
    let beside = letters_beside(stream, redis).await?;
    let mut in_folders = Vec::new();
    for folder in folders {
        in_folders.extend(letters_in(&folder.data.join("dead"), stream)?);
    }
    for letter in beside.iter().chain(&in_folders) {
        violations.extend(fault_of_letter(fed, letter));
    }
    violations.extend(check_times(fed, &beside, &in_folders));
    Ok(violations)
}

async fn letters_beside(
    stream: &StreamName,
    redis: &mut MultiplexedConnection,
) -> eyre::Result<Vec<Letter>> {
    let mut range = redis::cmd("XRANGE");
    range.arg(stream.dead_letters()).arg("-").arg("+");
    let letters: StreamRangeReply = range.query_async(redis).await?;
    let of_stream = |letter: &StreamId| Letter {
        entry: letter.get("id").unwrap_or_default(),
        reason: letter.get("reason").unwrap_or_default(),
        payload: letter.get::<Vec<u8>>("data").map(|data| sha256(&data)),
    };
    Ok(letters.ids.iter().map(of_stream).collect())
}

/// The letters of this stream in a folder: a description each, and the payload beside it.
fn letters_in(folder: &Path, stream: &StreamName) -> eyre::Result<Vec<Letter>> {
    let mut letters = Vec::new();
    for name in names_with_prefix(folder, &format!("{}_", stream.topic))? {
        let Some(stem) = name.strip_suffix(".json") else { continue };
        let description: Value = serde_json::from_slice(&fs::read(folder.join(&name))?)?;
        let text = |field: &str| description[field].as_str().unwrap_or_default().to_owned();
        let payload = folder.join(format!("{stem}.bin"));
        let payload = payload.exists().then(|| fs::read(&payload)).transpose()?;
        letters.push(Letter {
            entry: text("entry"),
            reason: text("reason"),
            payload: payload.map(|bytes| sha256(&bytes)),
        });
    }
    Ok(letters)
}

fn fault_of_letter(fed: &[FedEntry], letter: &Letter) -> Vec<Violation> {
    let (id, reason) = (letter.entry.clone(), letter.reason.clone());
    let wrong = |fault: &str| Violation::LetterWrong { id: id.clone(), fault: fault.to_owned() };
    match fed.iter().find(|entry| entry.id == letter.entry) {
        Some(entry) if entry.expect == Expect::Poison => {
            let payload =
                (letter.payload != entry.payload).then(|| wrong("its payload is not what came"));
            let reason = letter.reason.is_empty().then(|| wrong("it has no reason"));
            payload.into_iter().chain(reason).collect()
        }
        _ => vec![Violation::BuriedUnasked { id, reason }],
    }
}

fn check_times(fed: &[FedEntry], beside: &[Letter], in_folders: &[Letter]) -> Vec<Violation> {
    let count = |letters: &[Letter]| {
        let mut times: HashMap<String, usize> = HashMap::new();
        for letter in letters {
            *times.entry(letter.entry.clone()).or_default() += 1;
        }
        times
    };
    let (beside, in_folders) = (count(beside), count(in_folders));
    let poison = fed.iter().filter(|entry| entry.expect == Expect::Poison);
    poison
        .filter_map(|entry| {
            let times = |letters: &HashMap<String, usize>| {
                letters.get(&entry.id).copied().unwrap_or_default()
            };
            let times = times(&beside).max(times(&in_folders));
            (times != 1).then(|| Violation::PoisonNotBuried { id: entry.id.clone(), times })
        })
        .collect()
}
