//! The lists are complete and exact: blocks of dev chains execute again on nothing else.

use crate::support::devblocks::{self, CapturedBlock};
use bsp_capture::{
    Capture, ChainSpec, CheckName, CheckResult, Outcome, SpecimenState, Verdict, VerifyOptions,
    capture, verify_segment,
};
use bsp_codec::{Profile, ReplicaKind, Segment, avro};
use bsp_devchain::Scenario;
use std::collections::BTreeSet;

const SEEDS: std::ops::Range<u64> = 0..6;
const BLOCKS: usize = 50;

#[test]
fn dev_blocks_execute_again_on_their_lists_alone() {
    let mut scenarios = BTreeSet::new();
    for block in SEEDS.flat_map(|seed| devblocks::blocks(seed, BLOCKS)) {
        let reads = &block.captured.reads;
        let state = SpecimenState::new(&reads.lists)
            .expect("lists that agree")
            .with_code_sizes(reads.code_sizes().collect());
        let again = capture(&ChainSpec::dev(), block.parts(), block.transactions(), &state)
            .unwrap_or_else(|error| panic!("{}: {error}", block.name()));
        // The requests and receipts are the outcome; the reads must come out the same again, row by
        // row.
        assert_same(&again, &block);
        scenarios.extend(block.sealed.scenarios.iter().map(|scenario| scenario.name));
    }
    let missing: Vec<_> =
        Scenario::ALL.iter().filter(|scenario| !scenarios.contains(scenario.name)).collect();
    assert!(missing.is_empty(), "no block had {missing:?}");
}

fn assert_same(again: &Capture, block: &CapturedBlock) {
    assert_eq!(*again, block.captured, "{}", block.name());
    again.check(&block.sealed.block.header).expect("the header's outcome");
}

#[test]
fn complete_replicas_of_dev_blocks_verify() {
    for block in devblocks::blocks(7, BLOCKS) {
        for kind in [ReplicaKind::Replica, ReplicaKind::Specimen] {
            let verdict = verify_as_file(&block, kind);
            assert_eq!(verdict.outcome(), Outcome::Ok, "{}: {verdict:?}", block.name());
            assert!(verdict.check(CheckName::Bytes).is_some());
        }
    }
}

/// A result has no state: what needs an execution or a signature is impossible, and nothing fails.
#[test]
fn results_of_dev_blocks_are_checked_as_far_as_they_go() {
    let ok = [
        CheckName::HeaderHash,
        CheckName::OmmersHash,
        CheckName::Receipts,
        CheckName::GasUsed,
        CheckName::ReceiptsRoot,
        CheckName::LogsBloom,
        CheckName::Envelope,
        CheckName::Bytes,
    ];
    for block in devblocks::blocks(8, 20).filter(|block| !block.sealed.senders.is_empty()) {
        let verdict = verify_as_file(&block, ReplicaKind::Result);
        assert_eq!(verdict.outcome(), Outcome::Impossible, "{}: {verdict:?}", block.name());
        for (name, result) in verdict.checks() {
            let is_ok = matches!(result, CheckResult::Ok { .. });
            assert_eq!(is_ok, ok.contains(&name), "{}: {name} {result:?}", block.name());
        }
    }
}

fn verify_as_file(block: &CapturedBlock, kind: ReplicaKind) -> Verdict {
    // Results have no complete profile: their signatures are blanked.
    let profile = if kind == ReplicaKind::Result { Profile::Network } else { Profile::Complete };
    let segment = Segment::of(block.replica(kind, profile));
    let bytes = avro::encode_segment(&segment, profile).expect("bytes");
    let read = avro::decode_segment(&bytes).expect("a segment");
    verify_segment(&read, &bytes, VerifyOptions::default())
}
