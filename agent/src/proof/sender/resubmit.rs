//! Sends what is under way again: the same, or a replacement that pays more.

use super::{
    broadcast::Reaction,
    flight::{Landing, Purpose, Signed},
    look::Look,
    metrics,
    moment::Moment,
    task::{Leg, Task},
};
use crate::{alarm::now_ms, failpoint, proof::fees::Fees};
use std::time::Instant;

impl Task {
    pub(super) async fn rebroadcast(&mut self, leg: &mut Leg, now: Instant) -> Option<Landing> {
        let newest = leg.flight.newest.clone();
        tracing::debug!(segment = leg.name(), tx = %newest.hash, "sending the same transaction again");
        metrics::rebroadcast();
        leg.flight.broadcast = Moment::at(now);
        let reaction = self.desk.hand_over(&newest).await;
        self.react(leg, reaction, false)
    }

    /// Replaces the newest transaction by one that pays more: the same call, or nothing at all if the claim has no
    /// chance any more, so that its nonce does not stop the others.
    pub(super) async fn resubmit(
        &mut self,
        leg: &mut Leg,
        chain_id: u64,
        look: &Look,
        now: Instant,
    ) -> Option<Landing> {
        leg.flight.resubmitted = Moment::at(now);
        let newest = leg.flight.newest.clone();
        let purpose = match leg.claim() {
            Some(claim) if newest.purpose == Purpose::Proof => {
                match self.desk.is_hopeless(claim).await {
                    Ok(true) => Purpose::Cancel,
                    Ok(false) => Purpose::Proof,
                    // Worse than to bump is to do nothing because a question was not answered.
                    Err(_) => Purpose::Proof,
                }
            }
            _ => Purpose::Cancel,
        };
        let ceiling = self.desk.config.max_fee_per_gas;
        let Some(fees) = newest.fees.bumped(Fees::suggest(look.market, ceiling), ceiling) else {
            leg.flight.at_ceiling = true;
            return self.rebroadcast(leg, now).await;
        };
        let signed = match self.sign(leg, chain_id, purpose, fees) {
            Ok(signed) => signed,
            Err(reason) => return Some(Landing::Refused(reason)),
        };
        if let Err(reason) = record_another(leg, &signed).await {
            tracing::warn!(
                segment = leg.name(),
                "not resubmitted, the journal does not take it: {reason}"
            );
            return None;
        }
        tracing::info!(
            segment = leg.name(), nonce = leg.flight.nonce, tx = %signed.hash, max_fee = fees.max_fee,
            tip = fees.tip, cancel = purpose == Purpose::Cancel, "replacing a transaction that is not mined"
        );
        metrics::replaced(purpose);
        leg.flight.replace(signed.clone());
        leg.flight.broadcast = Moment::at(now);
        let reaction = self.desk.hand_over(&signed).await;
        failpoint::hit("after_broadcast");
        self.react(leg, reaction, false)
    }

    fn sign(
        &self,
        leg: &Leg,
        chain_id: u64,
        purpose: Purpose,
        fees: Fees,
    ) -> Result<Signed, String> {
        let (account, flight) = (&self.desk.account, &leg.flight);
        match (purpose, leg.claim()) {
            (Purpose::Proof, Some(claim)) => {
                account.sign_proof(chain_id, flight.nonce, flight.gas, fees, claim)
            }
            _ => account.sign_cancel(chain_id, flight.nonce, fees),
        }
    }

    /// What a node's answer to a broadcast means for the flight. `first`: it was its first transaction.
    pub(super) fn react(&mut self, leg: &Leg, reaction: Reaction, first: bool) -> Option<Landing> {
        match reaction {
            Reaction::Taken => {
                self.funds.suffice();
                None
            }
            Reaction::Unknown(reason) => {
                tracing::debug!(segment = leg.name(), "{reason}");
                None
            }
            Reaction::NoFunds(reason) => {
                self.funds.run_out(&self.desk, &reason);
                None
            }
            // Somebody else has the nonce, before we had anything in the pool.
            Reaction::NonceInUse if first => {
                self.nonces.spend(leg.flight.nonce);
                Some(Landing::AskAgain)
            }
            Reaction::NonceInUse => None,
            Reaction::Never(reason) if first => Some(Landing::Refused(reason)),
            Reaction::Never(reason) => {
                tracing::warn!(segment = leg.name(), "a transaction is refused: {reason}");
                None
            }
        }
    }
}

/// Records one more transaction of the flight's attempt, before it is broadcast.
async fn record_another(leg: &mut Leg, signed: &Signed) -> Result<(), String> {
    let Some((case, _)) = &mut leg.owner else { return Ok(()) };
    let Some(attempt) = case.attempts.last_mut() else {
        return Err("the flight has no attempt".to_owned());
    };
    attempt.transactions.push(signed.record(now_ms()));
    failpoint::hit("before_attempt_journal");
    let result = case.log.record(&case.attempts).await;
    failpoint::hit("after_attempt_journal");
    if result.is_err()
        && let Some(attempt) = case.attempts.last_mut()
    {
        attempt.transactions.pop();
    }
    result.map_err(|error| error.to_string())
}
