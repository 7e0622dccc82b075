//! Sends what is waiting: nonce, signature, journal, broadcast.

use super::{
    flight::{Flight, Landing},
    look::Look,
    metrics,
    sign::{EMPTY_TRANSACTION_GAS, hashes},
    task::{Leg, Order, Task, land},
};
use crate::{
    alarm::now_ms,
    failpoint,
    proof::{Attempt, fees::Fees},
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
    pub(super) async fn send_waiting(&mut self, chain_id: u64, look: &Look) {
        let affordable = self.queue.len().min(self.funds.left(self.legs.len()));
        if affordable == 0 {
            return;
        }
        let ceiling = self.desk.config.max_fee_per_gas;
        let fees = Fees::suggest(look.market, ceiling);
        let (now, now_ms) = (Instant::now(), now_ms());
        let mut nonces = self.nonces.free(self.our_nonces());
        let mut departing = Vec::new();
        for Order { case, gas, asked, reply } in self.queue.drain(..affordable).collect::<Vec<_>>()
        {
            let Some(gas) = gas.filter(|_| asked.elapsed() < FRESH && !reply.is_closed()) else {
                land(reply, Landing::AskAgain, case);
                continue;
            };
            self.funds.expect(gas, fees.max_fee);
            let Some(nonce) = nonces.next() else { continue };
            match self.desk.account.sign_proof(chain_id, nonce, gas, fees, &case.claim) {
                Ok(signed) => departing.push((case, reply, nonce, gas, signed)),
                Err(reason) => land(reply, Landing::Refused(reason), case),
            }
        }
        let recorded =
            join_all(departing.into_iter().map(async |(mut case, reply, nonce, gas, signed)| {
                case.attempts.push(Attempt { nonce, transactions: vec![signed.record(now_ms)] });
                failpoint::hit("before_attempt_journal");
                let result = case.log.record(&case.attempts).await;
                (case, reply, nonce, gas, signed, result)
            }))
            .await;
        let mut legs = Vec::with_capacity(recorded.len());
        for (mut case, reply, nonce, gas, signed, result) in recorded {
            if let Err(error) = result {
                case.attempts.pop();
                land(reply, Landing::Unrecorded(error.to_string()), case);
                continue;
            }
            failpoint::hit("after_attempt_journal");
            tracing::info!("submitting block-replica segment proof for: {}", case.claim.segment);
            let earlier = case.attempts.split_last().map(|(_, earlier)| hashes(earlier).collect());
            let mut flight = Flight::new(nonce, gas, signed, now);
            flight.earlier = earlier.unwrap_or_default();
            legs.push(Leg { flight, owner: Some((case, reply)) });
        }
        self.depart(legs).await;
    }

    /// Broadcasts the first transactions of flights.
    pub(super) async fn depart(&mut self, legs: Vec<Leg>) {
        let desk = Arc::clone(&self.desk);
        let reactions = join_all(legs.iter().map(|leg| desk.hand_over(&leg.flight.newest))).await;
        failpoint::hit("after_broadcast");
        for (leg, reaction) in legs.into_iter().zip(reactions) {
            metrics::sent();
            tracing::debug!(
                segment = leg.name(),
                nonce = leg.flight.nonce,
                ?reaction,
                "a proof is sent"
            );
            match self.react(&leg, reaction, true) {
                None => self.legs.push(leg),
                Some(landing) => self.end(leg, landing),
            }
        }
    }

    /// Uses up a nonce that is missing below ours, because whoever had it let it go: without it nothing of ours is mined.
    pub(super) async fn fill_hole(&mut self, chain_id: u64, look: &Look) {
        let ours = self.our_nonces();
        let Some(nonce) = self.nonces.hole(&ours) else { return };
        let fees = Fees::suggest(look.market, self.desk.config.max_fee_per_gas);
        let Ok(signed) = self.desk.account.sign_cancel(chain_id, nonce, fees) else { return };
        tracing::warn!(nonce, tx = %signed.hash, "filling a nonce that is missing below ours");
        let gas = EMPTY_TRANSACTION_GAS;
        let flight = Flight::new(nonce, gas, signed, Instant::now());
        self.depart(vec![Leg { flight, owner: None }]).await;
    }
}
