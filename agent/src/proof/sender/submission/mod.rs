//! A claim's transactions under way, and what to do about them: decisions only, no I/O.

pub(crate) mod moment;
pub(crate) mod sign;

use crate::proof::{Proof, fees::Fees};
use alloy_primitives::{B256, Bytes};
use moment::Moment;
use std::time::{Duration, Instant};

/// Looks in a row that find the nonce used and none of our transactions mined, before that is
/// believed: receipts may come later than nonces.
const LOOKS_BEFORE_TAKEN: u32 = 3;

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It proves the claim.
    Proof,
    /// It uses the nonce up, and does nothing.
    Cancel,
}

/// A signed transaction of a pending nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) hash: B256,
    pub(super) raw: Bytes,
    pub(super) fees: Fees,
    pub(super) purpose: Purpose,
}

/// A nonce under way: all transactions signed with it, and those of the claim's earlier nonces.
#[derive(Debug, Clone)]
pub(super) struct PendingNonce {
    pub(super) nonce: u64,
    /// Gas limit of each.
    pub(super) gas: u64,
    /// The one that should be mined.
    pub(super) newest: Signed,
    /// Those before it, oldest first. Each may still be the one that is mined.
    pub(super) replaced: Vec<Signed>,
    /// Hashes of the claim's earlier attempts. They may still prove it.
    pub(super) earlier: Vec<B256>,
    /// When the first was signed.
    pub(super) begun: Moment,
    /// When the newest was signed, or fell due and could not be replaced.
    pub(super) resubmitted: Moment,
    /// When the newest was last handed to the node.
    pub(super) broadcast: Moment,
    /// One of its transactions is in a canonical block, not deep enough yet.
    pub(super) is_mined: bool,
    /// No higher fee is allowed.
    pub(super) at_ceiling: bool,
    taken: Option<Taken>,
}

/// Somebody else's transaction seems to have used the nonce.
#[derive(Debug, Clone, Copy)]
struct Taken {
    since_head: u64,
    looks: u32,
}

/// What a look at the chain shows of a pending nonce.
#[derive(Debug, Clone)]
pub(super) struct ChainView {
    pub(super) now: Instant,
    /// The latest block's number.
    pub(super) head: u64,
    /// The number of the latest block that is as deep as a proof has to be. `None`: there is none
    /// yet.
    pub(super) settled: Option<u64>,
    /// The account's nonce at the latest block: all below are used.
    pub(super) nonce: u64,
    /// One of the pending nonce's transactions, in a canonical block.
    pub(super) mined: Option<Mined>,
    /// Whether the node knows the newest transaction.
    pub(super) in_pool: bool,
    /// Whether an older pending nonce of ours has the same nonce.
    pub(super) contested: bool,
}

/// A transaction in a canonical block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mined {
    pub(super) hash: B256,
    pub(super) block: (u64, B256),
    pub(super) effect: Effect,
}

/// What it did there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The contract's event says what the claim says.
    Recorded,
    /// It succeeded, without that event.
    NoEvent,
    /// The contract refused.
    Reverted,
    /// It was for the nonce alone.
    Cancelled,
}

/// The rules.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    pub(super) resubmit_after: Duration,
    /// Between two broadcasts of one transaction.
    pub(super) rebroadcast_after: Duration,
}

/// What to do about a pending nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing, until the next look.
    Wait,
    /// Hand the newest transaction to the node again: it has forgotten it.
    Rebroadcast,
    /// Replace the newest transaction by one that pays more, if the claim still has a chance.
    Resubmit,
    /// The pending nonce is over.
    Land(SubmissionOutcome),
}

/// How a pending nonce ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SubmissionOutcome {
    /// The claim is on record, as deep as was asked for.
    Proved(Proof),
    /// The contract refused on chain.
    Reverted(B256),
    /// Mined with success, and yet not on record.
    NoEvent(B256),
    /// The nonce is used, the claim is not known to be proved: ask the contract again.
    AskAgain,
    /// No node will ever take the transaction.
    Refused(String),
    /// The attempt could not be recorded, so it was not broadcast.
    Unrecorded(String),
}

impl PendingNonce {
    /// A nonce with its first transaction.
    pub(super) const fn new(nonce: u64, gas: u64, newest: Signed, now: Instant) -> Self {
        Self {
            nonce,
            gas,
            newest,
            replaced: Vec::new(),
            earlier: Vec::new(),
            begun: Moment::at(now),
            resubmitted: Moment::at(now),
            broadcast: Moment::at(now),
            is_mined: false,
            at_ceiling: false,
            taken: None,
        }
    }

    /// Puts a transaction in place of the newest.
    pub(super) fn replace(&mut self, newest: Signed) {
        self.replaced.push(std::mem::replace(&mut self.newest, newest));
    }

    /// All transactions with the nonce.
    pub(super) fn signed(&self) -> impl Iterator<Item = &Signed> {
        self.replaced.iter().chain([&self.newest])
    }

    /// What became of the nonce with that hash, if it is one of this pending nonce's.
    pub(super) fn purpose_of(&self, hash: B256) -> Option<Purpose> {
        self.signed().find(|signed| signed.hash == hash).map(|signed| signed.purpose)
    }

    /// Takes a look into account.
    pub(super) fn observe(&mut self, view: &ChainView) {
        self.is_mined = view.mined.is_some();
        self.taken = match self.taken {
            _ if view.mined.is_some() || view.nonce <= self.nonce => None,
            None => Some(Taken { since_head: view.head, looks: 1 }),
            Some(taken) => Some(Taken { looks: taken.looks.saturating_add(1), ..taken }),
        };
    }

    /// What to do, after [`observe`](Self::observe) of the same view.
    pub(super) fn decide(&self, view: &ChainView, policy: &Policy) -> Action {
        if let Some(mined) = &view.mined {
            return match view.is_settled(mined.block.0) {
                true => Action::Land(Self::outcome(mined)),
                false => Action::Wait,
            };
        }
        if view.nonce > self.nonce {
            return match self.taken {
                Some(taken) if taken.is_certain(view) => Action::Land(SubmissionOutcome::AskAgain),
                _ => Action::Wait,
            };
        }
        // Two of our own must not outbid each other. When the nonce is used, each sees whether it
        // was its own.
        if view.contested {
            return Action::Wait;
        }
        if self.resubmitted.age(view.now) >= policy.resubmit_after {
            return Action::Resubmit;
        }
        if !view.in_pool && self.broadcast.age(view.now) >= policy.rebroadcast_after {
            return Action::Rebroadcast;
        }
        Action::Wait
    }

    fn outcome(mined: &Mined) -> SubmissionOutcome {
        match mined.effect {
            Effect::Recorded => {
                SubmissionOutcome::Proved(Proof { id: mined.hash, mined_in: Some(mined.block) })
            }
            Effect::NoEvent => SubmissionOutcome::NoEvent(mined.hash),
            Effect::Reverted => SubmissionOutcome::Reverted(mined.hash),
            Effect::Cancelled => SubmissionOutcome::AskAgain,
        }
    }
}

impl ChainView {
    /// Whether a block is as deep as a proof has to be. One beyond the head is from a node that is
    /// ahead of the one that told the head.
    fn is_settled(&self, block: u64) -> bool {
        self.settled.is_some_and(|settled| block <= settled)
    }
}

impl Taken {
    /// As deep as a proof has to be: a reorg may give the nonce back.
    fn is_certain(self, view: &ChainView) -> bool {
        self.looks >= LOOKS_BEFORE_TAKEN && view.is_settled(self.since_head)
    }
}

#[cfg(test)]
mod tests;
