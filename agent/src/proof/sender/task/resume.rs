//! Takes up what an earlier run has signed.

use super::{PendingClaim, SubmitRequest, Task, TrackedSubmission, land};
use crate::proof::sender::submission::{
    PendingNonce, SubmissionOutcome, moment::Moment, sign::hashes,
};
use std::time::{Duration, Instant};

impl Task {
    /// Takes up attempts of an earlier run, before any nonce is given out.
    pub(crate) fn adopt(&mut self, chain_id: u64) {
        let (known, fresh): (Vec<_>, Vec<_>) =
            self.queue.drain(..).partition(|request| request.gas.is_none());
        self.queue = fresh.into();
        for request in known {
            let SubmitRequest { pending_claim, reply, .. } = request;
            match self.resume(chain_id, &pending_claim) {
                Some(pending) => {
                    tracing::info!(segment = %pending_claim.claim.segment, nonce = pending.nonce, "Resuming a proof");
                    self.submissions
                        .push(TrackedSubmission { pending, owner: Some((pending_claim, reply)) });
                }
                None => land(reply, SubmissionOutcome::AskAgain, pending_claim),
            }
        }
    }

    fn resume(&self, chain_id: u64, pending_claim: &PendingClaim) -> Option<PendingNonce> {
        let (last, earlier) = pending_claim.attempts.split_last()?;
        let Some((gas, signed)) = self.contract.account.read(last, chain_id) else {
            tracing::warn!(
                segment = %pending_claim.claim.segment,
                nonce = last.nonce,
                "Ignoring a recorded attempt: it was signed for another key, contract or chain"
            );
            return None;
        };
        let mut signed = signed.into_iter();
        let now = Instant::now();
        let mut pending = PendingNonce::new(last.nonce, gas, signed.next()?, now);
        signed.for_each(|newer| pending.replace(newer));
        pending.begun = Moment::of_earlier_run(now, last.transactions.first()?.signed_ms);
        pending.resubmitted = Moment::of_earlier_run(now, last.transactions.last()?.signed_ms);
        // Whether it was broadcast is unknown: if the node does not know it, it is sent at once.
        pending.broadcast = Moment::ago(now, Duration::MAX);
        pending.earlier = hashes(earlier).collect();
        Some(pending)
    }
}
