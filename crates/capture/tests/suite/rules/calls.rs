//! What a call reads when its frame is entered.

use crate::support::{
    scene::{A, B, C, D, Fork, Rows, SENDER, Scene, Tx, call, statuses},
    world::Account,
};
use alloy_primitives::{Address, U256, address};

const SHA256: Address = address!("0x0000000000000000000000000000000000000002");

#[test]
fn a_call_reads_account_and_code_of_its_target() {
    for fork in Fork::ALL {
        for opcode in ["CALL", "CALLCODE", "DELEGATECALL", "STATICCALL"] {
            Scene::new(fork)
                .contract(A, &call(opcode, 9999, B, 0))
                .contract(B, "STOP")
                .transaction(Tx::call(A))
                .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
        }
    }
}

/// The price of a transfer before Prague asks whether the target exists; the entry, which would
/// load its code, is not reached.
#[test]
fn a_transfer_that_the_caller_cannot_afford_reads_no_code() {
    Scene::new(Fork::Cancun)
        .contract(A, &call("CALL", 0, B, 1))
        .contract(B, "STOP")
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A]));
    Scene::new(Fork::Cancun)
        .contract(A, &call("CALLCODE", 0, B, 1))
        .contract(B, "STOP")
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A]).codes(&[A]));
    // One wei is enough.
    Scene::new(Fork::Cancun)
        .contract(A, &call("CALLCODE", 0, B, 1))
        .contract(B, "STOP")
        .transaction(Tx::call(A).value(1))
        .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
}

/// Its value is that of the frame around it, whose caller has paid it already and need not have it
/// twice.
#[test]
fn a_delegate_call_moves_no_value() {
    Scene::new(Fork::Cancun)
        .contract(A, &call("CALL", 99_999, B, 1))
        .contract(B, &call("DELEGATECALL", 9999, C, 0))
        .contract(C, "0x01 SLOAD")
        .transaction(Tx::call(A).value(1))
        .expect(Rows::accounts(&[SENDER, A, B, C]).slots(&[(B, 1, 0)]).codes(&[A, B, C]));
}

#[test]
fn a_precompile_is_an_account_like_any_other_to_a_transfer() {
    Scene::new(Fork::Cancun)
        .account(SHA256, Account::with_balance(1))
        .transaction(Tx::call(SHA256))
        .expect(Rows::accounts(&[SENDER, SHA256]));
}

#[test]
fn code_of_a_precompile_is_read_for_the_price_alone() {
    for opcode in ["DELEGATECALL", "CALLCODE"] {
        let scene = |fork| {
            Scene::new(fork)
                .contract(A, &call(opcode, 9999, SHA256, 0))
                .account(SHA256, Account::with_balance(1))
                .transaction(Tx::call(A))
        };
        scene(Fork::Cancun).expect(Rows::accounts(&[SENDER, A]).codes(&[A]));
        scene(Fork::Prague).expect(Rows::accounts(&[SENDER, A, SHA256]).codes(&[A]));
    }
}

/// A later fork's precompile is an ordinary account before.
#[test]
fn the_set_of_precompiles_is_the_forks() {
    // EIP-2537's first, a precompile from Prague on.
    let bls_add = address!("0x000000000000000000000000000000000000000b");
    let scene = |fork| {
        Scene::new(fork)
            .contract(A, &call("DELEGATECALL", 9999, bls_add, 0))
            .contract(bls_add, "0x01 SLOAD")
            .transaction(Tx::call(A))
    };
    scene(Fork::Cancun)
        .expect(Rows::accounts(&[SENDER, A, bls_add]).slots(&[(A, 1, 0)]).codes(&[A, bls_add]));
    // The price reads its code all the same; it is just not run.
    scene(Fork::Prague).expect(Rows::accounts(&[SENDER, A, bls_add]).codes(&[A, bls_add]));
}

/// EIP-7951's precompile, the only rule of Osaka that shows in the lists.
#[test]
fn p256_verification_is_a_precompile_from_osaka_on() {
    let p256 = address!("0x0000000000000000000000000000000000000100");
    let scene = |fork| {
        Scene::new(fork).contract(p256, "0x01 SLOAD").transaction(Tx::call(p256).gas(100_000))
    };
    scene(Fork::Prague)
        .expect(Rows::accounts(&[SENDER, p256]).slots(&[(p256, 1, 0)]).codes(&[p256]));
    // The code of a transaction's recipient is read whether or not it is run.
    scene(Fork::Osaka).expect(Rows::accounts(&[SENDER, p256]).codes(&[p256]));
}

/// A genesis can give a precompile code. A call from a contract reads it only for its price, from
/// Prague on.
#[test]
fn code_of_a_precompile_is_read_where_it_is_the_recipient() {
    for fork in Fork::ALL {
        Scene::new(fork)
            .contract(SHA256, "0x01 SLOAD")
            .transaction(Tx::call(SHA256))
            .transaction(Tx::call(SHA256))
            .expect(Rows::accounts(&[SENDER, SHA256]).codes(&[SHA256]));
        let reads = Rows::accounts(&[SENDER, A, SHA256]);
        Scene::new(fork)
            .contract(SHA256, "0x01 SLOAD")
            .contract(A, &call("CALL", 9999, SHA256, 0))
            .transaction(Tx::call(A))
            .expect(reads.codes(if fork >= Fork::Prague { &[A, SHA256] } else { &[A] }));
    }
}

/// A missing target is left alone by CALL, but created by STATICCALL; a contract that is created
/// there later tells the two apart.
#[test]
fn staticcall_to_a_missing_account_creates_it_and_it_becomes_destructed() {
    let created = SENDER.create(1);
    let scene = |opcode| {
        Scene::new(Fork::Cancun)
            .contract(A, &call(opcode, 9999, created, 0))
            .transaction(Tx::call(A))
            .transaction(Tx::create("0x01 SLOAD"))
    };
    let rows = Rows::accounts(&[SENDER, A]).codes(&[A]);
    scene("STATICCALL").expect(rows);
    scene("CALL").expect(rows.slots(&[(created, 1, 0)]));
    scene("DELEGATECALL").expect(rows.slots(&[(created, 1, 0)]));
}

#[test]
fn a_revert_takes_a_created_account_back() {
    let created = SENDER.create(1);
    Scene::new(Fork::Cancun)
        .contract(A, &format!("{} 0x00 0x00 REVERT", call("STATICCALL", 9999, created, 0)))
        .transaction(Tx::call(A))
        .transaction(Tx::create("0x01 SLOAD"))
        .expect(Rows::accounts(&[SENDER, A]).slots(&[(created, 1, 0)]).codes(&[A]));
}

/// Only what came into being after a frame's begin goes with it.
#[test]
fn a_revert_leaves_what_an_outer_frame_created() {
    let created = SENDER.create(1);
    Scene::new(Fork::Cancun)
        .contract(
            A,
            &format!("{} {}", call("STATICCALL", 9999, created, 0), call("CALL", 9999, B, 0)),
        )
        .contract(B, "0x00 0x00 REVERT")
        .transaction(Tx::call(A))
        .transaction(Tx::create("0x01 SLOAD"))
        .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
}

#[test]
fn a_transfer_creates_a_missing_account_for_good() {
    let created = SENDER.create(1);
    Scene::new(Fork::Cancun)
        .contract(A, &call("CALL", 9999, created, 1))
        .transaction(Tx::call(A).value(1))
        .transaction(Tx::create("0x01 SLOAD"))
        .expect(Rows::accounts(&[SENDER, A]).slots(&[(created, 1, 0)]).codes(&[A]));
}

/// An account that exists with no nonce, balance and code, as old chains have them, vanishes when
/// it is touched (EIP-161).
#[test]
fn a_blank_account_of_the_parent_state_becomes_destructed() {
    let created = SENDER.create(1);
    let scene = |touch: &str, end: &str| {
        Scene::new(Fork::Cancun)
            .account(created, Account::default())
            .contract(A, &format!("{touch} {end}"))
            .transaction(Tx::call(A))
            .transaction(Tx::create("0x01 SLOAD"))
    };
    let accounts = [SENDER, A, created];
    let rows = Rows::accounts(&accounts).codes(&[A]);
    for opcode in ["CALL", "STATICCALL"] {
        let touch = call(opcode, 9999, created, 0);
        scene(&touch, "STOP").expect(rows);
        scene(&touch, "0x00 0x00 REVERT").expect(rows.slots(&[(created, 1, 0)]));
    }
    // Looking changes nothing.
    scene(&format!("{created} BALANCE"), "STOP").expect(rows.slots(&[(created, 1, 0)]));
}

/// A program that calls itself until it is refused, and reads the slot of its depth each time. The
/// call data is the depth. Where the call is refused, it continues with `at_the_end`.
fn recursion(at_the_end: &str) -> String {
    format!(
        "0x00 CALLDATALOAD SLOAD POP
         0x01 0x00 CALLDATALOAD ADD 0x00 MSTORE
         0x00 0x00 0x20 0x00 0x00 ADDRESS GAS CALL
         @done JUMPI
         {at_the_end}
         done: STOP"
    )
}

/// The deepest frame's depth: 1024 calls below the transaction's own.
const DEEPEST: u64 = 1024;

/// Each frame can pass on 63 of 64 parts of its gas, so this needs far more of it than any chain's
/// blocks have.
fn deep(scene: Scene) -> Scene {
    let mut scene = scene.transaction(Tx::call(A).gas(1 << 45));
    scene.header.gas_limit = 1 << 46;
    scene
}

#[test]
fn a_frame_at_depth_1024_reads_and_one_below_is_refused() {
    let slots: Vec<_> = (0..=DEEPEST).map(|depth| (A, depth, 0)).collect();
    for opcode in ["CALLCODE", "DELEGATECALL", "STATICCALL", "CALL"] {
        let scene = Scene::new(Fork::Cancun)
            .account(SENDER, Account::with_balance(u64::MAX))
            .contract(A, &recursion(&call(opcode, 9999, B, 0)))
            .contract(B, "STOP");
        let captured = deep(scene).expect(Rows::accounts(&[SENDER, A]).slots(&slots).codes(&[A]));
        assert_eq!(statuses(&captured), [true]);
    }
}

#[test]
fn a_creation_below_depth_1024_is_refused_before_it_reads() {
    let slots: Vec<_> = (0..=DEEPEST).map(|depth| (A, depth, 0)).collect();
    // The refused creation does not count, so its nonce is the first one's.
    let refused = A.create(1);
    let scene = Scene::new(Fork::Cancun)
        .account(SENDER, Account::with_balance(u64::MAX))
        .contract(A, &recursion("0x00 0x00 0x00 CREATE"))
        .account(refused, Account::with_balance(1));
    deep(scene).expect(Rows::accounts(&[SENDER, A]).slots(&slots).codes(&[A]));
}

/// Only the low 20 bytes of a stack word are an address.
#[test]
fn the_high_bytes_of_an_address_word_do_not_count() {
    let dirty = U256::from_be_slice(B.as_slice()) | (U256::MAX << 160);
    Scene::new(Fork::Prague)
        .contract(A, &format!("{dirty} BALANCE 0x00 0x00 0x00 0x00 0x00 {dirty} GAS CALL"))
        .contract(B, "STOP")
        .contract(D, "STOP")
        .account(C, Account::with_balance(1))
        .transaction(Tx::call(A))
        .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
}
