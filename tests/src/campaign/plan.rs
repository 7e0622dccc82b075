//! What goes wrong when: the same seed gives the same plan.

use super::trouble::{Trouble, TroubleKind};
use bsp_agent::failpoint;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// How a process of the agent dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// At a failpoint, when it is reached for the `time`th time.
    Failpoint {
        /// Its name.
        name: &'static str,
        /// From 1.
        time: u32,
    },
    /// At whatever it does so long after its start.
    After(Duration),
}

/// One life of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// How it ends.
    pub death: Death,
    /// What goes wrong meanwhile.
    pub trouble: Option<Trouble>,
}

/// Points that only a proof chain's prover passes.
const CHAIN_ONLY: [&str; 4] =
    ["before_attempt_journal", "after_attempt_journal", "after_broadcast", "after_receipt"];

/// Points that only a skipped block passes, and the test makes the contract skip some.
const SKIP_ONLY: [&str; 2] = ["before_skip_journal", "after_skip_journal"];

/// The failpoints that an agent passes with a proof chain, or with a ledger.
pub fn failpoints(with_chain: bool) -> Vec<&'static str> {
    let passed =
        |name: &&str| with_chain || !(CHAIN_ONLY.contains(name) || SKIP_ONLY.contains(name));
    failpoint::ALL.iter().copied().filter(passed).collect()
}

/// A plan of this many lives. Two of three end at a failpoint, each of which has its turn; every
/// second has trouble.
pub fn plan(seed: u64, lives: usize, with_chain: bool) -> Vec<Life> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let points = failpoints(with_chain);
    let mut waiting: Vec<&str> = Vec::new();
    (0..lives)
        .map(|_| {
            let death = if dice.random_ratio(2, 3) {
                if waiting.is_empty() {
                    waiting.clone_from(&points);
                    waiting.shuffle(&mut dice);
                }
                let time = dice.random_range(1..=2);
                waiting.pop().map(|name| Death::Failpoint { name, time })
            } else {
                None
            };
            let after = Duration::from_millis(dice.random_range(100..2500));
            let trouble = dice.random_bool(0.5).then(|| trouble(&mut dice, with_chain));
            Life { death: death.unwrap_or(Death::After(after)), trouble }
        })
        .collect()
}

fn trouble(dice: &mut ChaCha8Rng, with_chain: bool) -> Trouble {
    let kinds = TroubleKind::all(with_chain);
    Trouble {
        kind: kinds[dice.random_range(0..kinds.len())],
        begins: Duration::from_millis(dice.random_range(0..1000)),
        lasts: Duration::from_millis(dice.random_range(200..1500)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_its_seeds_and_reaches_every_failpoint_and_trouble() {
        for with_chain in [true, false] {
            let lives = plan(1, 300, with_chain);
            assert_eq!(lives, plan(1, 300, with_chain));
            assert_ne!(lives, plan(2, 300, with_chain));
            for point in failpoints(with_chain) {
                let dies_there = |life: &&Life| matches!(life.death, Death::Failpoint { name, .. } if name == point);
                assert!(lives.iter().filter(dies_there).count() >= 5, "{point}");
            }
            for kind in TroubleKind::all(with_chain) {
                let has = |life: &Life| life.trouble.is_some_and(|trouble| trouble.kind == kind);
                assert!(lives.iter().any(has), "{kind:?}");
            }
        }
    }
}
