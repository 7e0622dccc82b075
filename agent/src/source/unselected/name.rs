//! The names of files of blocks that are not selected.

use crate::BlockId;
use bsp_codec::ReplicaKind;
use std::{fmt, str::FromStr};

const EXTENSION: &str = ".rlp.snappy";

/// A file's name, `1-22433671-replica-0x6d1f….rlp.snappy`. Names sort by network and number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileName {
    pub(super) block: BlockId,
    /// `specimen`, `result` or `replica`.
    kind: &'static str,
}

impl FileName {
    pub(super) const fn new(block: BlockId, kind: ReplicaKind) -> Self {
        Self { block, kind: kind.file_suffix() }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BlockId { network_id, number, hash } = self.block;
        write!(f, "{network_id}-{number}-{}-{hash:#x}{EXTENSION}", self.kind)
    }
}

impl FromStr for FileName {
    type Err = ();

    /// Accepts exactly what [`Display`](fmt::Display) prints.
    fn from_str(text: &str) -> Result<Self, ()> {
        let parse = || {
            let mut parts = text.strip_suffix(EXTENSION)?.splitn(4, '-');
            let network_id = parts.next()?.parse().ok()?;
            let number = parts.next()?.parse().ok()?;
            let kind: ReplicaKind = format!("block-{}", parts.next()?).parse().ok()?;
            let block = BlockId { network_id, number, hash: parts.next()?.parse().ok()? };
            Some(Self::new(block, kind)).filter(|name| name.to_string() == text)
        };
        parse().ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn a_name_says_all_about_its_block() {
        let block = BlockId { network_id: 1, number: 22_433_671, hash: B256::repeat_byte(0xab) };
        let name = FileName::new(block, ReplicaKind::Replica);
        let text = format!("1-22433671-replica-0x{}.rlp.snappy", "ab".repeat(32));
        assert_eq!(name.to_string(), text);
        assert_eq!(text.parse(), Ok(name));
        for other in [
            format!("{text}.partial"),
            text.replace("1-", "01-"),
            text.replace("0x", ""),
            text.replace("ab", "AB"),
            text.replace("replica", "replicas"),
            String::new(),
        ] {
            assert_eq!(other.parse::<FileName>(), Err(()), "{other}");
        }
    }
}
