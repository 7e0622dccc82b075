//! Which part of a batch a stream has already.

use super::entries::hash_text;
use crate::target::Entry;
use redis::{RedisResult, aio::ConnectionLike, streams::StreamRangeReply};
use std::collections::HashSet;

/// How many entries are read at a time: about 6 MB of mainnet's.
const PAGE: usize = 4;
/// The search ends after this many entries that are not of the batch…
const MOST_OTHERS: usize = 64;
/// …or this many bytes of them.
const MOST_OTHER_BYTES: usize = 32 << 20;

/// Reads the stream from its end on, and returns those hashes of a batch that it meets.
///
/// What a consumer has deleted since is not found. Entries of other producers may be in between, up
/// to a limit.
pub(super) async fn look_back(
    connection: &mut (impl ConnectionLike + Send),
    topic: &str,
    batch: &[Entry],
) -> RedisResult<HashSet<String>> {
    let mut wanted: HashSet<String> = batch.iter().map(|entry| hash_text(&entry.hash)).collect();
    let mut found = HashSet::new();
    let (mut others, mut other_bytes) = (0, 0_usize);
    let mut end = "+".to_owned();
    while !wanted.is_empty() && others < MOST_OTHERS && other_bytes < MOST_OTHER_BYTES {
        let mut read = redis::cmd("XREVRANGE");
        read.arg(topic).arg(&end).arg("-").arg("COUNT").arg(PAGE);
        let page: StreamRangeReply = read.query_async(connection).await?;
        for entry in &page.ids {
            match entry.get("hash").and_then(|hash: String| wanted.take(&hash)) {
                Some(hash) => _ = found.insert(hash),
                None => {
                    others += 1;
                    let fields = ["data", "supplement"].map(|name| entry.get::<Vec<u8>>(name));
                    let bytes = fields.iter().flatten().map(Vec::len).sum();
                    other_bytes = other_bytes.saturating_add(bytes);
                }
            }
        }
        match page.ids.last() {
            Some(last) if page.ids.len() == PAGE => end = format!("({}", last.id),
            _ => break,
        }
    }
    Ok(found)
}
