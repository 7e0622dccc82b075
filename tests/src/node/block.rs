//! A block as the engine API takes it, with what must arrive at the targets.

use crate::{audit::fed::sha256, messages::dev::DevBlocks};
use alloy_consensus::{Transaction, Typed2718};
use alloy_eips::{BlockNumHash, eip7702::SignedAuthorization};
use alloy_primitives::B256;
use bsp_capture::RecoveredAuthorizations;
use bsp_codec::{Profile, rlp};
use bsp_devchain::{DevBlock, NewPayload};
use serde_json::Value;
use std::collections::BTreeMap;

/// A block that is ready to be imported.
#[derive(Debug, Clone)]
pub struct EngineBlock {
    /// Number and hash.
    pub id: BlockNumHash,
    /// The parent's hash.
    pub parent: B256,
    /// SHA-256 of the replica's RLP, as every target has to hold it.
    pub replica: [u8; 32],
    /// How many transactions it has of each type.
    pub types: BTreeMap<u8, usize>,
    /// How many of its transactions create a contract.
    pub creations: usize,
    /// How many withdrawals it has.
    pub withdrawals: usize,
    /// What the network's replica leaves out and a verification needs (EIP-7702).
    pub authorizations: RecoveredAuthorizations,
    /// Gas that it uses.
    pub gas_used: u64,
    /// Parameters of `engine_newPayloadV4`.
    pub payload: Value,
}

impl EngineBlock {
    /// The next block of a chain.
    ///
    /// # Errors
    ///
    /// Where the chain's own block does not execute.
    pub fn next(blocks: &mut DevBlocks) -> eyre::Result<Self> {
        let (sealed, replica) = blocks.next_block()?;
        let fork = blocks.chain().config().fork;
        let header = &sealed.block.header;
        let (mut types, mut creations) = (BTreeMap::new(), 0);
        for transaction in &sealed.block.body.transactions {
            *types.entry(transaction.ty()).or_default() += 1;
            creations += usize::from(transaction.is_create());
        }
        Ok(Self {
            id: BlockNumHash::new(header.number, sealed.hash),
            parent: header.parent_hash,
            replica: sha256(&rlp::encode_replica(&replica, Profile::Network)?),
            types,
            creations,
            withdrawals: sealed.block.body.withdrawals.as_ref().map_or(0, |list| list.len()),
            authorizations: authorizations(&sealed),
            gas_used: header.gas_used,
            payload: NewPayload::new(&sealed, fork).params,
        })
    }
}

fn authorizations(sealed: &DevBlock) -> RecoveredAuthorizations {
    let lists = sealed.block.body.transactions.iter().enumerate().filter_map(|(index, it)| {
        let list = it.authorization_list()?;
        Some((index, list.iter().cloned().map(SignedAuthorization::into_recovered).collect()))
    });
    lists.collect()
}
