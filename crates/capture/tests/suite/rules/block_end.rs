//! Rewards and withdrawals.

use crate::support::{
    scene::{A, B, C, D, Fork, MINER, Rows, SENDER, Scene, Tx},
    world::Account,
};
use alloy_eips::eip7002::{
    WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS as REQUESTS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE,
};

#[test]
fn withdrawals_read_their_accounts_in_list_order() {
    Scene::new(Fork::Shanghai)
        .account(A, Account::with_balance(1))
        .contract(B, "STOP")
        .account(C, Account::with_balance(1))
        .withdrawal(C, 5)
        .withdrawal(A, 5)
        .withdrawal(D, 5)
        .withdrawal(C, 5)
        .withdrawal(B, 5)
        .expect(Rows::accounts(&[C, A, B]));
}

#[test]
fn a_withdrawal_of_zero_reads_its_account() {
    Scene::new(Fork::Prague)
        .account(A, Account::with_balance(1))
        .withdrawal(D, 0)
        .withdrawal(A, 0)
        .expect(Rows::accounts(&[A]));
}

#[test]
fn withdrawals_come_after_transactions_and_requests() {
    Scene::new(Fork::Prague)
        .account(REQUESTS, Account::coded(WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone()))
        .account(A, Account::with_balance(1))
        .account(B, Account::with_balance(1))
        .account(MINER, Account::with_balance(1))
        .transaction(Tx::call(B))
        .withdrawal(A, 5)
        .expect(
            Rows::accounts(&[SENDER, B, MINER, REQUESTS, A])
                .slots(&[(REQUESTS, 3, 0), (REQUESTS, 2, 0), (REQUESTS, 0, 0), (REQUESTS, 1, 0)])
                .codes(&[REQUESTS]),
        );
}

#[test]
fn there_are_no_withdrawals_before_shanghai() {
    for fork in [Fork::London, Fork::Paris] {
        Scene::new(fork)
            .account(A, Account::with_balance(1))
            .withdrawal(A, 5)
            .expect(Rows::default());
    }
}

#[test]
fn before_the_merge_uncles_are_rewarded_before_the_miner() {
    let scene = |fork| {
        Scene::new(fork)
            .account(MINER, Account::with_balance(1))
            .account(A, Account::with_balance(1))
            .account(B, Account::with_balance(1))
    };
    scene(Fork::London).ommer(B).ommer(A).expect(Rows::accounts(&[B, A, MINER]));
    scene(Fork::London).expect(Rows::accounts(&[MINER]));
    scene(Fork::Paris).expect(Rows::default());
}

/// The miner has a fee before the uncles have their reward.
#[test]
fn before_the_merge_a_fee_reads_the_miner_first() {
    Scene::new(Fork::London)
        .account(MINER, Account::with_balance(1))
        .account(A, Account::with_balance(1))
        .ommer(A)
        .transaction(Tx::call(D))
        .expect(Rows::accounts(&[SENDER, MINER, A]));
}
