//! Whether a folder has room for more.

use super::writer::chunks;
use crate::measured_size::MeasuredSize;
use bsp_common::disk::free_bytes;
use std::{fs, io, path::Path};

/// How much a `file://` target may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOptions {
    /// Nothing is written while the folder's chunks and supplements take this many bytes or more:
    /// the target waits until its consumer has removed some. `None` for any number. One batch comes
    /// on top, 32 MiB before compression or one larger block.
    pub byte_budget: Option<u64>,
    /// Nothing is written that could leave the disk with fewer free bytes than this: the target
    /// waits until there is room.
    pub min_free: u64,
}

impl FileOptions {
    /// The floor unless another is set: 8 GiB. A node's database grows by steps of up to 4 GiB, and
    /// a node ends when its disk is full.
    pub const DEFAULT_MIN_FREE: u64 = 8 << 30;
    /// For a disk that no node needs: everything is written until it is full.
    pub const UNLIMITED: Self = Self { byte_budget: None, min_free: 0 };
}

impl Default for FileOptions {
    fn default() -> Self {
        Self { min_free: Self::DEFAULT_MIN_FREE, ..Self::UNLIMITED }
    }
}

/// Why nothing is written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoRoom {
    #[error(
        "the folder's chunks take {} MiB, and may take {} MiB: start or mend the consumer that removes them, or raise \
         the budget (the option file-byte-budget)",
        mebibytes(*.taken), mebibytes(*.limit)
    )]
    Spent { taken: u64, limit: u64 },
    #[error(
        "the folder's disk has {} MiB free, and {} MiB have to stay free: make room on that disk, use another one, or \
         lower the floor (the option file-min-free)",
        mebibytes(*.free), mebibytes(*.floor)
    )]
    DiskLow { free: u64, floor: u64 },
}

const fn mebibytes(bytes: u64) -> u64 {
    bytes >> 20
}

/// What a folder may take, and how much it took last.
#[derive(Debug)]
pub(super) struct Room {
    options: FileOptions,
    size: MeasuredSize,
    /// Tells a disk's free bytes.
    pub(super) free: fn(&Path) -> io::Result<u64>,
}

impl Room {
    pub(super) const fn new(options: FileOptions) -> Self {
        Self { options, size: MeasuredSize::UNKNOWN, free: free_bytes }
    }

    /// Notes bytes that were written.
    pub(super) const fn note_added(&mut self, bytes: u64) {
        self.size.note_added(bytes);
    }

    /// Whether this many more bytes may be written to a folder.
    pub(super) fn check(&mut self, folder: &Path, bytes: u64) -> io::Result<Result<(), NoRoom>> {
        if let Some(limit) = self.options.byte_budget {
            if !self.size.is_known_to_fit(limit) {
                self.size.set(bytes_in(folder)?);
            }
            let taken = self.size.last();
            if taken >= limit {
                return Ok(Err(NoRoom::Spent { taken, limit }));
            }
        }
        let floor = self.options.min_free;
        if floor > 0 {
            let free = (self.free)(folder)?;
            if free.saturating_sub(bytes) < floor {
                return Ok(Err(NoRoom::DiskLow { free, floor }));
            }
        }
        Ok(Ok(()))
    }
}

/// What a folder's chunks take, and what lies beside them.
fn bytes_in(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0_u64;
    for chunk in chunks(folder)? {
        for name in [chunk.to_string(), chunk.supplements()] {
            match fs::metadata(folder.join(name)) {
                Ok(file) => bytes = bytes.saturating_add(file.len()),
                // There are no supplements, or the consumer has just removed the chunk.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_and_their_supplements_count_and_other_files_do_not() {
        let folder = tempfile::tempdir().unwrap();
        for (name, length) in [
            ("sess-00000001-chunk-00000000.rlp", 5),
            ("sess-00000001-chunk-00000000.rlp.torn", 100),
            ("sess-00000001-chunk-00000001.rlp", 7),
            ("sess-00000001-chunk-00000001.rlp.supplements", 3),
            ("position.json", 100),
        ] {
            fs::write(folder.path().join(name), vec![0; length]).unwrap();
        }
        assert_eq!(bytes_in(folder.path()).unwrap(), 15);
    }

    #[test]
    fn the_floor_counts_what_is_to_be_written() {
        let mut room = Room::new(FileOptions { byte_budget: None, min_free: 8 << 20 });
        room.free = |_| Ok(10 << 20);
        assert_eq!(room.check(Path::new("/"), 2 << 20).unwrap(), Ok(()));
        let low = NoRoom::DiskLow { free: 10 << 20, floor: 8 << 20 };
        assert!(low.to_string().contains("10 MiB free, and 8 MiB have to stay free"), "{low}");
        assert_eq!(room.check(Path::new("/"), (2 << 20) + 1).unwrap(), Err(low));
    }
}
