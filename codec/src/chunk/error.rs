//! Why a chunk ends before its bytes do.

use crate::{rlp::RlpDecodeError, snappy::SnappyError};

/// A record that can't be read. All bytes before `offset` are good records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("chunk record at byte {offset}: {kind}")]
pub struct ChunkError {
    /// Where the record starts. A file that is cut here holds what can be recovered.
    pub offset: u64,
    /// What is wrong with it.
    #[source]
    pub kind: ChunkErrorKind,
}

impl ChunkError {
    /// Whether the bytes merely end too early, as they do after a crash of their writer.
    ///
    /// Where bytes were lost or changed *inside* of a file, the walk over the tags can run to the
    /// file's end too. So a torn tail is only expected in the last chunk that a writer had open,
    /// and no longer than a batch of records.
    pub const fn is_torn(&self) -> bool {
        matches!(self.kind, ChunkErrorKind::Torn { .. })
    }
}

/// What can be wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkErrorKind {
    /// The bytes end inside of the record.
    #[error("torn, the bytes end after {len} bytes of it")]
    Torn {
        /// How many bytes of the record there are.
        len: u64,
    },
    /// The record is no snappy block.
    #[error(transparent)]
    Snappy(#[from] SnappyError),
    /// The block doesn't hold a hash and a replica.
    #[error(transparent)]
    Rlp(#[from] RlpDecodeError),
}
