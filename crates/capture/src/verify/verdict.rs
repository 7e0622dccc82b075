//! The outcome of a verification: one result for each check.

use serde::{Serialize, Serializer, ser::SerializeMap};
use std::fmt;

/// What is checked of a replica. The order is that of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CheckName {
    /// The header hashes to `Hash`.
    HeaderHash,
    /// The transactions, rebuilt, have the header's root.
    TransactionsRoot,
    /// The uncles have the header's hash.
    OmmersHash,
    /// The withdrawals have the header's root.
    WithdrawalsRoot,
    /// Every exported field of a transaction follows from the signed transaction.
    TransactionFields,
    /// Every signature recovers to the sender that is listed, both in `Senders` and in the
    /// transaction.
    Senders,
    /// The supplement belongs to the block.
    Supplement,
    /// The read lists do not contradict each other or the header.
    State,
    /// What any execution of the block reads is in the lists: the contracts that it calls itself,
    /// senders who had to be there before it, the codes of senders and recipients.
    RequiredReads,
    /// The block executes on nothing but its own read lists.
    Execution,
    /// Status, cumulative gas and logs of every receipt.
    Receipts,
    /// Gas used, against the header.
    GasUsed,
    /// Blob gas used, against the header.
    BlobGasUsed,
    /// Receipts root, against the header.
    ReceiptsRoot,
    /// Logs bloom, against the header.
    LogsBloom,
    /// EIP-7685 requests hash, against the header.
    RequestsHash,
    /// `AccountRead`, row by row.
    AccountReads,
    /// `StorageRead`, row by row.
    StorageReads,
    /// `CodeRead`, row by row.
    CodeReads,
    /// `BlockhashRead`, row by row.
    BlockhashReads,
    /// The segment's hash and block numbers are those of its one block.
    Envelope,
    /// The file is, byte for byte, what encoding its content gives.
    Bytes,
}

impl CheckName {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HeaderHash => "header_hash",
            Self::TransactionsRoot => "transactions_root",
            Self::OmmersHash => "ommers_hash",
            Self::WithdrawalsRoot => "withdrawals_root",
            Self::TransactionFields => "transaction_fields",
            Self::Senders => "senders",
            Self::Supplement => "supplement",
            Self::State => "state",
            Self::RequiredReads => "required_reads",
            Self::Execution => "execution",
            Self::Receipts => "receipts",
            Self::GasUsed => "gas_used",
            Self::BlobGasUsed => "blob_gas_used",
            Self::ReceiptsRoot => "receipts_root",
            Self::LogsBloom => "logs_bloom",
            Self::RequestsHash => "requests_hash",
            Self::AccountReads => "account_reads",
            Self::StorageReads => "storage_reads",
            Self::CodeReads => "code_reads",
            Self::BlockhashReads => "blockhash_reads",
            Self::Envelope => "envelope",
            Self::Bytes => "bytes",
        }
    }
}

impl fmt::Display for CheckName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How one check went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum CheckResult {
    /// As it should be.
    Ok {
        /// What a reader should know all the same.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Not as it should be.
    Failed {
        /// What should be there.
        expected: String,
        /// What is there.
        got: String,
        /// Where a list first goes wrong.
        #[serde(skip_serializing_if = "Option::is_none")]
        first_difference: Option<String>,
    },
    /// Cannot be told from this file.
    Impossible {
        /// Why.
        reason: String,
    },
}

impl CheckResult {
    /// As it should be.
    pub const OK: Self = Self::Ok { reason: None };

    /// Compares two values that print well.
    pub fn compare<T: PartialEq + fmt::Display>(expected: &T, got: &T) -> Self {
        if expected == got { Self::OK } else { Self::failed(expected, got) }
    }

    /// A failure without a position.
    pub fn failed(expected: impl fmt::Display, got: impl fmt::Display) -> Self {
        let (expected, got) = (expected.to_string(), got.to_string());
        Self::Failed { expected, got, first_difference: None }
    }

    /// A failure by an error, which has a message where a value is expected.
    pub fn failed_by(expected: impl fmt::Display, error: impl fmt::Display) -> Self {
        Self::failed(expected, format!("an error: {error}"))
    }

    /// A check that cannot be made.
    pub fn impossible(reason: impl fmt::Display) -> Self {
        Self::Impossible { reason: reason.to_string() }
    }

    /// Compares the first rows of a list with those that are expected there, whatever comes behind
    /// them.
    pub fn compare_first_rows<T: PartialEq + fmt::Debug>(expected: &[T], got: &[T]) -> Self {
        Self::compare_rows(expected, got.get(..expected.len()).unwrap_or(got))
    }

    /// Compares two lists row by row.
    pub fn compare_rows<T: PartialEq + fmt::Debug>(expected: &[T], got: &[T]) -> Self {
        let Some(index) = first_difference(expected, got) else { return Self::OK };
        let row = |rows: &[T]| {
            rows.get(index).map_or_else(|| "no row".to_owned(), |row| shorten(format!("{row:?}")))
        };
        Self::Failed {
            expected: format!("{} rows", expected.len()),
            got: format!("{} rows", got.len()),
            first_difference: Some(format!(
                "row {index}: expected {}, got {}",
                row(expected),
                row(got)
            )),
        }
    }
}

/// The index of the first row that is not in both lists alike.
fn first_difference<T: PartialEq>(expected: &[T], got: &[T]) -> Option<usize> {
    let differs = expected.iter().zip(got).position(|(expected, got)| expected != got);
    let shorter = expected.len().min(got.len());
    differs.or_else(|| (expected.len() != got.len()).then_some(shorter))
}

/// Keeps a report readable: a contract's code has up to 24,576 bytes.
fn shorten(mut text: String) -> String {
    const LONGEST: usize = 400;
    if text.len() > LONGEST {
        let cut = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push('…');
    }
    text
}

/// The sum of all checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every check is ok.
    Ok,
    /// At least one check failed.
    Failed,
    /// None failed, but at least one cannot be made.
    Impossible,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Impossible => "impossible",
        })
    }
}

/// How much of a block a verification executed, to its end and without missing anything.
///
/// It says nothing of what the comparison with the replica gave: that is [`Verdict::outcome`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Executed {
    /// All of it.
    Whole,
    /// The system calls at its begin and its first transactions: what comes next takes something
    /// that is not there.
    Part {
        /// How many transactions were executed.
        transactions: usize,
        /// How many the block has.
        of: usize,
    },
    /// Nothing.
    #[default]
    None,
}

impl fmt::Display for Executed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.pad("whole"),
            Self::Part { transactions, of } => {
                write!(f, "in part, {transactions} of {of} transactions")
            }
            Self::None => f.pad("not at all"),
        }
    }
}

/// The result of every check that applies to a replica, in report order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    checks: Vec<(CheckName, CheckResult)>,
    executed: Executed,
}

impl Verdict {
    /// Notes the result of a check.
    pub fn push(&mut self, name: CheckName, result: CheckResult) {
        self.checks.push((name, result));
    }

    /// How much of the block was executed for it.
    pub const fn executed(&self) -> Executed {
        self.executed
    }

    pub(super) const fn set_executed(&mut self, executed: Executed) {
        self.executed = executed;
    }

    /// All checks with their results.
    pub fn checks(&self) -> impl Iterator<Item = (CheckName, &CheckResult)> {
        self.checks.iter().map(|(name, result)| (*name, result))
    }

    /// The result of one check.
    pub fn check(&self, name: CheckName) -> Option<&CheckResult> {
        self.checks.iter().find(|(checked, _)| *checked == name).map(|(_, result)| result)
    }

    /// The sum of all checks.
    pub fn outcome(&self) -> Outcome {
        let has =
            |wanted: fn(&CheckResult) -> bool| self.checks.iter().any(|(_, result)| wanted(result));
        if has(|result| matches!(result, CheckResult::Failed { .. })) {
            Outcome::Failed
        } else if has(|result| matches!(result, CheckResult::Impossible { .. })) {
            Outcome::Impossible
        } else {
            Outcome::Ok
        }
    }
}

/// As a map from the name of a check to its result.
impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.checks.len()))?;
        for (name, result) in &self.checks {
            map.serialize_entry(name.as_str(), result)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_compared_in_order_and_number() {
        assert_eq!(CheckResult::compare_rows(&[1, 2], &[1, 2]), CheckResult::OK);
        let position =
            |expected: &[i32], got: &[i32]| match CheckResult::compare_rows(expected, got) {
                CheckResult::Failed { first_difference, .. } => first_difference,
                other => panic!("{other:?}"),
            };
        assert_eq!(position(&[1, 2], &[2, 1]).unwrap(), "row 0: expected 1, got 2");
        assert_eq!(position(&[1], &[1, 2]).unwrap(), "row 1: expected no row, got 2");
        assert_eq!(position(&[1, 2], &[1]).unwrap(), "row 1: expected 2, got no row");
    }

    #[test]
    fn first_rows_are_compared_as_far_as_they_are_expected() {
        let compare = CheckResult::compare_first_rows::<i32>;
        assert_eq!(compare(&[1, 2], &[1, 2, 3]), CheckResult::OK);
        assert_eq!(compare(&[], &[1]), CheckResult::OK);
        for other in [&[1][..], &[], &[2, 1, 3]] {
            assert!(matches!(compare(&[1, 2], other), CheckResult::Failed { .. }), "{other:?}");
        }
    }

    #[test]
    fn a_failure_outweighs_an_impossibility() {
        let mut verdict = Verdict::default();
        assert_eq!(verdict.outcome(), Outcome::Ok);
        verdict.push(CheckName::GasUsed, CheckResult::OK);
        verdict.push(CheckName::Senders, CheckResult::impossible("no signatures"));
        assert_eq!(verdict.outcome(), Outcome::Impossible);
        verdict.push(CheckName::Bytes, CheckResult::failed("a", "b"));
        assert_eq!(verdict.outcome(), Outcome::Failed);
    }

    #[test]
    fn a_verdict_is_a_json_map_in_report_order() {
        let mut verdict = Verdict::default();
        verdict.push(CheckName::HeaderHash, CheckResult::OK);
        verdict.push(CheckName::GasUsed, CheckResult::failed(1, 2));
        verdict.push(CheckName::Senders, CheckResult::impossible("why"));
        assert_eq!(
            serde_json::to_string(&verdict).unwrap(),
            r#"{"header_hash":{"result":"ok"},"gas_used":{"result":"failed","expected":"1","got":"2"},"senders":{"result":"impossible","reason":"why"}}"#
        );
    }
}
