//! The last look at a stored segment before it is proved.

use super::rules::Rules;
use crate::journal::Verification;
use bsp_capture::{
    CheckName, CheckResult, Executed, Outcome, Verdict, VerifyOptions, verify_segment,
};
use bsp_codec::{Segment, avro, supplement::Supplement};

/// Why a segment is not proved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotVerified {
    /// It says what is not so. It will never be proved.
    #[error("{0}")]
    Refused(String),
    /// It can't be told with these settings.
    #[error("{0}")]
    Unknown(String),
}

/// Executes a stored segment on its own read lists, and on what came with it that its format leaves
/// out.
pub(super) fn execute(
    bytes: &[u8],
    supplement: Option<&[u8]>,
    rules: &Rules,
) -> Result<Verification, NotVerified> {
    let segment = avro::decode_segment(bytes)
        .map_err(|error| NotVerified::Refused(format!("the stored file can't be read: {error}")))?;
    let network = segment.replica.network_id;
    if let Some(obstacle) = rules.obstacle(network, &segment.replica.header) {
        return Err(NotVerified::Unknown(obstacle));
    }
    let spec = rules.of_network(network);
    let options = VerifyOptions { spec: spec.as_deref(), ..Default::default() };
    let verdict = judge(&segment, bytes, supplement, options);
    match verdict.outcome() {
        Outcome::Ok => Ok(Verification::Executed),
        Outcome::Impossible => {
            let number = segment.replica.header.number;
            let (executed, reason) = (verdict.executed(), why_no_more(&verdict));
            tracing::info!("Block {number} was executed {executed}: {reason}");
            Ok(match executed {
                Executed::Part { transactions, of } => {
                    Verification::ExecutedInPart { transactions, of }
                }
                Executed::Whole | Executed::None => Verification::ExecutionImpossible,
            })
        }
        Outcome::Failed => Err(NotVerified::Refused(first_failure(&verdict))),
    }
}

/// The verdict on a segment with its supplement. A supplement is as good as its sender: one that
/// does not fit speaks against itself, and not against the segment, which is what is proved. So it
/// is judged without then.
fn judge(
    segment: &Segment,
    bytes: &[u8],
    supplement: Option<&[u8]>,
    options: VerifyOptions<'_>,
) -> Verdict {
    let without = || verify_segment(segment, bytes, options);
    let Some(supplement) = supplement else { return without() };
    let reason = match Supplement::decode(supplement) {
        Err(error) => error.to_string(),
        Ok(supplement) => {
            let options = VerifyOptions { supplement: Some(&supplement), ..options };
            let verdict = verify_segment(segment, bytes, options);
            if verdict.outcome() != Outcome::Failed {
                return verdict;
            }
            first_failure(&verdict)
        }
    };
    let verdict = without();
    if verdict.outcome() != Outcome::Failed {
        metrics::counter!("agent_supplements_refused_total").increment(1);
        let name = segment.replica.segment_name();
        tracing::warn!(
            "The supplement of {name} does not fit its block, which is judged without: {reason}"
        );
    }
    verdict
}

fn why_no_more(verdict: &Verdict) -> &str {
    match verdict.check(CheckName::Execution) {
        Some(CheckResult::Impossible { reason }) => reason,
        _ => "a check is impossible",
    }
}

fn first_failure(verdict: &Verdict) -> String {
    let failed = verdict.checks().find_map(|(name, result)| match result {
        CheckResult::Failed { expected, got, first_difference } => {
            let at = first_difference.as_deref().map(|at| format!(", {at}")).unwrap_or_default();
            Some(format!("{name}: expected {expected}, got {got}{at}"))
        }
        _ => None,
    });
    failed.unwrap_or_else(|| "a check failed".to_owned())
}
