//! The stages of a block, and what is known at each.

use crate::{
    alarm::now_ms,
    block::{BlockId, SegmentName},
    proof::{Attempt, Claim, Proof},
    source::EntryId,
};
use alloy_primitives::B256;
use bsp_codec::ReplicaKind;
use serde::{Deserialize, Serialize};

/// What a record is found under: a block may arrive as a specimen and as a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockKey {
    /// The block's hash.
    pub hash: B256,
    /// Which part of the block: specimen, result or replica.
    pub kind: ReplicaKind,
}

/// All that is known about a block in flight, or handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRecord {
    /// Which block.
    pub block: BlockId,
    /// `block-replica`, `block-specimen` or `block-result`.
    pub kind: String,
    /// The source's entries that carry the block and are not settled. More than one when the
    /// producer repeats itself.
    pub entries: Vec<EntryId>,
    /// Entries that the source refused to settle, for example because they are another source's.
    /// The work on the block does not wait for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsettled: Vec<EntryId>,
    /// How far it is.
    pub stage: Stage,
    /// When the stage was reached, in milliseconds since 1970.
    pub updated_ms: u64,
}

impl BlockRecord {
    /// A record that was changed now.
    pub fn new(block: BlockId, kind: ReplicaKind, entries: Vec<EntryId>, stage: Stage) -> Self {
        let (kind, unsettled) = (kind.as_str().to_owned(), Vec::new());
        Self { block, kind, entries, unsettled, stage, updated_ms: now_ms() }
    }

    /// What it is found under. `None` for a kind that this version does not know.
    pub fn key(&self) -> Option<BlockKey> {
        Some(BlockKey { hash: self.block.hash, kind: self.kind.parse().ok()? })
    }

    /// The same block at another stage, reached now.
    pub fn at(&self, stage: Stage) -> Self {
        Self { stage, updated_ms: now_ms(), ..self.clone() }
    }
}

/// A segment's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentFacts {
    /// Its name.
    pub name: SegmentName,
    /// Its length in bytes.
    pub length: u64,
    /// The specimen hash, see [`bsp_codec::digest::specimen_hash`].
    pub specimen_hash: B256,
    /// The CID, as text.
    pub cid: String,
}

impl SegmentFacts {
    /// The storage URL that is proved.
    pub fn url(&self) -> String {
        format!("ipfs://{}", self.cid)
    }

    /// What is proved of the segment.
    pub fn claim(&self, block: BlockId) -> Claim {
        Claim {
            block,
            segment: self.name.clone(),
            specimen_hash: self.specimen_hash,
            url: self.url(),
        }
    }
}

/// How far a block was verified before its proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// The header's hash alone.
    Header,
    /// Header, roots and senders.
    Roots,
    /// Re-executed from the stored file's own bytes.
    Executed,
    /// Re-executed up to a transaction of which the format leaves out what that needs (EIP-7702
    /// authorizations, or the size of a code); what can be checked of the rest is right.
    ExecutedInPart {
        /// How many transactions were executed.
        transactions: usize,
        /// How many the block has.
        of: usize,
    },
    /// What can be checked is right, but nothing was executed: the format leaves out what a
    /// re-execution needs.
    ExecutionImpossible,
}

impl Verification {
    /// How much of the block was executed, as a metric's label.
    pub(crate) const fn extent(self) -> &'static str {
        match self {
            Self::Executed => "whole",
            Self::ExecutedInPart { .. } => "part",
            Self::Header | Self::Roots | Self::ExecutionImpossible => "none",
        }
    }
}

/// How far a block is. The stages follow each other in this order, but for the last three, which
/// end a block's way early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// Decoded, checked against its header, and selected. The bytes are still the source's alone.
    Received,
    /// The segment is made.
    Encoded {
        /// What was made.
        segment: SegmentFacts,
    },
    /// The file is on disk, synced, under a name that says it is unproved.
    Stored {
        /// The file.
        segment: SegmentFacts,
    },
    /// The content is available under its CID.
    Pinned {
        /// The file.
        segment: SegmentFacts,
    },
    /// The stored file is what was made, and says what the chain says.
    Verified {
        /// The file.
        segment: SegmentFacts,
        /// How far.
        verification: Verification,
    },
    /// Transactions were signed, and may have been broadcast.
    ProofSent {
        /// The file.
        segment: SegmentFacts,
        /// How far it was verified.
        verification: Verification,
        /// All that was signed.
        attempts: Vec<Attempt>,
    },
    /// The proof is on record.
    ProofConfirmed {
        /// The file.
        segment: SegmentFacts,
        /// How far it was verified.
        verification: Verification,
        /// Where.
        proof: Proof,
    },
    /// The source has let it go. The file has its final name.
    Acknowledged {
        /// The file.
        segment: SegmentFacts,
        /// How far it was verified.
        verification: Verification,
        /// Where it is proved.
        proof: Proof,
    },
    /// The contract will never take it. It is stored and not proved. It is pinned, unless that was
    /// known before it was uploaded.
    Skipped {
        /// The file.
        segment: SegmentFacts,
        /// Why.
        reason: String,
        /// Whether the source has let it go.
        acknowledged: bool,
    },
    /// It does not re-execute, or its stored bytes are not what was made. It is with the dead
    /// letters.
    Refused {
        /// The file.
        segment: SegmentFacts,
        /// Why.
        reason: String,
        /// Whether it is with the dead letters, and gone from the source.
        acknowledged: bool,
    },
}

impl Stage {
    /// All names of stages, in their order.
    pub const NAMES: [&str; 10] = [
        "received",
        "encoded",
        "stored",
        "pinned",
        "verified",
        "proof_sent",
        "proof_confirmed",
        "acknowledged",
        "skipped",
        "refused",
    ];

    /// The name in metrics, logs and JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Received => Self::NAMES[0],
            Self::Encoded { .. } => Self::NAMES[1],
            Self::Stored { .. } => Self::NAMES[2],
            Self::Pinned { .. } => Self::NAMES[3],
            Self::Verified { .. } => Self::NAMES[4],
            Self::ProofSent { .. } => Self::NAMES[5],
            Self::ProofConfirmed { .. } => Self::NAMES[6],
            Self::Acknowledged { .. } => Self::NAMES[7],
            Self::Skipped { .. } => Self::NAMES[8],
            Self::Refused { .. } => Self::NAMES[9],
        }
    }

    /// The segment, from the stage on at which there is one.
    pub const fn segment(&self) -> Option<&SegmentFacts> {
        match self {
            Self::Received => None,
            Self::Encoded { segment }
            | Self::Stored { segment }
            | Self::Pinned { segment }
            | Self::Verified { segment, .. }
            | Self::ProofSent { segment, .. }
            | Self::ProofConfirmed { segment, .. }
            | Self::Acknowledged { segment, .. }
            | Self::Skipped { segment, .. }
            | Self::Refused { segment, .. } => Some(segment),
        }
    }

    /// Whether the segment is on disk, so that the source's bytes are no longer needed.
    pub const fn is_stored(&self) -> bool {
        !matches!(self, Self::Received | Self::Encoded { .. })
    }

    /// Whether nothing remains to be done.
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Acknowledged { .. }
                | Self::Skipped { acknowledged: true, .. }
                | Self::Refused { acknowledged: true, .. }
        )
    }
}
