//! The way back: a verdict on a replica from its own content.
//!
//! The block is rebuilt from the replica, executed on a state that holds only the replica's read
//! lists, by the same code that records a block in a node, and everything that comes out is
//! compared with what the replica says.
//!
//! The network's format does not always allow that: it leaves out the authorization lists of
//! EIP-7702 and the sizes of codes that are in no list. Then a
//! [supplement](VerifyOptions::supplement) helps; without one, as much is executed as there is, and
//! the [verdict](Verdict::executed) says how much that was.

mod authorizations;
mod block;
mod comparison;
mod execution;
mod receipts;
mod required;
mod supplement;
mod verdict;

pub use authorizations::{AuthorizationsError, RecoveredAuthorizations};
pub use verdict::{CheckName, CheckResult, Executed, Outcome, Verdict};

use crate::ChainSpec;
use bsp_codec::{Replica, Segment, avro, supplement::Supplement};

/// What a verification may use beside the replica.
#[derive(Debug, Clone, Copy, Default)]
pub struct VerifyOptions<'a> {
    /// The chain's rules; by default those of the built-in chain with the replica's `NetworkId`.
    pub spec: Option<&'a ChainSpec>,
    /// Authorization lists that the format does not carry, without their signatures.
    pub authorizations: Option<&'a RecoveredAuthorizations>,
    /// What the format does not carry, as the producer sends it beside the replica. One of another
    /// block fails [`CheckName::Supplement`].
    pub supplement: Option<&'a Supplement>,
}

/// Checks a replica: header, roots, senders, read lists, and by re-execution receipts, gas and the
/// lists' rows and order.
///
/// Never fails as such: what cannot be checked is in the verdict, with the reason.
pub fn verify(replica: &Replica, options: VerifyOptions<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    let supplement = supplement::check(replica, options.supplement, &mut verdict);
    let transactions = block::check(replica, supplement, &mut verdict);
    let options = VerifyOptions { supplement, ..options };
    execution::check(replica, transactions, options, &mut verdict);
    verdict
}

/// Checks of a replica what needs neither execution nor the chain's rules: header, roots, senders,
/// the receipts that are listed, and that the read lists have what its transactions read before
/// anything is executed.
///
/// It takes a tenth of the time that [`verify`] takes, and says nothing else about the read lists.
pub fn verify_roots(replica: &Replica) -> Verdict {
    let mut verdict = Verdict::default();
    // What was rebuilt is of use for an execution only.
    let _ = block::check(replica, None, &mut verdict);
    if replica.kind.has_state() {
        // Another chain may have the id of one that is built in, and other contracts.
        verdict.push(CheckName::RequiredReads, required::check(replica, None));
    }
    if replica.kind.has_receipts() {
        receipts::check(replica, &mut verdict);
    }
    verdict
}

/// Checks a segment that was read from `bytes`: its replica, what the segment says of it, and that
/// encoding it again gives the same bytes.
pub fn verify_segment(segment: &Segment, bytes: &[u8], options: VerifyOptions<'_>) -> Verdict {
    let mut verdict = verify(&segment.replica, options);
    verdict.push(CheckName::Envelope, check_envelope(segment));
    verdict.push(CheckName::Bytes, check_bytes(segment, bytes));
    verdict
}

/// The network writes one block a segment, and names it twice.
fn check_envelope(segment: &Segment) -> CheckResult {
    let Segment { event_hash, replica, start_block, end_block, elements, .. } = segment;
    let number = replica.header.number;
    CheckResult::compare(
        &format!("hash {}, blocks {number} to {number}, elements 1", replica.hash),
        &format!("hash {event_hash}, blocks {start_block} to {end_block}, elements {elements}"),
    )
}

fn check_bytes(segment: &Segment, bytes: &[u8]) -> CheckResult {
    let profile =
        avro::profile_of_label(segment.codec_version).unwrap_or_else(|| segment.replica.profile());
    let again = match avro::encode_segment(segment, profile) {
        Ok(again) => again,
        Err(error) => return CheckResult::failed_by("content that can be encoded", error),
    };
    if again == bytes {
        return CheckResult::OK;
    }
    let same = again.iter().zip(bytes).take_while(|(again, given)| again == given).count();
    CheckResult::Failed {
        expected: format!("{} bytes", again.len()),
        got: format!("{} bytes", bytes.len()),
        first_difference: Some(format!("byte {same}")),
    }
}
