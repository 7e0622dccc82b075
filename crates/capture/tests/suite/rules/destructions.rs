//! Contracts that are destroyed, and what is read at their addresses afterwards.

use crate::support::{
    scene::{A, B, C, Fork, Rows, SENDER, Scene, Tx, call, create2, created2},
    world::Account,
};
use alloy_primitives::Address;

/// Reads a slot and leaves a contract without code.
const READS: &str = "0x01 SLOAD";

/// A contract at the address that `A`'s creation gives, so that it can be destroyed and created
/// again.
fn reborn() -> Address {
    created2(A, READS)
}

/// `A` creates; the contract that is there already destroys itself for `C` when it is called.
fn destroy_and_create(fork: Fork) -> Scene {
    Scene::new(fork)
        .contract(A, &create2(READS, 0))
        .account(reborn(), Account::contract(&format!("0x02 SLOAD {C} SELFDESTRUCT")).slot(2, 7))
        .account(C, Account::with_balance(1))
        .transaction(Tx::call(reborn()))
        .transaction(Tx::call(A))
}

#[test]
fn a_contract_destroyed_and_created_again_has_no_rows_any_more() {
    for fork in [Fork::London, Fork::Paris, Fork::Shanghai] {
        destroy_and_create(fork).expect(
            Rows::accounts(&[SENDER, reborn(), C, A])
                .slots(&[(reborn(), 2, 7)])
                .codes(&[reborn(), A]),
        );
    }
}

/// EIP-6780: only what was created in the same transaction is destroyed.
#[test]
fn from_cancun_on_an_older_contract_is_not_destroyed() {
    for fork in [Fork::Cancun, Fork::Prague, Fork::Osaka] {
        destroy_and_create(fork).transaction(Tx::call(reborn())).expect(
            Rows::accounts(&[SENDER, reborn(), C, A])
                .slots(&[(reborn(), 2, 7)])
                .codes(&[reborn(), A]),
        );
    }
    // The contract is still there, so the creation collided. Its slots can still be read.
    Scene::new(Fork::Cancun)
        .contract(A, &call("CALL", 99_999, B, 0))
        .account(B, Account::contract(&format!("CALLVALUE SLOAD {C} SELFDESTRUCT")))
        .transaction(Tx::call(A))
        .transaction(Tx::call(B).value(1))
        .expect(Rows::accounts(&[SENDER, A, B]).slots(&[(B, 0, 0), (B, 1, 0)]).codes(&[A, B]));
}

#[test]
fn until_the_transaction_ends_a_destroyed_contract_lives_on() {
    // The slot that it reads is the value that it is called with.
    let source = format!("CALLVALUE SLOAD {C} SELFDESTRUCT");
    Scene::new(Fork::Shanghai)
        .contract(A, &format!("{} {}", call("CALL", 99_999, B, 1), call("CALL", 99_999, B, 2)))
        .account(B, Account::contract(&source).slot(2, 7))
        .transaction(Tx::call(A).value(3))
        .transaction(Tx::call(B).value(4))
        .expect(Rows::accounts(&[SENDER, A, B]).slots(&[(B, 1, 0), (B, 2, 7)]).codes(&[A, B]));
}

#[test]
fn a_contract_created_and_destroyed_in_one_transaction_is_destructed() {
    let init = format!("0x01 SLOAD {C} SELFDESTRUCT");
    let created = created2(A, &init);
    for fork in [Fork::Shanghai, Fork::Cancun, Fork::Prague] {
        Scene::new(fork)
            .contract(A, &create2(&init, 0))
            .account(C, Account::with_balance(1))
            .transaction(Tx::call(A))
            .transaction(Tx::call(A))
            .expect(Rows::accounts(&[SENDER, A, C]).slots(&[(created, 1, 0)]).codes(&[A]));
    }
}

#[test]
fn a_reverted_destruction_destroys_nothing() {
    Scene::new(Fork::Shanghai)
        .contract(A, &format!("{} 0x00 0x00 REVERT", call("CALL", 99_999, B, 0)))
        .account(B, Account::contract(&format!("CALLVALUE SLOAD {C} SELFDESTRUCT")).slot(1, 7))
        .transaction(Tx::call(A))
        .transaction(Tx::call(B).value(1))
        .expect(Rows::accounts(&[SENDER, A, B]).slots(&[(B, 0, 0), (B, 1, 7)]).codes(&[A, B]));
}

/// `A` destroys itself for the address that the next transaction creates a contract at.
fn destroy_for_created(fork: Fork, balance: u64) -> (Address, Scene) {
    let created = SENDER.create(1);
    let scene = Scene::new(fork)
        .account(A, Account::contract(&format!("{created} SELFDESTRUCT")).balance(balance))
        .transaction(Tx::call(A))
        .transaction(Tx::create(READS));
    (created, scene)
}

#[test]
fn a_missing_beneficiary_of_nothing_becomes_destructed() {
    for fork in [Fork::Shanghai, Fork::Cancun] {
        let (_, scene) = destroy_for_created(fork, 0);
        scene.expect(Rows::accounts(&[SENDER, A]).codes(&[A]));
    }
}

#[test]
fn a_missing_beneficiary_of_something_comes_into_being() {
    for fork in [Fork::Shanghai, Fork::Cancun] {
        let (created, scene) = destroy_for_created(fork, 1);
        scene.expect(Rows::accounts(&[SENDER, A]).slots(&[(created, 1, 0)]).codes(&[A]));
    }
}

#[test]
fn the_beneficiarys_code_is_not_read() {
    Scene::new(Fork::Cancun)
        .account(A, Account::contract(&format!("{B} SELFDESTRUCT")).balance(1))
        .contract(B, "STOP")
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A]));
}

/// What was destroyed is missing: it leaves no second row, whoever looks.
#[test]
fn a_destroyed_account_is_not_read_again() {
    let look = format!("{B} BALANCE {B} EXTCODESIZE 0x00 0x00 0x00 {B} EXTCODECOPY");
    let captured = Scene::new(Fork::Shanghai)
        .contract(A, &format!("{look} {}", call("CALL", 9999, B, 0)))
        .contract(B, &format!("{C} SELFDESTRUCT"))
        .transaction(Tx::call(B))
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, B, A]).codes(&[B, A]));
    assert_eq!(captured.reads.size_only_codes, []);
}

/// A destructed account that got ether is a new one, whose slots are not the old one's.
#[test]
fn a_destructed_address_stays_destructed_when_it_gets_ether() {
    Scene::new(Fork::Shanghai)
        .contract(A, &create2(READS, 0))
        .account(reborn(), Account::contract(&format!("{C} SELFDESTRUCT")))
        .transaction(Tx::call(reborn()))
        .transaction(Tx::call(reborn()).value(1))
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, reborn(), A]).codes(&[reborn(), A]));
}
