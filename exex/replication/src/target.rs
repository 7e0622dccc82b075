//! What a target is.

use crate::{FileTarget, RedisTarget, TargetHealth, TargetUrl};
use alloy_primitives::B256;
use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;
use tokio_util::sync::CancellationToken;

/// A block replica on its way to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The block's hash.
    pub hash: B256,
    /// The block's number, for logs.
    pub number: u64,
    /// The replica's RLP, see [`bsp_codec::rlp::encode_replica`]. Not compressed.
    pub replica: Bytes,
}

/// Takes block replicas, in the order in which they are delivered.
#[async_trait]
pub trait Target: Send + fmt::Debug {
    /// For logs: the target's URL, without its password.
    fn name(&self) -> String;

    /// Delivers a batch. On return the target has durably taken all of it.
    ///
    /// It waits for as long as the trouble may pass by itself: a target that can't be reached, a full disk.
    /// After an error, or if the future was dropped, the target may have taken any part of the batch.
    ///
    /// # Errors
    ///
    /// [`TargetError`], if the batch can't be delivered without somebody's help, or if the target was stopped.
    async fn deliver(&mut self, batch: &[Entry]) -> Result<(), TargetError>;

    /// Shows why a delivery waits. A target that has nothing to show leaves this as it is.
    fn health(&self) -> TargetHealth {
        TargetHealth::default()
    }
}

/// A target that can't go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The target refuses for good what it is asked for.
    #[error("{target}: {reason}")]
    Refused {
        /// Which target, without its password.
        target: String,
        /// What it says, and what to do.
        reason: String,
    },
    /// The target was stopped before it had taken all of the batch.
    #[error("{target}: stopped before it took all of the batch")]
    Stopped {
        /// Which target, without its password.
        target: String,
    },
}

/// Opens the target behind a URL, which stops waiting for trouble to pass once `stop` is cancelled.
///
/// A folder is opened at once, and repaired if it has to be. A Redis server is connected to at the first delivery.
///
/// # Errors
///
/// [`TargetError::Refused`], if a folder can't be made or written, or belongs to another process.
pub fn open_target(
    url: &TargetUrl,
    stop: &CancellationToken,
) -> Result<Box<dyn Target>, TargetError> {
    Ok(match url {
        TargetUrl::File(folder) => Box::new(FileTarget::open(folder, stop.clone())?),
        TargetUrl::Redis(url) => Box::new(RedisTarget::new(url, stop.clone())?),
    })
}
