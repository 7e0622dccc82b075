//! The node's chain specification, as capture wants it.

use alloy_eips::eip7840::BlobParams;
use alloy_evm::eth::spec::EthExecutorSpec;
use alloy_primitives::Address;
use bsp_capture::ExecutionSpec;
use reth_chainspec::{ChainSpec, EthChainSpec, EthereumHardfork, EthereumHardforks, ForkCondition};
use std::sync::Arc;

/// reth's own [`ChainSpec`]: what the node executes by is what blocks are executed by here, custom genesis files included.
#[derive(Debug, Clone)]
pub struct NodeSpec(Arc<ChainSpec>);

impl From<Arc<ChainSpec>> for NodeSpec {
    fn from(spec: Arc<ChainSpec>) -> Self {
        Self(spec)
    }
}

impl EthereumHardforks for NodeSpec {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        self.0.ethereum_fork_activation(fork)
    }
}

impl EthExecutorSpec for NodeSpec {
    fn deposit_contract_address(&self) -> Option<Address> {
        EthExecutorSpec::deposit_contract_address(&*self.0)
    }
}

impl ExecutionSpec for NodeSpec {
    fn chain_id(&self) -> u64 {
        EthChainSpec::chain_id(&*self.0)
    }

    fn blob_params_at_timestamp(&self, timestamp: u64) -> Option<BlobParams> {
        EthChainSpec::blob_params_at_timestamp(&*self.0, timestamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reth_chainspec::{DEV, HOODI, MAINNET, SEPOLIA};

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
