//! A claim's transactions under way, and what to do about them: decisions only, no I/O.

use crate::proof::{Proof, fees::Fees};
use alloy_primitives::{B256, Bytes};
use std::time::Duration;

/// Looks in a row that find the nonce used and none of our transactions mined, before that is believed: receipts may come
/// later than nonces.
const LOOKS_BEFORE_TAKEN: u32 = 3;

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It proves the claim.
    Proof,
    /// It uses the nonce up, and does nothing.
    Cancel,
}

/// A signed transaction of a flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) hash: B256,
    pub(super) raw: Bytes,
    pub(super) fees: Fees,
    pub(super) purpose: Purpose,
}

/// A nonce under way: all transactions signed with it, and those of the claim's earlier nonces.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) nonce: u64,
    /// Gas limit of each.
    pub(super) gas: u64,
    /// The one that should be mined.
    pub(super) newest: Signed,
    /// Those before it, oldest first. Each may still be the one that is mined.
    pub(super) replaced: Vec<Signed>,
    /// Hashes of the claim's earlier attempts. They may still prove it.
    pub(super) earlier: Vec<B256>,
    /// When the first was signed, in milliseconds since 1970.
    pub(super) begun_ms: u64,
    /// When the newest was signed, or fell due and could not be replaced.
    pub(super) resubmitted_ms: u64,
    /// When the newest was last handed to the node.
    pub(super) broadcast_ms: u64,
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

/// What a look at the chain shows of a flight.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) now_ms: u64,
    /// The latest block's number.
    pub(super) head: u64,
    /// The account's nonce at the latest block: all below are used.
    pub(super) nonce: u64,
    /// One of the flight's transactions, in a canonical block.
    pub(super) mined: Option<Mined>,
    /// Whether the node knows the newest transaction.
    pub(super) in_pool: bool,
    /// Whether an older flight of ours has the same nonce.
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
    /// Blocks that hold or follow the transaction's; 1 is its own block.
    pub(super) confirmations: u64,
    pub(super) resubmit_after: Duration,
    /// Between two broadcasts of one transaction.
    pub(super) rebroadcast_after: Duration,
}

/// What to do about a flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing, until the next look.
    Wait,
    /// Hand the newest transaction to the node again: it has forgotten it.
    Rebroadcast,
    /// Replace the newest transaction by one that pays more, if the claim still has a chance.
    Resubmit,
    /// The flight is over.
    Land(Landing),
}

/// How a flight ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Landing {
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

impl Flight {
    /// A nonce with its first transaction.
    pub(super) const fn new(nonce: u64, gas: u64, newest: Signed, now_ms: u64) -> Self {
        Self {
            nonce,
            gas,
            newest,
            replaced: Vec::new(),
            earlier: Vec::new(),
            begun_ms: now_ms,
            resubmitted_ms: now_ms,
            broadcast_ms: now_ms,
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

    /// What became of the nonce with that hash, if it is one of this flight's.
    pub(super) fn purpose_of(&self, hash: B256) -> Option<Purpose> {
        self.signed().find(|signed| signed.hash == hash).map(|signed| signed.purpose)
    }

    /// Takes a look into account.
    pub(super) fn observe(&mut self, view: &View) {
        self.taken = match self.taken {
            _ if view.mined.is_some() || view.nonce <= self.nonce => None,
            None => Some(Taken { since_head: view.head, looks: 1 }),
            Some(taken) => Some(Taken { looks: taken.looks.saturating_add(1), ..taken }),
        };
    }

    /// What to do, after [`observe`](Self::observe) of the same view.
    pub(super) fn decide(&self, view: &View, policy: &Policy) -> Action {
        if let Some(mined) = &view.mined {
            return match depth(view.head, mined.block.0) >= policy.confirmations {
                true => Action::Land(Self::landing(mined)),
                false => Action::Wait,
            };
        }
        if view.nonce > self.nonce {
            return match self.taken {
                Some(taken) if taken.is_certain(view, policy) => Action::Land(Landing::AskAgain),
                _ => Action::Wait,
            };
        }
        // Two of our own must not outbid each other. When the nonce is used, each sees whether it was its own.
        if view.contested {
            return Action::Wait;
        }
        if is_due(view.now_ms, self.resubmitted_ms, policy.resubmit_after) {
            return Action::Resubmit;
        }
        if !view.in_pool && is_due(view.now_ms, self.broadcast_ms, policy.rebroadcast_after) {
            return Action::Rebroadcast;
        }
        Action::Wait
    }

    fn landing(mined: &Mined) -> Landing {
        match mined.effect {
            Effect::Recorded => {
                Landing::Proved(Proof { id: mined.hash, mined_in: Some(mined.block) })
            }
            Effect::NoEvent => Landing::NoEvent(mined.hash),
            Effect::Reverted => Landing::Reverted(mined.hash),
            Effect::Cancelled => Landing::AskAgain,
        }
    }
}

impl Taken {
    /// As deep as a proof has to be: a reorg may give the nonce back.
    const fn is_certain(self, view: &View, policy: &Policy) -> bool {
        self.looks >= LOOKS_BEFORE_TAKEN
            && view.head.saturating_sub(self.since_head).saturating_add(1) >= policy.confirmations
    }
}

/// How many blocks hold or follow a block.
pub(super) const fn depth(head: u64, block: u64) -> u64 {
    match head.checked_sub(block) {
        Some(after) => after.saturating_add(1),
        // A receipt from a node that is ahead of the one that told the head.
        None => 0,
    }
}

fn is_due(now_ms: u64, since_ms: u64, after: Duration) -> bool {
    u128::from(now_ms.saturating_sub(since_ms)) >= after.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        confirmations: 3,
        resubmit_after: Duration::from_secs(30),
        rebroadcast_after: Duration::from_secs(3),
    };

    const BLOCK: (u64, B256) = (100, B256::repeat_byte(0xbb));

    fn signed(byte: u8, purpose: Purpose) -> Signed {
        Signed {
            hash: B256::repeat_byte(byte),
            raw: Bytes::new(),
            fees: Fees { max_fee: 8, tip: 1, legacy: false },
            purpose,
        }
    }

    fn flight() -> Flight {
        Flight::new(7, 100_000, signed(1, Purpose::Proof), 0)
    }

    fn pending(now_ms: u64) -> View {
        View { now_ms, head: 100, nonce: 7, mined: None, in_pool: true, contested: false }
    }

    fn mined(effect: Effect, head: u64) -> View {
        let mined = Mined { hash: B256::repeat_byte(1), block: BLOCK, effect };
        View { head, nonce: 8, mined: Some(mined), in_pool: true, ..pending(1_000) }
    }

    /// Plays looks one after another, and returns what was decided at each.
    fn play(flight: &mut Flight, views: &[View]) -> Vec<Action> {
        let each = views.iter().map(|view| {
            flight.observe(view);
            flight.decide(view, &POLICY)
        });
        each.collect()
    }

    fn proved() -> Action {
        let proof = Proof { id: B256::repeat_byte(1), mined_in: Some(BLOCK) };
        Action::Land(Landing::Proved(proof))
    }

    #[test]
    fn a_proof_counts_from_its_confirmations_on() {
        let views = [
            pending(0),
            mined(Effect::Recorded, 100),
            mined(Effect::Recorded, 101),
            mined(Effect::Recorded, 102),
        ];
        assert_eq!(
            play(&mut flight(), &views),
            [Action::Wait, Action::Wait, Action::Wait, proved()]
        );
    }

    #[test]
    fn a_receipt_beyond_the_head_is_not_counted() {
        assert_eq!(play(&mut flight(), &[mined(Effect::Recorded, 99)]), [Action::Wait]);
        assert_eq!((depth(5, 5), depth(6, 5), depth(4, 5)), (1, 2, 0));
    }

    #[test]
    fn never_mined_is_resubmitted_when_due() {
        let views = [pending(29_999), pending(30_000)];
        assert_eq!(play(&mut flight(), &views), [Action::Wait, Action::Resubmit]);
    }

    #[test]
    fn the_first_of_two_transactions_may_still_be_the_one_that_is_mined() {
        let mut flight = flight();
        flight.replace(signed(2, Purpose::Proof));
        assert_eq!(play(&mut flight, &[mined(Effect::Recorded, 102)]), [proved()]);
        assert_eq!(flight.purpose_of(B256::repeat_byte(1)), Some(Purpose::Proof));
        assert_eq!(flight.purpose_of(B256::repeat_byte(9)), None);
    }

    #[test]
    fn a_dropped_transaction_is_sent_again_at_once_but_not_at_every_look() {
        let dropped = |now_ms| View { in_pool: false, ..pending(now_ms) };
        let mut flight = flight();
        assert_eq!(
            play(&mut flight, &[dropped(2_999), dropped(3_000)]),
            [Action::Wait, Action::Rebroadcast]
        );
        flight.broadcast_ms = 3_000;
        assert_eq!(
            play(&mut flight, &[dropped(4_000), dropped(6_000)]),
            [Action::Wait, Action::Rebroadcast]
        );
    }

    #[test]
    fn a_reorg_resets_confirmations() {
        let gone = View { in_pool: false, ..pending(10_000) };
        let again = |head| {
            let mut view = mined(Effect::Recorded, head);
            view.mined.as_mut().unwrap().block = (102, B256::repeat_byte(0xcc));
            view
        };
        let views = [mined(Effect::Recorded, 101), gone, again(102), again(103)];
        assert_eq!(
            play(&mut flight(), &views),
            [Action::Wait, Action::Rebroadcast, Action::Wait, Action::Wait]
        );
    }

    #[test]
    fn a_foreign_transaction_with_the_nonce_is_believed_when_deep_and_seen_often() {
        let foreign = |head| View { nonce: 8, head, in_pool: false, ..pending(60_000) };
        let ask_again = Action::Land(Landing::AskAgain);
        let deep_but_new = [foreign(100), foreign(200), foreign(200)];
        assert_eq!(
            play(&mut flight(), &deep_but_new),
            [Action::Wait, Action::Wait, ask_again.clone()]
        );
        let often_but_flat = [foreign(100), foreign(100), foreign(100), foreign(101), foreign(102)];
        assert_eq!(play(&mut flight(), &often_but_flat).last(), Some(&ask_again));
        assert_eq!(play(&mut flight(), &often_but_flat[..4]).last(), Some(&Action::Wait));
    }

    /// `nonce too low` may only mean that our own receipt comes late.
    #[test]
    fn a_late_receipt_ends_the_suspicion() {
        let used = |head| View { nonce: 8, head, in_pool: false, ..pending(60_000) };
        let views = [used(100), used(101), mined(Effect::Recorded, 102)];
        assert_eq!(play(&mut flight(), &views), [Action::Wait, Action::Wait, proved()]);
        // A reorg gives the nonce back: the suspicion starts from zero.
        let mut flight = flight();
        let views = [used(100), used(101), pending(1_000), used(103), used(109)];
        assert!(play(&mut flight, &views).iter().all(|action| *action == Action::Wait));
    }

    #[test]
    fn reverted_cancelled_and_silent_transactions_land_as_such() {
        let hash = B256::repeat_byte(1);
        for (effect, landing) in [
            (Effect::Reverted, Landing::Reverted(hash)),
            (Effect::NoEvent, Landing::NoEvent(hash)),
            (Effect::Cancelled, Landing::AskAgain),
        ] {
            assert_eq!(play(&mut flight(), &[mined(effect, 101)]), [Action::Wait]);
            assert_eq!(play(&mut flight(), &[mined(effect, 102)]), [Action::Land(landing)]);
        }
    }

    #[test]
    fn of_two_flights_with_one_nonce_the_later_only_watches() {
        let contested = View { contested: true, in_pool: false, ..pending(600_000) };
        assert_eq!(play(&mut flight(), &[contested]), [Action::Wait]);
    }

    #[test]
    fn at_the_ceiling_the_clock_starts_again() {
        let mut flight = flight();
        flight.at_ceiling = true;
        flight.resubmitted_ms = 30_000;
        assert_eq!(
            play(&mut flight, &[pending(31_000), pending(60_000)]),
            [Action::Wait, Action::Resubmit]
        );
    }
}
