//! Creations, those that fail, and what becomes of the slots that they read.

use super::plan::{Intent, Plan};
use crate::{
    contracts::FACTORY2,
    frames::{Call, nested_batch},
};
use alloy_primitives::{Address, B256, Bytes, U256};

/// Gas for creations that fail with all gas that they have.
const LOST_GAS: u64 = 300_000;

fn phoenix(plan: &Plan<'_>) -> Bytes {
    plan.scene.init_codes.phoenix.clone()
}

/// Where [`FACTORY2`] puts a phoenix.
pub(super) fn nest(plan: &Plan<'_>, salt: B256) -> Address {
    FACTORY2.create2_from_code(salt, &plan.scene.init_codes.phoenix)
}

/// A phoenix of [`FACTORY2`], and where it will stand.
pub(super) fn hatch(plan: &Plan<'_>, salt: B256) -> (Call, Address) {
    (Call::create2(salt, &plan.scene.init_codes.phoenix, true), nest(plan, salt))
}

/// Entry by creation at depth 0.
pub(super) fn create_by_transaction(plan: &mut Plan<'_>) {
    let (sender, nonce) = plan.send(Intent::create(&phoenix(plan)));
    plan.memory().remember_deployed(sender.create(nonce));
}

/// Sends value to where the same block's next transaction creates.
pub(super) fn create_by_transaction_over_balance(plan: &mut Plan<'_>) {
    let (key, funder) = (plan.sender(), plan.authority());
    let address = key.address().create(plan.nonce(key.address()));
    plan.send(Intent::call(address).value(1).from(funder));
    plan.send(Intent::create(&phoenix(plan)).from(key));
    plan.memory().remember_deployed(address);
}

/// A creation transaction that ends in failure.
pub(super) fn create_by_transaction_fails(plan: &mut Plan<'_>) {
    let codes = plan.scene.init_codes;
    let bad = [&codes.reverting, &codes.forbidden, &codes.oversized];
    let init_code = plan.dice.pick(&bad).copied().unwrap_or(&codes.reverting);
    plan.send(Intent::create(init_code).fails());
}

/// `CREATE`.
pub(super) fn create_by_contract(plan: &mut Plan<'_>) {
    let init_code = phoenix(plan);
    plan.batch(&[
        Call::create(U256::ZERO, &init_code, true),
        Call::create(U256::ONE, &init_code, true),
    ]);
}

/// `CREATE2`, and a call in the same and in the next transaction.
pub(super) fn create2_by_contract(plan: &mut Plan<'_>) {
    let salt = plan.dice.word();
    let (create, address) = hatch(plan, salt);
    plan.batch(&[create, Call::to(address)]);
    plan.send(Intent::call(address));
    plan.memory().remember_deployed(address);
}

/// The second creation finds a nonce, and fails with its gas.
pub(super) fn create2_collides(plan: &mut Plan<'_>) {
    let salt = plan.dice.word();
    let (create, address) = hatch(plan, salt);
    plan.batch(&[create]);
    plan.batch(&[Call::create2(salt, &phoenix(plan), false).gas(LOST_GAS)]);
    plan.memory().remember_deployed(address);
}

/// A creation in a frame that reverts forgets what it asked for, and asks again.
pub(super) fn create_reverts_and_repeats(plan: &mut Plan<'_>) {
    let salt = plan.dice.word();
    let (create, address) = hatch(plan, salt);
    plan.batch(&[nested_batch(&[create.clone(), Call::to(address)]).reverted(), create]);
    plan.memory().remember_deployed(address);
}

/// Init code that reverts, twice at one address.
pub(super) fn create_init_reverts_twice(plan: &mut Plan<'_>) {
    let salt = plan.dice.word();
    let create = Call::create2(salt, &plan.scene.init_codes.reverting, false);
    plan.batch(&[create.clone(), create]);
}

/// Code that may not be deployed.
pub(super) fn create_bad_code(plan: &mut Plan<'_>) {
    let codes = plan.scene.init_codes;
    let salt = plan.dice.word();
    let bad = |init_code| Call::create2(salt, init_code, false).gas(LOST_GAS);
    plan.batch(&[bad(&codes.forbidden), bad(&codes.oversized)]);
}

/// An account with a nonce and no code.
pub(super) fn create_codeless(plan: &mut Plan<'_>) {
    let salt = plan.dice.word();
    let init_code = plan.scene.init_codes.codeless.clone();
    let address = FACTORY2.create2_from_code(salt, &init_code);
    plan.batch(&[Call::create2(salt, &init_code, true), Call::to(address)]);
}

/// Init code that creates.
pub(super) fn create_nested(plan: &mut Plan<'_>) {
    let salt = plan.dice.word();
    plan.batch(&[Call::create2(salt, &plan.scene.init_codes.nested, true)]);
}

/// Sends value to where a later block creates.
pub(super) fn prefund(plan: &mut Plan<'_>) {
    let salt = plan.dice.word();
    let address = nest(plan, salt);
    plan.send(Intent::call(address).value(5));
    plan.memory().remember_prefunded(salt);
}

/// A salt whose address the parent state knows, taken out of memory. There is none in the first
/// blocks.
pub(super) fn take_prefunded(plan: &mut Plan<'_>) -> Option<B256> {
    let parent = plan.scene.parent;
    let codes = plan.scene.init_codes;
    let exists =
        |salt: &B256| parent.account(FACTORY2.create2_from_code(*salt, &codes.phoenix)).is_some();
    let position = plan.memory().prefunded.iter().position(exists)?;
    Some(plan.memory().prefunded.remove(position))
}

/// The account exists, so it keeps its object: an account row, and slot rows with value 0.
pub(super) fn create_over_balance(plan: &mut Plan<'_>) {
    let Some(salt) = take_prefunded(plan) else { return };
    let (create, address) = hatch(plan, salt);
    plan.batch(&[nested_batch(std::slice::from_ref(&create)).reverted(), create]);
    plan.memory().remember_deployed(address);
}

/// What earlier blocks created.
pub(super) fn call_created_earlier(plan: &mut Plan<'_>) {
    let deployed = plan.memory().deployed.clone();
    if let Some(address) = plan.dice.pick(&deployed) {
        plan.send(Intent::call(*address));
    }
}
