//! The whole system against real servers.

mod auditor;
mod bad_input;
mod chain;
mod check;
mod drop_in;
mod folder;
mod mainnet;
mod outages;
mod run;
mod shutdown;
mod supplements;
