//! What came out of an execution beside what the replica says of it.

use super::{CheckName, CheckResult};
use crate::{Capture, ChainSpec, SpecimenState};
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::B256;
use bsp_codec::{
    BlockhashRead, Replica, ReplicaReceipt, StateSpecimen, avro, convert::export_receipt,
};

/// The checks that are made of an execution, each of which is impossible without one.
pub(super) const CHECKS: [CheckName; 10] = [
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

/// The results of [`CHECKS`], in their order.
pub(super) type Results = [CheckResult; CHECKS.len()];

/// Compares a whole block. `stand_in_size` is the size that codes of unknown size had.
pub(super) fn whole(
    replica: &Replica,
    captured: &Capture,
    spec: &ChainSpec,
    state: &SpecimenState,
    stand_in_size: usize,
) -> Results {
    let header = &replica.header;
    let (receipts_root, logs_bloom) = captured.receipts_root_and_bloom();
    let has_requests = spec.is_prague_active_at_timestamp(header.timestamp);
    let requests_hash = has_requests.then(|| captured.requests.requests_hash());
    let (got, listed) = (&captured.reads.lists, &replica.state);
    let codes = CheckResult::compare_rows(&got.code_read, &listed.code_read);
    [
        compare_receipts(replica, captured),
        CheckResult::compare(&header.gas_used, &captured.gas_used),
        CheckResult::compare(&header.blob_gas_used.unwrap_or(0), &captured.blob_gas_used),
        CheckResult::compare(&header.receipts_root, &receipts_root),
        CheckResult::compare(&header.logs_bloom, &logs_bloom),
        compare_optional(header.requests_hash, requests_hash),
        CheckResult::compare_rows(&got.account_read, &listed.account_read),
        CheckResult::compare_rows(&got.storage_read, &listed.storage_read),
        name_size_only_codes(codes, captured, state, stand_in_size),
        CheckResult::compare_rows(&block_hashes(got), &block_hashes(listed)),
    ]
}

/// Compares the begin of a block: what was executed must be the begin of what is listed, and no
/// more than the header has. What agrees is impossible all the same, for `reason`: the rest is not
/// known.
pub(super) fn begin(replica: &Replica, captured: &Capture, reason: &str) -> Results {
    let header = &replica.header;
    let (_, bloom) = captured.receipts_root_and_bloom();
    let (got, listed) = (&captured.reads.lists, &replica.state);
    let blob_gas_used = header.blob_gas_used.unwrap_or(0);
    let unknown = || CheckResult::impossible(reason);
    let results = [
        compare_first_receipts(replica, captured),
        at_most(header.gas_used, captured.gas_used),
        at_most(blob_gas_used, captured.blob_gas_used),
        unknown(),
        if header.logs_bloom.contains(&bloom) {
            CheckResult::OK
        } else {
            CheckResult::failed(header.logs_bloom, "logs that are not in it")
        },
        unknown(),
        CheckResult::compare_first_rows(&got.account_read, &listed.account_read),
        CheckResult::compare_first_rows(&got.storage_read, &listed.storage_read),
        CheckResult::compare_first_rows(&got.code_read, &listed.code_read),
        CheckResult::compare_first_rows(&block_hashes(got), &block_hashes(listed)),
    ];
    results.map(|result| if result == CheckResult::OK { unknown() } else { result })
}

fn at_most(header: u64, first: u64) -> CheckResult {
    if first <= header { CheckResult::OK } else { CheckResult::failed(header, first) }
}

/// Numbers are compared as the segment holds them: those that no block has are rounded there.
fn block_hashes(lists: &StateSpecimen) -> Vec<BlockhashRead> {
    let as_written = |row: &BlockhashRead| BlockhashRead {
        block_number: avro::blockhash_number_as_written(row.block_number),
        ..*row
    };
    lists.blockhash_read.iter().map(as_written).collect()
}

/// Names the format's one gap where a block falls into it.
fn name_size_only_codes(
    result: CheckResult,
    captured: &Capture,
    state: &SpecimenState,
    stand_in_size: usize,
) -> CheckResult {
    let unknown =
        captured.reads.size_only_codes.iter().filter(|code| !state.knows_size(&code.hash));
    let named: Vec<_> =
        unknown.map(|code| format!("{} of account {}", code.hash, code.account)).collect();
    if named.is_empty() || result != CheckResult::OK {
        return result;
    }
    let assumed = match stand_in_size {
        1 => "a non-zero one".to_owned(),
        bytes => format!("one of {bytes} bytes"),
    };
    let reason = format!(
        "only the size was asked for of {}: the format carries no size, so {assumed} was assumed",
        named.join(", ")
    );
    CheckResult::Ok { reason: Some(reason) }
}

fn compare_receipts(replica: &Replica, captured: &Capture) -> CheckResult {
    if !replica.kind.has_receipts() {
        return no_receipts();
    }
    CheckResult::compare_rows(&exported_receipts(captured), &replica.receipts)
}

fn compare_first_receipts(replica: &Replica, captured: &Capture) -> CheckResult {
    if !replica.kind.has_receipts() {
        return no_receipts();
    }
    CheckResult::compare_first_rows(&exported_receipts(captured), &replica.receipts)
}

fn no_receipts() -> CheckResult {
    CheckResult::Ok { reason: Some("a block-specimen carries no receipts".into()) }
}

fn exported_receipts(captured: &Capture) -> Vec<ReplicaReceipt> {
    captured.receipts.iter().map(export_receipt).collect()
}

fn compare_optional(expected: Option<B256>, got: Option<B256>) -> CheckResult {
    let show = |hash: Option<B256>| hash.map_or_else(|| "none".to_owned(), |hash| hash.to_string());
    CheckResult::compare(&show(expected), &show(got))
}
