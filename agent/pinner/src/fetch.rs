//! Where blocks come from that the store does not have.

use bsp_codec::dag::Cid;
use bytes::Bytes;
use std::fmt;

/// Why a block did not come.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The source does not have it, or not in time.
    #[error("{from}: not found")]
    NotFound {
        /// Which source.
        from: String,
    },
    /// The source does not answer, or answers with an error.
    #[error("{from}: {reason}")]
    Failed {
        /// Which source.
        from: String,
        /// What went wrong, without secrets.
        reason: String,
    },
}

/// Peers, or a gateway.
#[async_trait::async_trait]
pub trait BlockSource: Send + Sync + fmt::Debug {
    /// For logs and errors, without secrets.
    fn name(&self) -> String;

    /// The block that this identifier names. The caller checks that it is.
    async fn block(&self, cid: &Cid) -> Result<Bytes, FetchError>;
}
