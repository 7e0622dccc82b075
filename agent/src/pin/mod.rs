//! Content that stays available under its CID.

mod car_body;
mod embedded;
mod http;
mod ipfs_pinner;
mod kubo;
mod pinning_service;
mod reply;
#[cfg(feature = "s3")]
mod s3;
mod several;
mod target;
#[cfg(test)]
mod test_server;

pub use embedded::{EmbeddedPinner, TakenOver, TakeoverError, take_over};
pub use http::UnusablePinner;
pub use ipfs_pinner::IpfsPinner;
pub use kubo::KuboPinner;
pub use pinning_service::PinningService;
#[cfg(feature = "s3")]
pub use s3::S3Bucket;
pub use several::{Enough, InvalidEnough, Several};
pub use target::{InvalidTarget, PinTarget, token_of_file};

#[cfg(test)]
pub(crate) use test_server::content as test_content;

use crate::{metrics, retry::MayPass};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use std::{fmt, time::Instant};

/// A segment's bytes with the CID computed from them here.
#[derive(Debug, Clone)]
pub struct Content {
    /// What to call it: the segment's name.
    pub name: String,
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
    /// The content was to be had here, and is not any more.
    #[error("the content {cid} is gone: pin it by hand")]
    Gone {
        /// Which.
        cid: Box<Cid>,
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

    /// Whether it keeps content in this process, and so gives it back without asking anybody.
    fn is_local(&self) -> bool {
        false
    }

    /// A content that it keeps in this process.
    async fn local_content(&self, _cid: &Cid) -> Result<Option<Bytes>, PinError> {
        Ok(None)
    }

    /// Notes that the proof of a content is confirmed.
    async fn confirm(&self, _cid: &Cid) -> Result<(), PinError> {
        Ok(())
    }
}

/// Measures an attempt to pin.
async fn measured(attempt: impl Future<Output = Result<(), PinError>>) -> Result<(), PinError> {
    let started = Instant::now();
    let result = attempt.await;
    metrics::record_pin(started.elapsed(), result.is_ok());
    result
}
