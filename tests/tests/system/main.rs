//! The whole system against real servers.

mod auditor;
mod chain;
