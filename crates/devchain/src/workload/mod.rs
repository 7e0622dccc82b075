//! The workload: what the chain's blocks consist of.
//!
//! A *scenario* is one to three transactions (or withdrawals, or a choice of fee recipient) that
//! make execution read state in one particular way. A block is a random choice of scenarios, put
//! into a plan, which knows nonces, delegations and the room that is left, so that every
//! transaction is valid.

mod calls;
mod catalogue;
mod creations;
mod delegations;
mod destructions;
mod frame_failures;
mod plan;
mod precompiles;
mod probes;
mod protocol;
mod scenario;
mod tokens;
mod transfers;

pub use catalogue::Coverage;
pub use plan::Memory;
pub use scenario::{Part, Scenario};

pub(crate) use plan::{Keyring, Planned, Purpose, Scene};

use crate::{dice::Dice, genesis::INITIAL_BASE_FEE, keys::SigningError};
use plan::Plan;

/// One block in this many is empty.
const EMPTY_BLOCK_ODDS: usize = 16;

/// A signed block, with the scenarios that it is made of.
#[derive(Debug)]
pub(crate) struct PlannedBlock {
    pub(crate) planned: Planned,
    /// In order.
    pub(crate) scenarios: Vec<&'static Scenario>,
}

/// Plans and signs the block that `scene` describes.
///
/// One scenario follows from the block's number, so that a short chain has them all; the others are
/// up to chance. Blocks are far from full by themselves. So that the base fee stays where it began,
/// most blocks below that are filled up.
pub(crate) fn plan_block(scene: Scene<'_>, memory: Memory) -> Result<PlannedBlock, SigningError> {
    let dice = Dice::for_block(scene.dice_seed, scene.number);
    let mut choice = Choice { plan: Plan::new(scene, dice, memory), scenarios: Vec::new() };
    if choice.plan.dice.happens(1, EMPTY_BLOCK_ODDS) {
        choice.run(Part::Empty);
        return choice.finish();
    }
    choice.run(Part::FeeRecipient);
    choice.run_next(Part::Transactions);
    for _ in 1..choice.plan.dice.between(1, scene.config.scenarios_per_block) {
        choice.run(Part::Transactions);
    }
    for _ in 0..choice.plan.dice.between(0, 2) {
        choice.run(Part::Withdrawals);
    }
    if scene.base_fee < INITIAL_BASE_FEE && choice.plan.dice.happens(2, 3) {
        choice.run(Part::Filling);
    }
    choice.finish()
}

/// A plan, with the scenarios that stayed in it.
struct Choice<'a> {
    plan: Plan<'a>,
    scenarios: Vec<&'static Scenario>,
}

impl Choice<'_> {
    /// Runs one scenario of a part, chosen by weight. One that does not fit into the block any more
    /// is dropped.
    fn run(&mut self, part: Part) {
        let fork = self.plan.scene.config.fork;
        let of_part = || Scenario::of_part(part, fork);
        let mut ticket = self.plan.dice.below(of_part().map(|scenario| scenario.weight).sum());
        for scenario in of_part() {
            if ticket < scenario.weight {
                return self.add(scenario);
            }
            ticket -= scenario.weight;
        }
    }

    /// Runs the scenario of a part that is next in the table, by the block's number.
    fn run_next(&mut self, part: Part) {
        let fork = self.plan.scene.config.fork;
        let of_part = || Scenario::of_part(part, fork);
        let turn = usize::try_from(self.plan.scene.number).unwrap_or_default();
        if let Some(scenario) = of_part().nth(turn % of_part().count().max(1)) {
            self.add(scenario);
        }
    }

    fn add(&mut self, scenario: &'static Scenario) {
        if scenario.run(&mut self.plan) {
            self.scenarios.push(scenario);
        }
    }

    fn finish(self) -> Result<PlannedBlock, SigningError> {
        Ok(PlannedBlock { planned: self.plan.finish()?, scenarios: self.scenarios })
    }
}
