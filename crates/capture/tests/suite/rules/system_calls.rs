//! What happens before the first transaction and after the last one.

use crate::support::{
    scene::{A, Fork, Rows, SENDER, Scene, Tx},
    world::Account,
};
use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS as HISTORY, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS as BEACON_ROOTS, BEACON_ROOTS_CODE},
    eip7002::{
        WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS as WITHDRAWAL_REQUESTS,
        WITHDRAWAL_REQUEST_PREDEPLOY_CODE,
    },
    eip7251::{
        CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS as CONSOLIDATION_REQUESTS,
        CONSOLIDATION_REQUEST_PREDEPLOY_CODE,
    },
};
use alloy_primitives::{Address, address};

const SYSTEM_CALLER: Address = address!("0xfffffffffffffffffffffffffffffffffffffffe");

/// The contracts of the two calls before the first transaction.
fn with_block_start(scene: Scene) -> Scene {
    scene
        .account(BEACON_ROOTS, Account::coded(BEACON_ROOTS_CODE.clone()))
        .account(HISTORY, Account::coded(HISTORY_STORAGE_CODE.clone()))
}

/// The contracts of the two calls after the last transaction.
fn with_block_end(scene: Scene) -> Scene {
    scene
        .account(WITHDRAWAL_REQUESTS, Account::coded(WITHDRAWAL_REQUEST_PREDEPLOY_CODE.clone()))
        .account(
            CONSOLIDATION_REQUESTS,
            Account::coded(CONSOLIDATION_REQUEST_PREDEPLOY_CODE.clone()),
        )
}

/// The two slots that EIP-4788's contract writes, in program order.
fn beacon_slots(scene: &Scene) -> [(Address, u64, u64); 2] {
    let index = scene.header.timestamp % 8191;
    [(BEACON_ROOTS, index, 0), (BEACON_ROOTS, index + 8191, 0)]
}

/// The slot that EIP-2935's contract writes.
fn history_slot(scene: &Scene) -> (Address, u64, u64) {
    (HISTORY, (scene.header.number - 1) % 8191, 0)
}

/// The slots of a request contract (EIP-7002, EIP-7251) without requests: tail and head of the
/// queue, then excess and count.
const fn request_slots(contract: Address) -> [(Address, u64, u64); 4] {
    [(contract, 3, 0), (contract, 2, 0), (contract, 0, 0), (contract, 1, 0)]
}

#[test]
fn the_beacon_root_is_stored_before_the_parent_hash() {
    for fork in [Fork::Prague, Fork::Osaka] {
        let scene = with_block_start(Scene::new(fork));
        let [time, root] = beacon_slots(&scene);
        scene.expect(
            Rows::accounts(&[BEACON_ROOTS, HISTORY])
                .slots(&[time, root, history_slot(&scene)])
                .codes(&[BEACON_ROOTS, HISTORY]),
        );
    }
}

#[test]
fn the_parent_hash_is_stored_from_prague_on() {
    let scene = with_block_end(with_block_start(Scene::new(Fork::Cancun)));
    let slots = beacon_slots(&scene);
    scene.expect(Rows::accounts(&[BEACON_ROOTS]).slots(&slots).codes(&[BEACON_ROOTS]));
}

#[test]
fn there_are_no_system_calls_before_cancun() {
    for fork in [Fork::London, Fork::Paris, Fork::Shanghai] {
        let scene = with_block_end(with_block_start(Scene::new(fork)));
        scene.expect(Rows::default());
    }
}

#[test]
fn requests_are_collected_at_the_end_withdrawals_first() {
    let scene = with_block_end(Scene::new(Fork::Prague))
        .account(A, Account::with_balance(1))
        .transaction(Tx::call(A));
    let [withdrawals, consolidations] =
        [WITHDRAWAL_REQUESTS, CONSOLIDATION_REQUESTS].map(request_slots);
    let slots = [withdrawals, consolidations].concat();
    scene.expect(
        Rows::accounts(&[SENDER, A, WITHDRAWAL_REQUESTS, CONSOLIDATION_REQUESTS])
            .slots(&slots)
            .codes(&[WITHDRAWAL_REQUESTS, CONSOLIDATION_REQUESTS]),
    );
}

#[test]
fn a_missing_system_contract_leaves_no_row() {
    for fork in Fork::ALL {
        Scene::new(fork).expect(Rows::default());
    }
}

#[test]
fn the_system_callers_row_follows_the_first_system_contracts() {
    let scene =
        with_block_start(Scene::new(Fork::Prague)).account(SYSTEM_CALLER, Account::with_balance(5));
    let [time, root] = beacon_slots(&scene);
    scene.expect(
        Rows::accounts(&[BEACON_ROOTS, SYSTEM_CALLER, HISTORY])
            .slots(&[time, root, history_slot(&scene)])
            .codes(&[BEACON_ROOTS, HISTORY]),
    );
}

/// A call of a missing contract with no value does not come as far as its payer.
#[test]
fn the_system_caller_is_not_read_for_a_missing_contract() {
    let scene = Scene::new(Fork::Prague)
        .account(HISTORY, Account::coded(HISTORY_STORAGE_CODE.clone()))
        .account(SYSTEM_CALLER, Account::with_balance(5));
    let slots = [history_slot(&scene)];
    scene.expect(Rows::accounts(&[HISTORY, SYSTEM_CALLER]).slots(&slots).codes(&[HISTORY]));
    Scene::new(Fork::Prague)
        .account(SYSTEM_CALLER, Account::with_balance(5))
        .expect(Rows::default());
}

/// A system call pays no fee.
#[test]
fn system_calls_do_not_read_the_fee_recipient() {
    let mut scene = with_block_start(Scene::new(Fork::Prague));
    scene = scene.account(A, Account::with_balance(1));
    scene.header.beneficiary = A;
    let [time, root] = beacon_slots(&scene);
    scene.expect(
        Rows::accounts(&[BEACON_ROOTS, HISTORY])
            .slots(&[time, root, history_slot(&scene)])
            .codes(&[BEACON_ROOTS, HISTORY]),
    );
}

/// One state database serves the whole block.
#[test]
fn what_a_system_call_has_read_has_no_second_row() {
    let scene = with_block_start(Scene::new(Fork::Prague)).transaction(Tx::call(BEACON_ROOTS));
    let [time, root] = beacon_slots(&scene);
    scene.expect(
        Rows::accounts(&[BEACON_ROOTS, HISTORY, SENDER])
            .slots(&[time, root, history_slot(&scene)])
            .codes(&[BEACON_ROOTS, HISTORY]),
    );
}
