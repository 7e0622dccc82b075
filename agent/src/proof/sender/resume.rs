//! Takes up what an earlier run has signed.

use super::{
    flight::{Flight, Landing},
    moment::Moment,
    sign::hashes,
    task::{Case, Leg, Order, Task, land},
};
use std::time::{Duration, Instant};

impl Task {
    /// Takes up attempts of an earlier run, before any nonce is given out.
    pub(super) fn adopt(&mut self, chain_id: u64) {
        let (known, fresh): (Vec<_>, Vec<_>) =
            self.queue.drain(..).partition(|order| order.gas.is_none());
        self.queue = fresh.into();
        for order in known {
            let Order { case, reply, .. } = order;
            match self.resume(chain_id, &case) {
                Some(flight) => {
                    tracing::info!(segment = %case.claim.segment, nonce = flight.nonce, "resuming a proof");
                    self.legs.push(Leg { flight, owner: Some((case, reply)) });
                }
                None => land(reply, Landing::AskAgain, case),
            }
        }
    }

    fn resume(&self, chain_id: u64, case: &Case) -> Option<Flight> {
        let (last, earlier) = case.attempts.split_last()?;
        let Some((gas, signed)) = self.desk.account.read(last, chain_id) else {
            tracing::warn!(
                segment = %case.claim.segment,
                nonce = last.nonce,
                "Ignoring a recorded attempt: it was signed for another key, contract or chain"
            );
            return None;
        };
        let mut signed = signed.into_iter();
        let now = Instant::now();
        let mut flight = Flight::new(last.nonce, gas, signed.next()?, now);
        signed.for_each(|newer| flight.replace(newer));
        flight.begun = Moment::of_earlier_run(now, last.transactions.first()?.signed_ms);
        flight.resubmitted = Moment::of_earlier_run(now, last.transactions.last()?.signed_ms);
        // Whether it was broadcast is unknown: if the node does not know it, it is sent at once.
        flight.broadcast = Moment::ago(now, Duration::MAX);
        flight.earlier = hashes(earlier).collect();
        Some(flight)
    }
}
