//! Real replicas: each verifies from its own bytes alone.

use crate::support::{plain, shared_data};
use alloy_consensus::transaction::Recovered;
use bsp_capture::{
    BlockParts, ChainSpec, CheckName, CheckResult, Executed, Outcome, RecoveredAuthorizations,
    SpecimenState, Verdict, VerifyOptions, capture_with_changes, verify, verify_segment,
};
use bsp_codec::{Segment, avro, convert::rebuild_transactions};
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What the data says of a file.
#[derive(Debug, Deserialize)]
struct Entry {
    block: u64,
    native: bool,
    unreplayable: String,
}

struct File {
    entry: Entry,
    folder: PathBuf,
    bytes: Vec<u8>,
    segment: Segment,
}

impl File {
    fn read(folder: &Path, entry: Entry) -> Self {
        let name = format!("{}.replica.avro", entry.block);
        let bytes = fs::read(folder.join(name)).expect("a segment");
        let segment = avro::decode_segment(&bytes).expect("a valid segment");
        Self { entry, folder: folder.to_owned(), bytes, segment }
    }

    fn verify(&self, authorizations: Option<&RecoveredAuthorizations>) -> Verdict {
        let options = VerifyOptions { authorizations, ..Default::default() };
        verify_segment(&self.segment, &self.bytes, options)
    }

    fn is_replayable(&self) -> bool {
        self.entry.unreplayable.is_empty()
    }

    fn authorizations(&self) -> RecoveredAuthorizations {
        let name = format!("{}.authorizations.json", self.entry.block);
        let text = fs::read(self.folder.join(name)).expect("authorizations");
        RecoveredAuthorizations::from_json(&text).expect("valid authorizations")
    }
}

fn files() -> Option<Vec<File>> {
    let folder = shared_data::folder("mainnet")?;
    let manifest = fs::read(folder.join("manifest.json")).expect("a manifest");
    let entries: Vec<Entry> = serde_json::from_slice(&manifest).expect("a valid manifest");
    assert!(!entries.is_empty());
    Some(entries.into_iter().map(|entry| File::read(&folder, entry)).collect())
}

/// The checks that are not ok.
fn not_ok(verdict: &Verdict) -> Vec<(CheckName, CheckResult)> {
    let checks = verdict.checks().filter(|(_, result)| !matches!(result, CheckResult::Ok { .. }));
    checks.map(|(name, result)| (name, result.clone())).collect()
}

#[test]
fn every_replayable_file_is_ok() {
    let Some(files) = files() else { return };
    for file in files.iter().filter(|file| file.is_replayable()) {
        let verdict = file.verify(None);
        assert_eq!(not_ok(&verdict), [], "block {}", file.entry.block);
        assert_eq!(verdict.outcome(), Outcome::Ok);
    }
}

#[test]
fn a_missing_authorization_list_is_named_and_the_block_executed_up_to_it() {
    let Some(files) = files() else { return };
    let file = files.iter().find(|file| !file.is_replayable()).expect("an unreplayable file");
    let verdict = file.verify(None);
    assert_eq!(verdict.outcome(), Outcome::Impossible);
    for (name, result) in not_ok(&verdict) {
        let CheckResult::Impossible { reason } = result else { panic!("{name}: {result:?}") };
        let names_the_list = reason.contains("authorization") && reason.contains("transaction 46");
        assert!(names_the_list, "{name}: {reason}");
    }
    let execution = verdict.check(CheckName::Execution);
    assert!(matches!(execution, Some(CheckResult::Impossible { .. })), "{execution:?}");
    let of = file.segment.replica.transactions.len();
    assert_eq!(verdict.executed(), Executed::Part { transactions: 46, of });
}

/// What bsp-geth v2.3.0 writes.
#[test]
fn a_block_without_its_lists_fails_also_where_it_cannot_be_executed_whole() {
    let Some(files) = files() else { return };
    for mut file in files {
        file.segment.replica.state = Default::default();
        let verdict = verify(&file.segment.replica, VerifyOptions::default());
        assert_eq!(verdict.outcome(), Outcome::Failed, "block {}", file.entry.block);
        let execution = verdict.check(CheckName::Execution);
        assert!(matches!(execution, Some(CheckResult::Failed { .. })), "{execution:?}");
    }
}

#[test]
fn with_its_authorizations_supplied_only_the_signatures_stay_unknown() {
    let Some(files) = files() else { return };
    for file in files.iter().filter(|file| !file.is_replayable()) {
        let verdict = file.verify(Some(&file.authorizations()));
        let names: Vec<_> = not_ok(&verdict).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [CheckName::TransactionsRoot, CheckName::Senders]);
        assert_eq!(verdict.executed(), Executed::Whole);
        assert_eq!(verdict.outcome(), Outcome::Impossible);
        assert!(file.entry.native, "the list order is only known of the current codec");
    }
}

#[test]
fn codes_whose_size_alone_was_asked_for_are_named() {
    let Some(files) = files() else { return };
    let named = |file: &File| {
        let verdict = file.verify(None);
        matches!(verdict.check(CheckName::CodeReads), Some(CheckResult::Ok { reason: Some(_) }))
    };
    let blocks: Vec<_> =
        files.iter().filter(|file| named(file)).map(|file| file.entry.block).collect();
    assert_eq!(blocks, [16_791_900, 17_090_960]);
}

#[test]
fn capture_changes_nothing() {
    let Some(files) = files() else { return };
    let spec = ChainSpec::mainnet();
    for file in files.iter().filter(|file| file.is_replayable()) {
        let replica = &file.segment.replica;
        let state = SpecimenState::new(&replica.state).expect("lists that agree");
        let signed = rebuild_transactions(replica).expect("valid transactions");
        let transactions: Vec<_> = signed
            .into_iter()
            .zip(&replica.senders)
            .map(|(tx, sender)| {
                Recovered::new_unchecked(tx.with_authorizations(Vec::new()), *sender)
            })
            .collect();
        let block = BlockParts {
            header: &replica.header,
            ommers: &replica.uncles,
            withdrawals: replica.withdrawals.as_deref(),
        };
        let captured = capture_with_changes(&spec, block, transactions.clone(), &state)
            .expect("the block executes");
        let plain = plain::execute(&spec, block, transactions, &state);
        assert_eq!(plain::Outcome::of_capture(captured), plain, "block {}", file.entry.block);
    }
}
