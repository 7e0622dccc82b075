#![doc = include_str!("../README.md")]
//!
//! [`DevChain`] proposes blocks full of rare things (destroyed and reborn accounts, reverted
//! creations, delegations, frames that fail halfway), the caller's [`Executor`] executes them, and
//! the chain seals them with proper roots.

pub mod asm;
pub mod block;
pub mod chain;
pub mod contracts;
pub mod dice;
pub mod frames;
pub mod genesis;
pub mod keys;
pub mod payload;
pub mod state;
pub mod workload;

pub use block::{Candidate, DevBlock, Executed, Executor, SealError};
pub use chain::{AdvanceError, ChainError, DevChain};
pub use genesis::{Delegated, DevConfig, DevFork};
pub use keys::{Key, Role, SigningError, Transaction};
pub use payload::NewPayload;
pub use state::{StateError, WorldState};
pub use workload::{Coverage, Part, Scenario};
