//! Contracts that come into being, or fail to.

use crate::support::{
    scene::{A, B, Fork, Rows, SENDER, Scene, Tx, call, create2, created2, statuses},
    world::Account,
};

/// Reads a slot and leaves a contract without code.
const READS: &str = "0x01 SLOAD";
/// Reads a slot and fails.
const READS_AND_FAILS: &str = "0x01 SLOAD 0x00 0x00 REVERT";

#[test]
fn a_created_contracts_slots_have_rows_with_zero() {
    Scene::new(Fork::Cancun)
        .contract(A, &create2(READS, 0))
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A]).slots(&[(created2(A, READS), 1, 0)]).codes(&[A]));
    Scene::new(Fork::Cancun)
        .transaction(Tx::create(READS))
        .expect(Rows::accounts(&[SENDER]).slots(&[(SENDER.create(0), 1, 0)]));
}

#[test]
fn a_creation_that_is_reverted_and_repeated_has_its_rows_twice() {
    let created = created2(A, READS_AND_FAILS);
    let twice = format!("{0} {0}", create2(READS_AND_FAILS, 0));
    Scene::new(Fork::Cancun)
        .contract(A, &twice)
        .transaction(Tx::call(A))
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A]).slots(&[(created, 1, 0); 4]).codes(&[A]));
}

/// Also where it is an outer frame that fails.
#[test]
fn a_creation_whose_caller_is_reverted_has_its_rows_again() {
    let created = created2(A, READS);
    Scene::new(Fork::Cancun)
        .contract(A, &create2(READS, 0))
        .contract(B, &format!("{} 0x00 0x00 REVERT", call("CALL", 99_999, A, 0)))
        .transaction(Tx::call(B))
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, B, A]).slots(&[(created, 1, 0); 2]).codes(&[B, A]));
}

/// A created contract that stays keeps what it has asked for.
#[test]
fn a_creation_that_stays_has_its_rows_once() {
    // Its code reads the same slot as its init code: 0x6001 is PUSH1 1, 0x54 SLOAD.
    let init = "0x01 SLOAD 0x600154 0x00 MSTORE 0x03 0x1d RETURN";
    let created = created2(A, init);
    let captured = Scene::new(Fork::Cancun)
        .contract(A, &create2(init, 0))
        .transaction(Tx::call(A))
        .transaction(Tx::call(created))
        .expect(Rows::accounts(&[SENDER, A]).slots(&[(created, 1, 0)]).codes(&[A]));
    assert_eq!(
        captured.receipts[1].cumulative_gas_used - captured.receipts[0].cumulative_gas_used,
        23_103
    );
}

/// An account that has only a balance keeps its object: it has an account row, and a revert forgets
/// nothing.
#[test]
fn a_prefunded_creation_keeps_its_rows() {
    let created = created2(A, READS_AND_FAILS);
    let twice = format!("{0} {0}", create2(READS_AND_FAILS, 0));
    Scene::new(Fork::Cancun)
        .contract(A, &twice)
        .account(created, Account::with_balance(1))
        .transaction(Tx::call(A))
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A, created]).slots(&[(created, 1, 0)]).codes(&[A]));
}

/// Also where the balance came in this block, from outside of the frame that fails.
#[test]
fn a_creation_at_an_address_funded_before_keeps_its_rows() {
    let created = created2(A, READS_AND_FAILS);
    let fund = call("CALL", 0, created, 1);
    Scene::new(Fork::Cancun)
        .contract(A, &format!("{fund} {0} {0}", create2(READS_AND_FAILS, 0)))
        .transaction(Tx::call(A).value(1))
        .expect(Rows::accounts(&[SENDER, A]).slots(&[(created, 1, 0)]).codes(&[A]));
}

#[test]
fn a_prefunded_creation_by_transaction_reads_the_account() {
    let created = SENDER.create(0);
    Scene::new(Fork::Cancun)
        .account(created, Account::with_balance(1))
        .transaction(Tx::create(READS))
        .expect(Rows::accounts(&[SENDER, created]).slots(&[(created, 1, 0)]));
}

#[test]
fn a_collision_reads_the_account_and_nothing_else() {
    let created = created2(A, READS);
    for occupant in [Account::contract("STOP"), Account::with_balance(1).nonce(1)] {
        Scene::new(Fork::Cancun)
            .contract(A, &create2(READS, 0))
            .account(created, occupant)
            .transaction(Tx::call(A))
            .expect(Rows::accounts(&[SENDER, A, created]).codes(&[A]));
    }
}

#[test]
fn a_creation_that_the_creator_cannot_afford_reads_nothing() {
    let created = created2(A, READS);
    let scene = |value| {
        Scene::new(Fork::Cancun)
            .contract(A, &create2(READS, 1))
            .account(created, Account::with_balance(1))
            .transaction(Tx::call(A).value(value))
    };
    scene(0).expect(Rows::accounts(&[SENDER, A]).codes(&[A]));
    scene(1).expect(Rows::accounts(&[SENDER, A, created]).slots(&[(created, 1, 0)]).codes(&[A]));
}

#[test]
fn a_creation_that_would_overflow_the_nonce_reads_nothing() {
    let scene = |nonce| {
        Scene::new(Fork::Cancun)
            .account(A, Account::contract("0x00 0x00 0x00 CREATE").nonce(nonce))
            .account(A.create(nonce), Account::with_balance(1))
            .transaction(Tx::call(A))
    };
    scene(u64::MAX).expect(Rows::accounts(&[SENDER, A]).codes(&[A]));
    let created = A.create(u64::MAX - 1);
    scene(u64::MAX - 1).expect(Rows::accounts(&[SENDER, A, created]).codes(&[A]));
}

#[test]
fn a_static_call_forbids_a_creation_before_it_reads() {
    Scene::new(Fork::Cancun)
        .contract(A, &call("STATICCALL", 99_999, B, 0))
        .contract(B, &create2(READS, 0))
        .account(created2(B, READS), Account::with_balance(1))
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
}

#[test]
fn code_deployed_in_this_block_has_no_row() {
    // Deploys a single STOP.
    let init = "0x00 0x00 MSTORE8 0x01 0x00 RETURN";
    let created = created2(A, init);
    let look = format!("0x00 0x00 0x00 {created} EXTCODECOPY {created} EXTCODESIZE");
    let captured = Scene::new(Fork::Prague)
        .contract(A, &create2(init, 0))
        .contract(B, &format!("{look} {}", call("CALL", 9999, created, 0)))
        .transaction(Tx::call(A))
        .transaction(Tx::call(B))
        .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
    assert_eq!(captured.reads.size_only_codes, []);
}

#[test]
fn a_failed_creation_keeps_its_rows() {
    let captured = Scene::new(Fork::Cancun)
        .transaction(Tx::create(&format!("{B} BALANCE {READS_AND_FAILS}")))
        .account(B, Account::with_balance(1))
        .expect(Rows::accounts(&[SENDER, B]).slots(&[(SENDER.create(0), 1, 0)]));
    assert_eq!(statuses(&captured), [false]);
}
