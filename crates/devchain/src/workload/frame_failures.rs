//! Frames that fail, and what they have read until then.
//!
//! An opcode charges its constant gas, then the gas that depends on its operands, then executes.
//! Some read state in order to know their price: what they read stays read when the price cannot be
//! paid, or when the static check, which is part of execution, fails.

use super::plan::Plan;
use crate::{
    contracts::{
        BALANCE_NOW, DESTROY, DESTROY_OVERHEAD, FACTORY, PAY_NOW, PAY_NOW_OVERHEAD, PROBE_BALANCE,
        PROBE_CODE_COPY, PROBE_FAR_COPY, QUIET, RELAY_STATICCALL, SLOTS, SLOTS_TWIN, STORE_NOW,
        STORE_NOW_OVERHEAD, load, store,
    },
    frames::{Call, creation_input, nested_batch},
    genesis::Delegated,
};
use alloy_primitives::{Address, B256, U256};

/// Gas for frames that fail with all gas that they have.
const LOST_GAS: u64 = 60_000;
/// Price of an account that the transaction has not touched yet (EIP-2929).
const COLD_ACCOUNT: u64 = 2_600;
/// An `SSTORE` with no more gas than a call's stipend fails at once (EIP-2200).
const STIPEND: u64 = 2_300;

/// Exactly the stipend: no read.
pub(super) fn store_with_stipend(plan: &mut Plan<'_>) {
    plan.batch(&[Call::to(STORE_NOW).gas(STORE_NOW_OVERHEAD + STIPEND).fails()]);
}

/// One gas more than the stipend: the slot is read, and then too expensive.
pub(super) fn store_out_of_gas(plan: &mut Plan<'_>) {
    plan.batch(&[Call::to(STORE_NOW).gas(STORE_NOW_OVERHEAD + STIPEND + 1).fails()]);
}

/// Enough gas, but nothing may be written.
pub(super) fn store_in_static_frame(plan: &mut Plan<'_>) {
    let call = Call::to(SLOTS).words(&[load(6), store(52, 1)]).gas(LOST_GAS).fails();
    plan.batch(&[call.through(RELAY_STATICCALL)]);
}

/// A beneficiary that nothing else in the transaction touches, missing or not.
fn cold_beneficiary(plan: &mut Plan<'_>) -> B256 {
    let missing = plan.dice.address();
    plan.dice.pick(&[missing, QUIET[0], SLOTS_TWIN]).copied().unwrap_or(missing).into_word()
}

/// 5000 gas are paid, the beneficiary is touched, and is too expensive.
pub(super) fn destroy_out_of_gas(plan: &mut Plan<'_>) {
    let beneficiary = cold_beneficiary(plan);
    let gas = DESTROY_OVERHEAD + 5_000 + 100;
    plan.batch(&[Call::to(DESTROY).words(&[beneficiary]).gas(gas).fails()]);
}

/// The beneficiary is touched, and nothing may be destroyed.
pub(super) fn destroy_in_static_frame(plan: &mut Plan<'_>) {
    let beneficiary = cold_beneficiary(plan);
    let call = Call::to(DESTROY).words(&[beneficiary]).gas(LOST_GAS).fails();
    plan.batch(&[call.through(RELAY_STATICCALL)]);
}

fn pay(plan: &mut Plan<'_>, gas: u64) {
    let payee = cold_beneficiary(plan);
    plan.batch(&[Call::to(PAY_NOW).words(&[payee]).gas(gas).fails()]);
}

/// The cold target is paid and its code loaded; value costs 9000 more.
pub(super) fn pay_out_of_gas(plan: &mut Plan<'_>) {
    pay(plan, PAY_NOW_OVERHEAD + COLD_ACCOUNT + 1_000);
}

/// The cold target cannot be paid.
pub(super) fn pay_out_of_gas_early(plan: &mut Plan<'_>) {
    pay(plan, PAY_NOW_OVERHEAD + COLD_ACCOUNT - 1);
}

/// The target's code is loaded, and no value may move.
pub(super) fn pay_in_static_frame(plan: &mut Plan<'_>) {
    let payee = cold_beneficiary(plan);
    let call = Call::to(PAY_NOW).words(&[payee]).gas(LOST_GAS).fails();
    plan.batch(&[call.through(RELAY_STATICCALL)]);
}

/// A creation that may not be.
pub(super) fn create_in_static_frame(plan: &mut Plan<'_>) {
    let init_code = &plan.scene.init_codes.codeless;
    let input = creation_input(U256::ZERO, B256::ZERO, init_code, true);
    plan.batch(&[Call::to(FACTORY).input(input).gas(LOST_GAS).fails().through(RELAY_STATICCALL)]);
}

/// An opcode that reads at execution, short of one gas.
pub(super) fn balance_out_of_gas(plan: &mut Plan<'_>) {
    let account = cold_beneficiary(plan);
    let gas = DESTROY_OVERHEAD + COLD_ACCOUNT - 1;
    plan.batch(&[Call::to(BALANCE_NOW).words(&[account]).gas(gas).fails()]);
}

/// An opcode that reads at execution, short of gas for memory.
pub(super) fn copy_out_of_memory(plan: &mut Plan<'_>) {
    let call = Call::to(PROBE_FAR_COPY).words(&[QUIET[1].into_word()]).gas(LOST_GAS).fails();
    plan.batch(&[call]);
}

/// Reads of all kinds, undone, and some of them repeated.
pub(super) fn reads_in_reverted_frame(plan: &mut Plan<'_>) {
    let accounts = plan.any_accounts();
    let reads = [
        Call::to(PROBE_BALANCE).words(&accounts),
        Call::to(PROBE_CODE_COPY).words(&accounts),
        Call::to(SLOTS).words(&[load(7), store(8, 1), load(53)]),
    ];
    let again = Call::to(SLOTS).words(&[load(7), load(8)]);
    plan.batch(&[nested_batch(&reads).reverted(), again]);
}

/// The delegated account is paid and its designator loaded; the delegate costs at least 100 more.
pub(super) fn delegate_out_of_gas(plan: &mut Plan<'_>) {
    let payee: Address = plan.delegated(Delegated::ToContract).address();
    let gas = PAY_NOW_OVERHEAD + COLD_ACCOUNT + 50;
    plan.batch(&[Call::to(PAY_NOW).words(&[payee.into_word()]).gas(gas).fails()]);
}
