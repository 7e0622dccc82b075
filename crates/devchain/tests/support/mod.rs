//! Executes candidates with alloy-evm's own block executor and nothing else: the measure for every
//! executor that also does something on the side.

use alloy_consensus::{TxEnvelope, transaction::Recovered};
use alloy_evm::{
    EvmEnv, EvmFactory,
    block::{BlockExecutionError, BlockExecutor},
    eth::{
        EthBlockExecutionCtx, EthBlockExecutor, EthEvmFactory,
        receipt_builder::AlloyReceiptBuilder, spec::EthExecutorSpec,
    },
};
use alloy_hardforks::{EthereumChainHardforks, EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::Address;
use bsp_devchain::{Candidate, DevConfig, DevFork, Executed, Executor, WorldState};
use revm::database::{State, states::bundle_state::BundleRetention};

/// The forks of a dev chain, for alloy-evm.
#[derive(Debug, Clone)]
struct Forks(EthereumChainHardforks);

impl EthereumHardforks for Forks {
    fn ethereum_fork_activation(&self, fork: EthereumHardfork) -> ForkCondition {
        self.0.ethereum_fork_activation(fork)
    }
}

impl EthExecutorSpec for Forks {
    fn deposit_contract_address(&self) -> Option<Address> {
        None
    }
}

/// Plain execution.
#[derive(Debug)]
pub(crate) struct PlainExecutor {
    config: DevConfig,
    forks: Forks,
}

impl PlainExecutor {
    pub(crate) fn new(config: &DevConfig) -> Self {
        let newest = match config.fork {
            DevFork::Cancun => EthereumHardfork::Cancun,
            DevFork::Prague => EthereumHardfork::Prague,
            DevFork::Osaka => EthereumHardfork::Osaka,
        };
        let forks = EthereumHardfork::devnet().into_iter().filter(|(fork, _)| *fork <= newest);
        Self { config: config.clone(), forks: Forks(EthereumChainHardforks::new(forks)) }
    }
}

impl Executor for PlainExecutor {
    type Error = BlockExecutionError;

    fn execute(&self, block: &Candidate, parent: &WorldState) -> Result<Executed, Self::Error> {
        let DevConfig { chain_id, blob_params, .. } = self.config;
        let env = EvmEnv::for_eth_block(&block.header, &self.forks, chain_id, Some(blob_params));
        let mut state = State::builder().with_database_ref(parent).with_bundle_update().build();
        let evm = EthEvmFactory::default().create_evm(&mut state, env);
        let context = EthBlockExecutionCtx {
            parent_hash: block.header.parent_hash,
            parent_beacon_block_root: block.header.parent_beacon_block_root,
            ommers: &[],
            withdrawals: Some(block.withdrawals.as_slice().into()),
            extra_data: block.header.extra_data.clone(),
            tx_count_hint: Some(block.transactions.len()),
            slot_number: None,
        };
        let executor =
            EthBlockExecutor::new(evm, context, &self.forks, AlloyReceiptBuilder::default());
        let transactions: Vec<Recovered<TxEnvelope>> =
            block.transactions.iter().map(|tx| tx.clone().map(TxEnvelope::from)).collect();
        let result = executor.execute_block(transactions.iter())?;
        state.merge_transitions(BundleRetention::PlainState);
        Ok(Executed {
            receipts: result.receipts,
            requests: result.requests,
            gas_used: result.gas_used,
            blob_gas_used: result.blob_gas_used,
            bundle: state.take_bundle(),
        })
    }
}
