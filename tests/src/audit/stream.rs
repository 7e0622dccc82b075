//! What is left in Redis.

use super::{
    fed::{Expect, FedEntry, sha256},
    violation::Violation,
};
use redis::{
    aio::MultiplexedConnection,
    streams::{StreamPendingReply, StreamRangeReply},
};
use std::collections::HashMap;

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

/// Checks that the stream is empty, and that the dead letters are the bad entries, as they came.
///
/// # Errors
///
/// Where Redis does not answer.
pub async fn check(
    stream: &StreamName,
    fed: &[FedEntry],
    redis: &mut MultiplexedConnection,
) -> eyre::Result<Vec<Violation>> {
    let mut violations = Vec::new();
    let (entries, pending) = stream.remaining(redis).await?;
    if entries != 0 || pending != 0 {
        violations.push(Violation::StreamNotEmpty { entries, pending });
    }
    let letters: StreamRangeReply = redis::cmd("XRANGE")
        .arg(stream.dead_letters())
        .arg("-")
        .arg("+")
        .query_async(redis)
        .await?;
    violations.extend(check_letters(fed, &letters));
    Ok(violations)
}

fn check_letters(fed: &[FedEntry], letters: &StreamRangeReply) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut buried: HashMap<String, usize> = HashMap::new();
    let by_id: HashMap<&str, &FedEntry> = fed.iter().map(|entry| (&*entry.id, entry)).collect();
    for letter in &letters.ids {
        let id: String = letter.get("id").unwrap_or_default();
        let reason: String = letter.get("reason").unwrap_or_default();
        match by_id.get(&*id) {
            Some(entry) if entry.expect == Expect::Poison => {
                let payload = letter.get::<Vec<u8>>("data").map(|data| sha256(&data));
                if payload != entry.payload {
                    let fault = "its payload is not what came".to_owned();
                    violations.push(Violation::LetterWrong { id: id.clone(), fault });
                }
                if reason.is_empty() {
                    let fault = "it has no reason".to_owned();
                    violations.push(Violation::LetterWrong { id: id.clone(), fault });
                }
            }
            _ => violations.push(Violation::BuriedUnasked { id: id.clone(), reason }),
        }
        *buried.entry(id).or_default() += 1;
    }
    let poison = fed.iter().filter(|entry| entry.expect == Expect::Poison);
    for entry in poison {
        let times = buried.get(&entry.id).copied().unwrap_or_default();
        if times != 1 {
            violations.push(Violation::PoisonNotBuried { id: entry.id.clone(), times });
        }
    }
    violations
}
