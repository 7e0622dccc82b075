//! Opcodes that read state while they are executed.

use crate::support::{
    scene::{A, B, C, D, Fork, Rows, SENDER, Scene, Tx, call, delegation, statuses},
    world::Account,
};
use alloy_primitives::U256;
use bsp_capture::SizeOnlyCode;

#[test]
fn looking_at_an_account_reads_no_code() {
    for opcode in ["BALANCE", "EXTCODESIZE", "EXTCODEHASH"] {
        Scene::new(Fork::Prague)
            .contract(A, &format!("{B} {opcode} {C} {opcode} {B} {opcode}"))
            .contract(B, "STOP")
            .transaction(Tx::call(A))
            .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A]));
    }
}

#[test]
fn copying_code_reads_it() {
    Scene::new(Fork::Cancun)
        .contract(A, &format!("0x00 0x00 0x00 {B} EXTCODECOPY 0x00 0x00 0x00 {C} EXTCODECOPY"))
        .contract(B, "STOP")
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
}

#[test]
fn copying_a_delegated_accounts_code_reads_the_designator_alone() {
    Scene::new(Fork::Prague)
        .contract(A, &format!("0x00 0x00 0x00 {B} EXTCODECOPY"))
        .account(B, delegation(C))
        .contract(C, "STOP")
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
}

#[test]
fn own_balance_reads_nothing_new() {
    Scene::new(Fork::Cancun)
        .contract(A, "SELFBALANCE ADDRESS BALANCE CALLER BALANCE ORIGIN BALANCE")
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A]).codes(&[A]));
}

#[test]
fn a_code_whose_size_alone_is_asked_for_has_no_row_and_is_named() {
    let scene = Scene::new(Fork::Cancun)
        .contract(A, &format!("{B} EXTCODESIZE {C} EXTCODESIZE {D} EXTCODESIZE {B} EXTCODESIZE"))
        .contract(B, "STOP STOP STOP")
        .account(C, Account::with_balance(1))
        .transaction(Tx::call(A));
    let captured = scene.expect(Rows::accounts(&[SENDER, A, B, C]).codes(&[A]));
    let hash = captured.reads.lists.account_read[2].code_hash;
    let named = SizeOnlyCode { account: B, hash, size: 3 };
    assert_eq!(captured.reads.size_only_codes, [named]);
    assert_eq!(captured.reads.code_sizes().collect::<Vec<_>>(), [(hash, 3)]);
}

#[test]
fn a_code_that_is_also_loaded_is_not_named() {
    let scene = Scene::new(Fork::Cancun)
        .contract(A, &format!("{B} EXTCODESIZE {C} EXTCODESIZE {}", call("CALL", 9999, B, 0)))
        // Equal to that of `B`, which is enough to execute on.
        .contract(B, "STOP STOP")
        .contract(C, "STOP STOP")
        .transaction(Tx::call(A));
    let captured = scene.expect(Rows::accounts(&[SENDER, A, B, C]).codes(&[A, B]));
    assert_eq!(captured.reads.size_only_codes, []);
}

#[test]
fn a_slot_has_one_row_however_often_it_is_read_and_written() {
    Scene::new(Fork::Cancun)
        .account(
            A,
            Account::contract("0x01 SLOAD 0x09 0x01 SSTORE 0x01 SLOAD 0x08 0x02 SSTORE 0x02 SLOAD")
                .slot(1, 7),
        )
        .transaction(Tx::call(A))
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A]).slots(&[(A, 1, 7), (A, 2, 0)]).codes(&[A]));
}

/// The row holds the parent block's value, also if the slot's first read comes with a write.
#[test]
fn a_written_slots_row_holds_the_parents_value() {
    Scene::new(Fork::Cancun)
        .account(A, Account::contract("0x09 0x01 SSTORE").slot(1, 7))
        .contract(B, &call("DELEGATECALL", 99_999, A, 0))
        .transaction(Tx::call(A))
        .transaction(Tx::call(B))
        .expect(Rows::accounts(&[SENDER, A, B]).slots(&[(A, 1, 7), (B, 1, 0)]).codes(&[A, B]));
}

#[test]
fn delegated_code_reads_the_callers_slots() {
    for opcode in ["DELEGATECALL", "CALLCODE"] {
        Scene::new(Fork::Cancun)
            .account(A, Account::contract(&call(opcode, 99_999, B, 0)).slot(1, 7))
            .account(B, Account::contract("0x01 SLOAD").slot(1, 8))
            .transaction(Tx::call(A))
            .expect(Rows::accounts(&[SENDER, A, B]).slots(&[(A, 1, 7)]).codes(&[A, B]));
    }
}

#[test]
fn called_code_reads_its_own_slots_and_the_caller_its_own_again() {
    for opcode in ["CALL", "STATICCALL"] {
        Scene::new(Fork::Cancun)
            .contract(A, &format!("{} 0x01 SLOAD", call(opcode, 99_999, B, 0)))
            .contract(B, "0x01 SLOAD")
            .transaction(Tx::call(A))
            .expect(Rows::accounts(&[SENDER, A, B]).slots(&[(B, 1, 0), (A, 1, 0)]).codes(&[A, B]));
    }
}

#[test]
fn transient_storage_and_logs_read_nothing() {
    Scene::new(Fork::Cancun)
        .contract(A, "0x01 TLOAD 0x01 0x02 TSTORE 0x00 0x00 LOG0 0x00 0x00 KECCAK256")
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A]).codes(&[A]));
}

#[test]
fn block_hashes_have_one_row_a_number() {
    let scene = Scene::new(Fork::Cancun);
    let own = scene.header.number;
    let (parent, oldest) = (own - 1, own - 256);
    let numbers = [oldest, parent, oldest, parent];
    let source = numbers.map(|number| format!("{number} BLOCKHASH ")).concat();
    scene.contract(A, &source).transaction(Tx::call(A)).transaction(Tx::call(A)).expect(
        Rows::accounts(&[SENDER, A])
            .codes(&[A])
            .block_hashes(&[(oldest, oldest), (parent, parent)]),
    );
}

#[test]
fn block_hashes_out_of_the_window_have_rows_with_zero() {
    let scene = Scene::new(Fork::Cancun);
    let own = scene.header.number;
    let numbers = [own, own + 1, own - 257, 0, u64::MAX];
    let source = numbers.map(|number| format!("{number} BLOCKHASH ")).concat();
    let rows = numbers.map(|number| (number, 0));
    scene
        .contract(A, &source)
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A]).codes(&[A]).block_hashes(&rows));
}

#[test]
fn block_hashes_of_numbers_over_64_bits_have_no_rows() {
    let source = format!("{} BLOCKHASH {} BLOCKHASH", U256::from(1) << 64, U256::MAX);
    let captured = Scene::new(Fork::Cancun)
        .contract(A, &source)
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A]).codes(&[A]));
    assert_eq!(statuses(&captured), [true]);
}
