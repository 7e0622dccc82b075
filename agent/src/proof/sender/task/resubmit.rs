//! Sends what is under way again: the same, or a replacement that pays more.

use super::{Task, TrackedSubmission, broadcast::Reaction, look::Look};
use crate::{
    alarm::now_ms,
    failpoint,
    proof::{
        fees::Fees,
        sender::{
            metrics,
            submission::{Purpose, Signed, SubmissionOutcome, moment::Moment},
        },
    },
};
use std::time::Instant;

impl Task {
    pub(crate) async fn rebroadcast(
        &mut self,
        tracked: &mut TrackedSubmission,
        now: Instant,
    ) -> Option<SubmissionOutcome> {
        let newest = tracked.pending.newest.clone();
        tracing::debug!(segment = tracked.name(), tx = %newest.hash, "Sending the same transaction again");
        metrics::rebroadcast();
        tracked.pending.broadcast = Moment::at(now);
        let reaction = self.contract.hand_over(&newest).await;
        self.react(tracked, reaction, false)
    }

    /// Replaces the newest transaction by one that pays more: the same call, or nothing at all if
    /// the claim has no chance any more, so that its nonce does not stop the others.
    pub(crate) async fn resubmit(
        &mut self,
        tracked: &mut TrackedSubmission,
        chain_id: u64,
        look: &Look,
        now: Instant,
    ) -> Option<SubmissionOutcome> {
        tracked.pending.resubmitted = Moment::at(now);
        let newest = tracked.pending.newest.clone();
        let purpose = match tracked.claim() {
            Some(claim) if newest.purpose == Purpose::Proof => {
                match self.contract.is_hopeless(claim).await {
                    Ok(true) => Purpose::Cancel,
                    Ok(false) => Purpose::Proof,
                    // Worse than to bump is to do nothing because a question was not answered.
                    Err(_) => Purpose::Proof,
                }
            }
            _ => Purpose::Cancel,
        };
        let ceiling = self.contract.config.max_fee_per_gas;
        let Some(fees) = newest.fees.bumped(Fees::suggest(look.market, ceiling), ceiling) else {
            tracked.pending.at_ceiling = true;
            return self.rebroadcast(tracked, now).await;
        };
        let signed = match self.sign(tracked, chain_id, purpose, fees) {
            Ok(signed) => signed,
            Err(reason) => return Some(SubmissionOutcome::Refused(reason)),
        };
        if let Err(reason) = record_another(tracked, &signed).await {
            tracing::warn!(
                segment = tracked.name(),
                "The transaction is not resubmitted, because the journal does not take it: {reason}"
            );
            return None;
        }
        tracing::info!(
            segment = tracked.name(), nonce = tracked.pending.nonce, tx = %signed.hash, max_fee = fees.max_fee,
            tip = fees.tip, cancel = purpose == Purpose::Cancel, "Replacing a transaction that is not mined"
        );
        metrics::replaced(purpose);
        tracked.pending.replace(signed.clone());
        tracked.pending.broadcast = Moment::at(now);
        let reaction = self.contract.hand_over(&signed).await;
        failpoint::hit("after_broadcast");
        self.react(tracked, reaction, false)
    }

    fn sign(
        &self,
        tracked: &TrackedSubmission,
        chain_id: u64,
        purpose: Purpose,
        fees: Fees,
    ) -> Result<Signed, String> {
        let (account, pending) = (&self.contract.account, &tracked.pending);
        match (purpose, tracked.claim()) {
            (Purpose::Proof, Some(claim)) => {
                account.sign_proof(chain_id, pending.nonce, pending.gas, fees, claim)
            }
            _ => account.sign_cancel(chain_id, pending.nonce, fees),
        }
    }

    /// What a node's answer to a broadcast means for the pending nonce. `first`: it was its first
    /// transaction.
    pub(crate) fn react(
        &mut self,
        tracked: &TrackedSubmission,
        reaction: Reaction,
        first: bool,
    ) -> Option<SubmissionOutcome> {
        match reaction {
            Reaction::Taken => {
                self.funds.suffice();
                None
            }
            Reaction::Unknown(reason) => {
                tracing::debug!(segment = tracked.name(), "{reason}");
                None
            }
            Reaction::NoFunds(reason) => {
                self.funds.run_out(&self.contract, &reason);
                None
            }
            // Somebody else has the nonce, before we had anything in the pool.
            Reaction::NonceInUse if first => {
                self.nonces.spend(tracked.pending.nonce);
                Some(SubmissionOutcome::AskAgain)
            }
            Reaction::NonceInUse => None,
            Reaction::Never(reason) if first => Some(SubmissionOutcome::Refused(reason)),
            Reaction::Never(reason) => {
                tracing::warn!(
                    segment = tracked.name(),
                    "The node refuses a transaction: {reason}"
                );
                None
            }
        }
    }
}

/// Records one more transaction of the pending nonce's attempt, before it is broadcast.
async fn record_another(tracked: &mut TrackedSubmission, signed: &Signed) -> Result<(), String> {
    let Some((pending_claim, _)) = &mut tracked.owner else { return Ok(()) };
    let Some(attempt) = pending_claim.attempts.last_mut() else {
        return Err("the pending nonce has no attempt".to_owned());
    };
    attempt.transactions.push(signed.record(now_ms()));
    failpoint::hit("before_attempt_journal");
    let result = pending_claim.log.record(&pending_claim.attempts).await;
    failpoint::hit("after_attempt_journal");
    if result.is_err()
        && let Some(attempt) = pending_claim.attempts.last_mut()
    {
        attempt.transactions.pop();
    }
    result.map_err(|error| error.to_string())
}
