//! Blocks of dev chains, captured as they are made, and their replicas.

use alloy_consensus::transaction::Recovered;
use bsp_capture::{
    BlockParts, Capture, ChainSpec, DEV_CHAIN_ID, SignedTransaction, capture_with_changes,
};
use bsp_codec::{
    Profile, Replica, ReplicaKind,
    convert::{SourceBlock, export_block},
};
use bsp_devchain::{DevBlock, DevChain, DevConfig, Executed, WorldState};
use revm::database::BundleState;

/// A sealed block with the state it was executed on and what its capture gave.
pub(crate) struct CapturedBlock {
    pub(crate) parent: WorldState,
    pub(crate) sealed: DevBlock,
    pub(crate) captured: Capture,
    pub(crate) changes: BundleState,
}

/// The first `count` blocks of a seed's chain.
pub(crate) fn blocks(seed: u64, count: usize) -> impl Iterator<Item = CapturedBlock> {
    let mut chain = DevChain::new(seed, DevConfig::default()).expect("a genesis");
    (0..count).map(move |_| advance(&mut chain))
}

fn advance(chain: &mut DevChain) -> CapturedBlock {
    let parent = chain.state().clone();
    let candidate = chain.next_candidate().expect("a candidate");
    let block = BlockParts {
        header: &candidate.header,
        ommers: &[],
        withdrawals: Some(&candidate.withdrawals),
    };
    let transactions = candidate.transactions.iter().cloned();
    let (captured, changes) =
        capture_with_changes(&ChainSpec::dev(), block, transactions, &parent).expect("a capture");
    let executed = Executed {
        receipts: captured.receipts.iter().cloned().map(Into::into).collect(),
        requests: captured.requests.clone(),
        gas_used: captured.gas_used,
        blob_gas_used: captured.blob_gas_used,
        bundle: changes.clone(),
    };
    let sealed = chain.seal(candidate, executed).expect("a sealed block");
    CapturedBlock { parent, sealed, captured, changes }
}

impl CapturedBlock {
    pub(crate) fn parts(&self) -> BlockParts<'_> {
        let block = &self.sealed.block;
        BlockParts {
            header: &block.header,
            ommers: &block.body.ommers,
            withdrawals: block.body.withdrawals.as_ref().map(|list| list.as_slice()),
        }
    }

    pub(crate) fn transactions(&self) -> impl Iterator<Item = Recovered<SignedTransaction>> + '_ {
        let transactions = self.sealed.block.body.transactions.iter().cloned();
        transactions
            .zip(&self.sealed.senders)
            .map(|(transaction, sender)| Recovered::new_unchecked(transaction, *sender))
    }

    /// Number of the block and the scenarios in it, for a failure's message.
    pub(crate) fn name(&self) -> String {
        let scenarios: Vec<_> = self.sealed.scenarios.iter().map(|item| item.name).collect();
        format!("block {} of {scenarios:?}", self.sealed.block.header.number)
    }

    pub(crate) fn replica(&self, kind: ReplicaKind, profile: Profile) -> Replica {
        let block = &self.sealed.block;
        let source = SourceBlock {
            network_id: DEV_CHAIN_ID,
            header: &block.header,
            transactions: &block.body.transactions,
            ommers: &block.body.ommers,
            withdrawals: block.body.withdrawals.as_ref(),
            senders: &self.sealed.senders,
            receipts: &self.captured.receipts,
        };
        export_block(&source, self.captured.reads.lists.clone(), kind, profile).expect("a replica")
    }
}
