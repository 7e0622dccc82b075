//! EIP-7702: authorizations, and calls of accounts that delegate.

use crate::support::{
    scene::{
        A, B, C, D, Fork, Rows, SENDER, Scene, Tx, call, call_with_output, delegation, statuses,
    },
    world::Account,
};
use alloy_eips::eip7702::RecoveredAuthority;
use alloy_primitives::{Address, address};

#[test]
fn authorities_are_read_in_list_order_before_the_recipient() {
    Scene::new(Fork::Prague)
        .contract(A, "STOP")
        .account(B, Account::with_balance(1))
        .account(C, Account::with_balance(1))
        .transaction(Tx::call(A).authorize(C, D, 0).authorize(B, D, 0).authorize(C, A, 1))
        .expect(Rows::accounts(&[SENDER, C, B, A]).codes(&[A]));
}

#[test]
fn a_rejected_authority_is_still_read() {
    // For its code.
    Scene::new(Fork::Prague)
        .contract(B, "STOP")
        .transaction(Tx::call(A).authorize(B, D, 1))
        .expect(Rows::accounts(&[SENDER, B]).codes(&[B]));
    // For its nonce.
    Scene::new(Fork::Prague)
        .account(B, delegation(C))
        .account(D, Account::with_balance(1))
        .transaction(Tx::call(A).authorize(B, A, 5).authorize(D, A, 5))
        .expect(Rows::accounts(&[SENDER, B, D]).codes(&[B]));
}

#[test]
fn a_skipped_authority_is_not_read() {
    let valid = RecoveredAuthority::Valid(B);
    let skipped = [
        Tx::call(A).authorize_as(RecoveredAuthority::Invalid, 1, D, 0),
        Tx::call(A).authorize_as(valid.clone(), 2, D, 0),
        Tx::call(A).authorize_as(valid.clone(), 1, D, u64::MAX),
    ];
    for transaction in skipped {
        Scene::new(Fork::Prague)
            .account(B, Account::with_balance(1))
            .transaction(transaction)
            .expect(Rows::accounts(&[SENDER]));
    }
    // Chain id zero stands for any chain.
    Scene::new(Fork::Prague)
        .account(B, Account::with_balance(1))
        .transaction(Tx::call(A).authorize_as(valid, 0, D, 0))
        .expect(Rows::accounts(&[SENDER, B]));
}

/// The accepted authorization creates the authority, which reads its slots as zero and is no reborn
/// account.
#[test]
fn an_accepted_authority_that_was_missing_comes_into_being() {
    Scene::new(Fork::Prague)
        .contract(D, "0x01 SLOAD")
        .transaction(Tx::call(B).authorize(B, D, 0))
        .expect(Rows::accounts(&[SENDER, D]).slots(&[(B, 1, 0)]).codes(&[D]));
}

#[test]
fn a_rejected_authority_that_was_missing_stays_missing() {
    let created = SENDER.create(1);
    Scene::new(Fork::Prague)
        .transaction(Tx::call(A).authorize(created, D, 5))
        .transaction(Tx::create("0x01 SLOAD"))
        .expect(Rows::accounts(&[SENDER]).slots(&[(created, 1, 0)]));
}

/// Authorizations hold even if the transaction fails.
#[test]
fn an_authority_outlives_a_failed_transaction() {
    let captured = Scene::new(Fork::Prague)
        .contract(A, "INVALID")
        .contract(D, "0x01 SLOAD")
        .transaction(Tx::call(A).authorize(B, D, 0))
        .transaction(Tx::call(B))
        .expect(Rows::accounts(&[SENDER, A, D]).slots(&[(B, 1, 0)]).codes(&[A, D]));
    assert_eq!(statuses(&captured), [false, true]);
}

#[test]
fn a_delegation_set_in_this_block_has_no_code_row() {
    Scene::new(Fork::Prague)
        .contract(A, &call("CALL", 9999, B, 0))
        .account(B, Account::with_balance(1))
        .contract(D, "STOP")
        .transaction(Tx::call(A).authorize(B, D, 0))
        .expect(Rows::accounts(&[SENDER, B, A, D]).codes(&[A, D]));
}

/// The parent's delegation is read for the authorization; the call follows the new one.
#[test]
fn a_changed_delegation_reads_the_old_designator_and_the_new_delegate() {
    Scene::new(Fork::Prague)
        .account(B, delegation(C))
        .contract(C, "STOP")
        .contract(D, "STOP STOP")
        .transaction(Tx::call(B).authorize(B, D, 1))
        .expect(Rows::accounts(&[SENDER, B, D]).codes(&[B, D]));
}

#[test]
fn a_cleared_delegation_is_not_followed() {
    Scene::new(Fork::Prague)
        .account(B, delegation(C))
        .contract(C, "STOP")
        .transaction(Tx::call(B).authorize(B, Address::ZERO, 1))
        .expect(Rows::accounts(&[SENDER, B]).codes(&[B]));
}

#[test]
fn a_call_reads_the_designator_and_then_the_delegates_code() {
    for opcode in ["CALL", "CALLCODE", "DELEGATECALL", "STATICCALL"] {
        Scene::new(Fork::Prague)
            .contract(A, &call(opcode, 9999, B, 0))
            .account(B, delegation(C))
            .contract(C, "STOP")
            .transaction(Tx::call(A))
            .expect(Rows::accounts(&[SENDER, A, B, C]).codes(&[A, B, C]));
    }
}

#[test]
fn a_transaction_to_a_delegated_account_reads_both_codes() {
    Scene::new(Fork::Prague)
        .account(B, delegation(C).slot(1, 7))
        .account(C, Account::contract("0x01 SLOAD").slot(1, 8))
        .transaction(Tx::call(B))
        .expect(Rows::accounts(&[SENDER, B, C]).slots(&[(B, 1, 7)]).codes(&[B, C]));
}

/// The delegate's own delegation is not followed.
#[test]
fn one_level_of_delegation_is_followed() {
    let captured = Scene::new(Fork::Prague)
        .account(B, delegation(C))
        .account(C, delegation(D))
        .contract(D, "STOP")
        .transaction(Tx::call(B))
        .expect(Rows::accounts(&[SENDER, B, C]).codes(&[B, C]));
    // A designator is no program.
    assert_eq!(statuses(&captured), [false]);
}

/// The price reads the designator; the delegate is only read at the entry, which is not reached.
#[test]
fn a_call_that_is_refused_reads_no_delegate() {
    let too_dear = call_with_output("CALL", 0, B, 0, "0x00", "0xffffffff");
    let too_much = call("CALL", 0, B, 1);
    for source in [too_dear, too_much] {
        Scene::new(Fork::Prague)
            .contract(A, &source)
            .account(B, delegation(C))
            .contract(C, "STOP")
            .transaction(Tx::call(A))
            .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
    }
}

#[test]
fn a_delegation_to_a_precompile_reads_its_account() {
    let sha256 = address!("0x0000000000000000000000000000000000000002");
    let captured = Scene::new(Fork::Prague)
        .account(sha256, Account::with_balance(1))
        .account(B, delegation(sha256))
        .transaction(Tx::call(B))
        .expect(Rows::accounts(&[SENDER, B, sha256]).codes(&[B]));
    assert_eq!(statuses(&captured), [true]);
}
