//! Content that stays available under its CID.

mod batch;
mod ipfs_pinner;
mod local;
mod reply;

pub use ipfs_pinner::{IpfsPinner, IpfsPinnerError};
pub use local::LocalPinner;

use crate::retry::MayPass;
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use std::fmt;

/// A segment's bytes with the CID computed from them here.
#[derive(Debug, Clone)]
pub struct Content {
    /// The file.
    pub bytes: Bytes,
    /// Its CID, see [`bsp_codec::dag::cid_of`].
    pub cid: Cid,
}

/// Why content is not pinned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// Worth another attempt: the service does not answer, or answers with an error.
    #[error("{pinner}: {reason}")]
    Temporary {
        /// Which pinner.
        pinner: String,
        /// What went wrong, without secrets and not longer than a line.
        reason: String,
    },
    /// The service keeps something else than what it was given. Nobody could fetch the content
    /// under the CID that would be proved.
    #[error(
        "{pinner} answers CID {returned} for content whose CID is {computed}: check that it uses CIDv1, raw leaves, and \
         chunks of 262144 bytes"
    )]
    OtherCid {
        /// Which pinner.
        pinner: String,
        /// The content's.
        computed: Box<Cid>,
        /// The service's.
        returned: String,
    },
}

impl MayPass for PinError {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Temporary { .. })
    }
}

/// A service, or a folder, that keeps content available under its CID.
#[async_trait]
pub trait Pinner: Send + Sync + fmt::Debug {
    /// For logs and metrics: which service, without secrets.
    fn name(&self) -> String;

    /// Keeps the content. On return it can be fetched under [`Content::cid`], which the service has
    /// confirmed. Pinning again what is pinned succeeds.
    async fn pin(&self, content: &Content) -> Result<(), PinError>;

    /// Whether the content can be fetched under [`Content::cid`] now, all of it.
    async fn holds(&self, content: &Content) -> Result<bool, PinError>;

    /// Whether the service is reachable and usable, for start-up checks: one line about it.
    async fn check(&self) -> Result<String, PinError>;
}
