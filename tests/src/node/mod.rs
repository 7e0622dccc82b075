//! A node with the Execution Extension: the shipped program, driven over its engine API as a
//! consensus client would, with blocks of a dev chain whose replicas are known beforehand.
//!
//! ```text
//! ChainDriver ─ newPayload, forkchoiceUpdated ─► Node ─ the extension ─► redis-server, folder
//!      │ what every block must look like                                        │
//!      └────────────────────────► audit ◄──────────── TargetView ◄──────────────┘
//! ```
//!
//! The driver is the oracle: it executes each block itself, on a state in memory, and exports it.
//! What the node's targets hold is compared with that, byte for byte.

pub mod audit;
pub mod block;
pub mod cost;
pub mod driver;
pub mod engine;
pub mod faults;
mod jwt;
pub mod launch;
pub mod oracle;

pub mod process;
pub mod program;
pub mod proving;
pub mod scene;
pub mod status;
pub mod target;

pub use jwt::JwtSecret;
