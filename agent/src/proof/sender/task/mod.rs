//! The one task that owns a key's nonces: at each turn it looks at the chain, settles what is under
//! way, and sends what is waiting.

pub(crate) mod broadcast;
pub(crate) mod dispatch;
pub(crate) mod funds;
pub(crate) mod look;
pub(crate) mod nonces;
pub(crate) mod pace;
pub(crate) mod resubmit;
pub(crate) mod resume;

use super::{
    claims::ProofContract,
    metrics,
    submission::{Action, ChainView, Mined, PendingNonce, Policy, SubmissionOutcome},
};
use crate::{
    alarm::AlarmKind,
    failpoint,
    proof::{
        Attempt, AttemptLog, Claim,
        amount::GasPrice,
        rpc::{Health, RpcError},
    },
};
use bsp_common::text::counted;
use funds::Funds;
use look::{Look, Sighting};
use nonces::Nonces;
use pace::LookInterval;
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
pub(super) struct PendingClaim {
    pub(super) claim: Claim,
    pub(super) attempts: Vec<Attempt>,
    pub(super) log: Arc<dyn AttemptLog>,
}

impl fmt::Debug for PendingClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingClaim").field("claim", &self.claim).finish_non_exhaustive()
    }
}

/// What a claim wants of the task.
#[derive(Debug)]
pub(super) struct SubmitRequest {
    pub(super) pending_claim: PendingClaim,
    /// The gas limit of a new transaction. `None`: see what became of the last attempt.
    pub(super) gas: Option<u64>,
    pub(super) asked: Instant,
    pub(super) reply: oneshot::Sender<(SubmissionOutcome, PendingClaim)>,
}

/// A pending nonce with whose it is. Without: it fills a hole.
#[derive(Debug)]
pub(super) struct TrackedSubmission {
    pub(super) pending: PendingNonce,
    pub(super) owner: Option<(PendingClaim, oneshot::Sender<(SubmissionOutcome, PendingClaim)>)>,
}

impl TrackedSubmission {
    pub(super) fn claim(&self) -> Option<&Claim> {
        self.owner.as_ref().map(|(pending_claim, _)| &pending_claim.claim)
    }

    pub(super) fn name(&self) -> &str {
        self.claim().map_or("a nonce without claim", |claim| claim.segment.as_str())
    }
}

/// The task.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) contract: Arc<ProofContract>,
    pub(super) health: Health,
    pub(super) funds: Funds,
    pub(super) submissions: Vec<TrackedSubmission>,
    pub(super) queue: VecDeque<SubmitRequest>,
    pub(super) chain_id: Option<u64>,
    chain_checked: Option<Instant>,
    pub(super) nonces: Nonces,
    pace: LookInterval,
}

impl Task {
    pub(super) fn new(contract: Arc<ProofContract>, health: Health) -> Self {
        let funds = Funds::new(&contract.config);
        let pace =
            LookInterval::new(contract.config.poll_interval, contract.config.longest_poll_interval);
        Self {
            contract,
            health,
            funds,
            submissions: Vec::new(),
            queue: VecDeque::new(),
            chain_id: None,
            chain_checked: None,
            nonces: Nonces::default(),
            pace,
        }
    }

    /// Runs until all that could give orders are gone. May be dropped at any point, as in a crash.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<SubmitRequest>) {
        loop {
            let pause = if self.submissions.is_empty() && self.queue.is_empty() {
                // Nothing to watch but the balance.
                self.idle().await
            } else {
                self.turn().await
            };
            tokio::select! {
                request = requests.recv() => match request {
                    Some(request) => self.queue.push_back(request),
                    None => return,
                },
                () = tokio::time::sleep(pause) => {}
            }
            while let Ok(request) = requests.try_recv() {
                self.queue.push_back(request);
            }
        }
    }

    async fn idle(&mut self) -> Duration {
        match self.check().await {
            Ok(()) => {
                self.health.good(PART);
                self.contract.config.check_interval
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
                if sent { self.contract.config.poll_interval } else { self.pace.pause() }
            }
            Err(error) => self.health.bad(PART, &error),
        }
    }

    /// Whether something was sent for the first time.
    async fn try_turn(&mut self) -> Result<bool, RpcError> {
        self.check().await?;
        let Some(chain_id) = self.chain_id else { return Ok(false) };
        self.adopt(chain_id);
        let look = self.contract.look().await?;
        self.pace.saw(look.head.number, Instant::now());
        let sightings = self.sightings().await?;
        self.note_nonces(&look, &sightings);
        self.settle(chain_id, &look, sightings).await;
        let settled = self.submissions.len();
        self.send_waiting(chain_id, &look).await;
        let sent = self.submissions.len() > settled;
        self.fill_hole(chain_id, &look).await;
        self.note_stuck(&look);
        metrics::in_flight(self.submissions.len());
        Ok(sent)
    }

    /// What changes rarely: that it is still the same chain, and the balance.
    async fn check(&mut self) -> Result<(), RpcError> {
        let interval = self.contract.config.check_interval;
        if self.chain_checked.is_none_or(|at| at.elapsed() >= interval) {
            let id = self.contract.rpc.chain_id().await?;
            if self.chain_id.is_some_and(|known| known != id) {
                let reason = format!("the chain id was {:?} and is {id}", self.chain_id);
                return Err(RpcError::Implausible { method: "eth_chainId", reason });
            }
            self.chain_id = Some(id);
            self.chain_checked = Some(Instant::now());
        }
        let Some(chain_id) = self.chain_id else { return Ok(()) };
        self.funds.check(&self.contract, chain_id).await
    }

    async fn sightings(&self) -> Result<Vec<Sighting>, RpcError> {
        let pending_nonces: Vec<_> =
            self.submissions.iter().map(|tracked| (&tracked.pending, tracked.claim())).collect();
        self.contract.sight(&pending_nonces).await
    }

    fn note_nonces(&mut self, look: &Look, sightings: &[Sighting]) {
        for (tracked, sighting) in self.submissions.iter().zip(sightings) {
            let of_its_nonce = |mined: &Mined| tracked.pending.purpose_of(mined.hash).is_some();
            if sighting.mined.as_ref().is_some_and(of_its_nonce) {
                self.nonces.spend(tracked.pending.nonce);
            }
        }
        self.nonces.observe(look.nonce, look.pending, &self.our_nonces());
    }

    pub(super) fn our_nonces(&self) -> Vec<u64> {
        self.submissions.iter().map(|tracked| tracked.pending.nonce).collect()
    }

    /// Does for each pending nonce what its sighting asks for.
    async fn settle(&mut self, chain_id: u64, look: &Look, sightings: Vec<Sighting>) {
        let policy = self.policy();
        let now = Instant::now();
        let mut nonces = Vec::with_capacity(self.submissions.len());
        let mut kept = Vec::with_capacity(self.submissions.len());
        for (mut tracked, sighting) in
            std::mem::take(&mut self.submissions).into_iter().zip(sightings)
        {
            let contested = nonces.contains(&tracked.pending.nonce);
            nonces.push(tracked.pending.nonce);
            let Sighting { mined, in_pool } = sighting;
            let view = ChainView {
                now,
                head: look.head.number,
                settled: look.settled,
                nonce: look.nonce,
                mined,
                in_pool,
                contested,
            };
            tracked.pending.observe(&view);
            let outcome = match tracked.pending.decide(&view, &policy) {
                Action::Wait => None,
                Action::Rebroadcast => self.rebroadcast(&mut tracked, now).await,
                Action::Resubmit => self.resubmit(&mut tracked, chain_id, look, now).await,
                Action::Land(outcome) => Some(outcome),
            };
            match outcome {
                None => kept.push(tracked),
                Some(outcome) => self.end(tracked, outcome),
            }
        }
        self.submissions = kept;
    }

    fn policy(&self) -> Policy {
        let config = &self.contract.config;
        Policy {
            resubmit_after: config.resubmit_after,
            rebroadcast_after: config.rebroadcast_after,
        }
    }

    pub(super) fn end(&self, tracked: TrackedSubmission, outcome: SubmissionOutcome) {
        if let SubmissionOutcome::Proved(_) = outcome {
            failpoint::hit("after_receipt");
        }
        metrics::landed(&outcome, tracked.pending.begun.age(Instant::now()));
        if let Some((pending_claim, reply)) = tracked.owner {
            land(reply, outcome, pending_claim);
        }
    }

    /// Tells of proofs that are not done for too long, or can't be made more attractive.
    fn note_stuck(&self, look: &Look) {
        let config = &self.contract.config;
        let now = Instant::now();
        let late = |tracked: &&TrackedSubmission| {
            let at_ceiling = tracked.pending.at_ceiling && !tracked.pending.is_mined;
            at_ceiling || tracked.pending.begun.age(now) >= config.deadline
        };
        let stuck: Vec<_> = self.submissions.iter().filter(late).collect();
        let Some(tracked) = stuck.iter().min_by_key(|tracked| tracked.pending.nonce) else {
            return self.contract.alarms.clear(AlarmKind::ProofStuck);
        };
        let (count, pending) = (stuck.len(), &tracked.pending);
        let which = format!(
            "{} with nonce {} since {} s",
            tracked.name(),
            pending.nonce,
            pending.begun.age(now).as_secs()
        );
        let message = if pending.is_mined {
            format!(
                "{}, the first is {which}: it is mined, and not deep enough; the head is {}, \
                 what counts as deep is {}: see whether the proof chain finalizes, or give --proof-confirmations \
                 a number",
                late_proofs(count, "done"),
                look.head.number,
                look.settled.map_or_else(|| "none yet".to_owned(), |settled| settled.to_string()),
            )
        } else {
            format!(
                "{}, the first is {which}, at {} of at most {}: raise --proof-max-fee-gwei or see what the chain takes",
                late_proofs(count, "mined"),
                GasPrice(pending.newest.fees.max_fee),
                GasPrice(config.max_fee_per_gas),
            )
        };
        self.contract.alarms.raise(AlarmKind::ProofStuck, message);
    }
}

fn late_proofs(count: usize, what: &str) -> String {
    let is = if count == 1 { "is" } else { "are" };
    format!("{} {is} not {what} in time", counted(count as u64, "proof"))
}

/// Gives a claim back. A caller that no longer waits for it finds it in the journal.
pub(super) fn land(
    reply: oneshot::Sender<(SubmissionOutcome, PendingClaim)>,
    outcome: SubmissionOutcome,
    pending_claim: PendingClaim,
) {
    let _ = reply.send((outcome, pending_claim));
}
