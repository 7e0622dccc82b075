//! Executes a block and records what it reads.

use crate::{
    CaptureError, ExecutionSpec, InspectingEvmFactory, OutcomeMismatch, ParentState, Reads,
    Recorder, error::MAX_OMMER_DEPTH, evm_parent::EvmParent, recorder::ExactSize,
};
use alloy_consensus::{
    BlockHeader, EthereumReceipt, EthereumTxEnvelope, Header, TxEip4844, TxReceipt, TxType,
    proofs::calculate_receipt_root,
};
use alloy_eips::{eip4895::Withdrawal, eip7685::Requests};
use alloy_evm::{
    Evm, EvmEnv, EvmFactory,
    block::{
        BlockExecutionResult, BlockExecutor, ExecutableTxParts, SystemCaller,
        calc::base_block_reward,
    },
    eth::{
        EthBlockExecutionCtx, EthBlockExecutor,
        receipt_builder::{ReceiptBuilder, ReceiptBuilderCtx},
    },
};
use alloy_primitives::{Address, B256, Bloom};
use revm::{
    DatabaseRef,
    context::{DBErrorMarker, TxEnv},
    database::{BundleState, State, states::bundle_state::BundleRetention},
    database_interface::WrapDatabaseRef,
};
use std::{borrow::Cow, error::Error};

/// A signed transaction of any type, without blob sidecar: the type of reth's `TransactionSigned`.
pub type SignedTransaction = EthereumTxEnvelope<TxEip4844>;

/// A receipt as execution makes it.
pub type Receipt = EthereumReceipt<TxType>;

/// A block's parts other than its transactions.
#[derive(Debug, Clone, Copy)]
pub struct BlockParts<'a> {
    /// The header. Roots, bloom and gas used are ignored; see [`Capture::check`].
    pub header: &'a Header,
    /// Uncles; empty since the merge.
    pub ommers: &'a [Header],
    /// Withdrawals, from Shanghai on.
    pub withdrawals: Option<&'a [Withdrawal]>,
}

/// What a block's execution gave, and what it read for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// One receipt a transaction.
    pub receipts: Vec<Receipt>,
    /// EIP-7685 requests; empty before Prague.
    pub requests: Requests,
    /// Gas used by the whole block.
    pub gas_used: u64,
    /// Blob gas used by the whole block.
    pub blob_gas_used: u64,
    /// What the execution read of the parent state.
    pub reads: Reads,
}

impl Capture {
    /// Root of the receipts' trie, and the bloom over all their logs.
    pub fn receipts_root_and_bloom(&self) -> (B256, Bloom) {
        let receipts: Vec<_> = self.receipts.iter().map(TxReceipt::with_bloom_ref).collect();
        let bloom = receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.logs_bloom);
        (calculate_receipt_root(&receipts), bloom)
    }

    /// Compares the outcome with what the header promises: gas used, receipts root, logs bloom,
    /// requests hash.
    ///
    /// # Errors
    ///
    /// The first difference. A producer must not export such a block: the parent state was not the
    /// right one.
    pub fn check(&self, header: &Header) -> Result<(), OutcomeMismatch> {
        if self.gas_used != header.gas_used {
            let (expected, got) = (header.gas_used, self.gas_used);
            return Err(OutcomeMismatch::GasUsed { expected, got });
        }
        let (got, bloom) = self.receipts_root_and_bloom();
        if got != header.receipts_root {
            return Err(OutcomeMismatch::ReceiptsRoot { expected: header.receipts_root, got });
        }
        if bloom != header.logs_bloom {
            let (expected, got) = (Box::new(header.logs_bloom), Box::new(bloom));
            return Err(OutcomeMismatch::LogsBloom { expected, got });
        }
        let got = header.requests_hash.map(|_| self.requests.requests_hash());
        if got != header.requests_hash || (got.is_none() && !self.requests.is_empty()) {
            return Err(OutcomeMismatch::RequestsHash { expected: header.requests_hash, got });
        }
        Ok(())
    }
}

/// Executes a block on its parent's state and records what it reads, in the network's order.
///
/// `transactions` are the block's, with their senders: `Recovered<&SignedTransaction>`, or `(TxEnv,
/// Recovered<…>)` where the environment is made by hand. `parent` is the state after the parent
/// block and must answer `BLOCKHASH` for the last 256 blocks. The outcome is not compared with the
/// header; [`Capture::check`] does that.
///
/// ```
/// use alloy_consensus::{Header, transaction::Recovered};
/// use bsp_capture::{BlockParts, ChainSpec, SignedTransaction, capture};
/// use revm::database::EmptyDB;
///
/// let header = Header {
///     number: 1,
///     gas_limit: 30_000_000,
///     base_fee_per_gas: Some(7),
///     parent_beacon_block_root: Some(Default::default()),
///     excess_blob_gas: Some(0),
///     ..Default::default()
/// };
/// let block = BlockParts { header: &header, ommers: &[], withdrawals: Some(&[]) };
/// let transactions: [Recovered<SignedTransaction>; 0] = [];
/// let captured = capture(&ChainSpec::dev(), block, transactions, EmptyDB::new())?;
/// // Not even the system contracts exist in an empty state, so nothing was there to be read.
/// assert!(captured.reads.lists.account_read.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`CaptureError::ParentState`] where the database fails, whoever asked it;
/// [`CaptureError::Execution`] where a transaction or the block is invalid on this state;
/// [`CaptureError::BeforeLondon`] and [`CaptureError::OmmerGeneration`] where the block can't be
/// executed.
pub fn capture<S, T, DB>(
    spec: &S,
    block: BlockParts<'_>,
    transactions: impl IntoIterator<Item = T>,
    parent: DB,
) -> Result<Capture, CaptureError<DB::Error>>
where
    S: ExecutionSpec,
    T: ExecutableTxParts<TxEnv, SignedTransaction>,
    DB: DatabaseRef<Error: Error + DBErrorMarker + Send + Sync + 'static>,
{
    let parent = ParentState::new(parent);
    let evm_parent = EvmParent::new(&parent);
    let mut state = State::builder().with_database(WrapDatabaseRef(&evm_parent)).build();
    let mut recorder = Recorder::new(&parent);
    let capture = record(spec, block, transactions, Extent::Whole, &mut state, &mut recorder);
    evm_parent.settle(capture)
}

/// Like [`capture()`], and also returns the changes that the block makes to the state.
///
/// # Errors
///
/// Those of [`capture()`].
pub fn capture_with_changes<S, T, DB>(
    spec: &S,
    block: BlockParts<'_>,
    transactions: impl IntoIterator<Item = T>,
    parent: DB,
) -> Result<(Capture, BundleState), CaptureError<DB::Error>>
where
    S: ExecutionSpec,
    T: ExecutableTxParts<TxEnv, SignedTransaction>,
    DB: DatabaseRef<Error: Error + DBErrorMarker + Send + Sync + 'static>,
{
    let parent = ParentState::new(parent);
    let evm_parent = EvmParent::new(&parent);
    let mut state =
        State::builder().with_database(WrapDatabaseRef(&evm_parent)).with_bundle_update().build();
    let mut recorder = Recorder::new(&parent);
    let capture = record(spec, block, transactions, Extent::Whole, &mut state, &mut recorder);
    let capture = evm_parent.settle(capture)?;
    state.merge_transitions(BundleRetention::PlainState);
    Ok((capture, state.take_bundle()))
}

/// The block's state in the EVM: its changes over the parent state.
type BlockState<'a, 'p, DB> = State<WrapDatabaseRef<&'a EvmParent<'p, DB>>>;

/// How much of a block is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// The system calls at its begin and the transactions that are given, which are its first ones.
    Begin,
}

/// An execution for a verification, with what has to be known of one that failed too.
#[derive(Debug)]
pub(crate) struct Replay<E: Error + 'static> {
    /// What it gave. Of a block's begin without requests.
    pub(crate) outcome: Result<Capture, CaptureError<E>>,
    /// Hashes of the codes that were read, until it failed.
    pub(crate) codes_read: Vec<B256>,
    /// The questions for a code's size on whose answer it can depend, in order.
    pub(crate) exact_sizes: Vec<ExactSize>,
}

/// Like [`capture()`], of as much of the block as wanted.
pub(crate) fn replay<S, T, DB>(
    spec: &S,
    block: BlockParts<'_>,
    transactions: impl IntoIterator<Item = T>,
    parent: DB,
    extent: Extent,
) -> Replay<DB::Error>
where
    S: ExecutionSpec,
    T: ExecutableTxParts<TxEnv, SignedTransaction>,
    DB: DatabaseRef<Error: Error + DBErrorMarker + Send + Sync + 'static>,
{
    let parent = ParentState::new(parent);
    let evm_parent = EvmParent::new(&parent);
    let mut state = State::builder().with_database(WrapDatabaseRef(&evm_parent)).build();
    let mut recorder = Recorder::new(&parent);
    let capture = record(spec, block, transactions, extent, &mut state, &mut recorder);
    let outcome = evm_parent.settle(capture);
    let codes_read = match &outcome {
        Ok(captured) => captured.reads.lists.code_read.iter().map(|row| row.hash).collect(),
        Err(_) => recorder.code_hashes(),
    };
    Replay { outcome, codes_read, exact_sizes: recorder.exact_sizes().to_vec() }
}

fn record<'p, S, T, DB>(
    spec: &S,
    block: BlockParts<'_>,
    transactions: impl IntoIterator<Item = T>,
    extent: Extent,
    state: &mut BlockState<'_, 'p, DB>,
    recorder: &mut Recorder<'p, DB>,
) -> Result<Capture, CaptureError<DB::Error>>
where
    S: ExecutionSpec,
    T: ExecutableTxParts<TxEnv, SignedTransaction>,
    DB: DatabaseRef<Error: Error + DBErrorMarker + Send + Sync + 'static>,
{
    if !spec.is_london_active_at_block(block.header.number) {
        return Err(CaptureError::BeforeLondon { number: block.header.number });
    }
    check_ommers(spec, block)?;
    let executed = execute(spec, block, transactions, extent, state, recorder)?;
    if extent == Extent::Whole {
        recorder.end_block(state, rewarded_accounts(spec, block));
    }
    let reads = recorder.take_reads()?;
    let BlockExecutionResult { receipts, requests, gas_used, blob_gas_used } = executed;
    Ok(Capture { receipts, requests, gas_used, blob_gas_used, reads })
}

/// The executor computes an uncle's reward from its generation and does not look whether there can
/// be one.
fn check_ommers<S: ExecutionSpec, E: Error>(
    spec: &S,
    block: BlockParts<'_>,
) -> Result<(), CaptureError<E>> {
    let number = block.header.number;
    let has_rewards = base_block_reward(spec, number).is_some();
    let is_possible = |ommer: &Header| {
        let depth = number.checked_sub(ommer.number);
        depth.is_some_and(|depth| (1..=MAX_OMMER_DEPTH).contains(&depth))
    };
    match block.ommers.iter().enumerate().find(|(_, ommer)| has_rewards && !is_possible(ommer)) {
        Some((index, ommer)) => {
            Err(CaptureError::OmmerGeneration { number, index, ommer: ommer.number })
        }
        None => Ok(()),
    }
}

fn execute<'p, S, T, DB>(
    spec: &S,
    block: BlockParts<'_>,
    transactions: impl IntoIterator<Item = T>,
    extent: Extent,
    state: &mut BlockState<'_, 'p, DB>,
    recorder: &mut Recorder<'p, DB>,
) -> Result<BlockExecutionResult<Receipt>, CaptureError<DB::Error>>
where
    S: ExecutionSpec,
    T: ExecutableTxParts<TxEnv, SignedTransaction>,
    DB: DatabaseRef<Error: Error + DBErrorMarker + Send + Sync + 'static>,
{
    let header = block.header;
    let number = header.number;
    let failed =
        |transaction| move |source| CaptureError::Execution { number, transaction, source };

    let evm = InspectingEvmFactory::for_recorder().create_evm_with_inspector(
        state,
        evm_env(spec, header),
        recorder,
    );
    let mut executor = EthBlockExecutor::new(evm, execution_context(block), spec, ReceiptMaker);

    // Not `apply_pre_execution_changes`: it makes these two calls the other way round than geth,
    // which shows in the lists.
    let mut system = SystemCaller::new(spec);
    system
        .apply_beacon_root_contract_call(header.parent_beacon_block_root, executor.evm_mut())
        .map_err(failed(None))?;
    system
        .apply_blockhashes_contract_call(header.parent_hash, executor.evm_mut())
        .map_err(failed(None))?;

    for (index, transaction) in transactions.into_iter().enumerate() {
        executor.execute_transaction(transaction).map_err(failed(Some(index)))?;
        if let Some(error) = executor.evm_mut().inspector_mut().take_error() {
            return Err(error.into());
        }
    }
    if extent == Extent::Begin {
        return Ok(BlockExecutionResult {
            gas_used: executor.cumulative_tx_gas_used,
            blob_gas_used: executor.blob_gas_used,
            requests: Requests::default(),
            receipts: executor.receipts,
        });
    }
    let (_, result) = executor.finish().map_err(failed(None))?;
    Ok(result)
}

/// The EVM environment of a block: fork, blob pricing and block fields.
pub fn evm_env<S: ExecutionSpec>(spec: &S, header: &Header) -> EvmEnv {
    let blob_params = spec.blob_params_at_timestamp(header.timestamp);
    EvmEnv::for_eth_block(header, spec, spec.chain_id(), blob_params)
}

/// What the block executor wants to know of a block beside its transactions.
pub fn execution_context(block: BlockParts<'_>) -> EthBlockExecutionCtx<'_> {
    EthBlockExecutionCtx {
        parent_hash: block.header.parent_hash,
        parent_beacon_block_root: block.header.parent_beacon_block_root,
        ommers: block.ommers,
        withdrawals: block.withdrawals.map(Cow::Borrowed),
        extra_data: block.header.extra_data.clone(),
        tx_count_hint: None,
        slot_number: block.header.slot_number(),
    }
}

/// The accounts that the end of a block credits, in geth's order: before the merge uncles' miners,
/// then the miner; from Shanghai on the withdrawals, those of zero included. (The executor merges
/// withdrawals into a map, so its order cannot be used.)
fn rewarded_accounts<'a, S: ExecutionSpec>(
    spec: &S,
    block: BlockParts<'a>,
) -> impl Iterator<Item = Address> + 'a {
    let mined = base_block_reward(spec, block.header.number).is_some();
    let ommers = block.ommers.iter().map(|ommer| ommer.beneficiary);
    let miners = ommers.chain(std::iter::once(block.header.beneficiary));
    let has_withdrawals = spec.is_shanghai_active_at_timestamp(block.header.timestamp);
    let withdrawals = block.withdrawals.filter(|_| has_withdrawals).unwrap_or_default();
    miners.filter(move |_| mined).chain(withdrawals.iter().map(|withdrawal| withdrawal.address))
}

/// Makes receipts without their blooms, which are only needed for checks.
#[derive(Debug, Clone, Copy)]
pub struct ReceiptMaker;

impl ReceiptBuilder for ReceiptMaker {
    type Transaction = SignedTransaction;
    type Receipt = Receipt;

    fn build_receipt<E: Evm>(&self, context: ReceiptBuilderCtx<'_, TxType, E>) -> Receipt {
        Receipt {
            tx_type: context.tx_type,
            success: context.result.is_success(),
            cumulative_gas_used: context.cumulative_gas_used,
            logs: context.result.into_logs(),
        }
    }
}
