//! Why content does not come.

use crate::{dag::LinksError, store::StoreError};
use bsp_codec::dag::Cid;
use std::time::Duration;

/// Why one source does not give a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The source does not have it.
    #[error("{from}: not found")]
    NotFound {
        /// Which source.
        from: String,
    },
    /// The source does not answer in time, answers with an error, or with something else.
    #[error("{from}: {reason}")]
    Failed {
        /// Which source.
        from: String,
        /// What went wrong, without secrets.
        reason: String,
    },
}

/// Why a block or a DAG can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No source has the block.
    #[error("block {cid} is not found{}", told(.tried))]
    NotFound {
        /// The block.
        cid: Box<Cid>,
        /// What each source answered.
        tried: Vec<SourceError>,
    },
    /// No source gives the block, and at least one of them may have it.
    #[error("block {cid} can't be had now{}", told(.tried))]
    Unavailable {
        /// The block.
        cid: Box<Cid>,
        /// What each source answered.
        tried: Vec<SourceError>,
    },
    /// The root, or a block below it, has links that can't be followed.
    #[error(transparent)]
    Links(#[from] LinksError),
    /// The DAG is beyond [`FetchLimits`](super::FetchLimits).
    #[error("the DAG of {root} has more than {limit}")]
    TooLarge {
        /// Its root.
        root: Box<Cid>,
        /// Which limit.
        limit: String,
    },
    /// The DAG did not come in the time it was given.
    #[error("the DAG of {root} did not come within {} seconds", .after.as_secs())]
    TimedOut {
        /// Its root.
        root: Box<Cid>,
        /// The deadline.
        after: Duration,
    },
    /// The store can't take or give a block, or pin the DAG.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn told(tried: &[SourceError]) -> String {
    if tried.is_empty() {
        return ": no source of blocks is configured".to_owned();
    }
    let told: Vec<_> = tried.iter().map(ToString::to_string).collect();
    format!(": {}", told.join("; "))
}
