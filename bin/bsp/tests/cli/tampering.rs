//! Forged segments: each differs from a good one in one respect, and the verdict says in which.

use crate::{
    fixture::{Scratch, decode, plain_segment, rehash},
    verify::{checks_with, verdict_of, verify},
};
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, U256};
use bsp_codec::{AccountRead, Replica};
use serde_json::Value;

/// Verifies a forgery; it has to fail in this check and name a place or value that contains
/// `place`.
fn expect_caught(change: impl FnOnce(&mut Replica), check: &str, place: &str) -> Value {
    let scratch = Scratch::new();
    let file = scratch.tampered("forged.avro", change);
    let line = verdict_of(&file, 1);
    assert_eq!(line["verdict"], "failed");
    assert_eq!(line["checks"][check]["result"], "failed", "{check}: {line}");
    let said = line["checks"][check].to_string();
    assert!(said.contains(place), "expected {place:?} in {said}");
    let human = verify(&[&file]).expect(1);
    let shown = human.text().lines().find(|line| line.trim_start().starts_with(check)).unwrap();
    assert!(shown.contains("FAILED: expected "), "{shown}");
    line
}

#[test]
fn a_header_that_does_not_hash_to_the_hash() {
    let line = expect_caught(
        |replica| replica.header.extra_data = b"forged".as_slice().into(),
        "header_hash",
        &decode(&plain_segment()).replica.hash.to_string(),
    );
    assert_eq!(checks_with(&line, "failed"), ["header_hash"]);
}

#[test]
fn a_wrong_gas_used_under_a_right_hash() {
    let true_gas = decode(&plain_segment()).replica.header.gas_used;
    let line = expect_caught(
        |replica| {
            replica.header.gas_used += 1;
            rehash(replica);
        },
        "gas_used",
        &true_gas.to_string(),
    );
    assert_eq!(checks_with(&line, "failed"), ["gas_used"]);
}

#[test]
fn a_wrong_cumulative_gas() {
    let line =
        expect_caught(|replica| replica.receipts[1].cumulative_gas_used += 1, "receipts", "row 1");
    assert_eq!(checks_with(&line, "failed"), ["receipts"]);
}

#[test]
fn a_transaction_with_another_gas_limit() {
    let line = expect_caught(|replica| replica.transactions[0].gas += 1, "transactions_root", "0x");
    assert!(checks_with(&line, "failed").contains(&"senders"));
}

#[test]
fn an_effective_gas_price_that_does_not_follow() {
    let transactions = decode(&plain_segment()).replica.transactions;
    let index = transactions.iter().position(|tx| tx.tx_type == 2).unwrap();
    expect_caught(
        |replica| replica.transactions[index].gas_price += U256::from(1),
        "transaction_fields",
        &format!("Transactions[{index}].gasPrice"),
    );
}

#[test]
fn a_wrong_sender() {
    expect_caught(
        |replica| replica.senders[0] = Address::repeat_byte(0xbb),
        "senders",
        "Transactions[0]",
    );
}

#[test]
fn a_dropped_storage_row() {
    let rows = decode(&plain_segment()).replica.state.storage_read;
    let index = rows.iter().position(|row| !row.value.is_zero()).unwrap();
    expect_caught(
        |replica| _ = replica.state.storage_read.remove(index),
        "execution",
        &format!("State.StorageRead lacks slot {}", rows[index].slot_key),
    );
}

#[test]
fn a_dropped_code_row() {
    let code = decode(&plain_segment()).replica.state.code_read[0].hash;
    expect_caught(
        |replica| replica.state.code_read.retain(|row| row.hash != code),
        "execution",
        &format!("State.CodeRead lacks code {code}"),
    );
}

#[test]
fn a_senders_account_with_another_nonce() {
    let sender = decode(&plain_segment()).replica.senders[0];
    let change = |replica: &mut Replica| {
        let rows = &mut replica.state.account_read;
        rows.iter_mut().find(|row| row.address == sender).unwrap().nonce += 1;
    };
    expect_caught(change, "execution", "nonce");
}

#[test]
fn an_extra_account_row() {
    let rows = decode(&plain_segment()).replica.state.account_read.len();
    let extra = AccountRead {
        address: Address::repeat_byte(0xcc),
        nonce: 1,
        balance: U256::from(1),
        code_hash: alloy_primitives::KECCAK256_EMPTY,
    };
    let line = expect_caught(
        |replica| replica.state.account_read.push(extra),
        "account_reads",
        &format!("row {rows}: expected no row"),
    );
    assert_eq!(checks_with(&line, "failed"), ["account_reads"]);
}

#[test]
fn two_account_rows_in_the_wrong_order() {
    let line =
        expect_caught(|replica| replica.state.account_read.swap(0, 1), "account_reads", "row 0");
    assert_eq!(checks_with(&line, "failed"), ["account_reads"]);
}

#[test]
fn an_account_row_twice() {
    let account = decode(&plain_segment()).replica.state.account_read[0].address;
    let line = expect_caught(
        |replica| replica.state.account_read.push(replica.state.account_read[0]),
        "state",
        &account.to_string(),
    );
    assert!(checks_with(&line, "impossible").contains(&"execution"));
}

#[test]
fn a_changed_code() {
    expect_caught(
        |replica| {
            let code = &mut replica.state.code_read[0].code;
            *code = [&code[..], &[0xfe]].concat().into();
        },
        "state",
        "State.CodeRead[0]",
    );
}

#[test]
fn a_withdrawal_too_many() {
    let change = |replica: &mut Replica| {
        replica.withdrawals.get_or_insert_default().push(Withdrawal::default());
    };
    expect_caught(change, "withdrawals_root", "0x");
}
