//! What a target holds, read piece by piece, so that nothing that was once there is forgotten.

use crate::audit::fed::sha256;
use alloy_primitives::B256;
use bsp_codec::{
    chunk::{ChunkName, ChunkStream},
    limits::MAX_INPUT_BYTES,
    snappy,
};
use eyre::{Context, OptionExt};
use redis::streams::StreamRangeReply;
use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// Entries asked for at once.
const PAGE: usize = 256;

/// An entry of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// The block's hash, as stated beside the replica.
    pub hash: B256,
    /// SHA-256 of the replica's RLP.
    pub replica: [u8; 32],
}

/// A target, and all entries that it was ever seen to hold, in order.
#[derive(Debug)]
pub struct TargetView {
    source: Source,
    entries: Vec<Delivered>,
    hashes: HashSet<B256>,
}

#[derive(Debug)]
enum Source {
    Stream { client: Box<redis::Client>, topic: String, last: String },
    Folder { path: PathBuf, read: BTreeMap<ChunkName, u64> },
}

impl TargetView {
    /// A stream, from its beginning.
    pub fn stream(client: redis::Client, topic: &str) -> Self {
        Self::of(Source::Stream {
            client: Box::new(client),
            topic: topic.to_owned(),
            last: "0-0".to_owned(),
        })
    }

    /// A folder of chunk files.
    pub fn folder(path: &Path) -> Self {
        Self::of(Source::Folder { path: path.to_owned(), read: BTreeMap::new() })
    }

    fn of(source: Source) -> Self {
        Self { source, entries: Vec::new(), hashes: HashSet::new() }
    }

    /// For reports.
    pub const fn name(&self) -> &'static str {
        match self.source {
            Source::Stream { .. } => "redis",
            Source::Folder { .. } => "file",
        }
    }

    /// All entries that were seen.
    pub fn entries(&self) -> &[Delivered] {
        &self.entries
    }

    /// Whether a block was seen.
    pub fn has(&self, hash: &B256) -> bool {
        self.hashes.contains(hash)
    }

    /// Reads what is new.
    ///
    /// # Errors
    ///
    /// Where the target can't be read, or holds what is no entry.
    pub async fn read(&mut self) -> eyre::Result<()> {
        let mut new = Vec::new();
        match &mut self.source {
            Source::Stream { client, topic, last } => {
                read_stream(client, topic, last, &mut new).await?;
            }
            Source::Folder { path, read } => read_folder(path, read, &mut new)?,
        }
        self.hashes.extend(new.iter().map(|entry| entry.hash));
        self.entries.extend(new);
        Ok(())
    }
}

async fn read_stream(
    client: &redis::Client,
    topic: &str,
    last: &mut String,
    new: &mut Vec<Delivered>,
) -> eyre::Result<()> {
    let mut connection = client.get_multiplexed_async_connection().await?;
    loop {
        let mut range = redis::cmd("XRANGE");
        range.arg(topic).arg(format!("({last}")).arg("+").arg("COUNT").arg(PAGE);
        let page: StreamRangeReply = range.query_async(&mut connection).await?;
        for entry in &page.ids {
            new.push(stream_entry(&entry.map).wrap_err_with(|| format!("entry {}", entry.id))?);
            last.clone_from(&entry.id);
        }
        if page.ids.len() < PAGE {
            return Ok(());
        }
    }
}

/// An entry has the fields `hash` and `data`, and `supplement` where the format leaves something of
/// its block out.
fn stream_entry(
    fields: &std::collections::HashMap<String, redis::Value>,
) -> eyre::Result<Delivered> {
    let others: Vec<_> =
        fields.keys().filter(|name| !matches!(&***name, "hash" | "data" | "supplement")).collect();
    eyre::ensure!(others.is_empty(), "fields that nobody knows: {others:?}");
    let field = |name| fields.get(name).ok_or_eyre("a field is missing");
    let hash: String = redis::from_redis_value(field("hash")?.clone())?;
    let data: Vec<u8> = redis::from_redis_value(field("data")?.clone())?;
    let replica = sha256(&snappy::decompress(&data, MAX_INPUT_BYTES)?);
    Ok(Delivered { hash: hash.parse()?, replica })
}

/// Chunks only grow, but for a torn tail that a start cuts off; that is never taken here.
fn read_folder(
    path: &Path,
    read: &mut BTreeMap<ChunkName, u64>,
    new: &mut Vec<Delivered>,
) -> eyre::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let names = fs::read_dir(path)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut chunks: Vec<ChunkName> = names.filter_map(|name| name.parse().ok()).collect();
    chunks.sort_unstable();
    for chunk in chunks {
        let offset = read.entry(chunk).or_default();
        let mut file = File::open(path.join(chunk.to_string()))?;
        file.seek(SeekFrom::Start(*offset))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut stream = ChunkStream::resume_at(*offset);
        stream.feed(&bytes);
        while let Some(located) = stream.next_record()? {
            *offset = located.offset + located.len;
            let replica = sha256(&located.record.replica_rlp);
            new.push(Delivered { hash: located.record.hash, replica });
        }
    }
    Ok(())
}
