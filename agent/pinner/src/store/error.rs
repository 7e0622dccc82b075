//! Why the store can't do what it is asked for.

use bsp_codec::{car::CarError, dag::Cid};
use std::io;

/// See the variants. `Io` may pass, what damages or lacks content does not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the store open.
    #[error("the pin store is in use by another process")]
    InUse,
    /// The disk, or the file system.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A CID of another hash than SHA-256, or of a codec that is neither raw, dag-pb nor dag-cbor.
    #[error("{0} is not supported: SHA-256 with raw, dag-pb or dag-cbor is")]
    UnsupportedCid(Box<Cid>),
    /// The bytes are not those that the CID names.
    #[error("the block does not hash to {0}")]
    WrongBlock(Box<Cid>),
    /// Longer than [`MAX_BLOCK_LEN`](super::MAX_BLOCK_LEN).
    #[error("a block of {len} bytes, at most {limit} are accepted", limit = super::MAX_BLOCK_LEN)]
    BlockTooLong {
        /// In bytes.
        len: u64,
    },
    /// A block that is needed is not in the store.
    #[error("block {0} is missing")]
    Missing(Box<Cid>),
    /// What the disk gives back is not what was stored.
    #[error("block {0} is damaged on disk")]
    Damaged(Box<Cid>),
    /// A block is not what the codec of its CID says.
    #[error("block {cid}: {reason}")]
    Malformed {
        /// The block.
        cid: Box<Cid>,
        /// What is wrong with it.
        reason: String,
    },
    /// A file beyond the store's bounds.
    #[error("the file is too long, at most {limit} bytes are accepted")]
    FileTooLong {
        /// In bytes.
        limit: u64,
    },
    /// The DAG is no UnixFS file.
    #[error("{root} is not a file: {reason}")]
    NotAFile {
        /// Its root.
        root: Box<Cid>,
        /// What it is instead, or what is wrong with it.
        reason: String,
    },
    /// A DAG beyond the store's bounds: too deep, too many blocks.
    #[error("{root}: {reason}")]
    TooLarge {
        /// Its root.
        root: Box<Cid>,
        /// Which bound.
        reason: String,
    },
    /// The size budget is used up by pins that must stay.
    #[error("the size budget of {budget} bytes is used up by pins whose proof is not confirmed")]
    OverBudget {
        /// In bytes.
        budget: u64,
    },
    /// An archive that can't be read.
    #[error("{0}")]
    Car(#[from] CarError),
}
