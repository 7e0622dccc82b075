//! The rules of the proof chain's contract, on anvil: without it each test says so and is skipped.

mod abi;
mod access;
mod chain;
mod gas;
mod model;
mod properties;
mod proving;
mod sessions;
