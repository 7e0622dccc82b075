//! Asks the contract before anything is spent: a claim without hope costs nothing and gets its
//! reason.

pub(crate) mod gate;
pub(crate) mod patience;
pub(crate) mod search;

use super::{
    config::{ChainProverConfig, DEPTH_WITHOUT_FINALITY},
    submission::sign::Account,
};
use crate::{
    alarm::{AlarmKind, Alarms},
    proof::{
        Attempt, Claim, Proof,
        contract::{
            getChainDataCall, getChainDataReturn, getMetadataCall, getMetadataReturn, getURLSCall,
            isEnabledCall, isSessionOpenCall, isValidatorEnabledCall, operatorRolesCall,
            submission, validatorIDsCall,
        },
        divisor::Comparison,
        outcome::{Refusal, Verdict},
        rpc::{Answer, Call, Rpc, RpcError, answers},
        window::{self, Position},
    },
};
use alloy_sol_types::SolCall;
use search::{Found, LogLimit, Search};
use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// A submission costs some 100 000 to 600 000. What is estimated above this is not what we want to
/// send.
const MOST_GAS: u64 = 10_000_000;

/// The networks whose data is remembered: replicas of a stream have one.
const MOST_NETWORKS: usize = 64;

/// What the contract would do with a claim now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Take it, with at most so much gas.
    Take { gas: u64 },
    /// Nothing: it is on record.
    Proved(Proof),
    /// Never take it.
    Skip(String),
    /// Refuse, and nobody can tell for how long.
    Hold(String),
    /// Refuse now. Ask again, not before that time is over.
    Later(Duration, String),
    /// Our own proof has to be on the chain, and is not found: nodes of an RPC may be behind each
    /// other.
    Missing(String),
    /// Refuse all of this operator's.
    Stop(String),
}

/// Whether a proof of ours has to be on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sure {
    /// The contract says so.
    Yes,
    /// It may be why the session is not open to us.
    Perhaps,
    /// Only if the journal was lost, or something signed is not accounted for.
    No,
}

/// Asks. Shared by all claims.
#[derive(Debug)]
pub(super) struct ProofContract {
    pub(super) rpc: Rpc,
    pub(super) account: Account,
    pub(super) config: ChainProverConfig,
    pub(super) alarms: Alarms,
    chains: Mutex<HashMap<u64, (Instant, getChainDataReturn)>>,
    figures: Mutex<Option<(Instant, getMetadataReturn, u64)>>,
    log_limit: LogLimit,
    told_no_finality: AtomicBool,
    divisor: Option<Comparison>,
}

impl ProofContract {
    pub(super) fn new(
        rpc: Rpc,
        account: Account,
        config: ChainProverConfig,
        alarms: Alarms,
    ) -> Self {
        let divisor =
            config.selection.as_ref().map(|it| Comparison::new(it.divisor, alarms.clone()));
        Self {
            rpc,
            account,
            config,
            alarms,
            chains: Mutex::default(),
            figures: Mutex::default(),
            log_limit: LogLimit::default(),
            told_no_finality: AtomicBool::new(false),
            divisor,
        }
    }

    /// Asks about a claim for which these transactions were signed before.
    pub(super) async fn ask(&self, claim: &Claim, known: &[Attempt]) -> Result<Asked, RpcError> {
        let chain = self.chain_data(claim.block.network_id).await?;
        if let Some(answer) = self.without_asking(claim, &chain) {
            return Ok(answer);
        }
        let (open, rehearsal) = self.rehearse(claim).await?;
        match rehearsal {
            Ok(gas) => Ok(Asked::Take { gas }),
            Err(error) => self.judge(claim, known, open, error).await,
        }
    }

    /// What the network's figures alone tell.
    fn without_asking(&self, claim: &Claim, chain: &getChainDataReturn) -> Option<Asked> {
        let (network, contract) = (claim.block.network_id, self.config.contract);
        match chain.nthBlock {
            0 => Some(Asked::Hold(format!(
                "Invalid chain ID: the contract {contract} does not know network {network}; have it added there, or keep \
                 that network's messages out of this agent's source"
            ))),
            nth if !claim.block.number.is_multiple_of(nth) => Some(Asked::Skip(format!(
                "Invalid block height: the contract takes every {} block",
                ordinal(nth)
            ))),
            _ => None,
        }
    }

    /// Asks about a claim whose content is not uploaded yet, if the contract's figures, which are
    /// checked once in a while, make it doubtful that it is taken. `None`: nothing speaks against
    /// it.
    pub(super) async fn ask_if_doubtful(&self, claim: &Claim) -> Result<Option<Asked>, RpcError> {
        let chain = self.chain_data(claim.block.network_id).await?;
        if let Some(answer) = self.without_asking(claim, &chain) {
            return Ok(Some(answer));
        }
        let (metadata, head) = self.figures().await?;
        match window::position(claim.block.number, head, &chain, &metadata) {
            Position::Past => self.ask(claim, &[]).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Says once that the depth of proofs is counted in blocks.
    pub(super) fn note_no_finality(&self, reason: &str) {
        if !self.told_no_finality.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the RPC does not tell which block is finalized ({reason}): a proof counts when it is \
                 {DEPTH_WITHOUT_FINALITY} blocks deep; see --proof-confirmations"
            );
        }
    }

    /// Whether a transaction that is under way still has a chance.
    pub(super) async fn is_hopeless(&self, claim: &Claim) -> Result<bool, RpcError> {
        // Not the estimate: some nodes run it on top of the pool, where the transaction itself is.
        let call = Call::execute(self.account.address(), self.config.contract, &submission(claim));
        let answers = self.rpc.batch(std::slice::from_ref(&call)).await?;
        let Some(Err(error)) = answers.into_iter().next() else { return Ok(false) };
        let verdict = Refusal::of(&error).verdict;
        Ok(matches!(
            verdict,
            Verdict::AlreadySubmitted
                | Verdict::SessionOver
                | Verdict::Skip
                | Verdict::OutOfWindow
                | Verdict::StopAndAlarm
                | Verdict::Hold
                | Verdict::NoReason
        ))
    }

    /// Lets the node run the submission without sending it: whether the session is open, and the
    /// gas or the refusal.
    async fn rehearse(&self, claim: &Claim) -> Result<(bool, Result<u64, RpcError>), RpcError> {
        let (from, to) = (self.account.address(), self.config.contract);
        let is_open = isSessionOpenCall {
            chainId: claim.block.network_id,
            blockHeight: claim.block.number,
            operator: from,
        };
        let input = submission(claim);
        let calls = [
            Call::execute(from, to, &is_open.abi_encode().into()),
            Call::execute(from, to, &input),
            Call::estimate_gas(from, to, &input),
        ];
        let answers = self.rpc.batch(&calls).await?;
        let [open, dry_run, gas] = answers.as_slice() else {
            return Ok((true, Err(short(&calls[0]))));
        };
        let open = answers::view::<isSessionOpenCall>(&calls[0], open)?;
        Ok((open, estimated(dry_run, &calls[2], gas)))
    }

    async fn judge(
        &self,
        claim: &Claim,
        known: &[Attempt],
        open: bool,
        error: RpcError,
    ) -> Result<Asked, RpcError> {
        let Refusal { verdict, reason } = Refusal::of(&error);
        match verdict {
            Verdict::OutOfWindow => self.place_in_window(claim, known, reason).await,
            Verdict::NoReason => self.guess(claim, known, open, reason).await,
            // What the views explain is explained. Otherwise it is an error of the node, which may
            // pass.
            Verdict::Vague => match self.guess(claim, known, open, reason).await? {
                Asked::Hold(_) => Err(error),
                explained => Ok(explained),
            },
            _ => self.judge_plain(claim, known, error).await,
        }
    }

    /// Judges a refusal that says on its own what it means.
    async fn judge_plain(
        &self,
        claim: &Claim,
        known: &[Attempt],
        error: RpcError,
    ) -> Result<Asked, RpcError> {
        let Refusal { verdict, reason } = Refusal::of(&error);
        match verdict {
            Verdict::AlreadySubmitted => self.find_own(claim, known, reason, Sure::Yes).await,
            Verdict::SessionOver => self.find_own(claim, known, reason, Sure::No).await,
            Verdict::Skip => Ok(Asked::Skip(reason)),
            Verdict::StopAndAlarm => Ok(Asked::Stop(self.explain(&reason).await?)),
            Verdict::Hold => Ok(Asked::Hold(format!("the contract refuses: {reason}"))),
            _ => Err(error),
        }
    }

    /// A revert without its reason: the contract's views tell most of them.
    async fn guess(
        &self,
        claim: &Claim,
        known: &[Attempt],
        open: bool,
        reason: String,
    ) -> Result<Asked, RpcError> {
        let me = self.account.address();
        if !self.rpc.view(me, self.config.contract, &isEnabledCall { operator: me }).await? {
            return Ok(Asked::Stop(self.explain(&reason).await?));
        }
        if !open {
            let reason = format!("the session is not open ({reason})");
            return self.find_own(claim, known, reason, Sure::Perhaps).await;
        }
        match self.place_in_window(claim, known, reason.clone()).await? {
            Asked::Hold(_) => Ok(Asked::Hold(format!(
                "the contract refuses and the RPC tells no reason ({reason}): use a node that returns revert data"
            ))),
            placed => Ok(placed),
        }
    }

    /// Looks for our own proof, which may be why the contract refuses.
    async fn find_own(
        &self,
        claim: &Claim,
        known: &[Attempt],
        reason: String,
        sure: Sure,
    ) -> Result<Asked, RpcError> {
        let search = Search {
            rpc: &self.rpc,
            sender: self.account.address(),
            contract: self.config.contract,
            limit: &self.log_limit,
        };
        let sent = search.attempts(claim, known).await?;
        if let Some(proof) = sent.proof {
            return self.when_deep(proof).await;
        }
        // A transaction of ours may be mined where this node does not see it yet.
        let expected = sure == Sure::Yes || sent.unaccounted > 0;
        let urls = getURLSCall { specimenHash: claim.specimen_hash };
        let urls = self.rpc.view(search.sender, search.contract, &urls).await?;
        if sure == Sure::No && !expected && urls.is_empty() {
            return Ok(Asked::Skip(reason));
        }
        let back = match sure {
            Sure::No => self.config.search_blocks,
            Sure::Yes | Sure::Perhaps => self.session_blocks().await?,
        };
        match search.events(claim, back).await? {
            Found::Proof { proof, url } => {
                if url != claim.url {
                    tracing::warn!(
                        segment = %claim.segment,
                        tx = %proof.id,
                        "The proof on the chain has the same specimen at another URL: {url} there, {} here",
                        claim.url
                    );
                }
                self.when_deep(proof).await
            }
            Found::Other { transaction, event } => {
                let message = format!(
                    "block {} is proved by us in {transaction} with another specimen: {} at {}, and now {} at {}",
                    claim.block,
                    event.specimenHash,
                    event.storageURL,
                    claim.specimen_hash,
                    claim.url
                );
                self.alarms.raise(AlarmKind::ProvedOtherwise, message.clone());
                Ok(Asked::Skip(message))
            }
            Found::Nothing if expected => {
                Ok(Asked::Missing(format!("{reason}; its transaction was not found")))
            }
            Found::Nothing => Ok(Asked::Skip(reason)),
            Found::Unsearchable(why) => Ok(Asked::Missing(format!(
                "{reason}; whether a proof of ours is the reason can't be found out, as the RPC gives no logs: {why}"
            ))),
        }
    }

    async fn when_deep(&self, proof: Proof) -> Result<Asked, RpcError> {
        let Some((block, _)) = proof.mined_in else { return Ok(Asked::Proved(proof)) };
        let settled = self.settled_now().await?;
        Ok(match settled.is_some_and(|settled| block <= settled) {
            true => Asked::Proved(proof),
            false => {
                let reason = format!("its proof {} is not deep enough yet", proof.id);
                Asked::Later(self.config.poll_interval, reason)
            }
        })
    }

    /// Twice a session, with a margin: a session that is open began within one.
    async fn session_blocks(&self) -> Result<u64, RpcError> {
        let metadata = self
            .rpc
            .view(self.account.address(), self.config.contract, &getMetadataCall {})
            .await?;
        Ok(metadata
            .sessionDuration
            .saturating_mul(2)
            .saturating_add(100)
            .min(self.config.search_blocks))
    }

    async fn place_in_window(
        &self,
        claim: &Claim,
        known: &[Attempt],
        reason: String,
    ) -> Result<Asked, RpcError> {
        let me = self.account.address();
        let network = getChainDataCall { chainId: claim.block.network_id };
        let chain = self.rpc.view(me, self.config.contract, &network).await?;
        let metadata = self.rpc.view(me, self.config.contract, &getMetadataCall {}).await?;
        let head = self.rpc.head().await?.number;
        Ok(match window::position(claim.block.number, head, &chain, &metadata) {
            Position::Past => return self.find_own(claim, known, reason, Sure::No).await,
            Position::Future(wait) => {
                let pause = wait.min(self.config.check_interval).max(self.config.poll_interval);
                Asked::Later(pause, format!("{reason}: too new, for about {} s", wait.as_secs()))
            }
            Position::Inside => return self.rehearse_inside(claim, known, &reason).await,
            Position::Unknown => {
                Asked::Hold(format!("{reason}, and the contract's figures make no window"))
            }
        })
    }

    /// The refusal may be from an earlier block than the figures, so it has to be given once more
    /// to count. Another one is judged by what it says.
    async fn rehearse_inside(
        &self,
        claim: &Claim,
        known: &[Attempt],
        reason: &str,
    ) -> Result<Asked, RpcError> {
        let (_, rehearsal) = self.rehearse(claim).await?;
        match rehearsal {
            Ok(gas) => Ok(Asked::Take { gas }),
            Err(error) => match Refusal::of(&error).verdict {
                Verdict::OutOfWindow | Verdict::NoReason | Verdict::Vague => Ok(Asked::Hold(
                    format!("{reason}, although the contract's own figures say that it is inside"),
                )),
                _ => self.judge_plain(claim, known, error).await,
            },
        }
    }

    /// Adds to a refusal what the contract says about this operator.
    async fn explain(&self, reason: &str) -> Result<String, RpcError> {
        let (me, contract) = (self.account.address(), self.config.contract);
        let role = self.rpc.view(me, contract, &operatorRolesCall { operator: me }).await?;
        let validator = self.rpc.view(me, contract, &validatorIDsCall { operator: me }).await?;
        let enabled = self.rpc.view(me, contract, &isValidatorEnabledCall { validator }).await?;
        let role = if role.is_zero() { "no role" } else { "a role" };
        let enabled = if enabled { "enabled" } else { "not enabled" };
        Ok(format!(
            "{reason} (operator {me} has {role}, its validator {validator} is {enabled}; contract {contract})"
        ))
    }

    /// The contract's figures for all networks, and the head that they go with.
    async fn figures(&self) -> Result<(getMetadataReturn, u64), RpcError> {
        let remembered = self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, metadata, head)) = remembered
            && at.elapsed() < self.config.check_interval
        {
            return Ok((metadata, head));
        }
        let me = self.account.address();
        let metadata = self.rpc.view(me, self.config.contract, &getMetadataCall {}).await?;
        let head = self.rpc.head().await?.number;
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), metadata.clone(), head));
        Ok((metadata, head))
    }

    async fn chain_data(&self, network_id: u64) -> Result<getChainDataReturn, RpcError> {
        let remembered = {
            let chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
            chains.get(&network_id).cloned()
        };
        if let Some((at, chain)) = remembered
            && at.elapsed() < self.config.check_interval
        {
            return Ok(chain);
        }
        let call = getChainDataCall { chainId: network_id };
        let chain = self.rpc.view(self.account.address(), self.config.contract, &call).await?;
        if let Some(divisor) = &self.divisor {
            divisor.note(network_id, chain.nthBlock);
        }
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        if chains.len() >= MOST_NETWORKS {
            chains.clear();
        }
        chains.insert(network_id, (Instant::now(), chain.clone()));
        Ok(chain)
    }
}

/// The gas limit: a quarter above the estimate, because others submit for the same height in
/// between.
fn estimated(dry_run: &Answer, call: &Call, gas: &Answer) -> Result<u64, RpcError> {
    dry_run.as_ref().map_err(Clone::clone)?;
    let gas = answers::quantity(call, gas)?;
    if gas > MOST_GAS {
        let reason = format!("{gas} gas for a submission");
        return Err(RpcError::Implausible { method: "eth_estimateGas", reason });
    }
    Ok(gas.saturating_add(gas / 4))
}

/// A number's place in a row, as it is written: 1st, 2nd, 3rd, 4th.
fn ordinal(number: u64) -> String {
    let suffix = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}

fn short(call: &Call) -> RpcError {
    RpcError::Malformed { method: call.method(), reason: "fewer answers than questions".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_a_row_are_written_as_they_are_said() {
        let all = [1, 2, 3, 4, 11, 12, 13, 21, 35, 102, 113].map(ordinal);
        let words =
            ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "35th", "102nd", "113th"];
        assert_eq!(all, words);
    }
}
