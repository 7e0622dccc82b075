//! From a delivery to a segment: bytes in, bytes out, and no I/O. This is the work for processor
//! cores.

mod unknown_fork;

pub use unknown_fork::UnknownFork;

use crate::{
    block::{BlockId, SegmentName},
    journal::SegmentFacts,
    source::{Delivery, Payload},
};
use alloy_consensus::Header;
use alloy_primitives::B256;
use bsp_capture::{CheckResult, Verdict, verify_roots};
use bsp_codec::{
    Profile, Replica, ReplicaKind, Segment, avro, dag, digest,
    foreign::ForeignFormat,
    limits::{DecodeLimits, MAX_RECORD_BYTES},
    rlp,
    snappy::{self, SnappyError},
};
use bytes::Bytes;
use cid::Cid;
use std::{
    hash::{BuildHasher, RandomState},
    sync::LazyLock,
};

/// How much of a message is read before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// The longest payload as it comes, in bytes.
    pub max_message_bytes: usize,
    /// The longest replica that it decompresses to, in bytes.
    pub max_decoded_bytes: usize,
}

/// What makes a message a dead letter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// A field of the entry is not there.
    #[error("the entry has no field {0:?}")]
    MissingField(&'static str),
    /// The entry's hash is invalid.
    #[error("the field \"hash\" is not 0x and 64 hex digits: {0:?}")]
    InvalidHash(String),
    /// The payload is longer than allowed.
    #[error("the payload has {len} bytes, --max-message-bytes allows {max}")]
    TooLong {
        /// Its length.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The payload is not snappy.
    #[error("snappy: {0}")]
    Snappy(SnappyError),
    /// The payload is of a format that is known, and another one.
    #[error(
        "the payload looks like {format} instead of a replica's RLP in one raw snappy block ({error})"
    )]
    Foreign {
        /// Which.
        format: ForeignFormat,
        /// Why it is not snappy.
        error: SnappyError,
    },
    /// The replica is not RLP as the producer writes it.
    #[error("RLP: {0}")]
    Rlp(#[from] rlp::RlpDecodeError),
    /// Its header has more fields than this version knows, and the hash that it says it has.
    #[error("{0}")]
    UnknownFork(UnknownFork),
    /// The entry and the replica are of different blocks.
    #[error("the entry is of block {entry}, its replica of block {replica}")]
    OtherBlock {
        /// The entry's field.
        entry: B256,
        /// The replica's field.
        replica: B256,
    },
    /// A check of the replica against its header failed.
    #[error("{check}: expected {expected}, got {got}")]
    Contradiction {
        /// Which.
        check: &'static str,
        /// What the header says.
        expected: String,
        /// What is there.
        got: String,
    },
    /// It makes the agent fail.
    #[error(transparent)]
    Defect(#[from] Defect),
    /// The layout of segments can't hold it.
    #[error("AVRO: {0}")]
    Avro(#[from] avro::AvroEncodeError),
}

/// A panic where none should be.
#[derive(Debug, thiserror::Error)]
#[error("the agent has a defect, please report it with the message: {0}")]
pub struct Defect(pub String);

/// Which checks are made before anything is stored. The header's hash is checked always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageChecks {
    /// The header's hash alone.
    Header,
    /// Roots and senders too.
    Roots,
}

/// A message that was decoded and belongs to the block that it names.
#[derive(Debug)]
pub struct Decoded {
    replica: Replica,
    fingerprint: u64,
}

/// A segment, with everything that names it.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The file.
    pub bytes: Bytes,
    /// Its CID.
    pub cid: Cid,
    /// Its name, length and hash.
    pub facts: SegmentFacts,
}

impl Decoded {
    /// Decodes a delivery's payload, and checks that header, replica and entry have the same hash.
    pub fn read(delivery: &Delivery, limits: MessageLimits) -> Result<Self, Rejection> {
        let entry_hash = block_hash(delivery)?;
        let payload = delivery.payload.as_ref().ok_or(Rejection::MissingField("data"))?;
        let (len, max) = (payload.len(), limits.max_message_bytes);
        if len > max {
            return Err(Rejection::TooLong { len, max });
        }
        let rlp = decompress(payload, limits.max_decoded_bytes)?;
        let fingerprint = fingerprint(&rlp);
        let limits = DecodeLimits {
            max_input_bytes: limits.max_decoded_bytes,
            max_record_bytes: limits.max_decoded_bytes.min(MAX_RECORD_BYTES),
        };
        let replica = rlp::decode_replica_bytes_within(&rlp, limits).map_err(|error| {
            let newer = unknown_fork::header_of(&rlp).filter(|newer| newer.hash == entry_hash);
            newer.map_or(Rejection::Rlp(error), |newer| Rejection::UnknownFork(newer.fork))
        })?;
        if replica.hash != entry_hash {
            return Err(Rejection::OtherBlock { entry: entry_hash, replica: replica.hash });
        }
        let header = CheckResult::compare(&replica.hash, &replica.header.hash_slow());
        expect("header_hash", &header)?;
        Ok(Self { replica, fingerprint })
    }

    /// Equal for equal messages of this process. Messages that differ have different ones, but for
    /// one in 2^64.
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Which block.
    pub const fn block(&self) -> BlockId {
        BlockId::of(&self.replica)
    }

    /// Its header.
    pub const fn header(&self) -> &Header {
        &self.replica.header
    }

    /// What of it.
    pub const fn kind(&self) -> ReplicaKind {
        self.replica.kind
    }

    /// Checks the replica against its header, and makes the segment.
    pub fn prepare(self, checks: MessageChecks) -> Result<Prepared, Rejection> {
        if checks == MessageChecks::Roots {
            expect_all(&verify_roots(&self.replica))?;
        }
        let name = SegmentName::new(&self.block(), self.kind());
        let bytes = avro::encode_segment(&Segment::of(self.replica), Profile::Network)?;
        let cid = dag::cid_of(&bytes);
        let facts = SegmentFacts {
            name,
            length: bytes.len() as u64,
            specimen_hash: digest::specimen_hash(&bytes),
            cid: cid.to_string(),
        };
        Ok(Prepared { bytes: bytes.into(), cid, facts })
    }
}

/// The block hash that a delivery is labelled with.
pub fn block_hash(delivery: &Delivery) -> Result<B256, Rejection> {
    let text = delivery.hash.as_deref().ok_or(Rejection::MissingField("hash"))?;
    let well_formed = text.len() == 66 && text.starts_with("0x");
    let hash = if well_formed { text.parse().ok() } else { None };
    hash.ok_or_else(|| Rejection::InvalidHash(text.chars().take(80).collect()))
}

/// The length in bytes that a payload says its replica has. Nothing is decompressed for it, so it
/// may be a lie.
pub fn announced_len(payload: &Payload) -> usize {
    match payload {
        Payload::Snappy(block) => {
            let announced = snappy::announced_len(block).unwrap_or(0);
            usize::try_from(announced).unwrap_or(usize::MAX)
        }
        Payload::Rlp(rlp) => rlp.len(),
    }
}

fn decompress(payload: &Payload, max_len: usize) -> Result<alloy_primitives::Bytes, Rejection> {
    match payload {
        Payload::Snappy(block) => {
            snappy::decompress(block, max_len).map(Into::into).map_err(|error| {
                // What only announces too much may be snappy all the same.
                let is_snappy = matches!(error, SnappyError::TooLong { .. });
                match ForeignFormat::of(block).filter(|_| !is_snappy) {
                    Some(format) => Rejection::Foreign { format, error },
                    None => Rejection::Snappy(error),
                }
            })
        }
        Payload::Rlp(rlp) => Ok(rlp.clone().into()),
    }
}

/// Keyed at random, so that nobody can aim at another message's.
fn fingerprint(rlp: &[u8]) -> u64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEYS.hash_one(rlp)
}

fn expect_all(verdict: &Verdict) -> Result<(), Rejection> {
    verdict.checks().try_for_each(|(name, result)| expect(name.as_str(), result))
}

/// What a format leaves out can't be checked, and is no contradiction.
fn expect(check: &'static str, result: &CheckResult) -> Result<(), Rejection> {
    match result {
        CheckResult::Ok { .. } | CheckResult::Impossible { .. } => Ok(()),
        CheckResult::Failed { expected, got, .. } => {
            let (expected, got) = (expected.clone(), got.clone());
            Err(Rejection::Contradiction { check, expected, got })
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
