//! The Redis target against real servers, and against a stand-in for a release that can't be
//! installed.

mod consumers;
mod delivery;
mod duplicates;
mod fixture;
mod idempotence;
mod lost;
mod resp_server;
mod topology;
mod waiting;
