//! The file beside a chunk that has the supplements of its blocks.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// Records with supplements, in the form of a chunk.
///
/// It needs no repair: each session has files of its own, and what a crash has torn off here
/// belongs to a block that never came into the chunk.
#[derive(Debug)]
pub(super) struct SupplementFile(File);

impl SupplementFile {
    /// Makes the file, and has its name on disk: `folder` is where it is.
    pub(super) fn make(path: &Path, folder: &File) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create_new(true).open(path)?;
        folder.sync_all()?;
        Ok(Self(file))
    }

    /// Appends records. On return they are on disk.
    pub(super) fn append(&mut self, records: &[u8]) -> io::Result<()> {
        self.0.write_all(records)?;
        self.0.sync_data()
    }
}
