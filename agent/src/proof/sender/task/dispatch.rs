//! Sends what is waiting: nonce, signature, journal, broadcast.

use super::{SubmitRequest, Task, TrackedSubmission, land, look::Look};
use crate::{
    alarm::now_ms,
    failpoint,
    proof::{
        Attempt,
        fees::Fees,
        sender::{
            metrics,
            submission::{
                PendingNonce, SubmissionOutcome,
                sign::{EMPTY_TRANSACTION_GAS, hashes},
            },
        },
    },
};
use futures::future::join_all;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How old the contract's answer may be when its claim is sent.
const FRESH: Duration = Duration::from_secs(60);

impl Task {
    /// Gives nonces to what is waiting, and sends it.
    pub(crate) async fn send_waiting(&mut self, chain_id: u64, look: &Look) {
        let affordable = self.queue.len().min(self.funds.left(self.submissions.len()));
        if affordable == 0 {
            return;
        }
        let ceiling = self.contract.config.max_fee_per_gas;
        let fees = Fees::suggest(look.market, ceiling);
        let (now, now_ms) = (Instant::now(), now_ms());
        let mut nonces = self.nonces.free(self.our_nonces());
        let mut departing = Vec::new();
        for SubmitRequest { pending_claim, gas, asked, reply } in
            self.queue.drain(..affordable).collect::<Vec<_>>()
        {
            let Some(gas) = gas.filter(|_| asked.elapsed() < FRESH && !reply.is_closed()) else {
                land(reply, SubmissionOutcome::AskAgain, pending_claim);
                continue;
            };
            self.funds.expect(gas, fees.max_fee);
            let Some(nonce) = nonces.next() else { continue };
            match self.contract.account.sign_proof(chain_id, nonce, gas, fees, &pending_claim.claim)
            {
                Ok(signed) => departing.push((pending_claim, reply, nonce, gas, signed)),
                Err(reason) => land(reply, SubmissionOutcome::Refused(reason), pending_claim),
            }
        }
        let recorded = join_all(departing.into_iter().map(
            async |(mut pending_claim, reply, nonce, gas, signed)| {
                pending_claim
                    .attempts
                    .push(Attempt { nonce, transactions: vec![signed.record(now_ms)] });
                failpoint::hit("before_attempt_journal");
                let result = pending_claim.log.record(&pending_claim.attempts).await;
                (pending_claim, reply, nonce, gas, signed, result)
            },
        ))
        .await;
        let mut submissions = Vec::with_capacity(recorded.len());
        for (mut pending_claim, reply, nonce, gas, signed, result) in recorded {
            if let Err(error) = result {
                pending_claim.attempts.pop();
                land(reply, SubmissionOutcome::Unrecorded(error.to_string()), pending_claim);
                continue;
            }
            failpoint::hit("after_attempt_journal");
            tracing::info!(
                "submitting block-replica segment proof for: {}",
                pending_claim.claim.segment
            );
            let earlier =
                pending_claim.attempts.split_last().map(|(_, earlier)| hashes(earlier).collect());
            let mut pending = PendingNonce::new(nonce, gas, signed, now);
            pending.earlier = earlier.unwrap_or_default();
            submissions.push(TrackedSubmission { pending, owner: Some((pending_claim, reply)) });
        }
        self.depart(submissions).await;
    }

    /// Broadcasts the first transactions of pending nonces.
    pub(crate) async fn depart(&mut self, submissions: Vec<TrackedSubmission>) {
        let contract = Arc::clone(&self.contract);
        let reactions =
            join_all(submissions.iter().map(|tracked| contract.hand_over(&tracked.pending.newest)))
                .await;
        failpoint::hit("after_broadcast");
        for (tracked, reaction) in submissions.into_iter().zip(reactions) {
            metrics::sent();
            tracing::debug!(
                segment = tracked.name(),
                nonce = tracked.pending.nonce,
                ?reaction,
                "A proof was sent"
            );
            match self.react(&tracked, reaction, true) {
                None => self.submissions.push(tracked),
                Some(outcome) => self.end(tracked, outcome),
            }
        }
    }

    /// Uses up a nonce that is missing below ours, because whoever had it let it go: without it
    /// nothing of ours is mined.
    pub(crate) async fn fill_hole(&mut self, chain_id: u64, look: &Look) {
        let ours = self.our_nonces();
        let Some(nonce) = self.nonces.hole(&ours) else { return };
        let fees = Fees::suggest(look.market, self.contract.config.max_fee_per_gas);
        let Ok(signed) = self.contract.account.sign_cancel(chain_id, nonce, fees) else { return };
        tracing::warn!(nonce, tx = %signed.hash, "Filling a nonce that is missing below ours");
        let gas = EMPTY_TRANSACTION_GAS;
        let pending = PendingNonce::new(nonce, gas, signed, Instant::now());
        self.depart(vec![TrackedSubmission { pending, owner: None }]).await;
    }
}
