//! Which blocks somebody asks the journal about.

use super::BlockRecord;
use alloy_primitives::B256;
use std::{fmt, str::FromStr};

/// What names a block: its height, which all blocks of that height have, or its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockQuery {
    /// All blocks of a height.
    Height(u64),
    /// The block with a hash.
    Hash(B256),
}

/// A text that names no block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a height, or a block hash with 0x and 64 hex digits")]
pub struct InvalidBlockQuery;

impl FromStr for BlockQuery {
    type Err = InvalidBlockQuery;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("0x") {
            Some(digits) if digits.len() == 64 => {
                text.parse().map(Self::Hash).map_err(|_| InvalidBlockQuery)
            }
            Some(_) => Err(InvalidBlockQuery),
            None => text.parse().map(Self::Height).map_err(|_| InvalidBlockQuery),
        }
    }
}

impl fmt::Display for BlockQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Height(number) => write!(f, "{number}"),
            Self::Hash(hash) => write!(f, "{hash}"),
        }
    }
}

impl BlockQuery {
    /// Whether a record is of a block that is asked for.
    pub fn matches(self, record: &BlockRecord) -> bool {
        match self {
            Self::Height(number) => record.block.number == number,
            Self::Hash(hash) => record.block.hash == hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_named_by_height_or_hash() {
        let hash = B256::repeat_byte(0xab);
        assert_eq!("17090950".parse(), Ok(BlockQuery::Height(17_090_950)));
        assert_eq!(hash.to_string().parse(), Ok(BlockQuery::Hash(hash)));
        for text in
            ["", "0x12", "latest", "-1", &"ab".repeat(32), &format!("0x{}", "zz".repeat(32))]
        {
            assert!(text.parse::<BlockQuery>().is_err(), "{text}");
        }
    }
}
