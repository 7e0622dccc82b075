//! A block in flight, as its steps pass it on.

use super::{suspects::Watched, verdicts::Judging};
use crate::{
    alarm::AlarmKind,
    journal::{BlockKey, BlockRecord},
    pin::Content,
    prepare::Defect,
};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

/// A block in flight.
#[derive(Debug)]
pub(super) struct OpenBlock {
    pub(super) key: BlockKey,
    pub(super) record: BlockRecord,
    /// One of the open blocks, for as long as this is one.
    pub(super) slot: OwnedSemaphorePermit,
    /// Until it is judged. `None` for a block that needs no verdict any more.
    pub(super) judging: Option<InJudgement>,
    /// The segment's bytes with the memory they occupy, until they are pinned. After a restart they
    /// are read from disk.
    pub(super) content: Option<(Content, OwnedSemaphorePermit)>,
    /// What the segment's format leaves out of the block, until it is stored beside the segment.
    pub(super) supplement: Option<Bytes>,
}

/// A message on its way to a verdict.
#[derive(Debug)]
pub(super) struct InJudgement {
    pub(super) watched: Watched,
    /// Counts it among those without a verdict, until it is dropped.
    pub(super) _judging: Judging,
}

/// Why a block is not finished by this process.
pub(super) enum Unfinished {
    /// Its entries stay in the source, in flight, as its verdict says.
    Left,
    /// It was told to stop.
    Stopped,
    /// Only the operator can help.
    Held(AlarmKind, String),
}

impl From<Defect> for Unfinished {
    fn from(defect: Defect) -> Self {
        Self::Held(AlarmKind::BlockHeld, defect.to_string())
    }
}

pub(super) type Step<T> = Result<T, Unfinished>;
