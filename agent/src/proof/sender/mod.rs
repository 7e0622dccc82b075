//! Proofs on the chain: [`ChainProver`].
//!
//! ```text
//! claim ─► ask the contract ─► nonce ─► sign ─► journal ─► broadcast ─► watch ─► on record
//!   ▲        │ skip, hold,      └─────────── one task for each key ───────┘ │
//!   │        └ wait, stop                                                   │
//!   └─── not on record after all: reverted, nonce used by another ◄─────────┘
//! ```
//!
//! | module | what it is for |
//! | --- | --- |
//! | `claims` | what the contract would do with a claim, and what is to be done then |
//! | `claims::search` | our own proofs among the contract's events |
//! | `claims::{patience, gate}` | how long one claim is asked about; a pause of all claims |
//! | `submission` | what to do about transactions under way: decisions only |
//! | `submission::{sign, moment}` | signed transactions; time that no clock moves |
//! | `task` | the loop that owns the nonces of a key |
//! | `task::look` | what the chain says about transactions under way |
//! | `task::{dispatch, resubmit, resume}` | it sends, sends again, adopts an earlier run's |
//! | `task::{nonces, broadcast, funds, pace}` | nonces, the node's answers, the balance, the rhythm |

mod claims;
mod config;
mod metrics;
mod submission;
mod task;

pub use config::{ChainProverConfig, Confirmations, DEPTH_WITHOUT_FINALITY, InvalidConfirmations};

pub(super) use task::funds::proofs_in;

use super::{
    Attempt, AttemptLog, Claim, Outlook, Parked, ProofOutcome, Prover,
    rpc::{Health, Rpc, RpcUrlError},
};
use crate::alarm::Alarms;
use alloy_primitives::Address;
use alloy_signer_local::PrivateKeySigner;
use async_trait::async_trait;
use bsp_common::backoff::pause_after;
use claims::{
    Asked, ProofContract,
    gate::Gate,
    patience::{Patience, Turn, Waiting},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use submission::{SubmissionOutcome, sign::Account};
use task::{PendingClaim, SubmitRequest, Task};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// The part of the work in [`Health`].
const PART: &str = "ask";

/// Attempts for one claim between two starts, after which it is held: each stays in the journal.
const MOST_ATTEMPTS: usize = 50;

/// On-chain refusals of one claim, after which it is held: each costs gas.
const MOST_REVERTS: u32 = 3;

/// Proves claims by transactions to the proof-chain contract.
///
/// One task owns the key's nonces. Another agent may have the same key, and any wallet too: a nonce
/// that somebody else uses is noticed, and its claim gets another.
#[derive(Debug)]
pub struct ChainProver {
    contract: Arc<ProofContract>,
    health: Health,
    gate: Gate,
    waiting: Waiting,
    permits: Semaphore,
    requests: mpsc::Sender<SubmitRequest>,
    stop: CancellationToken,
}

impl ChainProver {
    /// Starts the task that owns the key's nonces. Nothing is asked of the RPC yet; it may be down.
    /// The task ends when it is stopped, or with this prover. Has to be called within a tokio
    /// runtime.
    pub fn start(
        config: ChainProverConfig,
        signer: PrivateKeySigner,
        alarms: Alarms,
        stop: CancellationToken,
    ) -> Result<Self, RpcUrlError> {
        let rpc = Rpc::new(config.endpoint.clone(), config.limits)?;
        let health = Health::new(config.endpoint.clone(), alarms.clone());
        let gate = Gate::new(config.check_interval, alarms.clone());
        let waiting = Waiting::new(alarms.clone());
        let permits = Semaphore::new(config.max_in_flight.clamp(1, Semaphore::MAX_PERMITS));
        let account = Account { signer, contract: config.contract };
        let guarding = alarms.clone();
        let contract = Arc::new(ProofContract::new(rpc, account, config, alarms));
        let (requests, received) = mpsc::channel(64);
        let task = Task::new(Arc::clone(&contract), health.clone()).run(received);
        let task = stop.clone().run_until_cancelled_owned(task);
        tokio::spawn(guarding.guard("the task that sends proofs", task));
        Ok(Self { contract, health, gate, waiting, permits, requests, stop })
    }

    /// The operator, which sends.
    pub fn operator(&self) -> Address {
        self.contract.account.address()
    }

    async fn submit_until_final(
        &self,
        mut pending_claim: PendingClaim,
    ) -> Result<ProofOutcome, Parked> {
        let mut reverts = 0;
        let mut unrecorded = 0;
        let mut again = 0;
        let most_attempts = pending_claim.attempts.len().saturating_add(MOST_ATTEMPTS);
        // An earlier run's transactions come first: they may be mined, or still use their nonce up.
        let mut next = if pending_claim.attempts.is_empty() { None } else { Some(None) };
        loop {
            let gas_or_last = match next.take() {
                Some(request) => request,
                None => match self.ask(&pending_claim).await {
                    Ok(gas) => Some(gas),
                    Err(outcome) => return Ok(outcome),
                },
            };
            let outcome;
            (outcome, pending_claim) = self.send(pending_claim, gas_or_last).await?;
            match outcome {
                SubmissionOutcome::Proved(proof) => {
                    return Ok(self.proved(&pending_claim.claim, proof));
                }
                SubmissionOutcome::Reverted(hash) => {
                    reverts += 1;
                    tracing::warn!(segment = %pending_claim.claim.segment, tx = %hash, reverts, "A proof reverted on the chain");
                    if reverts >= MOST_REVERTS {
                        return Ok(held(format!(
                            "{reverts} transactions reverted on chain although the contract takes the claim when asked, \
                             the last is {hash}: see why before the next start"
                        )));
                    }
                }
                SubmissionOutcome::NoEvent(hash) => {
                    return Ok(held(format!(
                        "transaction {hash} succeeded without the event of the contract {}: check \
                         --proof-chain-address and the RPC",
                        self.contract.config.contract
                    )));
                }
                SubmissionOutcome::Refused(reason) => {
                    return Ok(held(format!("the transaction is refused: {reason}")));
                }
                SubmissionOutcome::AskAgain if pending_claim.attempts.len() >= most_attempts => {
                    return Ok(held(format!(
                        "{MOST_ATTEMPTS} nonces went to other transactions of {}: see who else sends with this key",
                        self.operator()
                    )));
                }
                SubmissionOutcome::AskAgain => {
                    again += 1;
                    tokio::time::sleep(pause_after(again)).await;
                }
                SubmissionOutcome::Unrecorded(reason) => {
                    unrecorded += 1;
                    tracing::warn!(segment = %pending_claim.claim.segment, "A proof was not sent: {reason}");
                    tokio::time::sleep(pause_after(unrecorded)).await;
                }
            }
        }
    }

    /// Asks until the contract takes the claim, or it has its outcome.
    async fn ask(&self, pending_claim: &PendingClaim) -> Result<u64, ProofOutcome> {
        let claim = &pending_claim.claim;
        let mut patience = Patience::default();
        let mut waits_long = None;
        loop {
            self.gate.pass().await;
            let (least, reason) = match self.contract.ask(claim, &pending_claim.attempts).await {
                Ok(asked) => {
                    self.health.good(PART);
                    match self.settle(claim, asked, &mut patience) {
                        Asking::Over(outcome) => {
                            self.waiting.got_on();
                            return outcome;
                        }
                        Asking::Again(pause, reason) => (pause, reason),
                        Asking::Closed => continue,
                    }
                }
                Err(error) => {
                    self.health.bad(PART, &error);
                    (Duration::ZERO, error.to_string())
                }
            };
            let longest = self.contract.config.longest_ask_pause;
            match patience.in_vain(self.waiting.progress(), longest) {
                Turn::Over => {
                    return Err(held(format!(
                        "asked {} times in vain while other claims got on: {reason}",
                        patience.asks()
                    )));
                }
                Turn::Again { pause, long } => {
                    tracing::debug!(segment = %claim.segment, ?pause, "The proof waits: {reason}");
                    if long {
                        waits_long
                            .get_or_insert_with(|| self.waiting.raise_alarm(claim))
                            .say(&reason);
                    }
                    tokio::time::sleep(pause.max(least)).await;
                }
            }
        }
    }

    /// What an answer means for the asking.
    fn settle(&self, claim: &Claim, asked: Asked, patience: &mut Patience) -> Asking {
        match asked {
            Asked::Take { gas } => {
                self.gate.open();
                Asking::Over(Ok(gas))
            }
            Asked::Proved(proof) => Asking::Over(Err(self.proved(claim, proof))),
            Asked::Skip(reason) => Asking::Over(Err(skipped(claim, reason))),
            Asked::Hold(reason) => Asking::Over(Err(held(reason))),
            Asked::Missing(reason) => {
                let long = self.contract.config.search_again_for;
                match patience.is_missing_for_good(long, Instant::now()) {
                    true => Asking::Over(Err(skipped(claim, reason))),
                    false => {
                        let seconds = long.as_secs();
                        tracing::info!(segment = %claim.segment, "Checking again for {seconds} s: {reason}");
                        Asking::Again(Duration::ZERO, reason)
                    }
                }
            }
            Asked::Later(pause, reason) => Asking::Again(pause, reason),
            Asked::Stop(reason) => {
                self.gate.close(&reason);
                Asking::Closed
            }
        }
    }

    /// Lets the task send a claim, or see what became of its last attempt.
    async fn send(
        &self,
        pending_claim: PendingClaim,
        gas: Option<u64>,
    ) -> Result<(SubmissionOutcome, PendingClaim), Parked> {
        let asked = Instant::now();
        // What an earlier run has sent is under way already.
        let _permit = match gas {
            Some(_) => Some(self.permits.acquire().await.map_err(|_| ended())?),
            None => None,
        };
        let (reply, outcome) = oneshot::channel();
        self.requests
            .send(SubmitRequest { pending_claim, gas, asked, reply })
            .await
            .map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())
    }

    fn proved(&self, claim: &Claim, proof: super::Proof) -> ProofOutcome {
        tracing::info!(
            "Proof-chain tx hash: {} for block-replica segment: {}",
            proof.id,
            claim.segment
        );
        ProofOutcome::Proved(proof)
    }
}

/// How the asking about a claim continues.
enum Asking {
    /// Not at all: the contract takes the claim with so much gas, or it has its outcome.
    Over(Result<u64, ProofOutcome>),
    /// After that time at the least.
    Again(Duration, String),
    /// With that of all claims.
    Closed,
}

fn skipped(claim: &Claim, reason: String) -> ProofOutcome {
    tracing::warn!(segment = %claim.segment, "The proof is skipped: {reason}");
    metrics::skipped(&reason);
    ProofOutcome::Skipped { reason }
}

const fn held(reason: String) -> ProofOutcome {
    ProofOutcome::Held { reason }
}

fn ended() -> Parked {
    Parked("the task that sends proofs has ended".to_owned())
}

#[async_trait]
impl Prover for ChainProver {
    fn name(&self) -> String {
        format!("contract {} at {}", self.contract.config.contract, self.contract.config.endpoint)
    }

    async fn outlook(&self, claim: &Claim) -> Outlook {
        let asking = self.contract.ask_if_doubtful(claim);
        match self.stop.run_until_cancelled(asking).await {
            Some(Ok(Some(Asked::Skip(reason)))) => {
                metrics::skipped(&reason);
                Outlook::Closed { reason }
            }
            Some(Ok(Some(Asked::Hold(reason)))) => Outlook::Held { reason },
            Some(Err(error)) => {
                tracing::debug!(segment = %claim.segment, %error, "Whether the proof can still count is unknown");
                Outlook::Open
            }
            _ => Outlook::Open,
        }
    }

    async fn prove(
        &self,
        claim: Claim,
        attempts: Vec<Attempt>,
        log: Arc<dyn AttemptLog>,
    ) -> Result<ProofOutcome, Parked> {
        let pending_claim = PendingClaim { claim, attempts, log };
        match self.stop.run_until_cancelled(self.submit_until_final(pending_claim)).await {
            Some(outcome) => outcome,
            None => Err(Parked("the agent stops".to_owned())),
        }
    }
}
