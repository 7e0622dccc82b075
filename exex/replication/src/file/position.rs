//! How far a folder was written.

use super::repair;
use crate::target::StreamPosition;
use bsp_codec::chunk::ChunkName;
use std::{io, path::Path};

/// The end of a record: everything up to here was on disk once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChunkPosition {
    pub(super) chunk: ChunkName,
    /// Bytes from the chunk's start.
    pub(super) end: u64,
}

/// The bits of a stream position that the bytes have, and those that the number of the chunk has: a
/// tebibyte, and as many chunks.
const BITS: u32 = 40;
const LOW: u128 = (1 << BITS) - 1;

impl ChunkPosition {
    /// `None` where a number is larger than any that occurs.
    pub(super) fn to_stream_position(self) -> Option<StreamPosition> {
        let Self { chunk: ChunkName { session, chunk }, end } = self;
        let [session, chunk, end] = [session, chunk, end].map(u128::from);
        (chunk <= LOW && end <= LOW && session >> (128 - 2 * BITS) == 0)
            .then_some(StreamPosition(session << (2 * BITS) | chunk << BITS | end))
    }

    /// Where a stream position is. One of an earlier version, which had none, is of no chunk.
    pub(super) fn from_stream_position(StreamPosition(position): StreamPosition) -> Option<Self> {
        let [session, chunk, end] =
            [position >> (2 * BITS), position >> BITS & LOW, position & LOW]
                .map(|part| u64::try_from(part).ok());
        Some(Self { chunk: ChunkName { session: session?, chunk: chunk? }, end: end? })
    }

    /// Where the chunk now ends before this position, if it does: it was damaged, or lost what was
    /// synced. `None` also for a chunk that is not there: its consumer has removed it.
    pub(super) fn what_is_left(self, folder: &Path) -> io::Result<Option<Self>> {
        match repair::whole_bytes(&folder.join(self.chunk.to_string())) {
            Ok(end) if end < self.end => Ok(Some(Self { end, ..self })),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn marks_grow_as_positions_do(a: (u64, u64, u64), b: (u64, u64, u64)) {
            let [one, other] = [a, b].map(|(session, chunk, end)| ChunkPosition {
                chunk: ChunkName { session: session >> 16, chunk: chunk >> 24 },
                end: end >> 24,
            });
            let [of_one, of_other] = [one, other].map(|position| position.to_stream_position().unwrap());
            prop_assert_eq!(ChunkPosition::from_stream_position(of_one), Some(one));
            prop_assert_eq!(one < other, of_one < of_other);
        }
    }

    #[test]
    fn a_position_that_has_no_room_has_no_mark() {
        let at = |session, chunk, end| {
            ChunkPosition { chunk: ChunkName { session, chunk }, end }.to_stream_position()
        };
        for (session, chunk, end) in [(1 << 48, 0, 0), (0, 1 << 40, 0), (0, 0, 1 << 40)] {
            assert_eq!(at(session, chunk, end), None);
        }
        assert!(at((1 << 48) - 1, (1 << 40) - 1, (1 << 40) - 1).is_some());
    }
}
