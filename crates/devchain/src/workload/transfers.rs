//! Plain transactions: value, types, and the ways a whole transaction ends.

use super::plan::{Intent, Plan, Shape};
use crate::{
    contracts::{MEMORY, REVERT, SLOTS, SPIN, load},
    genesis::FUNDED_PRECOMPILE,
};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4788::SYSTEM_ADDRESS,
    eip7825::MAX_TX_GAS_LIMIT_OSAKA,
};
use alloy_primitives::{Address, U256};

/// Touches sender and receiver.
pub(super) fn transfer(plan: &mut Plan<'_>) {
    let to = plan.sender().address();
    plan.send(Intent::call(to).value(1_000));
}

/// Touch-or-create: the receiver has no row.
pub(super) fn transfer_to_missing(plan: &mut Plan<'_>) {
    let to = plan.dice.address();
    plan.send(Intent::call(to).value(1));
}

/// A call of a missing account without value leaves nothing.
pub(super) fn nothing_to_missing(plan: &mut Plan<'_>) {
    let to = plan.dice.address();
    plan.send(Intent::call(to));
}

/// One row for sender and receiver.
pub(super) fn transfer_to_itself(plan: &mut Plan<'_>) {
    let key = plan.sender();
    plan.send(Intent::call(key.address()).value(1).from(key));
}

/// Precompiles are accounts like others: one that exists, and one that the value creates.
pub(super) fn transfer_to_precompile(plan: &mut Plan<'_>) {
    plan.send(Intent::call(FUNDED_PRECOMPILE).value(1));
    plan.send(Intent::call(Address::with_last_byte(4)).value(1));
}

/// Makes the system caller exist, which then has a row in every block.
pub(super) fn fund_system_caller(plan: &mut Plan<'_>) {
    plan.send(Intent::call(SYSTEM_ADDRESS).value(1));
}

/// A legacy signature without chain id.
pub(super) fn unprotected(plan: &mut Plan<'_>) {
    let to = plan.sender().address();
    plan.send(Intent::call(to).value(1).shape(Shape::Unprotected));
}

/// Lists accounts and slots that execution then never, or later, reads.
pub(super) fn access_list(plan: &mut Plan<'_>) {
    let unread = AccessListItem { address: plan.any_account(), storage_keys: vec![load(1)] };
    let read = AccessListItem { address: SLOTS, storage_keys: vec![load(1), load(2), load(99)] };
    let list = AccessList(vec![unread, read]);
    let input = [load(2), load(3)].concat();
    plan.send(Intent::call(SLOTS).input(input).shape(Shape::AccessList(list)));
}

/// One to six blobs, as far as there is room.
pub(super) fn blobs(plan: &mut Plan<'_>) {
    let room = plan.blob_room().min(plan.scene.config.blob_params.max_blobs_per_tx);
    let count = plan.dice.between(1, usize::try_from(room).unwrap_or(1).max(1));
    let to = plan.sender().address();
    plan.send(Intent::call(to).shape(Shape::Blobs(count)));
}

/// Below this, a transaction is not worth filling a block with.
const LEAST_FILLING: u64 = 1_000_000;
/// Gas of a filling transaction for everything but memory.
const FILLING_OVERHEAD: u64 = 30_000;

/// Words of memory that can be had for `gas`: `w` words cost 3·w + w²/512 (yellow paper, appendix
/// H).
fn words_for(gas: u64) -> u64 {
    (512 * gas + 768 * 768).isqrt() - 768
}

/// Uses up gas without reading anything: memory's price grows with its square, and costs the
/// machine next to nothing.
pub(super) fn fill_block(plan: &mut Plan<'_>) {
    while plan.gas_room() > LEAST_FILLING {
        let gas = plan.gas_room().min(MAX_TX_GAS_LIMIT_OSAKA);
        let last_word = 32 * (words_for(gas - FILLING_OVERHEAD) - 1);
        let offset = U256::from(last_word).to_be_bytes_vec();
        plan.send(Intent::call(MEMORY).input(offset).gas(gas));
    }
}

/// Reads code, then reverts.
pub(super) fn transaction_reverts(plan: &mut Plan<'_>) {
    plan.send(Intent::call(REVERT).fails());
}

/// Reads code, then loops for ever.
pub(super) fn transaction_out_of_gas(plan: &mut Plan<'_>) {
    plan.send(Intent::call(SPIN).value(1).fails());
}
