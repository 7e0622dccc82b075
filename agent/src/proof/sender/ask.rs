//! Asks the contract before anything is spent: a claim without hope costs nothing and gets its reason.

use super::{
    config::ChainProverConfig,
    search::{Found, Search},
    sign::Account,
};
use crate::{
    alarm::{AlarmKind, Alarms},
    proof::{
        Claim, Proof,
        contract::{
            getChainDataCall, getChainDataReturn, getMetadataCall, getURLSCall, isEnabledCall,
            isSessionOpenCall, isValidatorEnabledCall, operatorRolesCall, submission,
            validatorIDsCall,
        },
        outcome::{Refusal, Verdict},
        rpc::{Answer, Call, Rpc, RpcError, answers},
        window::{self, Position},
    },
};
use alloy_primitives::B256;
use alloy_sol_types::SolCall;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// A submission costs some 100 000 to 600 000. What is estimated above this is not what we want to send.
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
    /// Refuse, and nobody can tell whether for good.
    Hold(String),
    /// Refuse now. Ask again after that time.
    Later(Duration, String),
    /// Refuse all of this operator's.
    Stop(String),
}

/// Asks. Shared by all claims.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) rpc: Rpc,
    pub(super) account: Account,
    pub(super) config: ChainProverConfig,
    pub(super) alarms: Alarms,
    chains: Mutex<HashMap<u64, (Instant, getChainDataReturn)>>,
}

impl Desk {
    pub(super) fn new(
        rpc: Rpc,
        account: Account,
        config: ChainProverConfig,
        alarms: Alarms,
    ) -> Self {
        Self { rpc, account, config, alarms, chains: Mutex::default() }
    }

    /// Asks about a claim for which these transactions were signed before.
    pub(super) async fn ask(&self, claim: &Claim, known: &[B256]) -> Result<Asked, RpcError> {
        let chain = self.chain_data(claim.block.network_id).await?;
        if chain.nthBlock != 0 && !claim.block.number.is_multiple_of(chain.nthBlock) {
            let nth = chain.nthBlock;
            return Ok(Asked::Skip(format!(
                "Invalid block height: the contract takes every {nth}th block"
            )));
        }
        let (open, rehearsal) = self.rehearse(claim).await?;
        match rehearsal {
            Ok(gas) => Ok(Asked::Take { gas }),
            Err(error) => self.judge(claim, known, open, error).await,
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

    /// Lets the node run the submission without sending it: whether the session is open, and the gas or the refusal.
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
        known: &[B256],
        open: bool,
        error: RpcError,
    ) -> Result<Asked, RpcError> {
        let Refusal { verdict, reason } = Refusal::of(&error);
        match verdict {
            Verdict::AlreadySubmitted => self.find_own(claim, known, reason, true).await,
            Verdict::SessionOver => self.find_own(claim, known, reason, false).await,
            Verdict::Skip => Ok(Asked::Skip(reason)),
            Verdict::OutOfWindow => self.place_in_window(claim, known, reason).await,
            Verdict::StopAndAlarm => Ok(Asked::Stop(self.explain(&reason).await?)),
            Verdict::Hold => Ok(Asked::Hold(format!("the contract refuses: {reason}"))),
            Verdict::NoReason => self.guess(claim, known, open, reason).await,
            _ => Err(error),
        }
    }

    /// A revert without its reason: the contract's views tell most of them.
    async fn guess(
        &self,
        claim: &Claim,
        known: &[B256],
        open: bool,
        reason: String,
    ) -> Result<Asked, RpcError> {
        let me = self.account.address();
        if !self.rpc.view(me, self.config.contract, &isEnabledCall { operator: me }).await? {
            return Ok(Asked::Stop(self.explain(&reason).await?));
        }
        if !open {
            let reason = format!("the session is not open ({reason})");
            return self.find_own(claim, known, reason, true).await;
        }
        match self.place_in_window(claim, known, reason.clone()).await? {
            Asked::Hold(_) => Ok(Asked::Hold(format!(
                "the contract refuses and the RPC tells no reason ({reason}): use a node that returns revert data"
            ))),
            placed => Ok(placed),
        }
    }

    /// Looks for our own proof, which may be why the contract refuses. `sure` if there must be one.
    async fn find_own(
        &self,
        claim: &Claim,
        known: &[B256],
        reason: String,
        sure: bool,
    ) -> Result<Asked, RpcError> {
        let search = Search {
            rpc: &self.rpc,
            sender: self.account.address(),
            contract: self.config.contract,
        };
        let (head, found) = search.transactions(claim, known).await?;
        if let Some(proof) = found {
            return Ok(self.when_deep(head, proof));
        }
        let urls = getURLSCall { specimenHash: claim.specimen_hash };
        let urls = self.rpc.view(search.sender, search.contract, &urls).await?;
        if !sure && !urls.contains(&claim.url) {
            return Ok(Asked::Skip(reason));
        }
        let back = if sure { self.session_blocks().await? } else { self.config.search_blocks };
        let (head, found) = search.events(claim, back).await?;
        match found {
            Found::Proof(proof) => Ok(self.when_deep(head, proof)),
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
            Found::Nothing if sure => {
                Ok(Asked::Skip(format!("{reason}; its transaction was not found")))
            }
            Found::Nothing => Ok(Asked::Skip(reason)),
        }
    }

    fn when_deep(&self, head: u64, proof: Proof) -> Asked {
        let block = proof.mined_in.map_or(0, |(number, _)| number);
        match super::flight::depth(head, block) >= self.config.confirmations.max(1) {
            true => Asked::Proved(proof),
            false => {
                Asked::Later(self.config.poll_interval, "its proof is not deep enough yet".into())
            }
        }
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
        known: &[B256],
        reason: String,
    ) -> Result<Asked, RpcError> {
        let me = self.account.address();
        let network = getChainDataCall { chainId: claim.block.network_id };
        let chain = self.rpc.view(me, self.config.contract, &network).await?;
        let metadata = self.rpc.view(me, self.config.contract, &getMetadataCall {}).await?;
        let head = self.rpc.head().await?.number;
        Ok(match window::position(claim.block.number, head, &chain, &metadata) {
            Position::Past => return self.find_own(claim, known, reason, false).await,
            Position::Future(wait) => {
                let pause = wait.min(self.config.check_interval).max(self.config.poll_interval);
                Asked::Later(pause, format!("{reason}: too new, for about {} s", wait.as_secs()))
            }
            Position::Inside => self.rehearse_inside(claim, &reason).await?,
            Position::Unknown => {
                Asked::Hold(format!("{reason}, and the contract's figures make no window"))
            }
        })
    }

    /// The refusal may be from an earlier block than the figures, so it has to be given once more to count.
    async fn rehearse_inside(&self, claim: &Claim, reason: &str) -> Result<Asked, RpcError> {
        let (_, rehearsal) = self.rehearse(claim).await?;
        Ok(match rehearsal {
            Ok(gas) => Asked::Take { gas },
            Err(error) if Refusal::of(&error).verdict == Verdict::OutOfWindow => Asked::Hold(
                format!("{reason}, although the contract's own figures say that it is inside"),
            ),
            // Another one, to be judged like any.
            Err(error) => Asked::Later(self.config.poll_interval, error.to_string()),
        })
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
        let mut chains = self.chains.lock().unwrap_or_else(PoisonError::into_inner);
        if chains.len() >= MOST_NETWORKS {
            chains.clear();
        }
        chains.insert(network_id, (Instant::now(), chain.clone()));
        Ok(chain)
    }
}

/// The gas limit: a quarter above the estimate, because others submit for the same height in between.
fn estimated(dry_run: &Answer, call: &Call, gas: &Answer) -> Result<u64, RpcError> {
    dry_run.as_ref().map_err(Clone::clone)?;
    let gas = answers::quantity(call, gas)?;
    if gas > MOST_GAS {
        let reason = format!("{gas} gas for a submission");
        return Err(RpcError::Implausible { method: "eth_estimateGas", reason });
    }
    Ok(gas.saturating_add(gas / 4))
}

fn short(call: &Call) -> RpcError {
    RpcError::Malformed { method: call.method(), reason: "fewer answers than questions".into() }
}
