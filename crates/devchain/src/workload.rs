//! The workload: what the chain's blocks consist of.
//!
//! A *scenario* is one to three transactions (or withdrawals, or a choice of fee recipient) that make execution read
//! state in one particular way. A block is a random choice of scenarios, put into a plan, which knows nonces,
//! delegations and the room that is left, so that every transaction is valid.

mod calls;
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

pub use plan::Memory;
pub use scenario::{Coverage, Part, Scenario};

pub(crate) use plan::{Keyring, Planned, Purpose, Scene};

use crate::{dice::Dice, genesis::INITIAL_BASE_FEE, keys::SigningError};
use plan::Plan;

/// One block in this many is empty.
const EMPTY_BLOCK_ODDS: usize = 16;

/// Plans and signs the block that `scene` describes.
///
/// One scenario follows from the block's number, so that a short chain has them all; the others are up to chance.
/// Blocks are far from full by themselves. So that the base fee stays where it began, most blocks below that are filled up.
pub(crate) fn plan_block(scene: Scene<'_>, memory: Memory) -> Result<Planned, SigningError> {
    let dice = Dice::for_block(scene.dice_seed, scene.number);
    let mut plan = Plan::new(scene, dice, memory);
    if plan.dice.happens(1, EMPTY_BLOCK_ODDS) {
        plan.run(Part::Empty);
        return plan.finish();
    }
    plan.run(Part::FeeRecipient);
    plan.run_next(Part::Transactions);
    for _ in 1..plan.dice.between(1, scene.config.scenarios_per_block) {
        plan.run(Part::Transactions);
    }
    for _ in 0..plan.dice.between(0, 2) {
        plan.run(Part::Withdrawals);
    }
    if scene.base_fee < INITIAL_BASE_FEE && plan.dice.happens(2, 3) {
        plan.run(Part::Filling);
    }
    plan.finish()
}
