//! What a target is.

use crate::health::TargetHealth;
use alloy_primitives::B256;
use async_trait::async_trait;
use bytes::Bytes;
use std::fmt;

/// A block replica on its way to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The block's hash.
    pub hash: B256,
    /// The block's number, for logs.
    pub number: u64,
    /// The replica's RLP, see [`bsp_codec::rlp::encode_replica`]. Not compressed.
    pub replica: Bytes,
    /// What the replica leaves out of the block, see [`bsp_codec::supplement`]; `None` if nothing.
    /// A target that keeps it keeps it beside the replica, for consumers that re-execute the block.
    pub supplement: Option<Bytes>,
}

impl Entry {
    /// How many bytes it has, uncompressed.
    pub fn bytes(&self) -> usize {
        self.replica.len().saturating_add(self.supplement.as_ref().map_or(0, Bytes::len))
    }
}

/// A position in what a target has taken. It grows with every entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct StreamPosition(pub u128);

/// Takes block replicas, in the order in which they are delivered.
#[async_trait]
pub trait Target: Send + fmt::Debug {
    /// For logs: the target's URL, without its password.
    fn name(&self) -> String;

    /// Delivers a batch. On return the target has durably taken all of it.
    ///
    /// It waits for as long as the trouble may pass on its own: a target that can't be reached, a
    /// full disk. After an error, or if the future was dropped, the target may have taken any part
    /// of the batch.
    ///
    /// It should not block its thread: work that does, such as that with files or with a client
    /// that is not async, belongs into [`tokio::task::spawn_blocking`]. A producer gives each
    /// target a thread of its own, so that one that blocks all the same holds up nobody else; but
    /// then it can't be stopped in the middle of a delivery.
    ///
    /// # Errors
    ///
    /// [`TargetError`], if the batch can't be delivered without somebody's help, or if the target
    /// was stopped.
    async fn deliver(&mut self, batch: &[Entry]) -> Result<(), TargetError>;

    /// The position after all that was delivered, to tell later whether it is still there. A target
    /// that can't lose anything unnoticed leaves this as it is.
    fn position(&self) -> Option<StreamPosition> {
        None
    }

    /// Told once, before the first delivery: the position after all that was delivered by earlier
    /// processes.
    fn resume(&mut self, _position: StreamPosition) {}

    /// Up to which position the target's consumers have acknowledged everything, so that it need
    /// not be there any longer; `None` if that is not known.
    fn acknowledged(&self) -> Option<StreamPosition> {
        None
    }

    /// Told once, after [`Self::resume`]: what [`Self::acknowledged`] said last to an earlier
    /// process.
    fn resume_acknowledged(&mut self, _position: StreamPosition) {}

    /// Shows why a delivery waits. A target that has nothing to show leaves this as it is.
    fn health(&self) -> TargetHealth {
        TargetHealth::default()
    }
}

/// A target that can't go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The target refuses the batch permanently.
    #[error("{target}: {reason}")]
    Refused {
        /// Which target, without its password.
        target: String,
        /// What it says, and what to do.
        reason: String,
    },
    /// The target no longer has everything that it had taken. It waits for that to be delivered
    /// again.
    #[error("{target}: entries that it had confirmed are gone")]
    Lost {
        /// Which target, without its password.
        target: String,
        /// What it had taken up to here is not missing.
        kept: StreamPosition,
    },
    /// The target was stopped before it had taken all of the batch.
    #[error("{target}: stopped before it took all of the batch")]
    Stopped {
        /// Which target, without its password.
        target: String,
    },
}
