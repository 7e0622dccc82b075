//! Tampering: one thing of a good replica is changed at a time, and the checks that look at it
//! fail.

use crate::support::devblocks;
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bloom, Bytes, U256, keccak256};
use bsp_capture::{
    ChainSpec, CheckName, CheckResult, Executed, Outcome, Verdict, VerifyOptions, verify,
    verify_roots, verify_segment,
};
use bsp_codec::{
    AccountRead, BlockhashRead, CodeRead, Profile, Replica, ReplicaKind, ReplicaTransaction,
    Segment, StorageRead, avro,
};
use proptest::prelude::*;
use std::sync::OnceLock;

/// A replica that has something of everything but blobs, and of which every check is ok.
fn good() -> Replica {
    static GOOD: OnceLock<Option<Replica>> = OnceLock::new();
    GOOD.get_or_init(|| first(ReplicaKind::Replica, has_everything)).clone().expect("such a block")
}

/// A replica with a blob transaction.
fn with_blobs() -> Replica {
    static BLOBS: OnceLock<Option<Replica>> = OnceLock::new();
    BLOBS.get_or_init(|| first(ReplicaKind::Replica, has_blobs)).clone().expect("such a block")
}

/// The first replica of a short chain that has no authorization lists, which the format would not
/// carry, and that meets a condition.
fn first(kind: ReplicaKind, condition: fn(&Replica) -> bool) -> Option<Replica> {
    let blocks = devblocks::blocks(1, 40);
    let mut replicas = blocks.map(|block| block.replica(kind, Profile::Network));
    replicas
        .find(|replica| replica.transactions.iter().all(|tx| tx.tx_type != 4) && condition(replica))
}

fn has_blobs(replica: &Replica) -> bool {
    replica.transactions.iter().any(|tx| tx.tx_type == 3)
}

fn has_everything(replica: &Replica) -> bool {
    let state = &replica.state;
    replica.transactions.len() > 3
        && replica.receipts.iter().any(|receipt| !receipt.logs.is_empty())
        && replica.withdrawals.iter().flatten().any(|withdrawal| withdrawal.amount > 0)
        && state.account_read.len() > 3
        && state.storage_read.len() > 8
        && state.code_read.len() > 3
        && state.blockhash_read.len() > 1
}

fn verdict_of(replica: &Replica) -> Verdict {
    verify(replica, VerifyOptions::default())
}

/// The verdict on the good replica after a change.
fn after(change: impl FnOnce(&mut Replica)) -> Verdict {
    let mut replica = good();
    change(&mut replica);
    verdict_of(&replica)
}

/// The same for a change of the header that its hash goes along with.
fn after_header(change: impl FnOnce(&mut Header)) -> Verdict {
    after(|replica| {
        change(&mut replica.header);
        replica.hash = replica.header.hash_slow();
    })
}

fn failed(verdict: &Verdict) -> Vec<CheckName> {
    let failed = |result: &CheckResult| matches!(result, CheckResult::Failed { .. });
    verdict.checks().filter(|(_, result)| failed(result)).map(|(name, _)| name).collect()
}

fn impossible(verdict: &Verdict) -> Vec<CheckName> {
    let impossible = |result: &CheckResult| matches!(result, CheckResult::Impossible { .. });
    verdict.checks().filter(|(_, result)| impossible(result)).map(|(name, _)| name).collect()
}

/// What a failed check says: expected, got, first difference.
#[track_caller]
fn failure(verdict: &Verdict, name: CheckName) -> (String, String, String) {
    match verdict.check(name) {
        Some(CheckResult::Failed { expected, got, first_difference }) => {
            (expected.clone(), got.clone(), first_difference.clone().unwrap_or_default())
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[track_caller]
fn reason(verdict: &Verdict, name: CheckName) -> String {
    match verdict.check(name) {
        Some(CheckResult::Impossible { reason }) => reason.clone(),
        other => panic!("{name}: {other:?}"),
    }
}

/// The checks of an execution, which are impossible without one.
const OF_EXECUTION: [CheckName; 10] = [
    CheckName::Receipts,
    CheckName::GasUsed,
    CheckName::BlobGasUsed,
    CheckName::ReceiptsRoot,
    CheckName::LogsBloom,
    CheckName::RequestsHash,
    CheckName::AccountReads,
    CheckName::StorageReads,
    CheckName::CodeReads,
    CheckName::BlockhashReads,
];

#[test]
fn the_untouched_replica_is_ok() {
    let verdict = verdict_of(&good());
    assert_eq!(verdict.outcome(), Outcome::Ok, "{verdict:?}");
}

#[test]
fn a_wrong_hash() {
    let verdict = after(|replica| replica.hash = B256::repeat_byte(1));
    assert_eq!(failed(&verdict), [CheckName::HeaderHash]);
    let (expected, got, _) = failure(&verdict, CheckName::HeaderHash);
    assert_eq!(expected, B256::repeat_byte(1).to_string());
    assert_eq!(got, good().header.hash_slow().to_string());
}

/// Execution does not look at the state root; the hash covers it.
#[test]
fn a_header_field_under_the_old_hash() {
    let verdict = after(|replica| replica.header.state_root = B256::repeat_byte(1));
    assert_eq!(failed(&verdict), [CheckName::HeaderHash]);
}

#[test]
fn wrong_totals_in_the_header() {
    type Change = fn(&mut Header);
    let changes: [(CheckName, Change); 6] = [
        (CheckName::GasUsed, |header| header.gas_used += 1),
        (CheckName::BlobGasUsed, |header| header.blob_gas_used = Some(131_072)),
        (CheckName::ReceiptsRoot, |header| header.receipts_root = B256::repeat_byte(1)),
        (CheckName::LogsBloom, |header| header.logs_bloom = Bloom::repeat_byte(1)),
        (CheckName::RequestsHash, |header| header.requests_hash = Some(B256::repeat_byte(1))),
        (CheckName::TransactionsRoot, |header| header.transactions_root = B256::repeat_byte(1)),
    ];
    for (name, change) in changes {
        assert_eq!(failed(&after_header(change)), [name]);
    }
}

/// A header that promises no requests hash is not what execution from Prague on gives.
#[test]
fn no_requests_hash_in_the_header() {
    let verdict = after_header(|header| header.requests_hash = None);
    assert_eq!(failed(&verdict), [CheckName::RequestsHash]);
}

#[test]
fn an_uncle_too_many() {
    let verdict = after(|replica| replica.uncles.push(Header::default()));
    assert_eq!(failed(&verdict), [CheckName::OmmersHash]);
}

#[test]
fn another_amount_of_a_withdrawal() {
    let verdict = after(|replica| replica.withdrawals.as_mut().unwrap()[0].amount += 1);
    assert_eq!(failed(&verdict), [CheckName::WithdrawalsRoot]);
}

#[test]
fn a_missing_withdrawal() {
    let verdict = after(|replica| replica.withdrawals = None);
    assert!(failed(&verdict).starts_with(&[CheckName::WithdrawalsRoot]), "{verdict:?}");
}

#[test]
fn withdrawals_that_the_header_does_not_know_of() {
    let verdict = after_header(|header| header.withdrawals_root = None);
    assert_eq!(failed(&verdict), [CheckName::WithdrawalsRoot]);
    assert_eq!(failure(&verdict, CheckName::WithdrawalsRoot).0, "no withdrawals");
}

#[test]
fn another_effective_gas_price() {
    let capped = |tx: &ReplicaTransaction| tx.tx_type == 2;
    let index = good().transactions.iter().position(capped).expect("a type-2 transaction");
    let verdict = after(|replica| replica.transactions[index].gas_price += U256::from(1));
    assert_eq!(failed(&verdict), [CheckName::TransactionFields]);
    let (_, _, position) = failure(&verdict, CheckName::TransactionFields);
    assert_eq!(position, format!("Transactions[{index}].gasPrice"));
}

/// Older producers exported the fee cap; it is read, and named.
#[test]
fn the_fee_cap_for_a_gas_price_is_named() {
    let verdict = after(|replica| {
        let capped = replica.transactions.iter_mut().find(|tx| tx.gas_price != tx.gas_fee_cap);
        let capped = capped.expect("a transaction below its cap");
        capped.gas_price = capped.gas_fee_cap;
    });
    assert_eq!(verdict.outcome(), Outcome::Ok);
    let result = verdict.check(CheckName::TransactionFields);
    let Some(CheckResult::Ok { reason: Some(reason) }) = result else { panic!("{result:?}") };
    assert!(reason.contains("1 transactions"), "{reason}");
}

#[test]
fn another_blob_gas() {
    let mut replica = with_blobs();
    let index = replica.transactions.iter().position(|tx| tx.tx_type == 3).unwrap();
    replica.transactions[index].blob_gas = Some(1);
    let verdict = verdict_of(&replica);
    assert_eq!(failed(&verdict), [CheckName::TransactionFields]);
    assert!(failure(&verdict, CheckName::TransactionFields).2.ends_with(".blobGas"));
}

/// A signature over something else recovers to somebody else, whom the listed state does not know.
#[test]
fn another_signed_field_of_a_transaction() {
    let verdict = after(|replica| replica.transactions[0].value += U256::from(1));
    let failed = failed(&verdict);
    assert!(failed.contains(&CheckName::TransactionsRoot), "{failed:?}");
    assert!(failed.contains(&CheckName::Senders), "{failed:?}");
    assert_eq!(failure(&verdict, CheckName::Senders).2, "Transactions[0]");
}

#[test]
fn an_unknown_transaction_type() {
    let verdict = after(|replica| replica.transactions[2].tx_type = 9);
    for name in [CheckName::TransactionsRoot, CheckName::TransactionFields, CheckName::Senders] {
        let (_, got, _) = failure(&verdict, name);
        assert!(got.contains("Transactions[2]"), "{got}");
    }
    assert!(reason(&verdict, CheckName::Execution).contains("Transactions[2]"));
    assert!(impossible(&verdict).ends_with(&OF_EXECUTION));
}

#[test]
fn a_listed_sender_that_did_not_sign() {
    let verdict = after(|replica| replica.senders[1] = Address::repeat_byte(1));
    let failed = failed(&verdict);
    assert!(failed.contains(&CheckName::Senders), "{failed:?}");
    let (expected, got, position) = failure(&verdict, CheckName::Senders);
    assert_eq!(expected, good().senders[1].to_string());
    assert!(got.contains(&Address::repeat_byte(1).to_string()), "{got}");
    assert_eq!(position, "Transactions[1]");
}

#[test]
fn a_transactions_own_sender_that_did_not_sign() {
    for from in [None, Some(Address::repeat_byte(1))] {
        let verdict = after(|replica| replica.transactions[1].from = from);
        assert!(failed(&verdict).contains(&CheckName::Senders));
    }
}

#[test]
fn a_sender_too_few() {
    let verdict = after(|replica| _ = replica.senders.pop());
    assert_eq!(failed(&verdict), [CheckName::Senders]);
    assert!(reason(&verdict, CheckName::Execution).contains("sender"));
}

#[test]
fn another_receipt() {
    let verdict = after(|replica| replica.receipts[1].cumulative_gas_used += 1);
    assert_eq!(failed(&verdict), [CheckName::Receipts]);
    assert!(failure(&verdict, CheckName::Receipts).2.starts_with("row 1: "));

    let verdict = after(|replica| {
        let mut receipts = replica.receipts.iter_mut();
        let log = receipts.find_map(|receipt| receipt.logs.first_mut()).unwrap();
        log.address = Address::repeat_byte(1);
    });
    assert_eq!(failed(&verdict), [CheckName::Receipts]);

    let verdict = after(|replica| drop(replica.receipts.pop()));
    assert_eq!(failed(&verdict), [CheckName::Receipts]);
    let (expected, got, position) = failure(&verdict, CheckName::Receipts);
    let receipts = good().receipts.len();
    assert_eq!(expected, format!("{receipts} rows"));
    assert_eq!(got, format!("{} rows", receipts - 1));
    assert!(position.ends_with("got no row"), "{position}");
}

#[test]
fn contradictory_lists() {
    type Change = fn(&mut Replica);
    let changes: [(&str, Change); 6] = [
        ("State.AccountRead", |replica| {
            let row = replica.state.account_read[0];
            replica.state.account_read.push(row);
        }),
        ("State.StorageRead", |replica| {
            let mut row = replica.state.storage_read[0];
            row.value.0[0] ^= 1;
            replica.state.storage_read.push(row);
        }),
        ("State.AccountRead", |replica| {
            let (account, slot_key) = (Address::repeat_byte(1), B256::ZERO);
            let value = B256::repeat_byte(1);
            replica.state.storage_read.push(StorageRead { account, slot_key, value });
        }),
        ("State.CodeRead", |replica| {
            replica.state.code_read[0].code = Bytes::from_static(b"other");
        }),
        ("State.BlockhashRead", |replica| {
            let mut row = replica.state.blockhash_read[0];
            row.block_hash.0[0] ^= 1;
            replica.state.blockhash_read.push(row);
        }),
        ("State.BlockhashRead", |replica| {
            let block_number = replica.header.number - 1;
            replica.state.blockhash_read.retain(|row| row.block_number != block_number);
            let block_hash = B256::repeat_byte(1);
            replica.state.blockhash_read.push(BlockhashRead { block_number, block_hash });
        }),
    ];
    for (index, (list, change)) in changes.into_iter().enumerate() {
        let verdict = after(change);
        assert_eq!(failed(&verdict), [CheckName::State], "change {index}");
        let (expected, got, _) = failure(&verdict, CheckName::State);
        assert!(got.contains(list) || expected.contains("parent"), "{expected}: {got}");
        assert_eq!(impossible(&verdict)[0], CheckName::Execution);
        assert!(impossible(&verdict).ends_with(&OF_EXECUTION));
    }
}

/// Whether the block cannot do without an account: it sends, or its slots or code are read. The
/// existence of any other one, say of who is sent ether, follows from nothing else in the replica.
fn matters(replica: &Replica, index: usize) -> bool {
    let account = &replica.state.account_read[index];
    let mut slots = replica.state.storage_read.iter();
    let mut codes = replica.state.code_read.iter();
    replica.senders.contains(&account.address)
        || slots.any(|row| row.account == account.address)
        || codes.any(|row| row.hash == account.code_hash)
}

/// Whichever row is left out, it is missed: what execution asks for is named, and the others are
/// counted.
#[test]
fn a_missing_row_of_any_list() {
    let replica = good();
    let state = &replica.state;
    for index in 0..state.account_read.len() {
        let verdict = after(|replica| _ = replica.state.account_read.remove(index));
        let fails = verdict.outcome() == Outcome::Failed;
        assert!(fails || !matters(&replica, index), "AccountRead[{index}]");
    }
    for index in 0..state.storage_read.len() {
        let row = state.storage_read[index];
        let verdict = after(|replica| _ = replica.state.storage_read.remove(index));
        let listed = state.account_read.iter().any(|account| account.address == row.account);
        if listed {
            let (_, got, _) = failure(&verdict, CheckName::Execution);
            let names = [row.account.to_string(), row.slot_key.to_string()];
            assert!(names.iter().all(|name| got.contains(name)), "StorageRead[{index}]: {got}");
        } else {
            assert_eq!(failed(&verdict), [CheckName::StorageReads], "StorageRead[{index}]");
        }
    }
    for (index, row) in state.code_read.iter().enumerate() {
        let verdict = after(|replica| drop(replica.state.code_read.remove(index)));
        let equal = state.code_read.iter().filter(|other| other.hash == row.hash).count();
        if equal > 1 {
            assert_eq!(failed(&verdict), [CheckName::CodeReads], "CodeRead[{index}]");
        } else {
            let (_, got, _) = failure(&verdict, CheckName::Execution);
            assert!(got.contains(&row.hash.to_string()), "CodeRead[{index}]: {got}");
        }
    }
    for (index, row) in state.blockhash_read.iter().enumerate() {
        let verdict = after(|replica| _ = replica.state.blockhash_read.remove(index));
        if verdict.check(CheckName::Execution) == Some(&CheckResult::OK) {
            // Out of the window: the EVM does not ask for it.
            assert!(row.block_hash.is_zero(), "BlockhashRead[{index}]");
            assert_eq!(failed(&verdict), [CheckName::BlockhashReads]);
        } else {
            let (_, got, _) = failure(&verdict, CheckName::Execution);
            assert!(got.contains(&format!("block {}", row.block_number)), "{got}");
        }
    }
}

#[test]
fn a_row_too_many() {
    let verdict = after(|replica| {
        let address = Address::repeat_byte(1);
        replica.state.account_read.push(AccountRead { address, ..Default::default() });
    });
    assert_eq!(failed(&verdict), [CheckName::AccountReads]);
    assert!(failure(&verdict, CheckName::AccountReads).2.contains("expected no row"));

    let verdict = after(|replica| {
        let row = StorageRead { slot_key: B256::repeat_byte(1), ..replica.state.storage_read[0] };
        replica.state.storage_read.push(row);
    });
    assert_eq!(failed(&verdict), [CheckName::StorageReads]);

    let verdict = after(|replica| {
        let code = Bytes::from_static(b"other");
        replica.state.code_read.push(CodeRead { hash: keccak256(&code), code });
    });
    assert_eq!(failed(&verdict), [CheckName::CodeReads]);

    let verdict = after(|replica| {
        let row = BlockhashRead { block_number: 1 << 60, block_hash: B256::ZERO };
        replica.state.blockhash_read.push(row);
    });
    assert_eq!(failed(&verdict), [CheckName::BlockhashReads]);
}

#[test]
fn rows_in_another_order() {
    type Change = fn(&mut Replica);
    let changes: [(CheckName, Change); 4] = [
        (CheckName::AccountReads, |replica| replica.state.account_read.swap(1, 2)),
        (CheckName::StorageReads, |replica| replica.state.storage_read.swap(1, 2)),
        (CheckName::CodeReads, |replica| replica.state.code_read.swap(1, 2)),
        (CheckName::BlockhashReads, |replica| replica.state.blockhash_read.swap(0, 1)),
    ];
    for (name, change) in changes {
        let verdict = after(change);
        assert_eq!(failed(&verdict), [name]);
        let (expected, got, position) = failure(&verdict, name);
        assert_eq!(expected, got, "as many rows");
        let row = if name == CheckName::BlockhashReads { "row 0: " } else { "row 1: " };
        assert!(position.starts_with(row), "{position}");
    }
}

#[test]
fn another_value_of_an_account_that_matters() {
    let replica = good();
    let indices = 0..replica.state.account_read.len();
    assert!(indices.clone().any(|index| matters(&replica, index)));
    for index in indices.filter(|index| matters(&replica, *index)) {
        let verdict = after(|replica| replica.state.account_read[index].code_hash.0[0] ^= 1);
        assert_eq!(verdict.outcome(), Outcome::Failed, "AccountRead[{index}]");
    }
}

#[test]
fn the_rules_of_an_unknown_chain() {
    let verdict = after(|replica| replica.network_id = 424_242);
    assert_eq!(verdict.outcome(), Outcome::Impossible);
    assert!(reason(&verdict, CheckName::Execution).contains("424242"));
    assert_eq!(impossible(&verdict)[1..], OF_EXECUTION);

    let mut replica = good();
    replica.network_id = 424_242;
    let spec = ChainSpec::dev();
    let verdict = verify(&replica, VerifyOptions { spec: Some(&spec), ..Default::default() });
    assert_eq!(verdict.outcome(), Outcome::Ok);
}

/// What the layouts can't hold is no fault of the block. The limit also bounds the time that a
/// forged block can cost.
#[test]
fn a_gas_limit_and_a_chain_id_beyond_the_layouts() {
    let limit = u64::from(i32::MAX.unsigned_abs());
    let verdict = after_header(|header| header.gas_limit = limit + 1);
    assert_eq!(verdict.outcome(), Outcome::Impossible, "{verdict:?}");
    assert!(reason(&verdict, CheckName::Execution).contains(&limit.to_string()));
    assert_eq!(verdict.executed(), Executed::None);
    let verdict = after_header(|header| header.gas_limit = limit);
    assert!(failed(&verdict).iter().all(|name| *name != CheckName::Execution), "{verdict:?}");

    let mut replica = good();
    replica.network_id = limit + 1;
    let spec = ChainSpec::dev();
    let verdict = verify(&replica, VerifyOptions { spec: Some(&spec), ..Default::default() });
    assert_eq!(verdict.outcome(), Outcome::Impossible, "{verdict:?}");
    assert!(reason(&verdict, CheckName::Execution).contains(&limit.to_string()));
}

/// A fork whose rules are not known gives no failure.
#[test]
fn a_block_of_an_unknown_fork() {
    let genesis = serde_json::from_str(
        r#"{"config":{"chainId":1337,"londonBlock":0,"terminalTotalDifficulty":0,"terminalTotalDifficultyPassed":true,
            "shanghaiTime":0,"cancunTime":0,"pragueTime":0,"osakaTime":0,"amsterdamTime":0},"nonce":"0x0","timestamp":"0x0",
            "extraData":"0x","gasLimit":"0x1","difficulty":"0x0","alloc":{}}"#,
    );
    let spec = ChainSpec::from_genesis(&genesis.expect("a genesis"));
    let verdict = verify(&good(), VerifyOptions { spec: Some(&spec), ..Default::default() });
    assert_eq!(verdict.outcome(), Outcome::Impossible, "{verdict:?}");
    assert!(reason(&verdict, CheckName::Execution).contains("Amsterdam"));
}

/// The row's hash is the forger's to compute, so it is right.
#[test]
fn a_listed_code_that_only_begins_as_a_delegation() {
    for code in [&[0xef, 0x01][..], &[0xef, 0x01, 0x00], &[0xef, 0x01, 0x01, 7]] {
        let verdict = after(|replica| {
            let code = Bytes::copy_from_slice(code);
            replica.state.code_read.push(CodeRead { hash: keccak256(&code), code });
        });
        assert_eq!(failed(&verdict), [CheckName::CodeReads]);
    }
}

#[test]
fn a_segment_around_another_block() {
    let tampered: [fn(&mut Segment); 4] = [
        |segment| segment.event_hash = B256::repeat_byte(7),
        |segment| segment.start_block += 1,
        |segment| segment.end_block += 1,
        |segment| segment.elements = 2,
    ];
    for tamper in tampered {
        let mut segment = Segment::of(good());
        tamper(&mut segment);
        let bytes = avro::encode_segment(&segment, Profile::Network).expect("bytes");
        let verdict = verify_segment(&segment, &bytes, VerifyOptions::default());
        assert_eq!(failed(&verdict), [CheckName::Envelope], "{segment:?}");
    }
}

#[test]
fn roots_are_checked_without_execution() {
    assert_eq!(verify_roots(&good()).outcome(), Outcome::Ok);
    type Tamper = fn(&mut Replica);
    let tampered: [(Tamper, CheckName); 5] = [
        (|replica| replica.header.extra_data = Bytes::from_static(b"x"), CheckName::HeaderHash),
        (|replica| drop(replica.transactions.pop()), CheckName::TransactionsRoot),
        (|replica| replica.senders[0] = Address::ZERO, CheckName::Senders),
        (|replica| drop(replica.receipts.pop()), CheckName::Receipts),
        (|replica| replica.receipts[0].cumulative_gas_used ^= 1, CheckName::ReceiptsRoot),
    ];
    for (tamper, expected) in tampered {
        let mut replica = good();
        tamper(&mut replica);
        let verdict = verify_roots(&replica);
        assert!(failed(&verdict).contains(&expected), "{expected}: {verdict:?}");
    }
}

#[test]
fn bytes_that_are_not_the_segments() {
    let segment = Segment::of(good());
    let bytes = avro::encode_segment(&segment, Profile::Network).expect("bytes");
    let ok = verify_segment(&segment, &bytes, VerifyOptions::default());
    assert_eq!(ok.outcome(), Outcome::Ok);

    let longer = [&bytes[..], &[0]].concat();
    let verdict = verify_segment(&segment, &longer, VerifyOptions::default());
    assert_eq!(failed(&verdict), [CheckName::Bytes]);
    let (expected, got, position) = failure(&verdict, CheckName::Bytes);
    assert_eq!(expected, format!("{} bytes", bytes.len()));
    assert_eq!(got, format!("{} bytes", longer.len()));
    assert_eq!(position, format!("byte {}", bytes.len()));

    let mut other = bytes;
    other[100] ^= 1;
    let verdict = verify_segment(&segment, &other, VerifyOptions::default());
    assert_eq!(failure(&verdict, CheckName::Bytes).2, "byte 100");
}

#[test]
fn a_specimen_and_a_result() {
    let specimen = first(ReplicaKind::Specimen, |_| true).expect("a specimen");
    let verdict = verdict_of(&specimen);
    assert_eq!(verdict.outcome(), Outcome::Ok);
    let receipts = verdict.check(CheckName::Receipts);
    assert!(matches!(receipts, Some(CheckResult::Ok { reason: Some(_) })), "{receipts:?}");

    let mut result =
        first(ReplicaKind::Result, |replica| replica.receipts.len() > 1).expect("a result");
    assert_eq!(failed(&verdict_of(&result)), []);
    result.receipts[1].cumulative_gas_used += 1;
    assert_eq!(failed(&verdict_of(&result)), [CheckName::ReceiptsRoot]);
    result.receipts[1].post_state_or_status = Bytes::from_static(&[7, 7]);
    assert_eq!(failed(&verdict_of(&result)), [CheckName::Receipts]);
}

/// Numbers at the limits of their types.
#[test]
fn extreme_headers_are_no_reason_to_panic() {
    type Change = fn(&mut Header, u64);
    let changes: [Change; 8] = [
        |header, value| header.number = value,
        |header, value| header.timestamp = value,
        |header, value| header.gas_limit = value,
        |header, value| header.gas_used = value,
        |header, value| header.base_fee_per_gas = Some(value),
        |header, value| header.excess_blob_gas = Some(value),
        |header, value| header.blob_gas_used = Some(value),
        |header, value| header.difficulty = U256::MAX - U256::from(value),
    ];
    let specs = [ChainSpec::dev(), ChainSpec::mainnet(), ChainSpec::sepolia()];
    for spec in &specs {
        for change in changes {
            for value in [0, 1, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
                let mut replica = good();
                change(&mut replica.header, value);
                if replica.header == good().header {
                    continue;
                }
                let options = VerifyOptions { spec: Some(spec), ..Default::default() };
                let verdict = verify(&replica, options);
                assert_ne!(verdict.outcome(), Outcome::Ok);
            }
        }
    }
}

#[test]
fn absent_header_fields_are_no_reason_to_panic() {
    let absent: [fn(&mut Header); 6] = [
        |header| header.base_fee_per_gas = None,
        |header| header.excess_blob_gas = None,
        |header| header.blob_gas_used = Some(131_072),
        |header| header.parent_beacon_block_root = None,
        |header| header.requests_hash = None,
        |header| header.withdrawals_root = None,
    ];
    for (index, change) in absent.into_iter().enumerate() {
        assert_eq!(after_header(change).outcome(), Outcome::Failed, "field {index}");
    }
}

/// Numbers that only a forger writes: uncles before the merge, balances and withdrawals at the
/// limit.
#[test]
fn extreme_rewards_are_no_reason_to_panic() {
    let spec = ChainSpec::mainnet();
    for number in [0, 12_999_990, 13_000_000, 13_000_001, u64::MAX] {
        let mut replica = good();
        replica.transactions.clear();
        replica.senders.clear();
        replica.header.number = 13_000_000;
        replica.header.timestamp = 1_630_000_000;
        let beneficiary = replica.state.account_read[0].address;
        replica.uncles = vec![Header { number, beneficiary, ..Default::default() }; 3];
        replica.header.beneficiary = beneficiary;
        replica.state.account_read[0].balance = U256::MAX;
        let options = VerifyOptions { spec: Some(&spec), ..Default::default() };
        assert_eq!(verify(&replica, options).outcome(), Outcome::Failed);
    }
    let verdict = after(|replica| {
        for row in &mut replica.state.account_read {
            row.balance = U256::MAX;
        }
        for withdrawal in replica.withdrawals.iter_mut().flatten() {
            withdrawal.amount = u64::MAX;
        }
    });
    assert_eq!(verdict.outcome(), Outcome::Failed);
}

#[test]
fn extreme_nonces_are_no_reason_to_panic() {
    for nonce in [u64::MAX - 1, u64::MAX] {
        let verdict = after(|replica| {
            for row in &mut replica.state.account_read {
                row.nonce = nonce;
            }
            for transaction in &mut replica.transactions {
                transaction.nonce = nonce;
            }
        });
        assert_eq!(verdict.outcome(), Outcome::Failed);
    }
}

/// A replica without the parent state's values. Some cannot be checked: no root over them is in the
/// replica, and a block need not depend on what it reads, as on the balance of who is sent ether or
/// a slot that is overwritten.
fn without_values(mut replica: Replica) -> Replica {
    // Nothing else depends on it either, and older producers wrote the chain's.
    replica.total_difficulty = U256::ZERO;
    for row in &mut replica.state.account_read {
        *row = AccountRead { address: row.address, ..Default::default() };
    }
    for row in &mut replica.state.storage_read {
        row.value = B256::ZERO;
    }
    for row in &mut replica.state.blockhash_read {
        row.block_hash = B256::ZERO;
    }
    replica
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any bit of the file: it no longer decodes, or a check fails, or it belongs to a value that
    /// the block's outcome does not depend on.
    #[test]
    fn a_flipped_bit_is_never_accepted(position in any::<prop::sample::Index>(), bit in 0_u8..8) {
        static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
        let bytes = BYTES.get_or_init(|| {
            avro::encode_segment(&Segment::of(good()), Profile::Network).expect("bytes")
        });
        let mut bytes = bytes.clone();
        let position = position.index(bytes.len());
        bytes[position] ^= 1 << bit;
        if let Ok(segment) = avro::decode_segment(&bytes) {
            let verdict = verify_segment(&segment, &bytes, VerifyOptions::default());
            let same = without_values(segment.replica) == without_values(good());
            prop_assert!(same || verdict.outcome() != Outcome::Ok, "byte {position} bit {bit}");
        }
    }
}
