//! What was put into the stream, and what has to become of it.

use alloy_primitives::B256;
use sha2::{Digest, Sha256};
use std::fmt;

/// Which block, and which part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockRef {
    /// The network's chain id.
    pub network_id: u64,
    /// The block's number.
    pub number: u64,
    /// The block's hash.
    pub hash: B256,
    /// The end of its segments' names: `replica`, `specimen` or `result`.
    pub kind: String,
}

impl BlockRef {
    /// The segment's name, `<network>-<number>-<kind>`.
    pub fn segment(&self) -> String {
        format!("{}-{}-{}", self.network_id, self.number, self.kind)
    }
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.segment(), self.hash)
    }
}

/// What has to become of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Proved exactly once.
    Proved(BlockRef),
    /// Proved exactly once, or recorded as skipped with a reason: the test made the contract refuse
    /// it, at some time.
    ProvedOrSkipped(BlockRef),
    /// Not proved; kept for a later change of the divisor.
    Unselected(BlockRef),
    /// Neither proved nor acknowledged nor buried: it stays in the stream until a later version of
    /// the agent takes it.
    Held(BlockRef),
    /// With the dead letters.
    Poison,
}

impl Expect {
    /// The block, where the entry holds one.
    pub const fn block(&self) -> Option<&BlockRef> {
        match self {
            Self::Proved(block)
            | Self::ProvedOrSkipped(block)
            | Self::Unselected(block)
            | Self::Held(block) => Some(block),
            Self::Poison => None,
        }
    }
}

/// An entry of the stream.
#[derive(Debug, Clone)]
pub struct FedEntry {
    /// Its id.
    pub id: String,
    /// SHA-256 of its `data` field, where it has one.
    pub payload: Option<[u8; 32]>,
    /// What has to become of it.
    pub expect: Expect,
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
