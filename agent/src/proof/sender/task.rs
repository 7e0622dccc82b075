//! The one task that owns a key's nonces: at each turn it looks at the chain, settles what is under way, and sends
//! what is waiting.

use super::{
    ask::Desk,
    flight::{Action, Flight, Landing, Mined, Policy, View},
    funds::Funds,
    look::{Look, Sighting},
    metrics,
    nonces::Nonces,
    pace::Pace,
};
use crate::{
    alarm::AlarmKind,
    failpoint,
    proof::{
        Attempt, AttemptLog, Claim,
        rpc::{Health, RpcError},
    },
};
use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// The part of the work in [`Health`].
const PART: &str = "watch";

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

    pub(super) fn name(&self) -> &str {
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
    pub(super) queue: VecDeque<Order>,
    pub(super) chain_id: Option<u64>,
    chain_checked: Option<Instant>,
    pub(super) nonces: Nonces,
    pace: Pace,
}

impl Task {
    pub(super) fn new(desk: Arc<Desk>, health: Health) -> Self {
        let funds = Funds::new(&desk.config);
        let pace = Pace::new(desk.config.poll_interval, desk.config.longest_poll_interval);
        Self {
            desk,
            health,
            funds,
            legs: Vec::new(),
            queue: VecDeque::new(),
            chain_id: None,
            chain_checked: None,
            nonces: Nonces::default(),
            pace,
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
            Ok(sent) => {
                self.health.good(PART);
                // A chain that mines on demand has it at once.
                if sent { self.desk.config.poll_interval } else { self.pace.pause() }
            }
            Err(error) => self.health.bad(PART, &error),
        }
    }

    /// Whether something was sent for the first time.
    async fn try_turn(&mut self) -> Result<bool, RpcError> {
        self.check().await?;
        let Some(chain_id) = self.chain_id else { return Ok(false) };
        self.adopt(chain_id);
        let look = self.desk.look().await?;
        self.pace.saw(look.head.number, Instant::now());
        let sightings = self.sightings().await?;
        self.note_nonces(&look, &sightings);
        self.settle(chain_id, &look, sightings).await;
        let settled = self.legs.len();
        self.send_waiting(chain_id, &look).await;
        let sent = self.legs.len() > settled;
        self.fill_hole(chain_id, &look).await;
        self.note_stuck(&look);
        metrics::in_flight(self.legs.len());
        Ok(sent)
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

    fn note_nonces(&mut self, look: &Look, sightings: &[Sighting]) {
        for (leg, sighting) in self.legs.iter().zip(sightings) {
            let of_its_nonce = |mined: &Mined| leg.flight.purpose_of(mined.hash).is_some();
            if sighting.mined.as_ref().is_some_and(of_its_nonce) {
                self.nonces.spend(leg.flight.nonce);
            }
        }
        self.nonces.observe(look.nonce, look.pending, &self.our_nonces());
    }

    pub(super) fn our_nonces(&self) -> Vec<u64> {
        self.legs.iter().map(|leg| leg.flight.nonce).collect()
    }

    /// Does for each flight what its sighting asks for.
    async fn settle(&mut self, chain_id: u64, look: &Look, sightings: Vec<Sighting>) {
        let policy = self.policy();
        let now = Instant::now();
        let mut nonces = Vec::with_capacity(self.legs.len());
        let mut kept = Vec::with_capacity(self.legs.len());
        for (mut leg, sighting) in std::mem::take(&mut self.legs).into_iter().zip(sightings) {
            let contested = nonces.contains(&leg.flight.nonce);
            nonces.push(leg.flight.nonce);
            let Sighting { mined, in_pool } = sighting;
            let view = View {
                now,
                head: look.head.number,
                settled: look.settled,
                nonce: look.nonce,
                mined,
                in_pool,
                contested,
            };
            leg.flight.observe(&view);
            let landing = match leg.flight.decide(&view, &policy) {
                Action::Wait => None,
                Action::Rebroadcast => self.rebroadcast(&mut leg, now).await,
                Action::Resubmit => self.resubmit(&mut leg, chain_id, look, now).await,
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
            resubmit_after: config.resubmit_after,
            rebroadcast_after: config.rebroadcast_after,
        }
    }

    pub(super) fn end(&self, leg: Leg, landing: Landing) {
        if let Landing::Proved(_) = landing {
            failpoint::hit("after_receipt");
        }
        metrics::landed(&landing, leg.flight.begun.age(Instant::now()));
        if let Some((case, reply)) = leg.owner {
            land(reply, landing, case);
        }
    }

    /// Tells of proofs that are not done for too long, or can't be made more attractive.
    fn note_stuck(&self, look: &Look) {
        let config = &self.desk.config;
        let now = Instant::now();
        let late = |leg: &&Leg| {
            let at_ceiling = leg.flight.at_ceiling && !leg.flight.is_mined;
            at_ceiling || leg.flight.begun.age(now) >= config.deadline
        };
        let stuck: Vec<_> = self.legs.iter().filter(late).collect();
        let Some(leg) = stuck.iter().min_by_key(|leg| leg.flight.nonce) else {
            return self.desk.alarms.clear(AlarmKind::ProofStuck);
        };
        let (count, flight) = (stuck.len(), &leg.flight);
        let which = format!(
            "{} with nonce {} since {} s",
            leg.name(),
            flight.nonce,
            flight.begun.age(now).as_secs()
        );
        let message = if flight.is_mined {
            format!(
                "{count} proofs are not done in time, the first is {which}: it is mined, and not deep enough; the head is \
                 {}, what counts as deep is {}: see whether the proof chain finalizes, or give --proof-confirmations \
                 a number",
                look.head.number,
                look.settled.map_or_else(|| "none yet".to_owned(), |settled| settled.to_string()),
            )
        } else {
            format!(
                "{count} proofs are not mined in time, the first is {which}, at {} wei of at most {}: raise \
                 --proof-max-fee-gwei or see what the chain takes",
                flight.newest.fees.max_fee, config.max_fee_per_gas,
            )
        };
        self.desk.alarms.raise(AlarmKind::ProofStuck, message);
    }
}

/// Gives a case back. Whoever no longer waits for it has it in the journal.
pub(super) fn land(reply: oneshot::Sender<(Landing, Case)>, landing: Landing, case: Case) {
    let _ = reply.send((landing, case));
}
