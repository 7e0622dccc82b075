//! A block's EIP-7702 authorizations, as `bsp verify --authorizations` reads them.

use alloy_consensus::Transaction as _;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, U256};
use bsp_capture::SignedTransaction;
use serde::Serialize;
use std::collections::BTreeMap;

/// An authorization whose signature has been recovered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    chain_id: U256,
    /// `None` where the signature does not recover.
    authority: Option<Address>,
    delegate: Address,
    nonce: u64,
}

/// The JSON of all lists, by the index of their transaction; `None` where the block has none.
pub(super) fn recovered_authorizations(
    transactions: &[SignedTransaction],
) -> serde_json::Result<Option<Vec<u8>>> {
    let lists: BTreeMap<usize, Vec<Item>> = transactions
        .iter()
        .enumerate()
        .filter_map(|(index, tx)| {
            Some((index, tx.authorization_list()?.iter().map(recover).collect()))
        })
        .collect();
    (!lists.is_empty()).then(|| serde_json::to_vec_pretty(&lists)).transpose()
}

fn recover(signed: &SignedAuthorization) -> Item {
    let inner = signed.inner();
    Item {
        chain_id: inner.chain_id,
        authority: signed.recover_authority().ok(),
        delegate: inner.address,
        nonce: inner.nonce,
    }
}
