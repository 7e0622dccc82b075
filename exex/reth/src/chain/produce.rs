//! Executes a block again, checks the outcome, and makes its replica.

use super::{
    fault::read_error,
    history::{check_history, check_stages},
    limits::too_large_in,
    parent::ParentView,
    provider::NodeProvider,
    spec::NodeSpec,
};
use alloy_consensus::{
    Header,
    proofs::{calculate_transaction_root, calculate_withdrawals_root},
};
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use bsp_capture::{BlockParts, Capture, CaptureError, ExecutionSpec, capture};
use bsp_codec::{
    Profile, ReplicaKind,
    convert::{SourceBlock, export_block},
    rlp,
    supplement::Supplement,
};
use bsp_replication::ProduceError;
use bytes::Bytes;
use reth_ethereum_primitives::Block;
use reth_primitives_traits::RecoveredBlock;
use reth_provider::{ProviderError, TransactionVariant};

/// A block that was re-executed, with the outcome that its header promises.
#[derive(Debug)]
pub struct ExecutedBlock {
    network_id: u64,
    block: RecoveredBlock<Block>,
    capture: Capture,
}

impl ExecutedBlock {
    /// The block, with its transactions' senders.
    pub const fn block(&self) -> &RecoveredBlock<Block> {
        &self.block
    }

    /// Receipts, requests, and what the execution read, in the network's order.
    pub const fn capture(&self) -> &Capture {
        &self.capture
    }

    /// The RLP of the block's replica, as bsp-geth v2.2.0 writes it before it compresses it.
    ///
    /// # Errors
    ///
    /// [`ProduceError::TooLarge`], if the network's format has no room for the block;
    /// [`ProduceError::Unsupported`], if this version can't export it otherwise.
    pub fn replica(&self, kind: ReplicaKind) -> Result<Bytes, ProduceError> {
        let body = self.block.body();
        let source = SourceBlock {
            network_id: self.network_id,
            header: self.block.header(),
            transactions: &body.transactions,
            ommers: &body.ommers,
            withdrawals: body.withdrawals.as_ref(),
            senders: self.block.senders(),
            receipts: &self.capture.receipts,
        };
        let unsupported =
            |reason| ProduceError::Unsupported { number: source.header.number, reason };
        if let Some(reason) = too_large_in(source.header) {
            return Err(ProduceError::TooLarge { number: source.header.number, reason });
        }
        let state = self.capture.reads.lists.clone();
        let replica = export_block(&source, state, kind, Profile::Network)
            .map_err(|error| unsupported(error.to_string()))?;
        let encoded = rlp::encode_replica(&replica, Profile::Network);
        encoded.map(Bytes::from).map_err(|error| unsupported(error.to_string()))
    }

    /// What the replica leaves out of the block, as its bytes; `None` if nothing. A kind that has
    /// no state can't be executed, so it has nothing to be supplemented.
    pub fn supplement(&self, kind: ReplicaKind) -> Option<Bytes> {
        if !kind.has_state() {
            return None;
        }
        let transactions = &self.block.body().transactions;
        let codes = self.capture.reads.code_sizes();
        let supplement = Supplement::of_block(self.block.hash(), transactions, codes);
        (!supplement.is_empty()).then(|| supplement.encode().into())
    }
}

/// Executes a block on its parent's state. The state is opened for this block and closed before
/// this returns.
pub(crate) fn execute<P: NodeProvider>(
    provider: &P,
    spec: &NodeSpec,
    id: BlockNumHash,
) -> Result<ExecutedBlock, ProduceError> {
    if id.number == 0 {
        let reason = "the genesis block is not executed".to_owned();
        return Err(ProduceError::BeforeDefinition { number: 0, reason });
    }
    check_stages(provider, id.number)?;
    let block = recovered_block(provider, id)?;
    check_fork(spec, block.header())?;
    check_body(&block)?;
    let parent = parent_of(block.header());
    // Not `state_by_block_hash`, which hides why it found nothing.
    let state = provider.history_by_block_hash(parent.hash);
    let state = state.map_err(|error| read_error(id.number, &error))?;
    check_history(provider, &*state, id)?;
    let view = ParentView::new(state, parent, |hash| provider.header(hash));
    let parts = BlockParts {
        header: block.header(),
        ommers: &block.body().ommers,
        withdrawals: block.body().withdrawals.as_ref().map(|list| list.as_slice()),
    };
    let capture = capture(spec, parts, block.transactions_recovered(), view)
        .map_err(|error| capture_error(id, error))?;
    capture.check(block.header()).map_err(|error| mismatch(id, &error))?;
    // The pipeline may have begun meanwhile.
    check_stages(provider, id.number)?;
    Ok(ExecutedBlock { network_id: spec.chain_id(), block, capture })
}

fn parent_of(header: &Header) -> BlockNumHash {
    BlockNumHash::new(header.number.saturating_sub(1), header.parent_hash)
}

/// The block with this hash. What is stored under a height can change at any moment, so nothing is
/// taken for granted.
fn recovered_block<P: NodeProvider>(
    provider: &P,
    id: BlockNumHash,
) -> Result<RecoveredBlock<Block>, ProduceError> {
    let found = provider.recovered_block(id.hash.into(), TransactionVariant::WithHash);
    match found.map_err(|error| read_error(id.number, &error))? {
        Some(block) if is_block(block.header(), id) => Ok(block),
        Some(_) => Err(ProduceError::UnknownBlock(id)),
        None => Err(missing_block(provider, id)),
    }
}

fn is_block(header: &Header, id: BlockNumHash) -> bool {
    header.number == id.number && header.hash_slow() == id.hash
}

/// A header without body is a block whose body the node has deleted, or never had.
fn missing_block<P: NodeProvider>(provider: &P, id: BlockNumHash) -> ProduceError {
    match provider.header(id.hash) {
        Ok(Some(header)) if is_block(&header, id) => {
            let reason = "the node has the header but not the block's body".to_owned();
            ProduceError::Pruned { number: id.number, reason }
        }
        Ok(_) => ProduceError::UnknownBlock(id),
        Err(error) => read_error(id.number, &error),
    }
}

/// By rules that capture does not know, the outcome would be wrong, or right by accident; and what
/// the fork adds to the block would be missing from its replica.
fn check_fork(spec: &NodeSpec, header: &Header) -> Result<(), ProduceError> {
    let number = header.number;
    if spec.first_block().is_none_or(|first| number < first) {
        let reason = "it is from before London".to_owned();
        return Err(ProduceError::BeforeDefinition { number, reason });
    }
    match spec.unknown_fork_of(number, header.timestamp) {
        None => Ok(()),
        Some(fork) => {
            let reason = format!("it is of the fork {fork}, which this version does not know");
            Err(ProduceError::Unsupported { number, reason })
        }
    }
}

/// The parts that an execution's outcome does not prove to be the header's.
fn check_body(block: &RecoveredBlock<Block>) -> Result<(), ProduceError> {
    let (header, body) = (block.header(), block.body());
    let withdrawals = body.withdrawals.as_ref().map(|list| calculate_withdrawals_root(list));
    let roots: [(_, Option<B256>, Option<B256>); 2] = [
        (
            "transactions root",
            Some(header.transactions_root),
            Some(calculate_transaction_root(&body.transactions)),
        ),
        ("withdrawals root", header.withdrawals_root, withdrawals),
    ];
    match roots.into_iter().find(|(_, expected, got)| expected != got) {
        None => Ok(()),
        Some((what, ..)) => Err(ProduceError::Mismatch {
            number: header.number,
            hash: block.hash(),
            reason: format!("the node's {what} differs from the header's"),
        }),
    }
}

fn capture_error(id: BlockNumHash, error: CaptureError<ProviderError>) -> ProduceError {
    match error {
        CaptureError::ParentState(error) => read_error(id.number, &error),
        CaptureError::BlockState(_) | CaptureError::Execution { .. } => mismatch(id, &error),
        CaptureError::BeforeLondon { .. } => {
            ProduceError::BeforeDefinition { number: id.number, reason: error.to_string() }
        }
        // No valid chain has such an ommer: the block must not be passed over.
        CaptureError::OmmerGeneration { .. } => {
            ProduceError::Unsupported { number: id.number, reason: error.to_string() }
        }
    }
}

fn mismatch(id: BlockNumHash, error: &dyn std::error::Error) -> ProduceError {
    ProduceError::Mismatch { number: id.number, hash: id.hash, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reth_chainspec::{ChainSpec, ChainSpecBuilder, MAINNET};
    use std::sync::Arc;

    const FORK: u64 = 1_800_000_000;

    fn with_amsterdam() -> NodeSpec {
        let spec: ChainSpec = ChainSpecBuilder::mainnet().with_amsterdam_at(FORK).build();
        NodeSpec::from(Arc::new(spec))
    }

    fn header(number: u64, timestamp: u64) -> Header {
        Header { number, timestamp, ..Header::default() }
    }

    #[test]
    fn a_block_of_an_unknown_fork_is_not_executed_and_holds() {
        let spec = with_amsterdam();
        assert!(check_fork(&spec, &header(30_000_000, FORK - 1)).is_ok());
        let error = check_fork(&spec, &header(30_000_001, FORK)).unwrap_err();
        assert!(matches!(error, ProduceError::Unsupported { number: 30_000_001, .. }), "{error}");
        assert!(error.to_string().contains("Amsterdam"), "{error}");
    }

    #[test]
    fn only_blocks_from_before_london_are_without_a_definition() {
        let spec = NodeSpec::from(Arc::clone(&MAINNET));
        let error = check_fork(&spec, &header(12_964_999, 0)).unwrap_err();
        assert!(matches!(error, ProduceError::BeforeDefinition { .. }), "{error}");
        assert!(check_fork(&spec, &header(12_965_000, 0)).is_ok());
        // What this reth knows to the end is exported to the end.
        assert!(check_fork(&spec, &header(u64::MAX, u64::MAX)).is_ok());
    }

    #[test]
    fn a_block_that_can_not_be_executed_here_is_not_passed_over() {
        let id = BlockNumHash::new(20_000_000, B256::repeat_byte(1));
        let number = id.number;
        let ommer = CaptureError::OmmerGeneration { number, index: 0, ommer: 1 };
        let error = capture_error(id, ommer);
        assert!(matches!(error, ProduceError::Unsupported { number: 20_000_000, .. }), "{error}");
        let error = capture_error(id, CaptureError::BeforeLondon { number });
        assert!(matches!(error, ProduceError::BeforeDefinition { .. }), "{error}");
    }
}
