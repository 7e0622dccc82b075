//! Reading a chunk that is in memory.

use super::{ChunkError, ChunkErrorKind, LocatedRecord, max_record_bytes, record::decode_record};
use crate::{limits::MAX_INPUT_BYTES, snappy::Extent};

/// The records of a chunk, in order, up to the chunk's end or the first that can't be read.
#[derive(Debug, Clone)]
pub struct ChunkReader<'a> {
    chunk: &'a [u8],
    /// Where the next record starts.
    position: usize,
    max_record_bytes: usize,
    failed: bool,
}

impl<'a> ChunkReader<'a> {
    /// Reads `chunk` from its start. Replicas may have up to [`MAX_INPUT_BYTES`].
    pub const fn new(chunk: &'a [u8]) -> Self {
        let max_record_bytes = max_record_bytes(MAX_INPUT_BYTES);
        Self { chunk, position: 0, max_record_bytes, failed: false }
    }

    /// Refuses longer replicas.
    #[must_use]
    pub const fn with_max_replica_bytes(self, max_replica_bytes: usize) -> Self {
        Self { max_record_bytes: max_record_bytes(max_replica_bytes), ..self }
    }

    fn read(&mut self, rest: &[u8]) -> Result<LocatedRecord, ChunkErrorKind> {
        let len = Extent::new(self.max_record_bytes)
            .advance(rest)?
            .ok_or(ChunkErrorKind::Torn { len: rest.len() as u64 })?;
        let record = decode_record(rest.get(..len).unwrap_or_default(), self.max_record_bytes)?;
        let offset = self.position as u64;
        self.position += len;
        Ok(LocatedRecord { offset, len: len as u64, record })
    }
}

impl Iterator for ChunkReader<'_> {
    type Item = Result<LocatedRecord, ChunkError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.chunk.get(self.position..).filter(|rest| !rest.is_empty())?;
        if self.failed {
            return None;
        }
        Some(self.read(rest).map_err(|kind| {
            self.failed = true;
            ChunkError { offset: self.position as u64, kind }
        }))
    }
}

impl std::iter::FusedIterator for ChunkReader<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chunk::{ChunkRecord, encode_record},
        snappy::SnappyError,
    };
    use alloy_primitives::{B256, Bytes};

    fn chunk() -> (Vec<ChunkRecord>, Vec<u8>) {
        let records: Vec<_> = (0..3u8)
            .map(|i| ChunkRecord {
                hash: B256::repeat_byte(i),
                replica_rlp: Bytes::from(vec![i; 100 * usize::from(i)]),
            })
            .collect();
        let chunk = records
            .iter()
            .flat_map(|record| encode_record(record.hash, &record.replica_rlp).unwrap())
            .collect();
        (records, chunk)
    }

    #[test]
    fn records_come_in_order_with_their_places() {
        let (records, chunk) = chunk();
        let read: Vec<_> = ChunkReader::new(&chunk).collect::<Result<_, _>>().unwrap();
        let mut offset = 0;
        for (located, record) in read.iter().zip(&records) {
            assert_eq!(&located.record, record);
            assert_eq!(located.offset, offset);
            offset += located.len;
        }
        assert_eq!(read.len(), records.len());
        assert_eq!(offset, chunk.len() as u64);
    }

    #[test]
    fn longer_replicas_than_wanted_are_refused() {
        let (_, chunk) = chunk();
        let limited = |max| ChunkReader::new(&chunk).with_max_replica_bytes(max);
        assert!(limited(200).all(|record| record.is_ok()));
        let error = limited(0).find_map(Result::err).unwrap();
        assert!(matches!(
            error.kind,
            ChunkErrorKind::Snappy(SnappyError::TooLong { max: 128, .. })
        ));
    }

    #[test]
    fn an_empty_chunk_has_no_records() {
        assert_eq!(ChunkReader::new(&[]).count(), 0);
    }

    #[test]
    fn a_cut_at_every_byte_is_a_torn_tail_behind_the_good_part() {
        let (_, chunk) = chunk();
        let ends: Vec<u64> =
            ChunkReader::new(&chunk).map(|r| r.map(|r| r.offset + r.len).unwrap()).collect();
        for cut in 0..chunk.len() {
            let good = ends.iter().rfind(|end| **end <= cut as u64).copied().unwrap_or(0);
            let mut reader = ChunkReader::new(&chunk[..cut]);
            match reader.by_ref().find_map(Result::err) {
                None => assert_eq!(good, cut as u64),
                Some(error) => {
                    assert!(error.is_torn(), "{cut}: {error}");
                    assert_eq!(error.offset, good);
                    assert_eq!(error.kind, ChunkErrorKind::Torn { len: cut as u64 - good });
                }
            }
            assert_eq!(reader.next(), None, "nothing follows an error");
        }
    }

    #[test]
    fn zeros_behind_the_last_record_are_corruption() {
        let (records, mut chunk) = chunk();
        let good = chunk.len() as u64;
        chunk.extend([0; 16]);
        let mut reader = ChunkReader::new(&chunk);
        assert_eq!(reader.by_ref().take(records.len()).filter(Result::is_ok).count(), 3);
        let error = reader.next().unwrap().unwrap_err();
        assert_eq!(error.offset, good);
        assert!(!error.is_torn(), "{error}");
    }
}
