//! Opcodes that look at accounts, slots and block hashes.

use super::plan::{Intent, Plan};
use crate::{
    contracts::{
        PROBE_BALANCE, PROBE_BLOCK_HASH, PROBE_CODE_COPY, PROBE_CODE_HASH, PROBE_CODE_SIZE,
        PROBE_SELF_BALANCE, QUIET, RELAY_DELEGATECALL, SLOTS, SLOTS_TWIN, load, store,
    },
    frames::Call,
    state::BLOCK_HASH_WINDOW,
};
use alloy_primitives::{Address, B256, U256};

fn probe(plan: &mut Plan<'_>, contract: Address) {
    let accounts = plan.any_accounts();
    plan.send(Intent::call(contract).input(accounts.concat()));
}

/// `BALANCE`.
pub(super) fn probe_balance(plan: &mut Plan<'_>) {
    probe(plan, PROBE_BALANCE);
}

/// `EXTCODESIZE`.
pub(super) fn probe_code_size(plan: &mut Plan<'_>) {
    probe(plan, PROBE_CODE_SIZE);
}

/// `EXTCODESIZE` of contracts whose code nothing ever loads.
pub(super) fn probe_code_size_alone(plan: &mut Plan<'_>) {
    let quiet = QUIET.map(|account| account.into_word());
    plan.send(Intent::call(PROBE_CODE_SIZE).input(quiet.concat()));
}

/// `EXTCODEHASH`.
pub(super) fn probe_code_hash(plan: &mut Plan<'_>) {
    probe(plan, PROBE_CODE_HASH);
}

/// `EXTCODECOPY`.
pub(super) fn probe_code_copy(plan: &mut Plan<'_>) {
    probe(plan, PROBE_CODE_COPY);
}

/// `SELFBALANCE`.
pub(super) fn probe_self_balance(plan: &mut Plan<'_>) {
    plan.send(Intent::call(PROBE_SELF_BALANCE));
}

/// Reads slots that have a value and slots that have none, and writes some before or after.
pub(super) fn slots_read_and_written(plan: &mut Plan<'_>) {
    let value = plan.scene.number;
    let words =
        [load(0), load(50), store(1, value), load(1), store(51, value), load(2), store(2, 0)];
    plan.send(Intent::call(SLOTS).input(words.concat()).gas(200_000));
}

/// The same words for two accounts with equal code and, at genesis, equal slots.
pub(super) fn slots_of_twins(plan: &mut Plan<'_>) {
    let words = [load(3), load(4)];
    plan.batch(&[Call::to(SLOTS).words(&words), Call::to(SLOTS_TWIN).words(&words)]);
}

/// Writes a slot in one transaction and reads it in the next.
pub(super) fn slots_across_transactions(plan: &mut Plan<'_>) {
    let value = plan.scene.number;
    plan.send(Intent::call(SLOTS_TWIN).input(store(5, value).0));
    plan.send(Intent::call(SLOTS_TWIN).input(load(5).0));
}

/// Runs the code of [`SLOTS`] on a relay's storage.
pub(super) fn slots_of_delegatecaller(plan: &mut Plan<'_>) {
    let value = plan.scene.number;
    let call = Call::to(SLOTS).words(&[load(0), store(1, value)]);
    plan.batch(&[call.through(RELAY_DELEGATECALL)]);
}

fn block_hashes(plan: &mut Plan<'_>, numbers: &[U256]) {
    let words: Vec<_> = numbers.iter().map(|number| B256::from(*number)).collect();
    plan.send(Intent::call(PROBE_BLOCK_HASH).input(words.concat()));
}

/// The parent, genesis or the oldest that is left, one in between, and the parent once more.
pub(super) fn block_hash_in_window(plan: &mut Plan<'_>) {
    let number = plan.scene.number;
    let reach = BLOCK_HASH_WINDOW.min(usize::try_from(number).unwrap_or(usize::MAX));
    let back = plan.dice.between(1, reach) as u64;
    let numbers = [1, reach as u64, back, 1].map(|back| U256::from(number.saturating_sub(back)));
    block_hashes(plan, &numbers);
}

/// Own number, a later one, the last that fits 64 bits, and one that is too old as soon as there is
/// one.
pub(super) fn block_hash_out_of_window(plan: &mut Plan<'_>) {
    let number = plan.scene.number;
    let old = number.checked_sub(BLOCK_HASH_WINDOW as u64 + 1).unwrap_or(u64::MAX - 1);
    let numbers = [number, number + 1, u64::MAX, old].map(U256::from);
    block_hashes(plan, &numbers);
}

/// Numbers over 64 bits, one of which looks like the parent when cut.
pub(super) fn block_hash_beyond_u64(plan: &mut Plan<'_>) {
    let cut = (U256::from(1) << 64) + U256::from(plan.scene.number.saturating_sub(1));
    block_hashes(plan, &[U256::MAX, cut]);
}
