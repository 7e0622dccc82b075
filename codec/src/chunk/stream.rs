//! Reading a chunk piece by piece.

use super::{ChunkError, ChunkErrorKind, LocatedRecord, max_record_bytes, record::decode_record};
use crate::{limits::MAX_INPUT_BYTES, snappy::Extent};

/// Reads a chunk that comes in pieces of any size.
///
/// ```
/// use bsp_codec::chunk::{ChunkStream, encode_record};
///
/// let bytes = encode_record(Default::default(), b"replica").unwrap();
/// let mut stream = ChunkStream::new();
/// for piece in bytes.chunks(7) {
///     stream.feed(piece);
///     while let Some(record) = stream.next_record()? {
///         assert_eq!(&record.record.replica_rlp[..], b"replica");
///     }
/// }
/// stream.finish()?;
/// # Ok::<(), bsp_codec::chunk::ChunkError>(())
/// ```
///
/// It holds the pieces of at most one record, as long as all records there are get taken between
/// two pieces: usually less than twice what that record compresses to.
#[derive(Debug, Clone)]
pub struct ChunkStream {
    buffer: Vec<u8>,
    /// How many bytes of the buffer belong to records that were taken.
    taken: usize,
    /// Where in the chunk the next record starts.
    offset: u64,
    extent: Extent,
    max_record_bytes: usize,
    failed: Option<ChunkError>,
}

impl Default for ChunkStream {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkStream {
    /// Starts at a chunk's start.
    pub const fn new() -> Self {
        Self::resume_at(0)
    }

    /// Starts at `offset`, where a record starts.
    pub const fn resume_at(offset: u64) -> Self {
        let max_record_bytes = max_record_bytes(MAX_INPUT_BYTES);
        let extent = Extent::new(max_record_bytes);
        Self { buffer: Vec::new(), taken: 0, offset, extent, max_record_bytes, failed: None }
    }

    /// Refuses replicas longer than that; without it, longer than [`MAX_INPUT_BYTES`]. To be called
    /// before the first piece.
    #[must_use]
    pub fn with_max_replica_bytes(mut self, max_replica_bytes: usize) -> Self {
        self.max_record_bytes = max_record_bytes(max_replica_bytes);
        self.extent = Extent::new(self.max_record_bytes);
        self
    }

    /// Takes the chunk's next piece. It is dropped if an error was found before.
    pub fn feed(&mut self, piece: &[u8]) {
        if self.failed.is_none() {
            self.buffer.drain(..self.taken);
            self.taken = 0;
            self.buffer.extend_from_slice(piece);
        }
    }

    /// The next record, `None` until there is enough of it.
    ///
    /// # Errors
    ///
    /// [`ChunkError`] for a record that can't be read, again and again: the stream can't go on
    /// behind it.
    pub fn next_record(&mut self) -> Result<Option<LocatedRecord>, ChunkError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.read().map_err(|kind| {
            let error = ChunkError { offset: self.offset, kind };
            self.buffer = Vec::new();
            self.taken = 0;
            self.failed = Some(error.clone());
            error
        })
    }

    fn read(&mut self) -> Result<Option<LocatedRecord>, ChunkErrorKind> {
        let pending = self.buffer.get(self.taken..).unwrap_or_default();
        let Some(len) = self.extent.advance(pending)? else { return Ok(None) };
        let record = decode_record(pending.get(..len).unwrap_or_default(), self.max_record_bytes)?;
        let located = LocatedRecord { offset: self.offset, len: len as u64, record };
        self.taken += len;
        self.offset += located.len;
        self.extent = Extent::new(self.max_record_bytes);
        Ok(Some(located))
    }

    /// Says that the chunk has no more pieces, after [`next_record`](Self::next_record) returned
    /// `None`.
    ///
    /// # Errors
    ///
    /// [`ChunkErrorKind::Torn`] if bytes are left that weren't taken as records, or the error that
    /// ended the records before.
    pub fn finish(self) -> Result<(), ChunkError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.buffer.len() - self.taken {
            0 => Ok(()),
            pending => {
                let kind = ChunkErrorKind::Torn { len: pending as u64 };
                Err(ChunkError { offset: self.offset, kind })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chunk::{ChunkReader, encode_record},
        snappy::SnappyError,
    };
    use alloy_primitives::B256;
    use proptest::prelude::*;

    /// All records, and how the stream ended.
    fn read_in_pieces(chunk: &[u8], step: usize) -> (Vec<LocatedRecord>, Result<(), ChunkError>) {
        let mut stream = ChunkStream::new();
        let mut records = Vec::new();
        for piece in chunk.chunks(step) {
            stream.feed(piece);
            while let Ok(Some(record)) = stream.next_record() {
                records.push(record);
            }
        }
        (records, stream.finish())
    }

    /// The same from memory.
    fn read_at_once(chunk: &[u8]) -> (Vec<LocatedRecord>, Result<(), ChunkError>) {
        let mut records = Vec::new();
        for record in ChunkReader::new(chunk) {
            match record {
                Ok(record) => records.push(record),
                Err(error) => return (records, Err(error)),
            }
        }
        (records, Ok(()))
    }

    proptest! {
        #[test]
        fn pieces_read_as_the_whole(
            replicas in prop::collection::vec(prop::collection::vec(0..3u8, 0..300), 0..5),
            cut in any::<prop::sample::Index>(),
            flip in proptest::option::of((any::<prop::sample::Index>(), 1..=255u8)),
            step in 1..200usize,
        ) {
            let mut chunk: Vec<u8> = replicas
                .iter()
                .flat_map(|rlp| encode_record(B256::repeat_byte(7), rlp).unwrap())
                .collect();
            chunk.truncate(cut.index(chunk.len() + 1));
            if let Some((at, mask)) = flip && !chunk.is_empty() {
                let at = at.index(chunk.len());
                chunk[at] ^= mask;
            }
            prop_assert_eq!(read_in_pieces(&chunk, step), read_at_once(&chunk));
        }
    }

    #[test]
    fn a_record_longer_than_wanted_is_refused_at_its_first_byte() {
        let record = encode_record(B256::ZERO, &[1; 1000]).unwrap();
        let mut stream = ChunkStream::new().with_max_replica_bytes(999 - 128);
        stream.feed(&record[..2]);
        let error = stream.next_record().unwrap_err();
        assert!(matches!(
            error.kind,
            ChunkErrorKind::Snappy(SnappyError::TooLong { max: 999, .. })
        ));
    }

    #[test]
    fn an_error_stays_and_keeps_nothing() {
        let mut stream = ChunkStream::resume_at(1000);
        stream.feed(&[0, 1, 2]);
        let error = stream.next_record().unwrap_err();
        assert_eq!(error.offset, 1000);
        stream.feed(&encode_record(B256::ZERO, b"fine").unwrap());
        assert_eq!(stream.next_record(), Err(error.clone()));
        assert!(stream.buffer.is_empty());
        assert_eq!(stream.finish(), Err(error));
    }
}
