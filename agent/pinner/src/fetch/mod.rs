//! Where blocks come from that the store does not have, and how a DAG is brought into the store.

mod error;
mod fetcher;
mod gateway;
#[cfg(test)]
mod tests;

pub use error::{FetchError, SourceError};
pub use fetcher::{FetchLimits, Fetcher};
pub use gateway::{Gateway, GatewayError};

use bsp_codec::dag::Cid;
use bytes::Bytes;
use std::fmt;

/// Peers, or a gateway.
#[async_trait::async_trait]
pub trait BlockSource: Send + Sync + fmt::Debug {
    /// For logs and errors, without secrets.
    fn name(&self) -> String;

    /// The block that this identifier names, of at most
    /// [`MAX_BLOCK_LEN`](crate::store::MAX_BLOCK_LEN) bytes. The caller checks that it is the right
    /// one, and bounds the time.
    ///
    /// # Errors
    ///
    /// [`SourceError`].
    async fn block(&self, cid: &Cid) -> Result<Bytes, SourceError>;
}
