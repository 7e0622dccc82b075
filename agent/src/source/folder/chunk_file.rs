//! Following one chunk's file, or the one beside it with the supplements, while it may still grow.

use bsp_codec::{
    chunk::{ChunkError, ChunkName, ChunkStream, LocatedRecord},
    supplement,
};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// How much is read at a time, in bytes.
const PIECE: usize = 256 << 10;

/// What comes next in a chunk.
#[derive(Debug)]
pub(super) enum NextRecord {
    /// A record.
    Record(LocatedRecord),
    /// Nothing more for now: the file ends here, perhaps in a part of a record.
    End,
    /// The rest can't be read, and never will be.
    Damaged(ChunkError),
    /// The file has become shorter than what was read of it.
    Shorter,
}

/// A chunk's file, open.
#[derive(Debug)]
pub(super) struct ChunkFile {
    name: ChunkName,
    file: File,
    stream: ChunkStream,
    max_replica_bytes: usize,
    /// How many of the file's bytes were read.
    read: u64,
    /// Where the next record starts.
    next: u64,
    piece: Vec<u8>,
}

impl ChunkFile {
    /// Opens the chunk's file to read from `offset` on, where a record starts.
    pub(super) fn open(
        folder: &Path,
        name: ChunkName,
        offset: u64,
        max_replica_bytes: usize,
    ) -> io::Result<Self> {
        Self::open_path(&folder.join(name.to_string()), name, offset, max_replica_bytes)
    }

    /// Opens the file with the chunk's supplements, which has the form of a chunk.
    pub(super) fn open_supplements(folder: &Path, name: ChunkName) -> io::Result<Self> {
        Self::open_path(&folder.join(name.supplements()), name, 0, supplement::MAX_BYTES)
    }

    fn open_path(
        path: &Path,
        name: ChunkName,
        offset: u64,
        max_replica_bytes: usize,
    ) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        let stream = stream_at(offset, max_replica_bytes);
        let piece = vec![0; PIECE];
        Ok(Self { name, file, stream, max_replica_bytes, read: offset, next: offset, piece })
    }

    pub(super) const fn name(&self) -> ChunkName {
        self.name
    }

    /// Where the next record starts, or would.
    pub(super) const fn position(&self) -> u64 {
        self.next
    }

    /// The file's length now, in bytes.
    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Reads on.
    pub(super) fn next(&mut self) -> io::Result<NextRecord> {
        loop {
            match self.stream.next_record() {
                Ok(Some(located)) => {
                    self.next = located.offset + located.len;
                    return Ok(NextRecord::Record(located));
                }
                Ok(None) => {}
                Err(error) => return Ok(NextRecord::Damaged(error)),
            }
            let length = self.file.read(&mut self.piece)?;
            if length == 0 {
                return self.at_end();
            }
            self.read += length as u64;
            self.stream.feed(self.piece.get(..length).unwrap_or_default());
        }
    }

    /// A producer that starts again cuts off the part of a record that it left behind.
    fn at_end(&mut self) -> io::Result<NextRecord> {
        let length = self.length()?;
        if length < self.next {
            return Ok(NextRecord::Shorter);
        }
        if length < self.read {
            self.file.seek(SeekFrom::Start(self.next))?;
            self.read = self.next;
            self.stream = stream_at(self.next, self.max_replica_bytes);
        }
        Ok(NextRecord::End)
    }
}

fn stream_at(offset: u64, max_replica_bytes: usize) -> ChunkStream {
    ChunkStream::resume_at(offset).with_max_replica_bytes(max_replica_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use bsp_codec::chunk::encode_record;
    use std::{fs::OpenOptions, io::Write};

    const NAME: ChunkName = ChunkName { session: 1, chunk: 0 };

    fn record(number: u8) -> Vec<u8> {
        encode_record(B256::repeat_byte(number), &[number; 50]).unwrap()
    }

    fn next_hash(file: &mut ChunkFile) -> B256 {
        match file.next().unwrap() {
            NextRecord::Record(located) => located.record.hash,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_record_comes_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = File::create(folder.path().join(NAME.to_string())).unwrap();
        let mut file = ChunkFile::open(folder.path(), NAME, 0, 1000).unwrap();
        let bytes = record(1);
        for byte in &bytes {
            assert!(matches!(file.next().unwrap(), NextRecord::End));
            writer.write_all(&[*byte]).unwrap();
        }
        assert_eq!(next_hash(&mut file), B256::repeat_byte(1));
        assert_eq!(file.position(), bytes.len() as u64);
    }

    #[test]
    fn a_tail_may_be_cut_off_and_another_record_follow() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME.to_string());
        let whole = record(1);
        std::fs::write(&path, [&whole[..], &record(2)[..9]].concat()).unwrap();
        let mut file = ChunkFile::open(folder.path(), NAME, 0, 1000).unwrap();
        assert_eq!(next_hash(&mut file), B256::repeat_byte(1));
        assert!(matches!(file.next().unwrap(), NextRecord::End));

        let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
        writer.set_len(whole.len() as u64).unwrap();
        assert!(matches!(file.next().unwrap(), NextRecord::End));
        writer.write_all(&record(3)).unwrap();
        assert_eq!(next_hash(&mut file), B256::repeat_byte(3));

        writer.set_len(whole.len() as u64).unwrap();
        assert!(matches!(file.next().unwrap(), NextRecord::Shorter));
    }

    #[test]
    fn damage_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME.to_string());
        std::fs::write(&path, [&record(1)[..], &[0; 30], &record(2)].concat()).unwrap();
        let mut file = ChunkFile::open(folder.path(), NAME, 0, 1000).unwrap();
        next_hash(&mut file);
        for _ in 0..2 {
            let NextRecord::Damaged(error) = file.next().unwrap() else { panic!("read on") };
            assert_eq!(error.offset, file.position());
        }
    }
}
