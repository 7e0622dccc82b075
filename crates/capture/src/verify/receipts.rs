//! What a header says of the receipts that are listed.

use super::{CheckName, CheckResult, Verdict};
use bsp_codec::{Replica, convert::roots::summarize_receipts};

/// Compares a replica's receipts, as they are listed, with its header.
pub(super) fn check(replica: &Replica, verdict: &mut Verdict) {
    let header = &replica.header;
    let summary = match summarize_receipts(replica) {
        Ok(summary) => summary,
        Err(error) => {
            verdict.push(CheckName::Receipts, CheckResult::failed_by("valid receipts", error));
            return;
        }
    };
    verdict.push(CheckName::Receipts, CheckResult::OK);
    let gas = replica.receipts.last().map_or(0, |receipt| receipt.cumulative_gas_used);
    verdict.push(CheckName::GasUsed, CheckResult::compare(&header.gas_used, &gas));
    let root = CheckResult::compare(&header.receipts_root, &summary.root);
    verdict.push(CheckName::ReceiptsRoot, root);
    let bloom = CheckResult::compare(&header.logs_bloom, &summary.bloom);
    verdict.push(CheckName::LogsBloom, bloom);
}
