//! A stream's entries, before they are sent.

use crate::target::Entry;
use alloy_primitives::B256;
use bsp_codec::snappy;
use bytes::Bytes;

/// The most replicas in one pipeline…
const GROUP_ENTRIES: usize = 64;
/// …and the most of their bytes, uncompressed, unless the first alone has more. Bounds what is in
/// memory twice.
const GROUP_BYTES: usize = 16 << 20;

/// The fields of an entry.
#[derive(Debug)]
pub(super) struct StreamEntry {
    pub(super) hash: String,
    pub(super) data: Vec<u8>,
    /// Left out where there is none.
    pub(super) supplement: Option<Bytes>,
}

impl StreamEntry {
    /// How many bytes the server gets.
    pub(super) fn bytes(&self) -> u64 {
        (self.data.len() + self.supplement.as_ref().map_or(0, Bytes::len)) as u64
    }

    /// How long the longest of its fields is, in bytes.
    pub(super) fn longest_value(&self) -> u64 {
        self.data.len().max(self.supplement.as_ref().map_or(0, Bytes::len)) as u64
    }
}

/// Splits a batch into what one pipeline takes and the rest.
pub(super) fn leading_group(batch: &[Entry]) -> (&[Entry], &[Entry]) {
    let mut bytes = 0_usize;
    let fits = |entry: &&Entry| {
        bytes = bytes.saturating_add(entry.bytes());
        bytes <= GROUP_BYTES
    };
    let count = batch.iter().take(GROUP_ENTRIES).take_while(fits).count().max(1);
    batch.split_at(count.min(batch.len()))
}

/// Compresses replicas, on a thread that may block.
pub(super) async fn compress(group: Vec<Entry>) -> Result<Vec<StreamEntry>, String> {
    let compress_all = move || group.iter().map(compress_one).collect();
    tokio::task::spawn_blocking(compress_all)
        .await
        .unwrap_or_else(|_| Err("the program is shutting down".to_owned()))
}

fn compress_one(entry: &Entry) -> Result<StreamEntry, String> {
    let Entry { hash, number, replica, supplement } = entry;
    let data =
        snappy::compress(replica).map_err(|error| format!("block {number} {hash}: {error}"))?;
    Ok(StreamEntry { hash: hash_text(hash), data, supplement: supplement.clone() })
}

/// A hash as entries have it.
pub(super) fn hash_text(hash: &B256) -> String {
    format!("{hash:#x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(batch: &[usize]) -> Vec<usize> {
        let entry = |&length: &usize| Entry {
            hash: B256::ZERO,
            number: 0,
            replica: Bytes::from(vec![0; length / 2]),
            supplement: Some(Bytes::from(vec![0; length - length / 2])),
        };
        let entries: Vec<_> = batch.iter().map(entry).collect();
        let mut rest = &entries[..];
        let mut groups = Vec::new();
        while !rest.is_empty() {
            let (group, others) = leading_group(rest);
            groups.push(group.len());
            rest = others;
        }
        groups
    }

    #[test]
    fn groups_are_bounded_by_bytes_and_count() {
        let most = GROUP_BYTES;
        assert_eq!(lengths(&[most, 1, most - 1, 1, most + 1, 1]), [1, 2, 1, 1, 1]);
        assert_eq!(lengths(&[0; 130]), [64, 64, 2]);
        assert_eq!(lengths(&[]), [0; 0]);
    }
}
