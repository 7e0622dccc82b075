//! The ledger's file: lines that are only ever appended, and synced before anybody hears of them.

use super::{
    LedgerEntry, LedgerError,
    index::{Covered, LedgerIndex, Place, path_of},
};
use crate::{alarm::now_ms, proof::Claim};
use alloy_primitives::B256;
use bsp_common::files::sync_folder;
use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// No line is longer: a URL is some eighty bytes. What is longer is no ledger.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// Entries that are indexed together when many are read.
const INDEXED_AT_ONCE: usize = 10_000;

/// An open ledger.
#[derive(Debug)]
pub(super) struct LedgerFile {
    path: PathBuf,
    file: File,
    /// Bytes that are synced.
    length: u64,
    last: Option<LedgerEntry>,
    /// `None` after a failure, until it is opened again.
    index: Option<LedgerIndex>,
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
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            sync_folder(folder.unwrap_or(Path::new("."))).map_err(failed)?;
        }
        let mut ledger = Self { path: path.to_owned(), file, length: 0, last: None, index: None };
        ledger.open_index()?;
        Ok(ledger)
    }

    /// Reads a ledger and checks all of it. Changes nothing.
    pub(super) fn check(path: &Path) -> Result<(), LedgerError> {
        let failed = |source| LedgerError::Io { path: path.to_owned(), source };
        let mut lines = Lines::of(path, File::open(path).map_err(failed)?);
        while lines.next()?.is_some() {}
        Ok(())
    }

    /// Opens the index, and adds what it does not cover.
    fn open_index(&mut self) -> Result<(), LedgerError> {
        let mut index =
            LedgerIndex::open(&self.path).map_err(|error| self.index_failed(error.to_string()))?;
        let covered = index.covered().map_err(|error| self.index_failed(error.to_string()))?;
        if !self.read(&mut index, covered)? {
            index.clear().map_err(|error| self.index_failed(error.to_string()))?;
            let nothing = Covered { length: 0, last: B256::ZERO };
            self.read(&mut index, nothing)?;
        }
        self.index = Some(index);
        Ok(())
    }

    /// Reads all of the ledger, and indexes what follows the part that is covered. `false`: that
    /// part is not of this ledger.
    fn read(&mut self, index: &mut LedgerIndex, covered: Covered) -> Result<bool, LedgerError> {
        let failed = |source| LedgerError::Io { path: self.path.clone(), source };
        self.file.rewind().map_err(failed)?;
        let mut lines = Lines::of(&self.path, self.file.try_clone().map_err(failed)?);
        let mut is_covered = covered.length == 0;
        let mut places = Vec::new();
        while let Some(place) = lines.next()? {
            if is_covered {
                places.push(place);
            } else if lines.length >= covered.length {
                is_covered = lines.covered() == covered;
                if !is_covered {
                    return Ok(false);
                }
            }
            if places.len() >= INDEXED_AT_ONCE {
                self.add(index, &places, lines.covered())?;
                places.clear();
            }
        }
        if !is_covered {
            return Ok(false);
        }
        if !places.is_empty() {
            self.add(index, &places, lines.covered())?;
        }
        (self.length, self.last) = (lines.length, lines.last);
        self.cut_off()?;
        Ok(true)
    }

    fn add(
        &self,
        index: &mut LedgerIndex,
        places: &[Place],
        covered: Covered,
    ) -> Result<(), LedgerError> {
        index.add(places, covered).map_err(|error| self.index_failed(error.to_string()))
    }

    fn index_failed(&self, reason: String) -> LedgerError {
        LedgerError::Index { path: path_of(&self.path), reason }
    }

    /// Cuts off what follows the last whole line.
    fn cut_off(&mut self) -> Result<(), LedgerError> {
        let failed = |source| LedgerError::Io { path: self.path.clone(), source };
        let length = self.file.metadata().map_err(failed)?.len();
        if length > self.length {
            let bytes = length - self.length;
            tracing::warn!(path = %self.path.display(), bytes, "The ledger's last line was torn; it was cut off");
            self.file.set_len(self.length).and_then(|()| self.file.sync_all()).map_err(failed)?;
        }
        Ok(())
    }

    /// What is on record for a claim's block.
    pub(super) fn find(&mut self, claim: &Claim) -> Result<Option<Existing>, LedgerError> {
        if self.index.is_none() {
            self.open_index()?;
        }
        let found = self.index.as_ref().map(|index| index.find(claim.block.hash)).transpose();
        let offset = match found {
            Ok(offset) => offset.flatten(),
            Err(error) => {
                self.index = None;
                return Err(self.index_failed(error.to_string()));
            }
        };
        let Some(offset) = offset else { return Ok(None) };
        let entry = self.entry_at(offset)?;
        let LedgerEntry { id, content } = &entry;
        Ok(Some(if entry.proves(claim) {
            Existing::Same(*id)
        } else {
            let (specimen_hash, url) = (content.specimen_hash, content.url.clone());
            Existing::Other { id: *id, specimen_hash, url }
        }))
    }

    /// What is on record for a claim that was found, or appended, before.
    pub(super) fn expect(&mut self, claim: &Claim) -> Result<Existing, LedgerError> {
        let missing = "an entry is missing that was just written";
        self.find(claim)?.ok_or_else(|| self.index_failed(missing.to_owned()))
    }

    fn entry_at(&mut self, offset: u64) -> Result<LedgerEntry, LedgerError> {
        let failed = |source| LedgerError::Io { path: self.path.clone(), source };
        self.file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut line = Vec::new();
        let mut reader = BufReader::new(&self.file).take(MAX_LINE_BYTES);
        reader.read_until(b'\n', &mut line).map_err(failed)?;
        serde_json::from_slice(&line).map_err(|_| {
            let changed = "it was changed while the agent was running";
            failed(io::Error::new(io::ErrorKind::InvalidData, changed))
        })
    }

    /// Records claims whose blocks are not on record, with one sync for all. On an error none of
    /// them is, unless the index alone has failed.
    pub(super) fn append(&mut self, claims: &[&Claim]) -> Result<(), LedgerError> {
        let mut entries: Vec<LedgerEntry> = Vec::with_capacity(claims.len());
        let (mut bytes, mut places) = (Vec::new(), Vec::with_capacity(claims.len()));
        let time_ms = now_ms();
        for claim in claims {
            let entry = LedgerEntry::of(claim, entries.last().or(self.last.as_ref()), time_ms);
            let offset = self.length.saturating_add(bytes.len() as u64);
            places.push(Place { block: claim.block.hash, offset });
            bytes.extend_from_slice(entry.line().as_bytes());
            entries.push(entry);
        }
        self.write(&bytes).map_err(|source| LedgerError::Io { path: self.path.clone(), source })?;
        self.length = self.length.saturating_add(bytes.len() as u64);
        self.last = entries.pop().or(self.last.take());
        let last = self.last.as_ref().map_or(B256::ZERO, |entry| entry.id);
        let covered = Covered { length: self.length, last };
        let indexed = self.index.as_mut().map_or(Ok(()), |index| index.add(&places, covered));
        indexed.map_err(|error| {
            self.index = None;
            self.index_failed(error.to_string())
        })
    }

    /// Writes after what is synced, whatever an attempt before this one has left there.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
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

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.write_all(bytes)?;
        self.file.sync_all()
    }
}

/// The lines of a ledger from its beginning, each checked against the one before.
struct Lines<'a> {
    path: &'a Path,
    reader: BufReader<File>,
    line: Vec<u8>,
    /// Bytes of the whole lines that were read.
    length: u64,
    last: Option<LedgerEntry>,
}

impl<'a> Lines<'a> {
    /// Of a file that is read from where it stands.
    fn of(path: &'a Path, file: File) -> Self {
        let reader = BufReader::new(file);
        Self { path, reader, line: Vec::new(), length: 0, last: None }
    }

    /// Reads a line. `None` at the end, or at a line that was not written to its end.
    fn next(&mut self) -> Result<Option<Place>, LedgerError> {
        self.line.clear();
        let mut bounded = (&mut self.reader).take(MAX_LINE_BYTES);
        let read = bounded
            .read_until(b'\n', &mut self.line)
            .map_err(|source| LedgerError::Io { path: self.path.to_owned(), source })?;
        let Some(content) = self.line.strip_suffix(b"\n") else {
            return match read as u64 >= MAX_LINE_BYTES {
                true => Err(self.broken(format!("it is longer than {MAX_LINE_BYTES} bytes"))),
                false => Ok(None),
            };
        };
        let entry = LedgerEntry::read(content, self.last.as_ref())
            .map_err(|error| self.broken(error.to_string()))?;
        let place = Place { block: entry.content.block_hash, offset: self.length };
        self.length = self.length.saturating_add(read as u64);
        self.last = Some(entry);
        Ok(Some(place))
    }

    fn covered(&self) -> Covered {
        let last = self.last.as_ref().map_or(B256::ZERO, |entry| entry.id);
        Covered { length: self.length, last }
    }

    fn broken(&self, reason: String) -> LedgerError {
        let line = self.last.as_ref().map_or(1, |entry| entry.content.seq.saturating_add(2));
        LedgerError::Broken { path: self.path.to_owned(), line, reason }
    }
}
