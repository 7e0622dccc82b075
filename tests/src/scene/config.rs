//! What a scene is made of.

use crate::{agent::Shipped, servers::anvil::Mining};
use std::path::PathBuf;

/// Where proofs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proving {
    /// To a contract on anvil.
    Chain {
        /// Who makes blocks.
        mining: Mining,
        /// `--proof-confirmations`.
        confirmations: u64,
    },
    /// To a ledger in the agent's data folder.
    Ledger,
}

/// Where content goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinning {
    /// To the stand-in for ipfs-pinner.
    Server,
    /// Into the agent's data folder.
    Local,
}

/// What a scene is made of.
#[derive(Debug, Clone)]
pub struct SceneConfig {
    /// Where proofs go.
    pub proving: Proving,
    /// Where content goes.
    pub pinning: Pinning,
    /// The networks whose blocks the contract takes.
    pub networks: Vec<u64>,
    /// The agent's program.
    pub agent: PathBuf,
    /// The operator's tool, which lists what was skipped.
    pub tool: PathBuf,
}

impl SceneConfig {
    /// A contract on anvil with blocks on demand, one confirmation, the stand-in pinner, the dev
    /// chain's network, and the programs built with the tests.
    ///
    /// # Errors
    ///
    /// Where a program has to be built and can't be.
    pub fn of_chain() -> eyre::Result<Self> {
        Ok(Self {
            proving: Proving::Chain { mining: Mining::OnDemand, confirmations: 1 },
            pinning: Pinning::Server,
            networks: vec![bsp_capture::DEV_CHAIN_ID],
            agent: Shipped::Agent.find()?,
            tool: Shipped::Tool.find()?,
        })
    }

    /// A ledger and local pins instead.
    ///
    /// # Errors
    ///
    /// Where a program has to be built and can't be.
    pub fn of_ledger() -> eyre::Result<Self> {
        let chain = Self::of_chain()?;
        Ok(Self { proving: Proving::Ledger, pinning: Pinning::Local, ..chain })
    }
}
