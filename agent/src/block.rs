//! How a block and its segment are named.

use alloy_primitives::B256;
use bsp_codec::{Replica, ReplicaKind};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which block, on which network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlockId {
    /// The network's chain id, as in the replica's `NetworkId`.
    pub network_id: u64,
    /// The block's number.
    pub number: u64,
    /// The block's hash: the Keccak-256 of its header.
    pub hash: B256,
}

impl BlockId {
    /// The block of a replica.
    pub const fn of(replica: &Replica) -> Self {
        Self { network_id: replica.network_id, number: replica.header.number, hash: replica.hash }
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} {}", self.network_id, self.number, self.hash)
    }
}

/// The name under which bsp-agent v1.9.2 logs and stores a segment: `<network>-<number>-<kind>`,
/// for example `1-22433670-replica`. Two blocks of one height have the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SegmentName(String);

impl SegmentName {
    /// The name of a block's segment.
    pub fn new(block: &BlockId, kind: ReplicaKind) -> Self {
        Self(format!("{}-{}-{}", block.network_id, block.number, kind.file_suffix()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_named_as_the_network_names_it() {
        let block = BlockId { network_id: 1, number: 22_433_670, hash: B256::ZERO };
        assert_eq!(SegmentName::new(&block, ReplicaKind::Replica).as_str(), "1-22433670-replica");
        assert_eq!(SegmentName::new(&block, ReplicaKind::Specimen).as_str(), "1-22433670-specimen");
        assert_eq!(SegmentName::new(&block, ReplicaKind::Result).as_str(), "1-22433670-result");
    }
}
