//! A block's read set against what reth's own tracers say of the same block.
//!
//! The `prestateTracer` shows what each transaction touched, the `flatCallTracer` whose code ran,
//! and `debug_executionWitness` the keys that the whole block read, system calls and withdrawals
//! included. None of them has the network's idea of a read, so they differ from a read set in ways
//! that are known: each difference is put down to one [`Cause`] by evidence that does not come from
//! the extension, or is a [`Violation`].

mod cause;
mod compare;
mod read_set;
mod steps;
mod table;
mod trace;

pub use cause::{Cause, Violation};
pub use compare::compare;
pub use read_set::{AccountRow, BlockHashRow, CodeRow, ReadSet, SlotRow};
pub use steps::FailedSteps;
pub use table::Table;
pub use trace::{BlockTraces, TracedAccount, TracedSlot};
