//! The one task that owns a key's nonces: at each turn it looks at the chain, settles what is under way, and sends
//! what is waiting.

use super::{
    ask::Desk,
    broadcast::Reaction,
    flight::{Action, Flight, Landing, Policy, Purpose, Signed, View},
    funds::Funds,
    look::{Look, Sighting},
    metrics,
    sign::hashes,
};
use crate::{
    alarm::{AlarmKind, now_ms},
    failpoint,
    proof::{
        Attempt, AttemptLog, Claim,
        fees::Fees,
        rpc::{Health, RpcError},
    },
};
use futures::future::join_all;
use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// The part of the work in [`Health`].
const PART: &str = "watch";

/// Looks in a row that find a nonce missing below ours, before it is filled: the pool may come late.
const LOOKS_BEFORE_FILLING: u32 = 3;

/// How old the contract's answer may be when its claim is sent.
const FRESH: Duration = Duration::from_secs(60);

/// A claim with all that was signed for it, on its way through the task and back.
pub(super) struct Case {
    pub(super) claim: Claim,
    pub(super) attempts: Vec<Attempt>,
    pub(super) log: Arc<dyn AttemptLog>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("claim", &self.claim).finish_non_exhaustive()
    }
}

/// What a claim wants of the task.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) case: Case,
    /// The gas limit of a new transaction. `None`: see what became of the last attempt.
    pub(super) gas: Option<u64>,
    pub(super) asked: Instant,
    pub(super) reply: oneshot::Sender<(Landing, Case)>,
}

/// A flight with whose it is. Without: it fills a hole.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) flight: Flight,
    pub(super) owner: Option<(Case, oneshot::Sender<(Landing, Case)>)>,
}

impl Leg {
    pub(super) fn claim(&self) -> Option<&Claim> {
        self.owner.as_ref().map(|(case, _)| &case.claim)
    }

    fn name(&self) -> &str {
        self.claim().map_or("a nonce without claim", |claim| claim.segment.as_str())
    }
}

/// The task.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) desk: Arc<Desk>,
    pub(super) health: Health,
    pub(super) funds: Funds,
    pub(super) legs: Vec<Leg>,
    queue: VecDeque<Order>,
    pub(super) chain_id: Option<u64>,
    chain_checked: Option<Instant>,
    /// The nonce after the highest that we saw used, or were told is. A late answer must not bring it back.
    spent: u64,
    /// Looks in a row that found the next nonce to be nobody's, and below ours.
    holes_seen: u32,
}

impl Task {
    pub(super) fn new(desk: Arc<Desk>, health: Health) -> Self {
        let funds = Funds::new(&desk.config);
        Self {
            desk,
            health,
            funds,
            legs: Vec::new(),
            queue: VecDeque::new(),
            chain_id: None,
            chain_checked: None,
            spent: 0,
            holes_seen: 0,
        }
    }

    /// Runs until all that could give orders are gone. May be dropped at any point, as in a crash.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let pause = if self.legs.is_empty() && self.queue.is_empty() {
                // Nothing to watch but the balance.
                self.idle().await
            } else {
                self.turn().await
            };
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.queue.push_back(order),
                    None => return,
                },
                () = tokio::time::sleep(pause) => {}
            }
            while let Ok(order) = orders.try_recv() {
                self.queue.push_back(order);
            }
        }
    }

    async fn idle(&mut self) -> Duration {
        match self.check().await {
            Ok(()) => {
                self.health.good(PART);
                self.desk.config.check_interval
            }
            Err(error) => self.health.bad(PART, &error),
        }
    }

    /// One turn. Returns how long to pause.
    async fn turn(&mut self) -> Duration {
        match self.try_turn().await {
            Ok(()) => {
                self.health.good(PART);
                self.desk.config.poll_interval
            }
            Err(error) => self.health.bad(PART, &error),
        }
    }

    async fn try_turn(&mut self) -> Result<(), RpcError> {
        self.check().await?;
        let Some(chain_id) = self.chain_id else { return Ok(()) };
        self.adopt(chain_id);
        let look = self.desk.look().await?;
        let sightings = self.sightings().await?;
        self.note_nonce(&look, &sightings);
        self.settle(chain_id, &look, sightings).await;
        self.send_waiting(chain_id, &look).await;
        self.fill_hole(chain_id, &look).await;
        self.note_stuck();
        metrics::in_flight(self.legs.len());
        Ok(())
    }

    /// What changes rarely: that it is still the same chain, and the balance.
    async fn check(&mut self) -> Result<(), RpcError> {
        let interval = self.desk.config.check_interval;
        if self.chain_checked.is_none_or(|at| at.elapsed() >= interval) {
            let id = self.desk.rpc.chain_id().await?;
            if self.chain_id.is_some_and(|known| known != id) {
                let reason = format!("the chain id was {:?} and is {id}", self.chain_id);
                return Err(RpcError::Implausible { method: "eth_chainId", reason });
            }
            self.chain_id = Some(id);
            self.chain_checked = Some(Instant::now());
        }
        self.funds.check(&self.desk).await
    }

    async fn sightings(&self) -> Result<Vec<Sighting>, RpcError> {
        let flights: Vec<_> = self.legs.iter().map(|leg| (&leg.flight, leg.claim())).collect();
        self.desk.sight(&flights).await
    }

    /// Takes up attempts of an earlier run, before any nonce is given out.
    fn adopt(&mut self, chain_id: u64) {
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
                "an attempt of an earlier run is of another key, contract or chain, and not pursued"
            );
            return None;
        };
        let mut signed = signed.into_iter();
        let begun_ms = last.transactions.first()?.signed_ms;
        let mut flight = Flight::new(last.nonce, gas, signed.next()?, begun_ms);
        signed.for_each(|newer| flight.replace(newer));
        flight.resubmitted_ms = last.transactions.last()?.signed_ms;
        // Whether it was broadcast is unknown: if the node does not know it, it is sent at once.
        flight.broadcast_ms = 0;
        flight.earlier = hashes(earlier).collect();
        Some(flight)
    }

    fn note_nonce(&mut self, look: &Look, sightings: &[Sighting]) {
        let used = self
            .legs
            .iter()
            .zip(sightings)
            .filter(|(leg, sighting)| {
                sighting
                    .mined
                    .as_ref()
                    .is_some_and(|mined| leg.flight.purpose_of(mined.hash).is_some())
            })
            .map(|(leg, _)| leg.flight.nonce.saturating_add(1))
            .max();
        self.spent = self.spent.max(used.unwrap_or(0));
        let owned = self.legs.iter().any(|leg| leg.flight.nonce == look.nonce);
        let above = self.spent > look.nonce || !self.legs.is_empty();
        let hole = above && !owned && look.pending <= look.nonce;
        self.holes_seen = if hole { self.holes_seen.saturating_add(1) } else { 0 };
        if self.holes_seen >= LOOKS_BEFORE_FILLING {
            // It was given back by a reorg, or never used by whoever seemed to.
            self.spent = self.spent.min(look.nonce);
        }
    }

    /// Does for each flight what its sighting asks for.
    async fn settle(&mut self, chain_id: u64, look: &Look, sightings: Vec<Sighting>) {
        let policy = self.policy();
        let now_ms = now_ms();
        let mut nonces = Vec::with_capacity(self.legs.len());
        let mut kept = Vec::with_capacity(self.legs.len());
        for (mut leg, sighting) in std::mem::take(&mut self.legs).into_iter().zip(sightings) {
            let contested = nonces.contains(&leg.flight.nonce);
            nonces.push(leg.flight.nonce);
            let Sighting { mined, in_pool } = sighting;
            let view = View {
                now_ms,
                head: look.head.number,
                nonce: look.nonce,
                mined,
                in_pool,
                contested,
            };
            leg.flight.observe(&view);
            let landing = match leg.flight.decide(&view, &policy) {
                Action::Wait => None,
                Action::Rebroadcast => self.rebroadcast(&mut leg, now_ms).await,
                Action::Resubmit => self.resubmit(&mut leg, chain_id, look, now_ms).await,
                Action::Land(landing) => Some(landing),
            };
            match landing {
                None => kept.push(leg),
                Some(landing) => self.end(leg, landing),
            }
        }
        self.legs = kept;
    }

    fn policy(&self) -> Policy {
        let config = &self.desk.config;
        Policy {
            confirmations: config.confirmations.max(1),
            resubmit_after: config.resubmit_after,
            rebroadcast_after: config.rebroadcast_after,
        }
    }

    fn end(&self, leg: Leg, landing: Landing) {
        if let Landing::Proved(_) = landing {
            failpoint::hit("after_receipt");
        }
        metrics::landed(&landing, leg.flight.begun_ms);
        if let Some((case, reply)) = leg.owner {
            land(reply, landing, case);
        }
    }

    async fn rebroadcast(&mut self, leg: &mut Leg, now_ms: u64) -> Option<Landing> {
        let newest = leg.flight.newest.clone();
        tracing::debug!(segment = leg.name(), tx = %newest.hash, "sending the same transaction again");
        metrics::rebroadcast();
        leg.flight.broadcast_ms = now_ms;
        let reaction = self.desk.hand_over(&newest).await;
        self.react(leg, reaction, false)
    }

    /// Replaces the newest transaction by one that pays more: the same call, or nothing at all if the claim has no
    /// chance any more, so that its nonce does not stop the others.
    async fn resubmit(
        &mut self,
        leg: &mut Leg,
        chain_id: u64,
        look: &Look,
        now_ms: u64,
    ) -> Option<Landing> {
        leg.flight.resubmitted_ms = now_ms;
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
            return self.rebroadcast(leg, now_ms).await;
        };
        let signed = match self.sign(leg, chain_id, purpose, fees) {
            Ok(signed) => signed,
            Err(reason) => return Some(Landing::Refused(reason)),
        };
        if let Err(reason) = record_another(leg, &signed, now_ms).await {
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
        leg.flight.broadcast_ms = now_ms;
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
                self.spent = self.spent.max(leg.flight.nonce.saturating_add(1));
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

    /// Gives nonces to what is waiting, and sends it.
    async fn send_waiting(&mut self, chain_id: u64, look: &Look) {
        let affordable = self.queue.len().min(self.funds.left(self.legs.len()));
        if affordable == 0 {
            return;
        }
        let ceiling = self.desk.config.max_fee_per_gas;
        let fees = Fees::suggest(look.market, ceiling);
        let now_ms = now_ms();
        let mut nonces = self.free_nonces(look);
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
        drop(nonces);
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
            let earlier = case.attempts.split_last().map(|(_, earlier)| hashes(earlier).collect());
            let mut flight = Flight::new(nonce, gas, signed, now_ms);
            flight.earlier = earlier.unwrap_or_default();
            legs.push(Leg { flight, owner: Some((case, reply)) });
        }
        self.depart(legs).await;
    }

    /// Broadcasts the first transactions of flights.
    async fn depart(&mut self, legs: Vec<Leg>) {
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

    /// Nonces that neither the chain, nor the pool, nor a flight of ours has, lowest first.
    fn free_nonces(&self, look: &Look) -> impl Iterator<Item = u64> + use<> {
        let ours: Vec<_> = self.legs.iter().map(|leg| leg.flight.nonce).collect();
        let start = look.nonce.max(look.pending).max(self.spent);
        (start..u64::MAX).filter(move |nonce| !ours.contains(nonce))
    }

    /// Uses up a nonce that is missing below ours, because whoever had it let it go: without it nothing of ours is mined.
    async fn fill_hole(&mut self, chain_id: u64, look: &Look) {
        let owned = self.legs.iter().any(|leg| leg.flight.nonce == look.nonce);
        if self.holes_seen < LOOKS_BEFORE_FILLING || owned || self.legs.is_empty() {
            return;
        }
        let fees = Fees::suggest(look.market, self.desk.config.max_fee_per_gas);
        let Ok(signed) = self.desk.account.sign_cancel(chain_id, look.nonce, fees) else { return };
        tracing::warn!(nonce = look.nonce, tx = %signed.hash, "filling a nonce that is missing below ours");
        let gas = super::sign::EMPTY_TRANSACTION_GAS;
        let flight = Flight::new(look.nonce, gas, signed, now_ms());
        self.holes_seen = 0;
        self.depart(vec![Leg { flight, owner: None }]).await;
    }

    /// Tells of proofs that are not mined for too long, or can't be made more attractive.
    fn note_stuck(&self) {
        let config = &self.desk.config;
        let now_ms = now_ms();
        let late = |leg: &&Leg| {
            let age = now_ms.saturating_sub(leg.flight.begun_ms);
            leg.flight.at_ceiling || u128::from(age) >= config.deadline.as_millis()
        };
        let stuck: Vec<_> = self.legs.iter().filter(late).collect();
        match stuck.iter().min_by_key(|leg| leg.flight.nonce) {
            None => self.desk.alarms.clear(AlarmKind::ProofStuck),
            Some(leg) => self.desk.alarms.raise(
                AlarmKind::ProofStuck,
                format!(
                    "{} proofs are not mined in time, the first is {} with nonce {} since {} s, at {} wei of at most {}: \
                     raise --proof-max-fee-gwei or see what the chain takes",
                    stuck.len(),
                    leg.name(),
                    leg.flight.nonce,
                    now_ms.saturating_sub(leg.flight.begun_ms) / 1000,
                    leg.flight.newest.fees.max_fee,
                    config.max_fee_per_gas,
                ),
            ),
        }
    }
}

/// Records one more transaction of the flight's attempt, before it is broadcast.
async fn record_another(leg: &mut Leg, signed: &Signed, now_ms: u64) -> Result<(), String> {
    let Some((case, _)) = &mut leg.owner else { return Ok(()) };
    let Some(attempt) = case.attempts.last_mut() else {
        return Err("the flight has no attempt".to_owned());
    };
    attempt.transactions.push(signed.record(now_ms));
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

/// Gives a case back. Whoever no longer waits for it has it in the journal.
fn land(reply: oneshot::Sender<(Landing, Case)>, landing: Landing, case: Case) {
    let _ = reply.send((landing, case));
}
