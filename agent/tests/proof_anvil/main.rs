//! Proofs on a real node, with the ways in which they go wrong. Needs anvil: by `ANVIL`, in the
//! PATH, or in `tests/node_modules`; without it nothing is tested, and each test says so.

mod chain;
mod doubts;
mod faults;
mod operator;
mod preflight;
mod proxy;
mod refusals;
mod restarts;
mod scenarios;
mod sending;
