#![doc = include_str!("../README.md")]
//!
//! ```text
//! messages ─► servers::redis ─► proxy ─► the shipped agent ─► proxy ─► servers::{anvil, pinner}
//!                  ▲                      │ files, journal, ledger           ▲
//!                  └──────── audit: reads all of them, believes nobody ──────┘
//! ```
//!
//! | module | what it is for |
//! | --- | --- |
//! | [`servers`] | redis-server, anvil and a stand-in pinner, which end with the value that holds them |
//! | [`proxy`] | a connection that can be made to fail in every way, while in use |
//! | [`rpc`], [`contract`] | the proof chain, spoken to in plain JSON-RPC |
//! | [`messages`] | stream entries: mainnet's, a dev chain's in any number, variants, and poison |
//! | [`node`] | a reth node with the Execution Extension: its chain, its faults, and an auditor of its targets |
//! | [`load`] | transactions of every type for a node's pool |
//! | [`agent`] | the agent's program: found or built, started, killed, its output kept |
//! | [`scene`] | all of these put together |
//! | [`audit`] | checks afterwards, and while it runs, that nothing is lost and nothing is proved that can't be fetched |
//! | [`campaign`] | faults from a seed, and the table of them |
//! | [`flag_table`] | the tables of flags in the documentation, made of what clap knows |

pub mod agent;
pub mod audit;
pub mod campaign;
pub mod contract;
pub mod flag_table;
pub mod load;
pub mod messages;
pub mod node;
pub mod proxy;
pub mod rpc;
pub mod scene;
pub mod servers;
pub mod small_disk;
pub mod wait;
pub mod year;
