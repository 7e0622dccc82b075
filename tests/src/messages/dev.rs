//! Blocks of an embedded dev chain: small, cheap, and as many as wanted.

use bsp_capture::{BlockParts, ChainSpec, capture_with_changes};
use bsp_codec::{
    Profile, Replica, ReplicaKind,
    convert::{SourceBlock, export_block},
    supplement::Supplement,
};
use bsp_devchain::{DevBlock, DevChain, DevConfig, Executed};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Writes the genesis file of the dev chain, whose rules are built into no agent, and returns its
/// path.
///
/// # Errors
///
/// Where it can't be written.
pub fn write_genesis(folder: &Path) -> eyre::Result<PathBuf> {
    let chain = DevChain::new(0, DevConfig::default())?;
    let path = folder.join("genesis.json");
    fs::write(&path, serde_json::to_vec(chain.genesis())?)?;
    Ok(path)
}

/// A dev chain that is exported block by block, from block 1 on.
#[derive(Debug, Clone)]
pub struct DevBlocks {
    chain: DevChain,
    spec: ChainSpec,
}

impl DevBlocks {
    /// The chain of a seed. The same seed gives the same blocks.
    ///
    /// # Errors
    ///
    /// Where a contract of the chain does not assemble.
    pub fn new(seed: u64) -> eyre::Result<Self> {
        Self::with_scenarios(seed, 2)
    }

    /// The chain of a seed, with at most this many scenarios a block.
    ///
    /// # Errors
    ///
    /// Where a contract of the chain does not assemble.
    pub fn with_scenarios(seed: u64, scenarios_per_block: usize) -> eyre::Result<Self> {
        Self::with_config(seed, DevConfig { scenarios_per_block, ..DevConfig::default() })
    }

    /// The chain of a seed and a configuration.
    ///
    /// # Errors
    ///
    /// Where a contract of the chain does not assemble.
    pub fn with_config(seed: u64, config: DevConfig) -> eyre::Result<Self> {
        let chain = DevChain::new(seed, config)?;
        let spec = ChainSpec::from_genesis(chain.genesis());
        Ok(Self { chain, spec })
    }

    /// The chain so far.
    pub const fn chain(&self) -> &DevChain {
        &self.chain
    }

    /// The same blocks so far, and others from now on.
    #[must_use]
    pub fn branch(&self, salt: u64) -> Self {
        Self { chain: self.chain.branch(salt), spec: self.spec.clone() }
    }

    /// Executes the next block and exports it.
    ///
    /// # Errors
    ///
    /// Where the chain's own block does not execute, which would be a mistake of the chain.
    pub fn next_replica(&mut self) -> eyre::Result<Replica> {
        self.next_block().map(|(_, replica)| replica)
    }

    /// Executes the next block, and exports it beside the block itself.
    ///
    /// # Errors
    ///
    /// As [`Self::next_replica`].
    pub fn next_block(&mut self) -> eyre::Result<(DevBlock, Replica)> {
        self.make().map(|(block, replica, _)| (block, replica))
    }

    /// Executes the next block, and exports it beside what its replica leaves out, if anything.
    ///
    /// # Errors
    ///
    /// As [`Self::next_replica`].
    pub fn next_supplemented(&mut self) -> eyre::Result<(Replica, Option<Supplement>)> {
        self.make().map(|(_, replica, supplement)| (replica, supplement))
    }

    fn make(&mut self) -> eyre::Result<(DevBlock, Replica, Option<Supplement>)> {
        let candidate = self.chain.next_candidate()?;
        let parts = BlockParts {
            header: &candidate.header,
            ommers: &[],
            withdrawals: Some(&candidate.withdrawals),
        };
        let transactions = candidate.transactions.iter().cloned();
        let (captured, bundle) =
            capture_with_changes(&self.spec, parts, transactions, self.chain.state())?;
        let executed = Executed {
            receipts: captured.receipts.iter().cloned().map(Into::into).collect(),
            requests: captured.requests.clone(),
            gas_used: captured.gas_used,
            blob_gas_used: captured.blob_gas_used,
            bundle,
        };
        let sealed = self.chain.seal(candidate, executed)?;
        let block = SourceBlock {
            network_id: self.chain.config().chain_id,
            header: &sealed.block.header,
            transactions: &sealed.block.body.transactions,
            ommers: &[],
            withdrawals: sealed.block.body.withdrawals.as_ref(),
            senders: &sealed.senders,
            receipts: &captured.receipts,
        };
        let (hash, codes) = (block.header.hash_slow(), captured.reads.code_sizes());
        let supplement = Supplement::of_block(hash, block.transactions, codes);
        let kind = ReplicaKind::Replica;
        let replica = export_block(&block, captured.reads.lists, kind, Profile::Network)?;
        Ok((sealed, replica, (!supplement.is_empty()).then_some(supplement)))
    }

    /// The next block that executes on nothing but what the network exports: without EIP-7702
    /// authorizations, and with transactions.
    ///
    /// # Errors
    ///
    /// As [`Self::next_replica`].
    pub fn next_executable(&mut self) -> eyre::Result<Replica> {
        loop {
            let replica = self.next_replica()?;
            let transactions = &replica.transactions;
            if !transactions.is_empty() && transactions.iter().all(|tx| tx.tx_type != 4) {
                return Ok(replica);
            }
        }
    }

    /// The given number of next blocks.
    ///
    /// # Errors
    ///
    /// As [`Self::next_replica`].
    pub fn take(&mut self, count: usize) -> eyre::Result<Vec<Replica>> {
        (0..count).map(|_| self.next_replica()).collect()
    }
}
