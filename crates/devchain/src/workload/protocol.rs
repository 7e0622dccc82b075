//! What happens around transactions: fee recipients, withdrawals, requests and system contracts.

use super::{
    creations::hatch,
    plan::{Intent, Plan},
};
use crate::{
    contracts::{SLOTS, TOKEN},
    genesis::Delegated,
};
use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS,
    eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS, eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_primitives::{Address, U256, address};

/// A block proposer that sends nothing itself. It exists once it has earned something.
const PROPOSER: Address = address!("0x00000000000000000000000000000000b10c0001");

/// One proposer for many blocks.
pub(super) fn fee_recipient_account(plan: &mut Plan<'_>) {
    plan.set_fee_recipient(PROPOSER);
}

/// Created by the first fee.
pub(super) fn fee_recipient_missing(plan: &mut Plan<'_>) {
    let address = plan.dice.address();
    plan.set_fee_recipient(address);
}

/// Touched by fees of nothing.
pub(super) fn fee_recipient_missing_without_fee(plan: &mut Plan<'_>) {
    let address = plan.dice.address();
    plan.set_fee_recipient(address);
    plan.forgo_tips();
}

/// Left blank by the first transaction, a contract by the second.
pub(super) fn fee_recipient_created_later(plan: &mut Plan<'_>) {
    let salt = plan.dice.word();
    let (create, address) = hatch(plan, salt);
    plan.set_fee_recipient(address);
    plan.forgo_tips();
    let to = plan.sender().address();
    plan.send(Intent::call(to).value(1));
    plan.batch(&[create]);
    plan.memory().remember_deployed(address);
}

/// A contract.
pub(super) fn fee_recipient_contract(plan: &mut Plan<'_>) {
    plan.set_fee_recipient(TOKEN);
}

/// An account with a delegation.
pub(super) fn fee_recipient_delegated(plan: &mut Plan<'_>) {
    plan.set_fee_recipient(plan.delegated(Delegated::ToContract).address());
}

/// One of the senders.
pub(super) fn fee_recipient_sender(plan: &mut Plan<'_>) {
    let address = plan.sender().address();
    plan.set_fee_recipient(address);
}

/// Nothing.
pub(super) const fn empty_block(plan: &mut Plan<'_>) {
    plan.set_fee_recipient(PROPOSER);
}

/// Gwei for an account that exists.
pub(super) fn withdrawal_to_account(plan: &mut Plan<'_>) {
    let address = plan.sender().address();
    plan.withdraw(address, 17);
}

/// Gwei for an account that does not.
pub(super) fn withdrawal_to_missing(plan: &mut Plan<'_>) {
    let address = plan.dice.address();
    plan.withdraw(address, 1);
}

/// Nothing for an account that exists and for one that does not.
pub(super) fn withdrawal_of_nothing(plan: &mut Plan<'_>) {
    let (existing, missing) = (plan.authority().address(), plan.dice.address());
    plan.withdraw(existing, 0);
    plan.withdraw(missing, 0);
}

/// Twice to the same account, with another in between.
pub(super) fn withdrawal_repeated(plan: &mut Plan<'_>) {
    let (twice, once) = (plan.authority().address(), plan.sender().address());
    for address in [twice, once, twice] {
        plan.withdraw(address, 3);
    }
}

/// Gwei for a contract, whose code does not run.
pub(super) fn withdrawal_to_contract(plan: &mut Plan<'_>) {
    plan.withdraw(SLOTS, 1);
}

/// Enough for the fee of a request, whatever the queue.
const REQUEST_FEE: u64 = 1_000_000_000;

/// A validator's public key.
fn public_key(plan: &mut Plan<'_>) -> Vec<u8> {
    let (head, tail) = (plan.dice.word(), plan.dice.word());
    head.iter().chain(tail.iter().take(16)).copied().collect()
}

/// `public key ‖ amount` (EIP-7002).
pub(super) fn withdrawal_request(plan: &mut Plan<'_>) {
    let input = [public_key(plan), 32_000_000_000u64.to_be_bytes().into()].concat();
    let call = Intent::call(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS).value(REQUEST_FEE).gas(300_000);
    plan.send(call.input(input));
}

/// `source ‖ target` (EIP-7251).
pub(super) fn consolidation_request(plan: &mut Plan<'_>) {
    let input = [public_key(plan), public_key(plan)].concat();
    let call = Intent::call(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS).value(REQUEST_FEE);
    plan.send(call.input(input).gas(300_000));
}

/// The fields of a `DepositEvent` (EIP-6110), ABI-encoded.
pub(super) fn deposit(plan: &mut Plan<'_>) {
    let credentials = plan.dice.word().to_vec();
    let signature = [plan.dice.word(), plan.dice.word(), plan.dice.word()].concat();
    let amount = 32_000_000_000u64.to_le_bytes().to_vec();
    let index = plan.scene.number.to_le_bytes().to_vec();
    let fields = [public_key(plan), credentials, amount, signature, index];
    let call = Intent::call(MAINNET_DEPOSIT_CONTRACT_ADDRESS).input(abi_bytes(&fields));
    plan.send(call);
}

/// ABI encoding of several values of type `bytes`.
fn abi_bytes(fields: &[Vec<u8>]) -> Vec<u8> {
    let word = |value: usize| U256::from(value).to_be_bytes::<32>();
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    for field in fields {
        head.extend(word(fields.len() * 32 + tail.len()));
        tail.extend(word(field.len()));
        tail.extend_from_slice(field);
        tail.resize(tail.len().next_multiple_of(32), 0);
    }
    [head, tail].concat()
}

/// A request that pays nothing.
pub(super) fn request_without_fee(plan: &mut Plan<'_>) {
    let input = [public_key(plan), vec![0; 8]].concat();
    plan.send(Intent::call(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS).input(input).fails());
}

/// Asks for the root and the hash that the block's own system calls have just stored.
pub(super) fn system_contracts_called(plan: &mut Plan<'_>) {
    let config = plan.scene.config;
    let elapsed = config.block_time.saturating_mul(plan.scene.number);
    let timestamp = U256::from(config.genesis_time.saturating_add(elapsed));
    let parent = U256::from(plan.scene.number.saturating_sub(1));
    plan.send(Intent::call(BEACON_ROOTS_ADDRESS).input(timestamp.to_be_bytes_vec()));
    plan.send(Intent::call(HISTORY_STORAGE_ADDRESS).input(parent.to_be_bytes_vec()));
}

#[cfg(test)]
mod tests {
    use super::abi_bytes;

    #[test]
    fn abi_encoding_has_offsets_lengths_and_padding() {
        let encoded = abi_bytes(&[vec![1, 2], vec![3; 33]]);
        let last_of_word = |index: usize| encoded[index * 32 + 31];
        assert_eq!([0, 1, 2, 4].map(last_of_word), [64, 128, 2, 33]);
        assert_eq!(encoded.len(), 7 * 32);
        assert_eq!(encoded[3 * 32..3 * 32 + 3], [1, 2, 0]);
    }
}
