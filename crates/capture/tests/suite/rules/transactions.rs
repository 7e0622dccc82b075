//! Sender, recipient, fee recipient.

use crate::support::{
    scene::{A, B, C, Fork, MINER, Rows, SENDER, Scene, Tx, delegation, statuses},
    world::Account,
};

#[test]
fn sender_then_recipient_then_fee_recipient() {
    for fork in Fork::ALL {
        let scene = Scene::new(fork)
            .account(MINER, Account::with_balance(1))
            .contract(A, "0x01 SLOAD")
            .transaction(Tx::call(A));
        let rows = Rows::accounts(&[SENDER, A, MINER]).slots(&[(A, 1, 0)]).codes(&[A]);
        // Before the merge the fee recipient is also the miner who gets the reward: one row.
        scene.expect(rows);
    }
}

/// A fee recipient that no transaction read has its row after everything of the *first*
/// transaction.
#[test]
fn the_fee_recipient_comes_before_the_second_transaction() {
    Scene::new(Fork::Shanghai)
        .account(MINER, Account::with_balance(1))
        .account(A, Account::with_balance(1))
        .account(B, Account::with_balance(1))
        .transaction(Tx::call(A))
        .transaction(Tx::call(B))
        .expect(Rows::accounts(&[SENDER, A, MINER, B]));
}

#[test]
fn a_fee_of_zero_reads_the_fee_recipient_too() {
    Scene::new(Fork::Prague)
        .account(MINER, Account::with_balance(1))
        .transaction(Tx::call(A).tip(0))
        .expect(Rows::accounts(&[SENDER, MINER]));
}

#[test]
fn the_fee_recipients_code_is_not_read() {
    Scene::new(Fork::Prague)
        .contract(MINER, "STOP")
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, MINER]));
}

/// A blank object that nobody fills joins the destructed: a contract created there gives no slot
/// rows.
#[test]
fn a_missing_fee_recipient_with_a_fee_of_zero_becomes_destructed() {
    let created = SENDER.create(1);
    let mut scene = Scene::new(Fork::Cancun)
        .transaction(Tx::call(A).tip(0))
        .transaction(Tx::create("0x01 SLOAD"));
    scene.header.beneficiary = created;
    scene.expect(Rows::accounts(&[SENDER]));
}

#[test]
fn a_missing_fee_recipient_with_a_fee_comes_into_being() {
    let created = SENDER.create(1);
    let mut scene = Scene::new(Fork::Cancun)
        .transaction(Tx::call(A).tip(1))
        .transaction(Tx::create("0x01 SLOAD"));
    scene.header.beneficiary = created;
    scene.expect(Rows::accounts(&[SENDER]).slots(&[(created, 1, 0)]));
}

#[test]
fn a_missing_account_leaves_no_row() {
    let scene = Scene::new(Fork::Prague)
        .transaction(Tx::call(A))
        .transaction(Tx::call(B).value(1))
        .transaction(Tx::call(B));
    let captured = scene.expect(Rows::accounts(&[SENDER]));
    assert_eq!(statuses(&captured), [true, true, true]);
}

#[test]
fn a_delegated_senders_code_is_read_first() {
    let captured = Scene::new(Fork::Prague)
        .account(SENDER, delegation(C).balance(1 << 62))
        .contract(A, "STOP")
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A]).codes(&[SENDER, A]));
    assert_eq!(statuses(&captured), [true]);
}

#[test]
fn an_access_list_reads_nothing() {
    Scene::new(Fork::Cancun)
        .contract(B, "STOP")
        .transaction(Tx::call(A).warm(B))
        .expect(Rows::accounts(&[SENDER]));
}

/// Rows are never removed.
#[test]
fn a_failed_transaction_keeps_its_rows() {
    for failure in ["0x00 0x00 REVERT", "INVALID", "JUMP"] {
        let captured = Scene::new(Fork::Cancun)
            .contract(A, &format!("0x01 SLOAD {B} BALANCE 5 BLOCKHASH {failure}"))
            .account(B, Account::with_balance(1))
            .transaction(Tx::call(A))
            .expect(
                Rows::accounts(&[SENDER, A, B])
                    .slots(&[(A, 1, 0)])
                    .codes(&[A])
                    .block_hashes(&[(5, 0)]),
            );
        assert_eq!(statuses(&captured), [false]);
    }
}

/// Each account that loads code has a row, whatever the code.
#[test]
fn equal_codes_of_two_accounts_have_two_rows() {
    Scene::new(Fork::Cancun)
        .contract(A, "0x01 SLOAD")
        .contract(B, "0x01 SLOAD")
        .transaction(Tx::call(A))
        .transaction(Tx::call(B))
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A, B]).slots(&[(A, 1, 0), (B, 1, 0)]).codes(&[A, B]));
}
