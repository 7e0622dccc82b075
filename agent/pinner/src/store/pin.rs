//! What is known of a pin.

use bsp_codec::dag::Cid;
use std::time::SystemTime;

/// A DAG that the store keeps, all of it, until it is unpinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The DAG's root.
    pub root: Cid,
    /// What its owner calls it; empty if nothing.
    pub name: String,
    /// Bytes of all its blocks, each counted once.
    pub size: u64,
    /// Number of its blocks, each counted once.
    pub blocks: u64,
    /// When it was pinned first.
    pub created: SystemTime,
    /// Whether its proof is confirmed.
    pub state: PinState,
}

/// Whether the size budget may take a pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PinState {
    /// Nothing says that its proof is confirmed: it is never removed but by name.
    #[default]
    Unconfirmed,
    /// Its proof is confirmed: the size budget may remove it, oldest first.
    Confirmed,
}

/// What the caller says of a pin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewPin {
    /// What to call it.
    pub name: String,
    /// Whether its proof is confirmed already.
    pub state: PinState,
}
