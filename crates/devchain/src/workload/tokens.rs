//! Token transfers: the everyday traffic of slots, proxies and logs.

use super::plan::{Intent, Plan};
use crate::contracts::{LOGGER, TOKEN, TOKEN_CLONES, TOKEN_PROXY, TRANSFER_SELECTOR};
use alloy_primitives::{Address, Bytes, U256};

fn transfer_input(to: Address, amount: u64) -> Bytes {
    let amount = U256::from(amount).to_be_bytes::<32>();
    [&TRANSFER_SELECTOR[..], to.into_word().as_slice(), &amount].concat().into()
}

fn transfer_of(plan: &mut Plan<'_>, token: Address) {
    // A new holder now and then, so that slots are created and not only changed.
    let to = if plan.dice.happens(1, 4) { plan.dice.address() } else { plan.sender().address() };
    let amount = plan.dice.between(1, 100) as u64;
    plan.send(Intent::call(token).input(transfer_input(to, amount)));
}

/// Two slots of a mapping.
pub(super) fn token_transfer(plan: &mut Plan<'_>) {
    transfer_of(plan, TOKEN);
}

/// The proxy's slots and code, then the implementation's code; its slots are never read.
pub(super) fn token_through_proxy(plan: &mut Plan<'_>) {
    transfer_of(plan, TOKEN_PROXY);
}

/// Two accounts with equal code, which is loaded twice.
pub(super) fn token_through_clones(plan: &mut Plan<'_>) {
    for clone in TOKEN_CLONES {
        transfer_of(plan, clone);
    }
}

/// Reads the sender's balance and reverts.
pub(super) fn token_short_of_balance(plan: &mut Plan<'_>) {
    let to = plan.sender().address();
    plan.send(Intent::call(TOKEN).input(transfer_input(to, u64::MAX)).fails());
}

/// Logs with no to four topics, and transient storage.
pub(super) fn logs_and_transient_storage(plan: &mut Plan<'_>) {
    plan.send(Intent::call(LOGGER));
}
