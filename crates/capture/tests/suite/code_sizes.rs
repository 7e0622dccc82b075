//! Codes of which only the size was asked for: the format has no place for it.

use crate::support::{
    scene::{A, B, C, Fork, SENDER, Scene, Tx, call},
    world::Account,
};
use alloy_primitives::{B256, keccak256};
use bsp_capture::{CheckName, CheckResult, Executed, Verdict, VerifyOptions, verify};
use bsp_codec::{Replica, supplement::Supplement};

/// The block of a scene has no real signatures; all else is right.
const UNSIGNED: [CheckName; 1] = [CheckName::Senders];

fn verdict_of(replica: &Replica) -> Verdict {
    verify(replica, VerifyOptions::default())
}

fn with_size(replica: &Replica, code: &[u8], size: u32) -> Verdict {
    let supplement = Supplement {
        block_hash: replica.hash,
        code_sizes: [(keccak256(code), size)].into(),
        ..Default::default()
    };
    verify(replica, VerifyOptions { supplement: Some(&supplement), ..Default::default() })
}

fn failed(verdict: &Verdict) -> Vec<CheckName> {
    let failed = |result: &CheckResult| matches!(result, CheckResult::Failed { .. });
    verdict.checks().filter(|(_, result)| failed(result)).map(|(name, _)| name).collect()
}

#[track_caller]
fn text(verdict: &Verdict, name: CheckName) -> String {
    match verdict.check(name) {
        Some(CheckResult::Impossible { reason }) => reason.clone(),
        Some(CheckResult::Failed { got, .. }) => got.clone(),
        other => panic!("{name}: {other:?}"),
    }
}

/// The second transaction stores 15 less the size of a code of 15 bytes, as an official test does:
/// the gas tells.
fn exact() -> (Replica, Vec<u8>) {
    let code = vec![0; 15];
    let scene = Scene::new(Fork::Shanghai)
        .contract(A, &format!("{B} EXTCODESIZE 15 SUB 0x01 SSTORE"))
        .account(B, Account::coded(code.clone()))
        .contract(C, "0x01 SLOAD")
        .transaction(Tx::call(C))
        .transaction(Tx::call(A));
    (scene.replica(), code)
}

#[test]
fn an_outcome_that_depends_on_a_size_is_impossible_and_the_code_named() {
    let (replica, code) = exact();
    let verdict = verdict_of(&replica);
    assert_eq!(failed(&verdict), UNSIGNED);
    assert_eq!(verdict.executed(), Executed::Part { transactions: 1, of: 2 });
    let reason = text(&verdict, CheckName::Execution);
    for named in [keccak256(code).to_string(), B.to_string(), "transaction 1".to_owned()] {
        assert!(reason.contains(&named), "{reason}");
    }
}

#[test]
fn a_size_that_was_supplied_is_used() {
    let (replica, code) = exact();
    let verdict = with_size(&replica, &code, 15);
    assert_eq!(failed(&verdict), UNSIGNED);
    assert_eq!(verdict.executed(), Executed::Whole);
    let verdict = with_size(&replica, &code, 16);
    assert!(failed(&verdict).contains(&CheckName::GasUsed), "{verdict:?}");
}

#[test]
fn what_comes_before_the_question_has_to_agree_all_the_same() {
    let (mut replica, _) = exact();
    replica.receipts[0].cumulative_gas_used += 1;
    assert!(failed(&verdict_of(&replica)).contains(&CheckName::Receipts));
    let (mut replica, _) = exact();
    replica.state.account_read.swap(0, 1);
    assert!(failed(&verdict_of(&replica)).contains(&CheckName::AccountReads));
}

/// The copy runs out of gas before the code is read, which a short one would not.
#[test]
fn a_long_code_stands_in_where_a_short_one_does_not_fit() {
    let replica = Scene::new(Fork::Shanghai)
        .contract(A, &format!("{B} EXTCODESIZE 0x00 0x00 {B} EXTCODECOPY"))
        .account(B, Account::coded(vec![0; 20_000]))
        .transaction(Tx::call(A).gas(26_000))
        .replica();
    let verdict = verdict_of(&replica);
    assert_eq!(failed(&verdict), UNSIGNED);
    assert_eq!(verdict.executed(), Executed::Whole);
    let Some(CheckResult::Ok { reason: Some(reason) }) = verdict.check(CheckName::CodeReads) else {
        panic!("{verdict:?}")
    };
    assert!(reason.contains("24576 bytes"), "{reason}");
}

fn without_code(mut replica: Replica, hash: B256) -> Replica {
    let rows = replica.state.code_read.len();
    replica.state.code_read.retain(|row| row.hash != hash);
    assert_eq!(replica.state.code_read.len(), rows - 1);
    replica
}

/// Compilers ask whether there is a code before each call: that is no question for its size, and
/// its row is not forgiven.
#[test]
fn a_missing_row_fails_where_only_existence_was_asked_for() {
    let sloads = Account::contract("0x01 SLOAD");
    let questions =
        ["{B} EXTCODESIZE ISZERO POP", "{B} EXTCODESIZE POP", "0x00 {B} EXTCODESIZE GT POP"];
    for question in questions {
        let question = question.replace("{B}", &B.to_string());
        let replica = Scene::new(Fork::Shanghai)
            .contract(A, &format!("{question} {}", call("CALL", 9999, B, 0)))
            .account(B, sloads.clone())
            .transaction(Tx::call(A))
            .replica();
        assert_eq!(failed(&verdict_of(&replica)), UNSIGNED, "{question}");
        let hash = replica.state.code_read[1].hash;
        let verdict = verdict_of(&without_code(replica, hash));
        assert!(text(&verdict, CheckName::Execution).contains(&hash.to_string()), "{question}");
        assert!(failed(&verdict).contains(&CheckName::Execution), "{question}");
    }
}

/// Nor is that of a code of whose size nobody asked, beside one that somebody asked for.
#[test]
fn a_missing_row_of_another_code_fails() {
    let replica = Scene::new(Fork::Shanghai)
        .contract(A, &format!("{B} EXTCODESIZE 0x05 SSTORE {}", call("CALL", 9999, C, 0)))
        .account(B, Account::coded(vec![0; 15]))
        .contract(C, "0x01 SLOAD")
        .transaction(Tx::call(A))
        .replica();
    assert_eq!(failed(&verdict_of(&replica)), UNSIGNED);
    let hash = replica.state.code_read[1].hash;
    let verdict = verdict_of(&without_code(replica, hash));
    assert!(failed(&verdict).contains(&CheckName::Execution), "{verdict:?}");
    assert!(text(&verdict, CheckName::Execution).contains(&hash.to_string()));
}

#[test]
fn the_scenes_sender_is_not_the_signer() {
    let (replica, _) = exact();
    assert_eq!(replica.senders, [SENDER, SENDER]);
}
