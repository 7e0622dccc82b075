//! Plain execution: alloy-evm's own executor and EVM, without an inspector. The measure for
//! capture, which must not change what a block does.

use alloy_consensus::{EthereumTxEnvelope, TxEip4844, TxType};
use alloy_eips::eip7685::Requests;
use alloy_evm::{
    EvmFactory,
    block::{BlockExecutor, ExecutableTxParts},
    eth::{
        EthBlockExecutor, EthEvmFactory,
        receipt_builder::{ReceiptBuilder, ReceiptBuilderCtx},
    },
};
use bsp_capture::{BlockParts, Capture, ChainSpec, Receipt, evm_env, execution_context};
use revm::{
    DatabaseRef,
    context::{DBErrorMarker, TxEnv},
    database::{BundleState, State, states::bundle_state::BundleRetention},
};
use std::{error::Error, fmt::Debug};

/// What plain execution of a block gives.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) requests: Requests,
    pub(crate) gas_used: u64,
    pub(crate) blob_gas_used: u64,
    pub(crate) changes: BundleState,
}

impl Outcome {
    /// The same parts of a capture.
    pub(crate) fn of_capture((captured, changes): (Capture, BundleState)) -> Self {
        let Capture { receipts, requests, gas_used, blob_gas_used, .. } = captured;
        Self { receipts, requests, gas_used, blob_gas_used, changes }
    }
}

/// Executes a block the way that reth does.
pub(crate) fn execute<T, DB>(
    spec: &ChainSpec,
    block: BlockParts<'_>,
    transactions: impl IntoIterator<Item = T>,
    parent: DB,
) -> Outcome
where
    T: ExecutableTxParts<TxEnv, EthereumTxEnvelope<TxEip4844>>,
    DB: DatabaseRef<Error: Error + DBErrorMarker + Send + Sync + 'static> + Debug,
{
    let mut state = State::builder().with_database_ref(parent).with_bundle_update().build();
    let evm = EthEvmFactory::default().create_evm(&mut state, evm_env(spec, block.header));
    let mut executor =
        EthBlockExecutor::new(evm, execution_context(block), spec, PlainReceiptMaker);
    executor.apply_pre_execution_changes().expect("the system calls");
    for transaction in transactions {
        executor.execute_transaction(transaction).expect("a valid transaction");
    }
    let (_, result) = executor.finish().expect("the block's end");
    state.merge_transitions(BundleRetention::PlainState);
    Outcome {
        receipts: result.receipts,
        requests: result.requests,
        gas_used: result.gas_used,
        blob_gas_used: result.blob_gas_used,
        changes: state.take_bundle(),
    }
}

#[derive(Debug, Clone, Copy)]
struct PlainReceiptMaker;

impl ReceiptBuilder for PlainReceiptMaker {
    type Transaction = EthereumTxEnvelope<TxEip4844>;
    type Receipt = Receipt;

    fn build_receipt<E: alloy_evm::Evm>(
        &self,
        context: ReceiptBuilderCtx<'_, TxType, E>,
    ) -> Receipt {
        Receipt {
            tx_type: context.tx_type,
            success: context.result.is_success(),
            cumulative_gas_used: context.cumulative_gas_used,
            logs: context.result.into_logs(),
        }
    }
}
