//! Where deliveries come from, and where each is settled.
//!
//! A source delivers at least once. It hands out an entry that it has handed out already only after
//! that was [released](Settlement), so the pipeline never works twice on one at the same time. The
//! pipeline recognises other duplicates by the block's hash.

mod dead_letters;
pub mod folder;
mod merged;
pub mod redis;
mod unselected;

pub use dead_letters::StreamOrigin;
pub use merged::merge;
pub use unselected::UnselectedFolder;

use crate::retry::MayPass;
use async_trait::async_trait;
use bsp_codec::snappy::{self, SnappyError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Names an entry within its source permanently: a stream's id (`1700000000000-0`), or a file's
/// name and the offset in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryId(pub String);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One entry, as it came. Nothing in it is checked yet.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The entry.
    pub entry: EntryId,
    /// The entry's block hash as text, if there is such a field.
    pub hash: Option<String>,
    /// The entry's payload, if there is such a field.
    pub payload: Option<Payload>,
    /// What the payload's format leaves out of the block, see [`bsp_codec::supplement`], if the
    /// source has it.
    pub supplement: Option<Bytes>,
    /// How often the entry was delivered to any consumer, this time included, where the source
    /// knows: since it was last released, and without reads that failed.
    pub deliveries: u64,
}

impl Delivery {
    /// How many bytes it holds: payload and supplement.
    pub fn len(&self) -> usize {
        let payload = self.payload.as_ref().map_or(0, Payload::len);
        payload.saturating_add(self.supplement.as_ref().map_or(0, Bytes::len))
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A replica, as its source holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// A raw snappy block of the replica's RLP: a stream's entry.
    Snappy(Bytes),
    /// The replica's RLP: a record of a chunk file, whose own compression is undone.
    Rlp(Bytes),
}

impl Payload {
    /// Its length in bytes, as it is held.
    pub const fn len(&self) -> usize {
        match self {
            Self::Snappy(bytes) | Self::Rlp(bytes) => bytes.len(),
        }
    }

    /// Whether it has no bytes at all.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As a stream's entry has it.
    ///
    /// # Errors
    ///
    /// [`SnappyError::InputTooLong`] for RLP of more than 3.6 GiB.
    pub fn to_snappy(&self) -> Result<Bytes, SnappyError> {
        match self {
            Self::Snappy(block) => Ok(block.clone()),
            Self::Rlp(rlp) => snappy::compress(rlp).map(Bytes::from),
        }
    }
}

/// An entry that can't be handled, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The entry.
    pub entry: EntryId,
    /// Its block hash as it was given, if any.
    pub hash: Option<String>,
    /// What is wrong with it, in one line.
    pub reason: String,
    /// The payload, if any, [as a stream's entry has it](Payload::to_snappy).
    #[serde(skip)]
    pub payload: Option<Bytes>,
    /// The [supplement](Delivery::supplement), if any.
    #[serde(skip)]
    pub supplement: Option<Bytes>,
}

/// A source that can't go on without the operator. What may pass on its own (a lost connection, a
/// server that loads its data) is retried inside of the source, with an alarm, and is no error
/// here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The source refuses what we ask for, permanently.
    #[error("{source_name}: {reason}")]
    Refused {
        /// Which source, without its password.
        source_name: String,
        /// What it says, and what to do.
        reason: String,
    },
    /// The source can't be reached or read now.
    #[error("{source_name} does not answer: {reason}")]
    Unavailable {
        /// Which source, without its password.
        source_name: String,
        /// What went wrong.
        reason: String,
    },
}

/// Servers and disks come back. A refusal stays until an operator acts.
impl MayPass for SourceError {
    fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// The reading half. There is one reader for each source and process.
#[async_trait]
pub trait Deliveries: Send {
    /// Waits for the next entry: first those that this consumer took and did not settle before it
    /// stopped, then new ones and those of consumers that died. At the end of a source that ends:
    /// `None`.
    ///
    /// Dropping the future loses nothing: an entry taken but not returned is delivered again.
    async fn next(&mut self) -> Result<Option<Delivery>, SourceError>;
}

/// The settling half, shared by all blocks in flight.
#[async_trait]
pub trait Settlement: Send + Sync + fmt::Debug {
    /// Whether an entry has the form of this source's names. Asked where sources are
    /// [merged](merge()), and a source whose entries could have any form is the last of them.
    fn owns(&self, _entry: &EntryId) -> bool {
        true
    }

    /// The entry is handled: it may go. Succeeds as well if it is gone already.
    async fn acknowledge(&self, entry: &EntryId) -> Result<(), SourceError>;

    /// The entry can't be handled: it goes to the dead letters, and only then from the source.
    async fn bury(&self, letter: &DeadLetter) -> Result<(), SourceError>;

    /// The entry is no longer in flight here, and not settled: it may be delivered again, here or
    /// elsewhere, after the source's idle time.
    fn release(&self, entry: &EntryId);

    /// The entry is no longer in flight here, and not settled: it is to be delivered again, and at
    /// once if the source can.
    fn redeliver(&self, entry: &EntryId) {
        self.release(entry);
    }

    /// How much is waiting.
    async fn backlog(&self) -> Result<Backlog, SourceError>;
}

/// How much is waiting in a source. What a source can't tell is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlog {
    /// Entries there are.
    pub length: Option<u64>,
    /// Entries not delivered to anybody yet.
    pub undelivered: Option<u64>,
    /// Entries delivered and not acknowledged, to any consumer.
    pub pending: Option<u64>,
    /// Age of the oldest entry that is not acknowledged, in milliseconds.
    pub oldest_age_ms: Option<u64>,
    /// Dead letters.
    pub dead: Option<u64>,
}

/// Both halves of a source.
pub struct Source {
    /// Reads.
    pub deliveries: Box<dyn Deliveries>,
    /// Settles.
    pub settlement: Arc<dyn Settlement>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("settlement", &self.settlement).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_holds_its_payload_and_its_supplement() {
        let bytes = Bytes::from_static;
        let mut delivery = Delivery {
            entry: EntryId("1-0".to_owned()),
            hash: None,
            payload: None,
            supplement: None,
            deliveries: 1,
        };
        assert!(delivery.is_empty());
        delivery.supplement = Some(bytes(b"left out"));
        assert_eq!(delivery.len(), 8);
        delivery.payload = Some(Payload::Snappy(bytes(b"block")));
        assert_eq!(delivery.len(), 13);
    }
}
