//! Blocks of which the format leaves something out: executed as far as it allows, whole with a
//! supplement, and refused where the lists are not those of what was executed.

use crate::support::devblocks::{self, CapturedBlock};
use alloy_primitives::{Address, B256};
use bsp_capture::{
    CheckName, CheckResult, Executed, Outcome, Verdict, VerifyOptions, verify, verify_roots,
};
use bsp_codec::{Profile, Replica, ReplicaKind, supplement::Supplement};
use std::sync::OnceLock;

/// A block with an EIP-7702 transaction behind others, and its supplement.
fn incomplete() -> (Replica, Supplement) {
    static BLOCK: OnceLock<Option<(Replica, Supplement)>> = OnceLock::new();
    let found = BLOCK.get_or_init(|| {
        devblocks::blocks(1, 60)
            .map(|block| (replica(&block), supplement(&block)))
            .find(|(replica, _)| first_set_code(replica).is_some_and(|index| index > 1))
    });
    found.clone().expect("such a block")
}

fn replica(block: &CapturedBlock) -> Replica {
    block.replica(ReplicaKind::Replica, Profile::Network)
}

fn supplement(block: &CapturedBlock) -> Supplement {
    let sealed = &block.sealed.block;
    let sizes = block.captured.reads.code_sizes();
    Supplement::of_block(sealed.header.hash_slow(), &sealed.body.transactions, sizes)
}

fn first_set_code(replica: &Replica) -> Option<usize> {
    replica.transactions.iter().position(|tx| tx.tx_type == 4)
}

fn verdict_of(replica: &Replica) -> Verdict {
    verify(replica, VerifyOptions::default())
}

fn verdict_with(replica: &Replica, supplement: &Supplement) -> Verdict {
    verify(replica, VerifyOptions { supplement: Some(supplement), ..Default::default() })
}

#[track_caller]
fn assert_failed(verdict: &Verdict, name: CheckName) {
    let result = verdict.check(name);
    assert!(matches!(result, Some(CheckResult::Failed { .. })), "{name}: {result:?}");
}

#[test]
fn what_comes_before_the_incomplete_transaction_is_executed() {
    let (replica, _) = incomplete();
    let (transactions, of) = (first_set_code(&replica).unwrap(), replica.transactions.len());
    let verdict = verdict_of(&replica);
    assert_eq!(verdict.outcome(), Outcome::Impossible, "{verdict:?}");
    assert_eq!(verdict.executed(), Executed::Part { transactions, of });
}

#[test]
fn with_its_supplement_all_of_it_is_executed_and_checked() {
    let (replica, supplement) = incomplete();
    let verdict = verdict_with(&replica, &supplement);
    assert_eq!(verdict.outcome(), Outcome::Ok, "{verdict:?}");
    assert_eq!(verdict.executed(), Executed::Whole);
}

#[test]
fn a_supplement_that_is_not_the_blocks_is_refused_by_name() {
    let (replica, supplement) = incomplete();
    let index = first_set_code(&replica).unwrap();

    let other = Supplement { block_hash: B256::repeat_byte(7), ..supplement.clone() };
    let verdict = verdict_with(&replica, &other);
    assert_failed(&verdict, CheckName::Supplement);
    let Some(CheckResult::Failed { got, .. }) = verdict.check(CheckName::Supplement) else {
        panic!("{verdict:?}")
    };
    assert!(got.contains(&other.block_hash.to_string()), "{got}");

    let mut stray = supplement.clone();
    stray.authorizations.insert(0, Vec::new());
    assert_failed(&verdict_with(&replica, &stray), CheckName::Supplement);

    let mut forged = supplement.clone();
    forged.code_sizes.insert(B256::repeat_byte(7), u32::MAX);
    assert_failed(&verdict_with(&replica, &forged), CheckName::Supplement);

    // Signatures tell a list that is not the block's own.
    let mut shortened = supplement;
    shortened.authorizations.insert(index, Vec::new());
    assert_failed(&verdict_with(&replica, &shortened), CheckName::TransactionsRoot);
}

/// What an executed transaction gave or read is compared, whatever comes after the part that is
/// executed.
#[test]
fn the_part_that_is_executed_must_agree() {
    let (replica, _) = incomplete();
    type Change = fn(&mut Replica);
    let changes: [(CheckName, Change); 5] = [
        (CheckName::Receipts, |replica| replica.receipts[0].cumulative_gas_used += 1),
        (CheckName::AccountReads, |replica| replica.state.account_read.swap(0, 1)),
        (CheckName::StorageReads, |replica| replica.state.storage_read.swap(0, 1)),
        (CheckName::CodeReads, |replica| replica.state.code_read.swap(0, 1)),
        (CheckName::GasUsed, |replica| {
            replica.header.gas_used = 1;
            replica.hash = replica.header.hash_slow();
        }),
    ];
    for (name, change) in changes {
        let mut replica = replica.clone();
        change(&mut replica);
        assert_failed(&verdict_of(&replica), name);
    }
}

/// What bsp-geth v2.3.0 writes, for blocks of every kind: without transactions, with an incomplete
/// one in front, behind others, or none.
#[test]
fn a_block_without_its_lists_fails() {
    let mut kinds = [0; 4];
    for block in devblocks::blocks(1, 40) {
        for kind in [ReplicaKind::Replica, ReplicaKind::Specimen] {
            let mut replica = block.replica(kind, Profile::Network);
            replica.state = Default::default();
            kinds[match first_set_code(&replica) {
                _ if replica.transactions.is_empty() => 0,
                Some(0) => 1,
                Some(_) => 2,
                None => 3,
            }] += 1;
            assert_failed(&verdict_of(&replica), CheckName::RequiredReads);
            // Without the chain's rules, an empty block need not read anything.
            if !replica.transactions.is_empty() {
                assert_failed(&verify_roots(&replica), CheckName::RequiredReads);
            }
        }
    }
    // An incomplete transaction in front is made by the next test.
    assert!(kinds[0] > 0 && kinds[2] > 0 && kinds[3] > 0, "{kinds:?}");
}

/// Of a block whose first transaction is incomplete nothing but system calls is executed, so all
/// that tells is what any execution reads.
#[test]
fn what_any_execution_reads_is_required() {
    let (mut replica, _) = incomplete();
    let index = first_set_code(&replica).unwrap();
    replica.transactions.swap(0, index);
    replica.senders.swap(0, index);
    let required = |replica: &Replica| verdict_of(replica).check(CheckName::RequiredReads).cloned();
    assert_eq!(required(&replica), Some(CheckResult::OK));

    let without = |address: Address| {
        let mut replica = replica.clone();
        let accounts = &mut replica.state.account_read;
        let at = accounts.iter().position(|row| row.address == address).expect("a row");
        let removed = accounts.remove(at);
        (replica, removed)
    };
    let sender = replica.senders[0];
    assert_failed(&verdict_of(&without(sender).0), CheckName::RequiredReads);
    for contract in [
        alloy_eips::eip4788::BEACON_ROOTS_ADDRESS,
        alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS,
        alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
        alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    ] {
        let (mut other, row) = without(contract);
        assert_failed(&verdict_of(&other), CheckName::RequiredReads);
        other.state = replica.state.clone();
        other.state.code_read.retain(|code| code.hash != row.code_hash);
        assert_failed(&verdict_of(&other), CheckName::RequiredReads);
    }
    let recipients = replica.transactions.iter().filter_map(|tx| tx.to);
    let coded: Vec<_> = recipients
        .filter_map(|to| replica.state.account_read.iter().find(|row| row.address == to))
        .filter(|row| row.code_hash != revm::primitives::KECCAK_EMPTY)
        .collect();
    assert!(!coded.is_empty());
    for row in coded {
        let mut other = replica.clone();
        other.state.code_read.retain(|code| code.hash != row.code_hash);
        assert_failed(&verdict_of(&other), CheckName::RequiredReads);
    }
}

/// An earlier transaction of the block may have paid it.
#[test]
fn a_sender_that_may_be_new_in_the_block_needs_no_row() {
    let (mut replica, _) = incomplete();
    let is_first = |index: &usize| !replica.senders[..*index].contains(&replica.senders[*index]);
    let index = (1..replica.senders.len()).find(is_first).expect("another sender");
    let sender = replica.senders[index];
    replica.state.account_read.retain(|row| row.address != sender);
    let mut required = |nonce: u64| {
        replica.transactions[index].nonce = nonce;
        verdict_of(&replica).check(CheckName::RequiredReads).cloned()
    };
    assert_eq!(required(0), Some(CheckResult::OK));
    assert!(matches!(required(u64::MAX), Some(CheckResult::Failed { .. })));
}
