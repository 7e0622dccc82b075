//! How proofs are sent.

use crate::proof::{
    divisor::Selection,
    fees::GWEI,
    rpc::{Call, Endpoint, RpcLimits},
};
use alloy_primitives::Address;
use std::{fmt, str::FromStr, time::Duration};

/// The depth of a proof on an RPC that does not tell which block is final.
pub const DEPTH_WITHOUT_FINALITY: u64 = 12;

/// When a proof counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmations {
    /// When the RPC calls its block finalized; on an RPC that does not know that tag, when the
    /// block is [`DEPTH_WITHOUT_FINALITY`] deep.
    Finalized,
    /// When this many blocks hold or follow it; 1 is its own block. Zero counts as 1.
    Blocks(u64),
}

impl Confirmations {
    /// What has to be asked, beyond the head.
    pub(super) fn question(self) -> Option<Call> {
        matches!(self, Self::Finalized).then(Call::finalized_block)
    }

    /// The latest block that is deep enough. `None`: the chain is not that long.
    pub fn settled(self, head: u64, finalized: Option<u64>) -> Option<u64> {
        let depth = match (self, finalized) {
            // A node that is ahead may have told the finalized block.
            (Self::Finalized, Some(finalized)) => return Some(finalized.min(head)),
            (Self::Finalized, None) => DEPTH_WITHOUT_FINALITY,
            (Self::Blocks(blocks), _) => blocks.max(1),
        };
        head.checked_sub(depth - 1)
    }
}

impl fmt::Display for Confirmations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finalized => f.write_str("finalized"),
            Self::Blocks(blocks) => blocks.fmt(f),
        }
    }
}

/// A text that does not say when a proof counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `finalized`, or a number of blocks of at least 1")]
pub struct InvalidConfirmations;

impl FromStr for Confirmations {
    type Err = InvalidConfirmations;

    fn from_str(text: &str) -> Result<Self, InvalidConfirmations> {
        match text.trim() {
            "finalized" => Ok(Self::Finalized),
            number => match number.parse() {
                Ok(blocks) if blocks > 0 => Ok(Self::Blocks(blocks)),
                _ => Err(InvalidConfirmations),
            },
        }
    }
}

/// How proofs are sent.
#[derive(Debug, Clone)]
pub struct ChainProverConfig {
    /// The proof chain's RPC.
    pub endpoint: Endpoint,
    /// The proof-chain contract.
    pub contract: Address,
    /// What the RPC is given.
    pub limits: RpcLimits,
    /// Proofs under way at once.
    pub max_in_flight: usize,
    /// When a proof counts.
    pub confirmations: Confirmations,
    /// The highest price, in wei for each gas.
    pub max_fee_per_gas: u128,
    /// When a transaction that is not mined is replaced by one that pays more.
    pub resubmit_after: Duration,
    /// When a transaction that the node has forgotten is sent again, and how often.
    pub rebroadcast_after: Duration,
    /// When a proof that is not mined becomes an alarm. It is tried further.
    pub deadline: Duration,
    /// The balance that is an alarm, in proofs.
    pub balance_alarm: u64,
    /// The shortest time between two polls of the chain.
    pub poll_interval: Duration,
    /// The longest: in between, it is half the time from block to block that is observed.
    pub longest_poll_interval: Duration,
    /// The longest pause before a claim that the contract does not take yet is asked about again.
    pub longest_ask_pause: Duration,
    /// Between two looks at what changes rarely: the balance, the chain id, an operator that is not
    /// enabled.
    pub check_interval: Duration,
    /// How many blocks back our own proof is looked for, in a session that is over.
    pub search_blocks: u64,
    /// For how long our own proof is looked for again where the contract, or a transaction that was
    /// sent, says that there is one and the RPC finds none: its nodes may be behind each other.
    pub search_again_for: Duration,
    /// Which blocks are selected, to be compared with those that the contract takes.
    pub selection: Option<Selection>,
}

impl ChainProverConfig {
    /// The defaults.
    pub fn new(endpoint: Endpoint, contract: Address) -> Self {
        Self {
            endpoint,
            contract,
            limits: RpcLimits::default(),
            max_in_flight: 16,
            confirmations: Confirmations::Finalized,
            max_fee_per_gas: 1000 * GWEI,
            resubmit_after: Duration::from_secs(30),
            rebroadcast_after: Duration::from_secs(3),
            deadline: Duration::from_secs(480),
            balance_alarm: 100,
            poll_interval: Duration::from_secs(1),
            longest_poll_interval: Duration::from_secs(4),
            longest_ask_pause: Duration::from_secs(60),
            check_interval: Duration::from_secs(60),
            search_blocks: 50_000,
            search_again_for: Duration::from_secs(180),
            selection: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_final_block_counts_where_the_rpc_tells_it_and_a_depth_otherwise() {
        let finalized = Confirmations::Finalized;
        assert_eq!(finalized.settled(100, Some(90)), Some(90));
        assert_eq!(finalized.settled(100, Some(101)), Some(100));
        assert_eq!(finalized.settled(100, None), Some(89));
        assert_eq!(finalized.settled(10, None), None);
        assert_eq!(Confirmations::Blocks(3).settled(100, Some(90)), Some(98));
        assert_eq!(Confirmations::Blocks(1).settled(0, None), Some(0));
        assert_eq!(Confirmations::Blocks(0).settled(7, None), Some(7));
        assert_eq!(Confirmations::Blocks(2).settled(0, None), None);
    }

    #[test]
    fn confirmations_are_a_word_or_a_number() {
        assert_eq!("finalized".parse(), Ok(Confirmations::Finalized));
        assert_eq!("3".parse(), Ok(Confirmations::Blocks(3)));
        for wrong in ["0", "-1", "final", ""] {
            assert_eq!(wrong.parse::<Confirmations>(), Err(InvalidConfirmations), "{wrong}");
        }
        for depth in [Confirmations::Finalized, Confirmations::Blocks(7)] {
            assert_eq!(depth.to_string().parse(), Ok(depth));
        }
    }
}
