//! How a caller names a block.

use crate::chain::{NodeChain, fault::chain_error, provider::NodeProvider};
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use bsp_replication::{Chain, ChainError, DeliverAt};
use serde::{Deserialize, Deserializer, de::Error};
use std::str::FromStr;

/// A block by number, hash or tag. As JSON: a number, or a string with a decimal or hexadecimal
/// number, a hash of 32 bytes, `latest`, `safe` or `finalized`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockSelector {
    /// The canonical block at a height.
    Number(u64),
    /// Any block that the node still has, canonical or not.
    Hash(B256),
    /// The tip.
    Latest,
    /// The last block that the consensus client calls safe.
    Safe,
    /// The last finalized block.
    Finalized,
}

/// The selected block is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("block {number} is not there yet, the tip is block {tip}")]
    AboveTip { number: u64, tip: u64 },
    #[error("the node does not know a block with hash {0}")]
    UnknownHash(B256),
    #[error("the node does not have block {0}")]
    UnknownNumber(u64),
    #[error("the consensus client has not named such a block yet")]
    NotNamed,
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl BlockSelector {
    pub(crate) fn resolve<P: NodeProvider>(
        self,
        chain: &NodeChain<P>,
    ) -> Result<BlockNumHash, ResolveError> {
        let named = |at| chain.tip(at)?.ok_or(ResolveError::NotNamed);
        match self {
            Self::Latest => named(DeliverAt::Committed),
            Self::Safe => named(DeliverAt::Safe),
            Self::Finalized => named(DeliverAt::Finalized),
            Self::Hash(hash) => {
                let number = chain.provider().block_number(hash).map_err(chain_error)?;
                let number = number.ok_or(ResolveError::UnknownHash(hash))?;
                Ok(BlockNumHash::new(number, hash))
            }
            Self::Number(number) => {
                let tip = named(DeliverAt::Committed)?.number;
                if number > tip {
                    return Err(ResolveError::AboveTip { number, tip });
                }
                let hash = chain.hash_at(number)?.ok_or(ResolveError::UnknownNumber(number))?;
                Ok(BlockNumHash::new(number, hash))
            }
        }
    }
}

impl FromStr for BlockSelector {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a block's number or hash, or latest, safe, finalized";
        match text {
            "latest" => return Ok(Self::Latest),
            "safe" => return Ok(Self::Safe),
            "finalized" => return Ok(Self::Finalized),
            _ => {}
        }
        let number = match text.strip_prefix("0x") {
            Some(digits) if digits.len() == 64 => {
                return text.parse().map(Self::Hash).map_err(|_| EXPECTED);
            }
            // `from_str_radix` would take a sign.
            Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16),
            None if !text.starts_with('+') => text.parse(),
            _ => return Err(EXPECTED),
        };
        number.map(Self::Number).map_err(|_| EXPECTED)
    }
}

impl<'de> Deserialize<'de> for BlockSelector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u64),
            Text(String),
        }
        match Form::deserialize(deserializer) {
            Ok(Form::Number(number)) => Ok(Self::Number(number)),
            Ok(Form::Text(text)) => text.parse().map_err(D::Error::custom),
            Err(_) => Err(D::Error::custom("expected the number of a block, or a string")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: serde_json::Value) -> Option<BlockSelector> {
        serde_json::from_value(value).ok()
    }

    #[test]
    fn all_ways_to_name_a_block() {
        let hash = B256::repeat_byte(0xab);
        for (value, expected) in [
            (json!(17), BlockSelector::Number(17)),
            (json!("17"), BlockSelector::Number(17)),
            (json!("0x11"), BlockSelector::Number(17)),
            (json!("0xffffffffffffffff"), BlockSelector::Number(u64::MAX)),
            (json!(hash.to_string()), BlockSelector::Hash(hash)),
            (json!("latest"), BlockSelector::Latest),
            (json!("safe"), BlockSelector::Safe),
            (json!("finalized"), BlockSelector::Finalized),
        ] {
            assert_eq!(parse(value.clone()), Some(expected), "{value}");
        }
    }

    #[test]
    fn what_names_no_block() {
        for value in [
            json!(null),
            json!(-1),
            json!(1.5),
            json!([]),
            json!(""),
            json!("pending"),
            json!("0x"),
            json!("0x10000000000000000"),
            json!("+1"),
            json!("0x+1"),
            json!("ab".repeat(32)),
            json!("0x".to_owned() + &"zz".repeat(32)),
        ] {
            assert_eq!(parse(value.clone()), None, "{value}");
        }
    }
}
