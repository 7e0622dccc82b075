//! How a block and its segment are named.

use alloy_primitives::B256;
use bsp_codec::{Replica, ReplicaKind};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

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

/// A text that names no segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a segment's name, which is <network>-<number>-<kind>")]
pub struct ParseSegmentNameError;

impl FromStr for SegmentName {
    type Err = ParseSegmentNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<_> = text.split('-').collect();
        let [network, number, kind] = parts[..] else { return Err(ParseSegmentNameError) };
        let kinds = [ReplicaKind::Replica, ReplicaKind::Specimen, ReplicaKind::Result];
        let kind = kinds.into_iter().find(|known| known.file_suffix() == kind);
        let (Ok(network_id), Ok(number), Some(kind)) = (network.parse(), number.parse(), kind)
        else {
            return Err(ParseSegmentNameError);
        };
        let name = Self::new(&BlockId { network_id, number, hash: B256::ZERO }, kind);
        // Numbers have one form: no sign, no zeros before them.
        if name.0 == text { Ok(name) } else { Err(ParseSegmentNameError) }
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
        for name in ["1-22433670-replica", "1-0-specimen", "18446744073709551615-1-result"] {
            assert_eq!(name.parse::<SegmentName>().unwrap().as_str(), name);
        }
        for other in
            ["", "1-2", "1-2-3", "1-2-replica-", "01-2-replica", "+1-2-replica", "1--replica"]
        {
            assert!(other.parse::<SegmentName>().is_err(), "{other}");
        }
    }
}
