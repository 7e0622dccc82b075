//! How proofs are sent.

use crate::proof::{
    fees::GWEI,
    rpc::{Endpoint, RpcLimits},
};
use alloy_primitives::Address;
use std::time::Duration;

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
    /// Blocks that hold or follow a proof before it counts; 1 is its own block. Zero counts as 1.
    pub confirmations: u64,
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
    /// Between two looks at the chain.
    pub poll_interval: Duration,
    /// Between two looks at what changes rarely: the balance, the chain id, an operator that is not enabled.
    pub check_interval: Duration,
    /// How many blocks back our own proof is looked for, in a session that is over.
    pub search_blocks: u64,
}

impl ChainProverConfig {
    /// The defaults.
    pub fn new(endpoint: Endpoint, contract: Address) -> Self {
        Self {
            endpoint,
            contract,
            limits: RpcLimits::default(),
            max_in_flight: 16,
            confirmations: 2,
            max_fee_per_gas: 1000 * GWEI,
            resubmit_after: Duration::from_secs(30),
            rebroadcast_after: Duration::from_secs(3),
            deadline: Duration::from_secs(480),
            balance_alarm: 100,
            poll_interval: Duration::from_secs(1),
            check_interval: Duration::from_secs(60),
            search_blocks: 50_000,
        }
    }
}
