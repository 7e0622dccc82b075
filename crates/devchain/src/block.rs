//! A block on its way: the candidate before execution, what execution says, and the sealed block.

use crate::{
    genesis::{DevConfig, DevFork},
    keys::Transaction,
    state::WorldState,
    workload::{Memory, Purpose, Scenario},
};
use alloy_consensus::{
    Block, BlockBody, EMPTY_OMMER_ROOT_HASH, Header, ReceiptEnvelope, Transaction as _, TxReceipt,
    proofs::{calculate_receipt_root, calculate_transaction_root, calculate_withdrawals_root},
    transaction::Recovered,
};
use alloy_eips::{
    eip1559::BaseFeeParams, eip4895::Withdrawal, eip4895::Withdrawals, eip7685::Requests,
};
use alloy_primitives::{Address, B256, Bloom, Bytes};
use revm::database::BundleState;

/// A block whose transactions are chosen and whose execution is not yet known.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The header. What only execution can tell (state, receipt and request roots, bloom, gas used)
    /// is zero.
    pub header: Header,
    /// The transactions, each valid on what precedes it.
    pub transactions: Vec<Recovered<Transaction>>,
    /// The withdrawals, in order.
    pub withdrawals: Vec<Withdrawal>,
    /// The scenarios that the block is made of, in order.
    pub scenarios: Vec<&'static Scenario>,
    pub(crate) purposes: Vec<Purpose>,
    pub(crate) memory: Memory,
}

impl Candidate {
    /// One sender a transaction.
    pub fn senders(&self) -> Vec<Address> {
        self.transactions.iter().map(Recovered::signer).collect()
    }

    /// The candidate as a block, under the header that it has so far.
    pub fn to_block(&self) -> Block<Transaction> {
        let transactions = self.transactions.iter().map(|tx| tx.inner().clone()).collect();
        let withdrawals = Some(Withdrawals::new(self.withdrawals.clone()));
        let body = BlockBody { transactions, ommers: Vec::new(), withdrawals };
        Block::new(self.header.clone(), body)
    }
}

/// What the execution of a candidate did.
#[derive(Debug, Clone, Default)]
pub struct Executed {
    /// One receipt a transaction.
    pub receipts: Vec<ReceiptEnvelope>,
    /// The block's requests (EIP-7685), each with its type byte.
    pub requests: Requests,
    /// Gas used by all transactions.
    pub gas_used: u64,
    /// Blob gas used by all transactions.
    pub blob_gas_used: u64,
    /// What changed in the world state, system calls and withdrawals included.
    pub bundle: BundleState,
}

/// Executes candidates: the one thing about a chain that this crate leaves to others.
pub trait Executor {
    /// Why a candidate could not be executed.
    type Error;

    /// Executes a candidate on the state of its parent.
    ///
    /// # Errors
    ///
    /// Where a transaction is invalid or a system call fails. Neither happens to a candidate of
    /// this crate's own.
    fn execute(&self, block: &Candidate, parent: &WorldState) -> Result<Executed, Self::Error>;
}

/// A block of the chain with everything that its execution left.
#[derive(Debug, Clone)]
pub struct DevBlock {
    /// The block.
    pub block: Block<Transaction>,
    /// Its hash.
    pub hash: B256,
    /// One sender a transaction.
    pub senders: Vec<Address>,
    /// One receipt a transaction.
    pub receipts: Vec<ReceiptEnvelope>,
    /// The block's requests (EIP-7685), each with its type byte.
    pub requests: Requests,
    /// The scenarios that the block is made of, in order.
    pub scenarios: Vec<&'static Scenario>,
}

/// Why a candidate cannot be sealed with what was executed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The candidate does not stand on the chain's head.
    #[error("block {number} names parent {parent}, the head is {head}")]
    NotOnHead {
        /// Number of the candidate.
        number: u64,
        /// Its parent hash.
        parent: B256,
        /// Hash of the chain's head.
        head: B256,
    },
    /// Not one receipt a transaction.
    #[error("{receipts} receipts for {transactions} transactions")]
    ReceiptCount {
        /// How many receipts there are.
        receipts: usize,
        /// How many transactions there are.
        transactions: usize,
    },
    /// The gas that execution says was used is not the last receipt's cumulative gas, or above the
    /// limit.
    #[error("gas used is {gas_used}, the receipts say {cumulative}, the limit is {limit}")]
    GasUsed {
        /// Gas used by the block.
        gas_used: u64,
        /// Cumulative gas of the last receipt.
        cumulative: u64,
        /// The block's gas limit.
        limit: u64,
    },
    /// The blob gas that execution says was used is not what the transactions carry.
    #[error("blob gas used is {blob_gas_used}, the transactions carry {carried}")]
    BlobGasUsed {
        /// Blob gas used by the block.
        blob_gas_used: u64,
        /// 131072 times the number of blobs in the block.
        carried: u64,
    },
    /// A transaction did not end as its scenario meant it to.
    #[error("transactions[{index}] of scenario {scenario}: expected success {expected}")]
    Outcome {
        /// Position in the block.
        index: usize,
        /// Name of the scenario.
        scenario: &'static str,
        /// The status that the receipt should have.
        expected: bool,
    },
}

/// What the header of a block needs that neither its parent nor its transactions give.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes {
    pub(crate) beneficiary: Address,
    pub(crate) prev_randao: B256,
    pub(crate) parent_beacon_block_root: B256,
}

/// Base fee per gas (wei) and excess blob gas of the block after `parent`.
pub(crate) fn next_fees(parent: &Header, config: &DevConfig) -> (u64, u64) {
    let base_fee = parent.next_block_base_fee(BaseFeeParams::ethereum()).unwrap_or_default();
    let excess = parent.next_block_excess_blob_gas(config.blob_params).unwrap_or_default();
    (base_fee, excess)
}

/// The header of a candidate on `parent`.
pub(crate) fn candidate_header(
    parent: &Header,
    parent_hash: B256,
    config: &DevConfig,
    attributes: Attributes,
    transactions: &[Recovered<Transaction>],
    withdrawals: &[Withdrawal],
) -> Header {
    let (base_fee, excess_blob_gas) = next_fees(parent, config);
    let blob_gas = transactions.iter().filter_map(|tx| tx.blob_gas_used()).sum();
    let inner: Vec<_> = transactions.iter().map(Recovered::inner).collect();
    Header {
        parent_hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: attributes.beneficiary,
        transactions_root: calculate_transaction_root(&inner),
        withdrawals_root: Some(calculate_withdrawals_root(withdrawals)),
        number: parent.number.saturating_add(1),
        gas_limit: config.gas_limit,
        timestamp: parent.timestamp.saturating_add(config.block_time),
        extra_data: Bytes::from_static(b"bsp dev"),
        mix_hash: attributes.prev_randao,
        base_fee_per_gas: Some(base_fee),
        blob_gas_used: Some(blob_gas),
        excess_blob_gas: Some(excess_blob_gas),
        parent_beacon_block_root: Some(attributes.parent_beacon_block_root),
        // Left to execution.
        requests_hash: (config.fork >= DevFork::Prague).then_some(B256::ZERO),
        ..Default::default()
    }
}

/// Checks what was executed against the candidate that it claims to be of.
pub(crate) fn check(candidate: &Candidate, executed: &Executed) -> Result<(), SealError> {
    check_totals(candidate, executed)?;
    let outcomes = candidate.purposes.iter().zip(&executed.receipts).enumerate();
    for (index, (purpose, receipt)) in outcomes {
        if receipt.status() != purpose.succeeds {
            let Purpose { scenario, succeeds: expected } = *purpose;
            return Err(SealError::Outcome { index, scenario, expected });
        }
    }
    Ok(())
}

fn check_totals(candidate: &Candidate, executed: &Executed) -> Result<(), SealError> {
    let transactions = candidate.transactions.len();
    let receipts = executed.receipts.len();
    if receipts != transactions {
        return Err(SealError::ReceiptCount { receipts, transactions });
    }
    let cumulative = executed.receipts.last().map_or(0, TxReceipt::cumulative_gas_used);
    let (gas_used, limit) = (executed.gas_used, candidate.header.gas_limit);
    if gas_used != cumulative || gas_used > limit {
        return Err(SealError::GasUsed { gas_used, cumulative, limit });
    }
    let (blob_gas_used, carried) =
        (executed.blob_gas_used, candidate.header.blob_gas_used.unwrap_or_default());
    if blob_gas_used != carried {
        return Err(SealError::BlobGasUsed { blob_gas_used, carried });
    }
    Ok(())
}

/// Completes a candidate's header and makes a block of it.
pub(crate) fn seal(candidate: Candidate, executed: Executed, state_root: B256) -> DevBlock {
    let senders = candidate.senders();
    let mut block = candidate.to_block();
    let Executed { receipts, requests, gas_used, .. } = executed;
    block.header.state_root = state_root;
    block.header.receipts_root = calculate_receipt_root(&receipts);
    block.header.logs_bloom =
        receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | receipt.bloom());
    block.header.gas_used = gas_used;
    block.header.requests_hash = block.header.requests_hash.map(|_| requests.requests_hash());
    let hash = block.header.hash_slow();
    DevBlock { block, hash, senders, receipts, requests, scenarios: candidate.scenarios }
}
