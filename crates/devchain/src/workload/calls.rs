//! Calls of every kind to accounts of every kind.

use super::plan::{Intent, Plan};
use crate::{
    contracts::{
        FACTORY2, QUIET, RECURSION, RELAY_CALL, RELAY_CALLCODE, RELAY_DELEGATECALL,
        RELAY_STATICCALL, SLOTS, load,
    },
    frames::Call,
    genesis::{Delegated, FUNDED_PRECOMPILE},
};
use alloy_primitives::{Address, U256};

const RELAYS: [Address; 4] = [RELAY_CALL, RELAY_CALLCODE, RELAY_DELEGATECALL, RELAY_STATICCALL];

/// An account that any call without input and value of succeeds.
fn callable(plan: &mut Plan<'_>) -> Address {
    let missing = plan.dice.address();
    let accounts = [
        missing,
        plan.sender().address(),
        SLOTS,
        QUIET[2],
        FUNDED_PRECOMPILE,
        Address::with_last_byte(3),
        plan.delegated(Delegated::ToContract).address(),
    ];
    plan.dice.pick(&accounts).copied().unwrap_or(missing)
}

/// Six calls without value.
pub(super) fn call_matrix(plan: &mut Plan<'_>) {
    let mut calls = Vec::with_capacity(6);
    for _ in 0..6 {
        let relay = plan.dice.pick(&RELAYS).copied().unwrap_or(RELAY_CALL);
        calls.push(Call::to(callable(plan)).through(relay));
    }
    plan.batch(&calls);
}

/// Value for a missing account, an existing one and a precompile; with `CALLCODE` it stays where it
/// is.
pub(super) fn call_with_value(plan: &mut Plan<'_>) {
    let (missing, existing) = (plan.dice.address(), plan.sender().address());
    let pay = |to| Call::to(to).value(U256::ONE).through(RELAY_CALL);
    plan.batch(&[
        pay(missing),
        pay(existing),
        pay(FUNDED_PRECOMPILE),
        Call::to(QUIET[3]).value(U256::ONE).through(RELAY_CALLCODE),
    ]);
}

/// More value than there is.
pub(super) fn call_short_of_balance(plan: &mut Plan<'_>) {
    let target = callable(plan);
    let too_much = |relay| Call::to(target).value(U256::MAX).fails().through(relay);
    let creation = Call::create(U256::MAX, &plan.scene.init_codes.codeless, false);
    plan.batch(&[too_much(RELAY_CALL), too_much(RELAY_CALLCODE), creation]);
}

/// As deep as the gas carries.
pub(super) fn call_recursion(plan: &mut Plan<'_>) {
    plan.send(Intent::call(RECURSION).gas(600_000));
}

/// A delegated account, by every kind of call, and directly.
pub(super) fn call_delegated(plan: &mut Plan<'_>) {
    let target = plan.delegated(Delegated::ToContract).address();
    let calls = RELAYS.map(|relay| Call::to(target).words(&[load(1)]).through(relay));
    plan.batch(&calls);
    plan.send(Intent::call(target).input(load(2).0));
}

/// The second designator is not followed but run, and is no valid code.
pub(super) fn call_twice_delegated(plan: &mut Plan<'_>) {
    let target = plan.delegated(Delegated::ToDelegated).address();
    plan.batch(&[Call::to(target).gas(20_000).fails()]);
}

/// Delegates without code: the call succeeds. A delegation to itself runs its own designator: it
/// fails.
pub(super) fn call_delegated_to_nothing(plan: &mut Plan<'_>) {
    let target = |which| Call::to(plan.delegated(which).address());
    let calls = [
        target(Delegated::ToPrecompile),
        target(Delegated::ToMissing),
        target(Delegated::ToItself).gas(20_000).fails(),
    ];
    plan.batch(&calls);
}

/// Leaves a blank object that dies with its transaction, by `STATICCALL`, and creates a contract
/// there.
pub(super) fn blank_then_created(plan: &mut Plan<'_>) {
    let salt = plan.dice.word();
    let init_code = plan.scene.init_codes.phoenix.clone();
    let address = FACTORY2.create2_from_code(salt, &init_code);
    plan.batch(&[Call::to(address).through(RELAY_STATICCALL)]);
    plan.batch(&[Call::create2(salt, &init_code, true)]);
    plan.memory().remember_deployed(address);
}
