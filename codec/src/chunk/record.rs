//! One record of a chunk.

use super::ChunkErrorKind;
use crate::{
    limits::RecordBudget,
    rlp::{Fields, Items, RlpErrorKind, Sink, encode_list},
    snappy::{self, SnappyError},
};
use alloy_primitives::{B256, Bytes};

/// A replica in a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkRecord {
    /// Block hash, as the producer states it beside the replica. It is not compared with the
    /// replica's.
    pub hash: B256,
    /// The replica's RLP, not looked into. Made for
    /// [`decode_replica_bytes`](crate::rlp::decode_replica_bytes).
    pub replica_rlp: Bytes,
}

/// A record and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocatedRecord {
    /// Where the record starts, in bytes from the chunk's start.
    pub offset: u64,
    /// How many bytes it has, compressed. The next record starts at `offset + len`.
    pub len: u64,
    /// The record.
    pub record: ChunkRecord,
}

/// The bytes of one record, to be appended to a chunk.
///
/// # Errors
///
/// [`SnappyError::InputTooLong`] if the replica is too long for a snappy block.
pub fn encode_record(hash: B256, replica_rlp: &[u8]) -> Result<Vec<u8>, SnappyError> {
    let hash_text = format!("{hash:#x}");
    snappy::compress(&encode_list(&RecordFields { hash_text: &hash_text, replica_rlp }))
}

/// Reads the record that `block`, a whole snappy block, holds.
pub(super) fn decode_record(block: &[u8], max_bytes: usize) -> Result<ChunkRecord, ChunkErrorKind> {
    let rlp = Bytes::from(snappy::decompress(block, max_bytes)?);
    // There are no lists in the list.
    let no_budget = RecordBudget::new(0);
    let record = Items::of_shared(&rlp, &no_budget).only_list(|items| {
        Ok(ChunkRecord {
            hash: items.text_as("Hash", parse_hash)?,
            replica_rlp: items.bytes("Replica")?,
        })
    })?;
    Ok(record)
}

struct RecordFields<'a> {
    hash_text: &'a str,
    replica_rlp: &'a [u8],
}

impl Fields for RecordFields<'_> {
    fn walk(&self, out: &mut impl Sink) {
        out.string(self.hash_text.as_bytes());
        out.string(self.replica_rlp);
    }
}

fn parse_hash(text: &str) -> Result<B256, RlpErrorKind> {
    text.strip_prefix("0x")
        .filter(|digits| !digits.bytes().any(|byte| byte.is_ascii_uppercase()))
        .and_then(|digits| digits.parse().ok())
        .ok_or(RlpErrorKind::NotAHash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rlp::RlpDecodeError;

    const HASH: B256 = B256::repeat_byte(0xab);

    fn record_of(hash_text: &str) -> Result<ChunkRecord, ChunkErrorKind> {
        let fields = RecordFields { hash_text, replica_rlp: b"rlp" };
        decode_record(&snappy::compress(&encode_list(&fields)).unwrap(), 1000)
    }

    #[test]
    fn the_layout_is_a_list_of_text_and_bytes() {
        let block = encode_record(HASH, b"not looked into").unwrap();
        let text = format!("0x{}", "ab".repeat(32));
        let items = [Bytes::from(text.into_bytes()), Bytes::from_static(b"not looked into")];
        let expected = alloy_rlp::encode(items.to_vec());
        assert_eq!(snappy::decompress(&block, 1000).unwrap(), expected);
        assert_eq!(
            decode_record(&block, 1000).unwrap(),
            ChunkRecord { hash: HASH, replica_rlp: Bytes::from_static(b"not looked into") }
        );
    }

    #[test]
    fn only_the_producers_hash_text_is_a_hash() {
        assert!(record_of(&format!("{HASH:#x}")).is_ok());
        for text in [
            String::new(),
            format!("{HASH:x}"),
            format!("0x0x{}", "ab".repeat(31)),
            format!("0X{HASH:x}"),
            format!("0x{HASH:X}"),
            format!("0x{}", "ab".repeat(31)),
            format!("0x{}", "ab".repeat(33)),
            format!("0x{}", "ag".repeat(32)),
        ] {
            let Err(ChunkErrorKind::Rlp(error)) = record_of(&text) else { panic!("{text}") };
            assert_eq!(error.kind(), &RlpErrorKind::NotAHash, "{text}");
            assert_eq!(error.path().to_string(), "Hash");
        }
    }

    #[test]
    fn a_block_with_other_content_is_refused() {
        let block = snappy::compress(&[0xc0]).unwrap();
        let missing: RlpDecodeError = match decode_record(&block, 1000) {
            Err(ChunkErrorKind::Rlp(error)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing.to_string(), "Hash at byte 1: missing, no bytes are left for it");
    }
}
