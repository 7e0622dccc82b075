//! The node's chain specification, as capture wants it.

use super::forks::{UnknownFork, unknown_forks};
use alloy_eips::eip7840::BlobParams;
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_primitives::Address;
use bsp_capture::ExecutionSpec;
use reth_chainspec::{
    ChainSpec, EthChainSpec, EthereumHardfork, EthereumHardforks, ForkCondition, HOLESKY, HOODI,
    MAINNET, SEPOLIA,
};
use std::sync::Arc;

/// reth's own [`ChainSpec`]: what the node executes by is what blocks are executed by here, custom
/// genesis files included.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    spec: Arc<ChainSpec>,
    unknown_forks: Arc<[UnknownFork]>,
}

impl NodeSpec {
    /// The forks that this version can't export, whether they have begun or not.
    pub fn unknown_forks(&self) -> &[UnknownFork] {
        &self.unknown_forks
    }

    /// The fork that keeps a block from being exported, by the block's height and Unix time.
    pub(crate) fn unknown_fork_of(&self, number: u64, timestamp: u64) -> Option<&UnknownFork> {
        self.unknown_forks.iter().rev().find(|fork| fork.holds(number, timestamp))
    }

    /// The lowest block for which a specimen is defined: that of London, but never the genesis
    /// block. `None` if the chain does not get to London.
    pub fn first_block(&self) -> Option<u64> {
        match self.spec.ethereum_fork_activation(EthereumHardfork::London) {
            ForkCondition::Block(number)
            | ForkCondition::TTD { activation_block_number: number, .. } => Some(number.max(1)),
            // London has a height on every chain; a time would be known only from the blocks.
            ForkCondition::Timestamp(_) => Some(1),
            ForkCondition::Never => None,
        }
    }

    /// Whether it is one of Ethereum's public networks, whose blocks come by the clock.
    pub(crate) fn is_public(&self) -> bool {
        let genesis = self.spec.genesis_hash();
        [&MAINNET, &SEPOLIA, &HOODI, &HOLESKY].iter().any(|public| public.genesis_hash() == genesis)
    }
}

impl From<Arc<ChainSpec>> for NodeSpec {
    fn from(spec: Arc<ChainSpec>) -> Self {
        let unknown_forks = unknown_forks(&spec).into();
        Self { spec, unknown_forks }
    }
}

impl EthereumHardforks for NodeSpec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        self.spec.ethereum_fork_activation(fork)
    }
}

impl EthExecutorSpec for NodeSpec {
    fn deposit_contract_address(&self) -> Option<Address> {
        EthExecutorSpec::deposit_contract_address(&*self.spec)
    }
}

impl ExecutionSpec for NodeSpec {
    fn chain_id(&self) -> u64 {
        EthChainSpec::chain_id(&*self.spec)
    }

    fn blob_params_at_timestamp(&self, timestamp: u64) -> Option<BlobParams> {
        EthChainSpec::blob_params_at_timestamp(&*self.spec, timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reth_chainspec::{ChainSpecBuilder, DEV};

    /// The forks that decide on how a block executes.
    const FORKS: [EthereumHardfork; 10] = [
        EthereumHardfork::Berlin,
        EthereumHardfork::London,
        EthereumHardfork::Paris,
        EthereumHardfork::Shanghai,
        EthereumHardfork::Cancun,
        EthereumHardfork::Prague,
        EthereumHardfork::Osaka,
        EthereumHardfork::Bpo1,
        EthereumHardfork::Bpo2,
        EthereumHardfork::Amsterdam,
    ];

    fn activation(
        spec: &impl EthereumHardforks,
        fork: EthereumHardfork,
    ) -> (Option<u64>, Option<u64>) {
        match spec.ethereum_fork_activation(fork) {
            ForkCondition::Block(block)
            | ForkCondition::TTD { activation_block_number: block, .. } => (Some(block), None),
            ForkCondition::Timestamp(time) => (None, Some(time)),
            ForkCondition::Never => (None, None),
        }
    }

    #[test]
    fn public_networks_are_those_that_capture_knows() {
        for (node, known) in [
            (&MAINNET, bsp_capture::ChainSpec::mainnet()),
            (&SEPOLIA, bsp_capture::ChainSpec::sepolia()),
            (&HOODI, bsp_capture::ChainSpec::hoodi()),
        ] {
            let spec = NodeSpec::from(Arc::clone(node));
            let id = known.chain_id();
            assert_eq!(spec.chain_id(), id);
            assert_eq!(spec.deposit_contract_address(), known.deposit_contract_address(), "{id}");
            for fork in FORKS {
                assert_eq!(activation(&spec, fork), activation(&known, fork), "{id} {fork}");
            }
        }
    }

    #[test]
    fn specimens_begin_with_london() {
        for (spec, first) in
            [(&MAINNET, 12_965_000), (&SEPOLIA, 1), (&HOODI, 1), (&HOLESKY, 1), (&DEV, 1)]
        {
            let spec = NodeSpec::from(Arc::clone(spec));
            assert_eq!(spec.first_block(), Some(first), "{}", spec.chain_id());
        }
        let berlin = ChainSpecBuilder::mainnet()
            .reset()
            .with_fork(EthereumHardfork::Berlin, ForkCondition::Block(0));
        assert_eq!(NodeSpec::from(Arc::new(berlin.build())).first_block(), None);
    }

    #[test]
    fn a_development_chain_is_not_public() {
        for (spec, is_public) in
            [(&MAINNET, true), (&SEPOLIA, true), (&HOODI, true), (&HOLESKY, true), (&DEV, false)]
        {
            assert_eq!(NodeSpec::from(Arc::clone(spec)).is_public(), is_public);
        }
    }

    #[test]
    fn blob_parameters_are_equal_around_every_fork() {
        for (node, known) in [
            (&MAINNET, bsp_capture::ChainSpec::mainnet()),
            (&SEPOLIA, bsp_capture::ChainSpec::sepolia()),
            (&HOODI, bsp_capture::ChainSpec::hoodi()),
            (&DEV, bsp_capture::ChainSpec::dev()),
        ] {
            let spec = NodeSpec::from(Arc::clone(node));
            let times = FORKS.into_iter().filter_map(|fork| activation(&spec, fork).1);
            for time in times.flat_map(|time| [time.saturating_sub(1), time, time + 1]) {
                let (got, expected) =
                    (spec.blob_params_at_timestamp(time), known.blob_params_at_timestamp(time));
                assert_eq!(got, expected, "chain {} at {time}", known.chain_id());
            }
        }
    }
}
