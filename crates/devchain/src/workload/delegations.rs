//! EIP-7702: authorizations that are accepted, rejected after the authority was read, and skipped
//! before.

use super::plan::{Intent, Plan, PlannedAuthorization, Shape};
use crate::{
    contracts::{LOGGER, SLOTS, load},
    genesis::{Delegated, FUNDED_PRECOMPILE},
};
use alloy_primitives::Address;

fn send_with(plan: &mut Plan<'_>, intent: Intent, authorizations: Vec<PlannedAuthorization>) {
    plan.send(intent.shape(Shape::SetCode(authorizations)).gas(400_000));
}

/// Somebody to call who does nothing.
fn bystander(plan: &mut Plan<'_>) -> Intent {
    Intent::call(plan.sender().address())
}

/// The authority is born by its own authorization.
pub(super) fn delegate_new_account(plan: &mut Plan<'_>) {
    let (call, key) = (bystander(plan), plan.fresh_key());
    let authorization = plan.authorize(&key, SLOTS);
    send_with(plan, call, vec![authorization]);
}

/// Sets, changes or, by naming the zero address, clears a delegation.
pub(super) fn delegate_account(plan: &mut Plan<'_>) {
    let (call, key) = (bystander(plan), plan.authority());
    let delegates = [SLOTS, LOGGER, FUNDED_PRECOMPILE, Address::ZERO];
    let delegate = plan.dice.pick(&delegates).copied().unwrap_or_default();
    let authorization = plan.authorize(&key, delegate);
    send_with(plan, call, vec![authorization]);
}

/// The transaction calls the account that it delegates.
pub(super) fn delegate_and_call(plan: &mut Plan<'_>) {
    let key = plan.authority();
    let authorization = plan.authorize(&key, SLOTS);
    let call = Intent::call(key.address()).input([load(1), load(2)].concat());
    send_with(plan, call, vec![authorization]);
}

/// The sender's nonce is taken first, so that the authorization names the one after it.
pub(super) fn delegate_itself(plan: &mut Plan<'_>) {
    let (call, key) = (bystander(plan), plan.authority());
    let nonce = plan.nonce(key.address()).saturating_add(1);
    let chain_id = plan.scene.config.chain_id;
    let authorization = Plan::raw_authorization(chain_id, &key, SLOTS, nonce);
    send_with(plan, call.from(key.clone()), vec![authorization]);
    plan.take_nonce(key.address());
}

/// Chain id zero.
pub(super) fn delegate_any_chain(plan: &mut Plan<'_>) {
    let (call, key) = (bystander(plan), plan.authority());
    let authorization = plan.authorize_on(0, &key, LOGGER);
    send_with(plan, call, vec![authorization]);
}

/// Two accepted authorizations of one authority, and one that is rejected in between.
pub(super) fn delegate_repeatedly(plan: &mut Plan<'_>) {
    let (call, key) = (bystander(plan), plan.authority());
    let first = plan.authorize(&key, SLOTS);
    let stale = first.clone();
    let second = plan.authorize(&key, LOGGER);
    send_with(plan, call, vec![first, stale, second]);
}

/// Authorizations that say in themselves that they are void: the authority is not read.
pub(super) fn delegation_unread(plan: &mut Plan<'_>) {
    let (call, key) = (bystander(plan), plan.authority());
    let nonce = plan.nonce(key.address());
    let chain_id = plan.scene.config.chain_id;
    let void = vec![
        Plan::raw_authorization(chain_id.checked_add(1).unwrap_or(1), &key, SLOTS, nonce),
        Plan::raw_authorization(chain_id, &key, SLOTS, u64::MAX),
        plan.forged_authorization(&key, SLOTS),
    ];
    send_with(plan, call, void);
}

/// A key whose account holds a contract's code.
pub(super) fn delegation_of_contract(plan: &mut Plan<'_>) {
    let (call, key) = (bystander(plan), plan.coded());
    let chain_id = plan.scene.config.chain_id;
    let nonce = plan.nonce(key.address());
    let authorization = Plan::raw_authorization(chain_id, &key, LOGGER, nonce);
    send_with(plan, call, vec![authorization]);
}

/// A nonce from the future.
pub(super) fn delegation_with_wrong_nonce(plan: &mut Plan<'_>) {
    let (call, key) = (bystander(plan), plan.delegated(Delegated::ToContract));
    let chain_id = plan.scene.config.chain_id;
    let nonce = plan.nonce(key.address()).saturating_add(1_000_000);
    let authorization = Plan::raw_authorization(chain_id, &key, LOGGER, nonce);
    send_with(plan, call, vec![authorization]);
}

/// An account with a delegation sends.
pub(super) fn delegated_sender(plan: &mut Plan<'_>) {
    let key = plan.delegated(Delegated::ToContract);
    let call = bystander(plan);
    plan.send(call.value(1).from(key));
}
