//! What is counted of proofs on the chain.

use super::submission::{Purpose, SubmissionOutcome};
use crate::proof::outcome::{Speaker, TABLE};
use alloy_primitives::U256;
use metrics::{counter, gauge, histogram};
use std::time::Duration;

pub(super) fn sent() {
    counter!("agent_proof_sent_total").increment(1);
}

pub(super) fn rebroadcast() {
    counter!("agent_proof_resubmitted_total").increment(1);
}

pub(super) fn replaced(purpose: Purpose) {
    let with = match purpose {
        Purpose::Proof => "higher_fee",
        Purpose::Cancel => "nothing",
    };
    counter!("agent_proof_replaced_total", "with" => with).increment(1);
}

pub(super) fn waiting(claims: usize) {
    gauge!("agent_proof_waiting").set(u32::try_from(claims).unwrap_or(u32::MAX));
}

pub(super) fn in_flight(pending_nonces: usize) {
    gauge!("agent_proof_in_flight").set(u32::try_from(pending_nonces).unwrap_or(u32::MAX));
}

/// In wei. A double's 53 bits are precise enough for a gauge.
pub(super) fn balance(wei: U256) {
    gauge!("agent_proof_balance_wei").set(f64::from(wei));
}

/// How long it lasts if it goes on falling as lately.
pub(super) fn balance_lasts(time: Duration) {
    gauge!("agent_proof_balance_lasts_seconds").set(time.as_secs_f64());
}

pub(super) fn landed(outcome: &SubmissionOutcome, age: Duration) {
    match outcome {
        SubmissionOutcome::Proved(_) => {
            counter!("agent_proof_confirmed_total").increment(1);
            histogram!("agent_proof_seconds").record(age.as_secs_f64());
        }
        SubmissionOutcome::Reverted(_) => counter!("agent_proof_reverted_total").increment(1),
        _ => {}
    }
}

/// By what the contract says, or `other`: a label has few values.
pub(super) fn skipped(reason: &str) {
    let row =
        TABLE.iter().find(|row| row.speaker == Speaker::Contract && reason.contains(row.text));
    let label = row.map_or("other", |row| row.text);
    counter!("agent_proof_skipped_total", "reason" => label).increment(1);
}
