//! What the format leaves out of a chunk's blocks, from the file beside the chunk.

use super::chunk_file::{ChunkFile, NextRecord};
use alloy_primitives::B256;
use bsp_codec::chunk::ChunkName;
use bytes::Bytes;
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

/// The supplements of one chunk's blocks, as far as they were read.
///
/// A supplement is there before its block's record is, so whoever has the record finds it now or
/// never. What can't be read is no trouble of the blocks: they are executed as far as their format
/// allows.
#[derive(Debug)]
pub(super) struct Supplements {
    folder: PathBuf,
    chunk: ChunkName,
    /// `None` while there is no such file.
    file: Option<ChunkFile>,
    found: HashMap<B256, Bytes>,
    /// The rest of the file can't be read.
    damaged: bool,
}

impl Supplements {
    /// Those beside a chunk. Nothing is read before the first is asked for.
    pub(super) fn beside(folder: &Path, chunk: ChunkName) -> Self {
        let (folder, found) = (folder.to_owned(), HashMap::new());
        Self { folder, chunk, file: None, found, damaged: false }
    }

    /// That of a block; `None` if there is none.
    pub(super) fn of(&mut self, block: B256) -> io::Result<Option<Bytes>> {
        if !self.found.contains_key(&block) && !self.damaged {
            self.read_on()?;
        }
        Ok(self.found.get(&block).cloned())
    }

    fn read_on(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = match ChunkFile::open_supplements(&self.folder, self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                file => Some(file?),
            };
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let reason = loop {
            match file.next()? {
                NextRecord::Record(located) => {
                    self.found.insert(located.record.hash, located.record.replica_rlp.0);
                }
                NextRecord::End => return Ok(()),
                NextRecord::Damaged(error) => break error.to_string(),
                NextRecord::Shorter => {
                    break "it has become shorter than what was read of it".to_owned();
                }
            }
        };
        self.damaged = true;
        tracing::warn!(
            "{}/{} can't be read on, so its blocks are executed as far as their format allows: {reason}",
            self.folder.display(),
            self.chunk.supplements()
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsp_codec::chunk::encode_record;
    use std::{fs::OpenOptions, io::Write};

    const CHUNK: ChunkName = ChunkName { session: 1, chunk: 0 };

    fn record(number: u8) -> Vec<u8> {
        encode_record(B256::repeat_byte(number), &[number; 3]).unwrap()
    }

    fn append(folder: &Path, bytes: &[u8]) {
        let path = folder.join(CHUNK.supplements());
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(bytes).unwrap();
    }

    #[test]
    fn they_are_found_in_whichever_order_as_the_file_grows() {
        let scratch = tempfile::tempdir().unwrap();
        let mut supplements = Supplements::beside(scratch.path(), CHUNK);
        let mut of = |number| supplements.of(B256::repeat_byte(number)).unwrap();
        assert_eq!(of(1), None);
        append(scratch.path(), &[record(1), record(2)].concat());
        assert_eq!(of(2).unwrap(), &[2; 3][..]);
        append(scratch.path(), &record(3)[..5]);
        assert_eq!(of(3), None, "torn");
        append(scratch.path(), &record(3)[5..]);
        for number in [3, 1, 3] {
            assert_eq!(of(number).unwrap(), &[number; 3][..]);
        }
    }

    #[test]
    fn what_is_before_a_damage_is_found() {
        let scratch = tempfile::tempdir().unwrap();
        append(scratch.path(), &[&record(1)[..], &[0; 30], &record(2)].concat());
        let mut supplements = Supplements::beside(scratch.path(), CHUNK);
        let mut of = |number| supplements.of(B256::repeat_byte(number)).unwrap();
        for _ in 0..2 {
            assert_eq!(of(2), None);
        }
        assert!(of(1).is_some());
    }
}
