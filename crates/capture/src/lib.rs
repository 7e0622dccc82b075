#![doc = include_str!("../README.md")]
//!
//! A *block specimen* is a block plus exactly the state that its execution read. Operators of the
//! network must agree on it byte for byte, so the order of the reads counts as much as their set:
//! it is the order in which bsp-geth v2.2.0's state database first fetches things. This crate
//! reproduces that order on revm.
//!
//! * [`capture()`] executes a block on any [`revm::DatabaseRef`] of its parent's state and returns
//!   receipts, requests and the four read lists. [`Capture::check`] compares the outcome with the
//!   header.
//! * [`verify()`] goes back: it rebuilds the block from a replica, executes it with the same code
//!   on a state that holds [only the replica's lists](SpecimenState), and compares everything with
//!   what the replica says.
//! * [`Recorder`] is the inspector behind both, and [`InspectingEvmFactory`] the EVM it needs, for
//!   a node that drives block execution through its own types.
//!
//! # Rules
//!
//! Mainnet, Sepolia, Hoodi, the development chain and custom genesis files ([`ChainSpec`]), from
//! London to Osaka and its blob updates; other rules through [`ExecutionSpec`]. Sepolia has gone on
//! to Amsterdam, so only its blocks before that are covered. The order up to Prague is that of
//! bsp-geth v2.2.0, and the tests compare it with what a running one exported: it is the last
//! release whose specimens are not empty. Later forks continue its rules. Before London nothing is
//! captured ([`CaptureError::BeforeLondon`]).
//!
//! # What it costs
//!
//! One execution of the block, about a tenth slower than without the recorder. The parent state is
//! asked once for each account and code, and nearly always once for each slot. Nothing is kept
//! between blocks.
//!
//! # What a specimen cannot tell
//!
//! The size of a code that only `EXTCODESIZE` asked for ([`Reads::size_only_codes`]), and, in the
//! network's profile, the authorization lists of EIP-7702. A
//! [supplement](VerifyOptions::supplement) tells a verification of both, or
//! [`RecoveredAuthorizations`] of the latter.
//!
//! # What differs from geth
//!
//! revm lets a creation succeed at an address that has storage but neither nonce nor code; geth
//! refuses it (EIP-7610). Mainnet has 28 such accounts, none of which a creation can reach without
//! a collision of hashes; a genesis of one's own can have some. [`Capture::check`] refuses a block
//! whose gas or receipts that changes.

mod capture;
mod chain;
mod error;
mod evm;
mod evm_parent;
mod genesis;
mod parent;
mod recorder;
mod specimen;
mod verify;

pub use capture::{
    BlockParts, Capture, Receipt, ReceiptMaker, SignedTransaction, capture, capture_with_changes,
    evm_env, execution_context,
};
pub use chain::{ChainSpec, DEV_CHAIN_ID, ExecutionSpec};
pub use error::{CaptureError, OutcomeMismatch, RecordError};
pub use evm::{EvmContext, InspectingEvm, InspectingEvmFactory};
pub use genesis::GenesisError;
pub use parent::ParentState;
pub use recorder::{Reads, Recorder, SizeOnlyCode};
pub use specimen::{Contradiction, MissingState, SpecimenState};
pub use verify::{
    AuthorizationsError, CheckName, CheckResult, Executed, Outcome, RecoveredAuthorizations,
    Verdict, VerifyOptions, verify, verify_roots, verify_segment,
};

/// The library's part of the project's README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
