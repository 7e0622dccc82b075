//! The ledger's file: lines that are only ever appended, and synced before anybody hears of them.

use super::{LedgerEntry, LedgerError};
use crate::{alarm::now_ms, proof::Claim};
use alloy_primitives::B256;
use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// No line is longer: a URL is some eighty bytes. What is longer is no ledger.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// An open ledger with an index of what is in it.
#[derive(Debug)]
pub(super) struct LedgerFile {
    path: PathBuf,
    file: File,
    /// Bytes that are synced.
    length: u64,
    last: Option<LedgerEntry>,
    /// The entry of each block.
    blocks: HashMap<B256, Recorded>,
}

/// What the index keeps of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Recorded {
    id: B256,
    /// The hash of what was claimed, to tell the same claim from another of its block.
    specimen_hash: B256,
    url: String,
    network_and_height: (u64, u64),
}

/// What the ledger has for a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Existing {
    /// Just this claim.
    Same(B256),
    /// Another one for its block.
    Other { id: B256, specimen_hash: B256, url: String },
}

impl LedgerFile {
    /// Opens a ledger, or begins one, and checks all of it. A last line that was not written to its
    /// end is cut off: nobody was told that it is on record.
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::Io { path: path.to_owned(), source };
        let is_new = !path.try_exists().map_err(failed)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        if is_new {
            sync_folder(path).map_err(failed)?;
        }
        let mut ledger =
            Self { path: path.to_owned(), file, length: 0, last: None, blocks: HashMap::new() };
        ledger.read()?;
        Ok(ledger)
    }

    fn read(&mut self) -> Result<(), LedgerError> {
        let path = self.path.clone();
        let failed = |source| LedgerError::Io { path: path.clone(), source };
        let mut reader = BufReader::new(self.file.try_clone().map_err(failed)?);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read =
                (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(failed)?;
            let Some(content) = line.strip_suffix(b"\n") else {
                return self.cut_off(read as u64 >= MAX_LINE_BYTES);
            };
            let entry = LedgerEntry::read(content, self.last.as_ref())
                .map_err(|error| self.broken(error.to_string()))?;
            self.length = self.length.saturating_add(read as u64);
            self.index(entry);
        }
    }

    /// Cuts off what follows the last whole line.
    fn cut_off(&mut self, too_long: bool) -> Result<(), LedgerError> {
        if too_long {
            return Err(self.broken(format!("it is longer than {MAX_LINE_BYTES} bytes")));
        }
        let failed = |source| LedgerError::Io { path: self.path.clone(), source };
        let length = self.file.metadata().map_err(failed)?.len();
        if length > self.length {
            let bytes = length - self.length;
            tracing::warn!(path = %self.path.display(), bytes, "The ledger's last line was torn; it was cut off");
            self.file.set_len(self.length).and_then(|()| self.file.sync_all()).map_err(failed)?;
        }
        Ok(())
    }

    fn broken(&self, reason: String) -> LedgerError {
        let line = self.last.as_ref().map_or(1, |entry| entry.content.seq.saturating_add(2));
        LedgerError::Broken { path: self.path.clone(), line, reason }
    }

    fn index(&mut self, entry: LedgerEntry) {
        let recorded = Recorded {
            id: entry.id,
            specimen_hash: entry.content.specimen_hash,
            url: entry.content.url.clone(),
            network_and_height: (entry.content.chain_id, entry.content.height),
        };
        // The first of a block counts, as on the chain.
        self.blocks.entry(entry.content.block_hash).or_insert(recorded);
        self.last = Some(entry);
    }

    /// What is on record for a claim's block.
    pub(super) fn find(&self, claim: &Claim) -> Option<Existing> {
        let recorded = self.blocks.get(&claim.block.hash)?;
        let same = recorded.specimen_hash == claim.specimen_hash
            && recorded.url == claim.url
            && recorded.network_and_height == (claim.block.network_id, claim.block.number);
        Some(if same {
            Existing::Same(recorded.id)
        } else {
            Existing::Other {
                id: recorded.id,
                specimen_hash: recorded.specimen_hash,
                url: recorded.url.clone(),
            }
        })
    }

    /// Records claims whose blocks are not on record, with one sync for all. On an error none of
    /// them is.
    pub(super) fn append(&mut self, claims: &[&Claim]) -> Result<(), LedgerError> {
        let mut entries: Vec<LedgerEntry> = Vec::with_capacity(claims.len());
        let mut bytes = Vec::new();
        let time_ms = now_ms();
        for claim in claims {
            let entry = LedgerEntry::of(claim, entries.last().or(self.last.as_ref()), time_ms);
            bytes.extend_from_slice(entry.line().as_bytes());
            entries.push(entry);
        }
        self.write(&bytes).map_err(|source| LedgerError::Io { path: self.path.clone(), source })?;
        self.length = self.length.saturating_add(bytes.len() as u64);
        entries.into_iter().for_each(|entry| self.index(entry));
        Ok(())
    }

    /// Writes after what is synced, whatever an attempt before this one has left there.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let result = self.try_write(bytes);
        if result.is_err() {
            // After a failed sync, only a new handle tells the truth about the next one.
            self.file = OpenOptions::new().read(true).write(true).open(&self.path)?;
            self.file.set_len(self.length)?;
        }
        result
    }

    /// Lets writes fail until the file is opened again.
    #[cfg(test)]
    pub(super) fn make_read_only(&mut self) {
        self.file = File::open(&self.path).unwrap();
    }

    fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(bytes)?;
        self.file.sync_all()
    }
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
