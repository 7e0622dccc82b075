//! Self-destruction, and rebirth.

use super::{
    creations::{hatch, take_prefunded},
    plan::{Intent, Plan},
};
use crate::{
    contracts::{DESTROY, PROBE_BALANCE, PROBE_CODE_COPY, PROBE_CODE_SIZE},
    frames::Call,
};
use alloy_primitives::{Address, U256};

fn destroy(contract: Address, beneficiary: Address) -> Call {
    Call::to(contract).words(&[beneficiary.into_word()])
}

/// Gives its balance to a missing account, to an existing one, to itself, and stays.
pub(super) fn destroy_existing(plan: &mut Plan<'_>) {
    let beneficiaries = [plan.dice.address(), plan.sender().address(), DESTROY];
    plan.batch(&beneficiaries.map(|beneficiary| destroy(DESTROY, beneficiary).value(U256::ONE)));
}

/// A beneficiary of nothing dies with its transaction; then a contract is created there.
pub(super) fn destroy_leaves_blank(plan: &mut Plan<'_>) {
    let salt = plan.dice.word();
    let (create, address) = hatch(plan, salt);
    // The first call takes whatever balance there is, so that the second has none to give.
    let heir = plan.sender().address();
    plan.batch(&[destroy(DESTROY, heir), destroy(DESTROY, address)]);
    plan.batch(&[create]);
    plan.memory().remember_deployed(address);
}

/// Init code that destroys what it is creating.
pub(super) fn destroy_in_creation(plan: &mut Plan<'_>) {
    let salt = plan.dice.word();
    let create = Call::create2(salt, &plan.scene.init_codes.destroyed, true);
    plan.batch(std::slice::from_ref(&create));
    plan.batch(&[create]);
}

/// Created and destroyed by one transaction, created again by the next, called by a third.
pub(super) fn destroy_and_rebirth(plan: &mut Plan<'_>) {
    let salt = plan.dice.word();
    let (create, address) = hatch(plan, salt);
    let heir = plan.sender().address();
    plan.batch(&[create.clone(), destroy(address, heir)]);
    plan.batch(&[create, Call::to(address)]);
    plan.send(Intent::call(address));
    plan.memory().remember_deployed(address);
}

/// A destroyed account is alive until its transaction ends.
pub(super) fn destroy_and_collide(plan: &mut Plan<'_>) {
    let salt = plan.dice.word();
    let (create, address) = hatch(plan, salt);
    let heir = plan.sender().address();
    let again = Call::create2(salt, &plan.scene.init_codes.phoenix, false).gas(300_000);
    plan.batch(&[create, destroy(address, heir), Call::to(address), again]);
}

/// An account of the parent state is destroyed by the transaction that creates on it, and reborn.
pub(super) fn destroy_over_balance(plan: &mut Plan<'_>) {
    let Some(salt) = take_prefunded(plan) else { return };
    let (create, address) = hatch(plan, salt);
    let heir = plan.sender().address();
    plan.batch(&[create.clone(), destroy(address, heir)]);
    plan.batch(&[create, Call::to(address)]);
    plan.memory().remember_deployed(address);
}

/// Looks at a destroyed account from a later transaction.
pub(super) fn destroy_then_probe(plan: &mut Plan<'_>) {
    let salt = plan.dice.word();
    let (create, address) = hatch(plan, salt);
    let heir = plan.sender().address();
    plan.batch(&[create, destroy(address, heir)]);
    let look = |probe| Call::to(probe).words(&[address.into_word()]);
    let looks = [PROBE_BALANCE, PROBE_CODE_SIZE, PROBE_CODE_COPY].map(look);
    plan.batch(&[&looks[..], &[Call::to(address)]].concat());
}
