//! Opcodes that fail: what they read before depends on the stage at which they do.
//!
//! Each program here is called with just enough gas to pass a stage, and with one less. Pushes cost
//! three gas.

use crate::support::{
    scene::{A, B, C, D, Fork, Rows, SENDER, Scene, Tx, call, call_pushes, call_with_output},
    world::Account,
};
use alloy_primitives::Address;

/// A block in which `A` calls `B`, whose code is `source`, with this much gas.
fn limited(fork: Fork, source: &str, gas: u64) -> Scene {
    calling("CALL", fork, source, gas)
}

fn calling(opcode: &str, fork: Fork, source: &str, gas: u64) -> Scene {
    Scene::new(fork)
        .contract(A, &call(opcode, gas, B, 0))
        .account(B, Account::contract(source).slot(1, 7))
        .transaction(Tx::call(A))
}

#[test]
fn sload_reads_when_it_succeeds() {
    let rows = Rows::accounts(&[SENDER, A, B]).codes(&[A, B]);
    limited(Fork::Cancun, "0x01 SLOAD", 3 + 2099).expect(rows);
    limited(Fork::Cancun, "0x01 SLOAD", 3 + 2100).expect(rows.slots(&[(B, 1, 7)]));
}

#[test]
fn opcodes_that_look_at_accounts_read_when_they_succeed() {
    let programs = [
        (format!("{C} BALANCE"), 3, false),
        (format!("{C} EXTCODESIZE"), 3, false),
        (format!("{C} EXTCODEHASH"), 3, false),
        (format!("0x00 0x00 0x00 {C} EXTCODECOPY"), 12, true),
    ];
    for (source, pushes, loads_code) in programs {
        let scene = |gas: u64| limited(Fork::Cancun, &source, pushes + gas).contract(C, "STOP");
        scene(2599).expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
        let codes: &[Address] = if loads_code { &[A, B, C] } else { &[A, B] };
        scene(2600).expect(Rows::accounts(&[SENDER, A, B, C]).codes(codes));
    }
}

#[test]
fn blockhash_reads_when_it_succeeds() {
    let rows = Rows::accounts(&[SENDER, A, B]).codes(&[A, B]);
    limited(Fork::Cancun, "0x05 BLOCKHASH", 3 + 19).expect(rows);
    limited(Fork::Cancun, "0x05 BLOCKHASH", 3 + 20).expect(rows.block_hashes(&[(5, 0)]));
}

#[test]
fn opcodes_without_operands_read_nothing() {
    let opcodes = ["SLOAD", "BALANCE", "EXTCODEHASH", "EXTCODECOPY", "BLOCKHASH", "SELFDESTRUCT"];
    for opcode in opcodes {
        limited(Fork::Cancun, opcode, 99_999)
            .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
    }
    for source in ["0x01 SSTORE", "0x01 0x01 CALL", "0x01 0x01 0x01 0x01 0x01 STATICCALL"] {
        limited(Fork::Prague, source, 99_999)
            .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
    }
}

#[test]
fn sstore_reads_above_the_sentry_gas_though_it_cannot_pay() {
    let rows = Rows::accounts(&[SENDER, A, B]).codes(&[A, B]);
    limited(Fork::Cancun, "0x09 0x01 SSTORE", 6 + 2300).expect(rows);
    limited(Fork::Cancun, "0x09 0x01 SSTORE", 6 + 2301).expect(rows.slots(&[(B, 1, 7)]));
}

#[test]
fn sstore_reads_before_a_static_call_forbids_it() {
    calling("STATICCALL", Fork::Cancun, "0x09 0x01 SSTORE", 99_999)
        .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]).slots(&[(B, 1, 7)]));
}

#[test]
fn selfdestruct_reads_its_beneficiary_before_it_pays_for_it() {
    let source = format!("{C} SELFDESTRUCT");
    let scene = |gas: u64| limited(Fork::Shanghai, &source, 3 + gas).contract(C, "STOP");
    scene(4999).expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
    scene(5000).expect(Rows::accounts(&[SENDER, A, B, C]).codes(&[A, B]));
}

#[test]
fn selfdestruct_reads_its_beneficiary_before_a_static_call_forbids_it() {
    calling("STATICCALL", Fork::Shanghai, &format!("{C} SELFDESTRUCT"), 99_999)
        .account(C, Account::with_balance(1))
        .expect(Rows::accounts(&[SENDER, A, B, C]).codes(&[A, B]));
}

/// Reading at the gas stage creates nothing: what is created there later is no reborn account.
#[test]
fn a_forbidden_selfdestruct_does_not_create_its_beneficiary() {
    let created = SENDER.create(1);
    calling("STATICCALL", Fork::Shanghai, &format!("{created} SELFDESTRUCT"), 99_999)
        .transaction(Tx::create("0x01 SLOAD"))
        .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]).slots(&[(created, 1, 0)]));
}

const CALLS: [&str; 4] = ["CALL", "CALLCODE", "DELEGATECALL", "STATICCALL"];

/// More memory than any block pays for, but not more than the gas function can count.
const DEAR: (&str, &str) = ("0x00", "0xffffffff");

/// A program that calls `C` with an output range that cannot be paid, so that the call stops at its
/// gas stage.
fn dear_call(opcode: &str, value: u8) -> String {
    call_with_output(opcode, 0, C, value, DEAR.0, DEAR.1)
}

#[test]
fn before_prague_only_a_transfer_reads_its_target_for_the_price() {
    for fork in [Fork::London, Fork::Shanghai, Fork::Cancun] {
        for opcode in CALLS {
            for value in [0, 1] {
                let reads = opcode == "CALL" && value == 1;
                let accounts: &[Address] = if reads { &[SENDER, A, B, C] } else { &[SENDER, A, B] };
                limited(fork, &dear_call(opcode, value), 99_999)
                    .contract(C, "STOP")
                    .expect(Rows::accounts(accounts).codes(&[A, B]));
            }
        }
    }
}

#[test]
fn from_prague_on_every_call_reads_its_targets_code_for_the_price() {
    for fork in [Fork::Prague, Fork::Osaka] {
        for opcode in CALLS {
            limited(fork, &dear_call(opcode, 0), 99_999)
                .contract(C, "STOP")
                .expect(Rows::accounts(&[SENDER, A, B, C]).codes(&[A, B, C]));
        }
    }
}

#[test]
fn a_cold_target_is_read_only_if_the_cold_access_can_be_paid() {
    for opcode in CALLS {
        let source = dear_call(opcode, 0);
        let scene =
            |gas| limited(Fork::Prague, &source, call_pushes(opcode) + gas).contract(C, "STOP");
        scene(2599).expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
        scene(2600).expect(Rows::accounts(&[SENDER, A, B, C]).codes(&[A, B, C]));
    }
    let source = dear_call("CALL", 1);
    let scene = |gas: u64| limited(Fork::Shanghai, &source, 21 + gas).contract(C, "STOP");
    scene(2599).expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
    scene(2600).expect(Rows::accounts(&[SENDER, A, B, C]).codes(&[A, B]));
}

#[test]
fn a_warm_target_is_read_for_a_hundred_gas() {
    let source = dear_call("CALL", 0);
    let scene = |gas: u64| {
        Scene::new(Fork::Prague)
            .contract(A, &call("CALL", 21 + gas, B, 0))
            .contract(B, &source)
            .contract(C, "STOP")
            .transaction(Tx::call(A).warm(C))
    };
    scene(99).expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
    scene(100).expect(Rows::accounts(&[SENDER, A, B, C]).codes(&[A, B, C]));
}

/// EIP-3651.
#[test]
fn the_fee_recipient_is_a_warm_target() {
    let mut scene = limited(Fork::Prague, &dear_call("CALL", 0), 21 + 100).contract(C, "STOP");
    scene.header.beneficiary = C;
    scene.expect(Rows::accounts(&[SENDER, A, B, C]).codes(&[A, B, C]));
}

#[test]
fn a_target_warmed_in_a_reverted_frame_is_cold_again() {
    let source = dear_call("CALL", 0);
    let scene = |end: &str| {
        let first = call("CALL", 99_999, D, 0);
        Scene::new(Fork::Prague)
            .contract(A, &format!("{first} {}", call("CALL", 21 + 100, B, 0)))
            .contract(B, &source)
            .contract(C, "STOP")
            .contract(D, &format!("{C} BALANCE {end}"))
            .transaction(Tx::call(A))
    };
    scene("0x00 0x00 REVERT").expect(Rows::accounts(&[SENDER, A, D, C, B]).codes(&[A, D, B]));
    scene("STOP").expect(Rows::accounts(&[SENDER, A, D, C, B]).codes(&[A, D, B, C]));
}

/// Warmth ends with the transaction.
#[test]
fn a_target_of_the_transaction_before_is_cold_again() {
    let scene = |warm: bool| {
        let second = if warm { Tx::call(A).warm(C) } else { Tx::call(A) };
        Scene::new(Fork::Prague)
            .contract(A, &call("CALL", 21 + 100, B, 0))
            .contract(B, &dear_call("CALL", 0))
            .contract(C, "STOP")
            .contract(D, &format!("{C} BALANCE"))
            .transaction(Tx::call(D))
            .transaction(second)
    };
    scene(false).expect(Rows::accounts(&[SENDER, D, C, A, B]).codes(&[D, A, B]));
    scene(true).expect(Rows::accounts(&[SENDER, D, C, A, B]).codes(&[D, A, B, C]));
}

/// The memory size comes before the gas function: a range beyond 64 bits stops the call before it
/// reads.
#[test]
fn a_range_beyond_64_bits_stops_a_call_before_it_reads() {
    let rows = Rows::accounts(&[SENDER, A, B]).codes(&[A, B]);
    let beyond = [
        ("0x00", "0x010000000000000000"),
        ("0x010000000000000000", "0x01"),
        ("0xffffffffffffffe0", "0x01"),
    ];
    for opcode in CALLS {
        for (offset, length) in beyond {
            let source = call_with_output(opcode, 0, C, 0, offset, length);
            limited(Fork::Prague, &source, 99_999).contract(C, "STOP").expect(rows);
        }
        let source = call_with_output(opcode, 0, C, 0, "0xffffffffffffffdf", "0x01");
        limited(Fork::Prague, &source, 99_999)
            .contract(C, "STOP")
            .expect(Rows::accounts(&[SENDER, A, B, C]).codes(&[A, B, C]));
    }
}

/// The input range counts as well as the output range.
#[test]
fn an_input_range_beyond_64_bits_stops_a_call_before_it_reads() {
    let beyond = "0x010000000000000000";
    for (opcode, value) in
        [("CALL", "0x00"), ("CALLCODE", "0x00"), ("DELEGATECALL", ""), ("STATICCALL", "")]
    {
        let source = format!("0x00 0x00 {beyond} 0x00 {value} {C} 0x00 {opcode}");
        limited(Fork::Prague, &source, 99_999)
            .contract(C, "STOP")
            .expect(Rows::accounts(&[SENDER, A, B]).codes(&[A, B]));
    }
}
