#![doc = include_str!("../README.md")]
//!
//! # The way of a block
//!
//! ```text
//! source ─► prepare ─► store ─► pin ─► verify ─► prove ─► acknowledge
//!   │         decode,    file,    │      read back, │ ask, send,
//!   │         check,     synced   │      execute    │ watch
//!   │         encode              CID checked       event checked
//!   └─► dead letters: what can't be decoded or contradicts itself
//! ```
//!
//! Each arrow is one durable change of the block's [stage](journal::Stage), so that a crash between
//! any two resumes there. The types enforce the order: a [`proof::Claim`] is made of a stored and
//! pinned segment only.
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`pipeline`] | the steps of a block, and how many are in flight |
//! | [`source`] | where deliveries come from, and where they are acknowledged or buried |
//! | [`prepare`] | from a message to a segment, in memory |
//! | [`segments`] | the segments' files |
//! | [`pin`] | content by its CID, kept available |
//! | [`proof`] | the proof chain, or a ledger in its place |
//! | [`journal`] | what has happened to each block, across crashes |
//! | [`alarm`] | what needs the operator's attention |
//! | [`retry`] | trying again what may pass on its own |
//! | [`failpoint`] | where tests make the process die |
//! | [`args`], [`config`] | what the operator asks for, as typed and as understood |
//! | [`check`] | whether everything that a start needs is there |
//! | [`logging`], [`metrics`], [`server`] | what the outside sees |

mod agent;
pub mod alarm;
pub mod args;
pub mod block;
mod blocking;
pub mod check;
pub mod config;
pub mod failpoint;
mod http_client;
pub mod journal;
pub mod logging;
pub mod metrics;
pub mod pin;
pub mod pipeline;
pub mod prepare;
pub mod proof;
pub mod retry;
mod run;
pub mod segments;
pub mod server;
pub mod source;

pub use crate::{
    agent::{
        Agent, AgentError, AgentStatus, Observed, StartError, UnfinishedSegments, start_checks,
    },
    block::{BlockId, SegmentName},
    run::{RunError, run},
};
