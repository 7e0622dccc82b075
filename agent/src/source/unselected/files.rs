//! The files of the folder, and how much room they take.

use super::name::FileName;
use crate::source::{
    DeadLetter,
    dead_letters::{DeadLetterFolder, write_file},
};
use bsp_common::files::{read_if_there, remove_if_there};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs, io,
    num::NonZeroU64,
    path::PathBuf,
    time::SystemTime,
};

/// Different messages about one block that are kept.
const MOST_COPIES: u32 = 8;

/// What there is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextFile {
    /// This file.
    File(FileName),
    /// Nothing, until one comes back.
    Wait,
    /// Nothing, and nothing can come back.
    End,
}

/// What is kept of a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) payload: Vec<u8>,
    pub(super) supplement: Option<Vec<u8>>,
}

/// All files. Those that were selected are on their way out, and neither counted nor removed.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    dead: DeadLetterFolder,
    /// In bytes.
    budget: u64,
    total: u64,
    sizes: HashMap<FileName, u64>,
    /// Oldest first. Names whose file is gone are passed over.
    by_age: VecDeque<FileName>,
    selected: HashSet<FileName>,
    /// Those of them that are to be delivered.
    queue: VecDeque<FileName>,
    /// Those that were delivered, and neither settled nor released.
    in_hand: HashSet<FileName>,
    removal_reported: bool,
}

impl Files {
    /// Takes stock of a folder, which is made if it is not there. What a crash left unfinished is
    /// removed.
    pub(super) fn open(folder: PathBuf, budget: u64) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut found: Vec<(SystemTime, FileName, u64)> = Vec::new();
        let mut supplements: HashMap<FileName, u64> = HashMap::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Ok(name) = name.parse() {
                let metadata = entry.metadata()?;
                found.push((metadata.modified()?, name, metadata.len()));
            } else if let Some(of) = FileName::of_supplement(name) {
                supplements.insert(of, entry.metadata()?.len());
            } else if name.strip_suffix(".partial").is_some_and(is_ours) {
                fs::remove_file(entry.path())?;
            }
        }
        for (_, name, size) in &mut found {
            *size += supplements.remove(name).unwrap_or_default();
        }
        for name in supplements.into_keys() {
            fs::remove_file(folder.join(name.supplement()))?;
        }
        found.sort_unstable();
        let dead = folder.parent().unwrap_or(&folder).join("dead");
        Ok(Self {
            dead: DeadLetterFolder::new(dead),
            budget,
            total: found.iter().map(|(_, _, size)| size).sum(),
            sizes: found.iter().map(|(_, name, size)| (*name, *size)).collect(),
            by_age: found.iter().map(|(_, name, _)| *name).collect(),
            selected: HashSet::new(),
            queue: VecDeque::new(),
            in_hand: HashSet::new(),
            removal_reported: false,
            folder,
        })
    }

    /// Whether nothing is kept.
    pub(super) const fn is_closed(&self) -> bool {
        self.budget == 0
    }

    /// Writes a file, and removes the oldest ones that there is no room for any more. A message
    /// that differs from the one that is here of the same block is kept beside it: which of them is
    /// right is known when they are executed. The supplement is there before the file that it
    /// belongs to.
    pub(super) fn keep(
        &mut self,
        name: FileName,
        block: &[u8],
        supplement: Option<&[u8]>,
    ) -> io::Result<()> {
        let Some(name) = self.name_for(name, block)? else { return Ok(()) };
        if self.is_closed() {
            return Ok(());
        }
        if let Some(mut supplement) = supplement {
            write_file(&self.supplement_path(name), &mut supplement)?;
        }
        write_file(&self.path(name), &mut &block[..])?;
        let size = (block.len() + supplement.map_or(0, <[u8]>::len)) as u64;
        self.sizes.insert(name, size);
        self.by_age.push_back(name);
        self.total += size;
        while self.total > self.budget && self.remove_oldest()? {}
        Ok(())
    }

    /// The name under which a message is to be kept; `None` if it is here.
    fn name_for(&self, name: FileName, block: &[u8]) -> io::Result<Option<FileName>> {
        for copy in 0..MOST_COPIES {
            let name = name.with_copy(copy);
            if !self.sizes.contains_key(&name) && !self.selected.contains(&name) {
                return Ok(Some(name));
            }
            if self.holds(name, block)? {
                return Ok(None);
            }
        }
        tracing::warn!(
            "{} has {MOST_COPIES} different messages about {}; a further one is not kept",
            self.folder.display(),
            name.block
        );
        Ok(None)
    }

    fn holds(&self, name: FileName, block: &[u8]) -> io::Result<bool> {
        match fs::metadata(self.path(name)) {
            Ok(found) if found.len() == block.len() as u64 => {
                Ok(fs::read(self.path(name))? == block)
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(false),
        }
    }

    fn remove_oldest(&mut self) -> io::Result<bool> {
        let Some(name) = self.by_age.front().copied() else { return Ok(false) };
        if let Some(size) = self.sizes.get(&name).copied() {
            self.remove(name)?;
            self.sizes.remove(&name);
            self.total -= size;
            metrics::counter!("agent_unselected_removed_total").increment(1);
            if !std::mem::replace(&mut self.removal_reported, true) {
                tracing::warn!(
                    "{} is full; the oldest blocks that were not selected are removed, from {} on: they can't be \
                     selected later (see --unselected-budget-bytes)",
                    self.folder.display(),
                    name.block
                );
            }
        }
        self.by_age.pop_front();
        Ok(true)
    }

    /// Takes the blocks whose number the divisor divides, to be delivered in the order of their
    /// numbers.
    pub(super) fn select(&mut self, divisor: NonZeroU64) {
        let chosen = |name: &FileName| name.block.number.is_multiple_of(divisor.get());
        let mut names: Vec<_> = self.sizes.keys().copied().filter(chosen).collect();
        names.sort_unstable();
        for name in &names {
            self.total -= self.sizes.remove(name).unwrap_or_default();
        }
        self.by_age.retain(|name| !chosen(name));
        self.selected.extend(&names);
        self.queue = names.into();
    }

    /// What is to be delivered next.
    pub(super) fn next(&self) -> NextFile {
        match self.queue.front() {
            Some(name) => NextFile::File(*name),
            None if self.in_hand.is_empty() => NextFile::End,
            None => NextFile::Wait,
        }
    }

    /// The file is delivered, or gone.
    pub(super) fn taken(&mut self, name: FileName, is_delivered: bool) {
        self.queue.retain(|queued| *queued != name);
        if is_delivered {
            self.in_hand.insert(name);
        }
    }

    /// A file that was delivered is not in flight any more, and may be to be delivered again.
    pub(super) fn release(&mut self, name: FileName, again: bool) {
        if self.in_hand.remove(&name) && again {
            self.queue.push_back(name);
        }
    }

    /// Reads a selected file, and its supplement if it has one; `None` if somebody has removed it.
    pub(super) fn read(&mut self, name: FileName) -> io::Result<Option<Kept>> {
        let Some(payload) = read_if_there(&self.path(name))? else {
            self.selected.remove(&name);
            return Ok(None);
        };
        Ok(Some(Kept { payload, supplement: read_if_there(&self.supplement_path(name))? }))
    }

    /// Removes a selected file.
    pub(super) fn settle(&mut self, name: FileName) -> io::Result<()> {
        self.remove(name)?;
        self.selected.remove(&name);
        self.in_hand.remove(&name);
        Ok(())
    }

    /// Moves a selected file to the dead letters.
    pub(super) fn bury(&mut self, name: FileName, letter: &DeadLetter) -> io::Result<()> {
        match &letter.payload {
            Some(_) => self.dead.keep(letter)?,
            None => self.dead.keep_rest(letter, &self.path(name), 0)?,
        }
        self.settle(name)
    }

    /// How many selected files are not settled.
    pub(super) fn selected(&self) -> usize {
        self.selected.len()
    }

    /// The supplement last: what is left of a crash is found by the next start.
    fn remove(&self, name: FileName) -> io::Result<()> {
        remove_if_there(&self.path(name))?;
        remove_if_there(&self.supplement_path(name))
    }

    fn path(&self, name: FileName) -> PathBuf {
        self.folder.join(name.to_string())
    }

    fn supplement_path(&self, name: FileName) -> PathBuf {
        self.folder.join(name.supplement())
    }
}

/// Whether this is the name of a file of the folder.
fn is_ours(name: &str) -> bool {
    name.parse::<FileName>().is_ok() || FileName::of_supplement(name).is_some()
}
