//! The files of the folder, and how much room they take.

use super::name::FileName;
use crate::source::{
    DeadLetter,
    dead_letters::{DeadLetterFolder, write_file},
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs, io,
    num::NonZeroU64,
    path::PathBuf,
    time::SystemTime,
};

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
    removal_reported: bool,
}

impl Files {
    /// Takes stock of a folder, which is made if it is not there. What a crash left unfinished is removed.
    pub(super) fn open(folder: PathBuf, budget: u64) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut found: Vec<(SystemTime, FileName, u64)> = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Ok(name) = name.parse() {
                let metadata = entry.metadata()?;
                found.push((metadata.modified()?, name, metadata.len()));
            } else if name.strip_suffix(".partial").is_some_and(|of| of.parse::<FileName>().is_ok())
            {
                fs::remove_file(entry.path())?;
            }
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
            removal_reported: false,
            folder,
        })
    }

    /// Whether there is a file of that name, or no room for any.
    pub(super) fn needs_nothing(&self, name: FileName) -> bool {
        self.budget == 0 || self.sizes.contains_key(&name) || self.selected.contains(&name)
    }

    /// Writes a file, and removes the oldest ones that there is no room for any more.
    pub(super) fn keep(&mut self, name: FileName, block: &[u8]) -> io::Result<()> {
        if self.needs_nothing(name) {
            return Ok(());
        }
        write_file(&self.path(name), &mut &block[..])?;
        let size = block.len() as u64;
        self.sizes.insert(name, size);
        self.by_age.push_back(name);
        self.total += size;
        while self.total > self.budget && self.remove_oldest()? {}
        Ok(())
    }

    fn remove_oldest(&mut self) -> io::Result<bool> {
        let Some(name) = self.by_age.front().copied() else { return Ok(false) };
        if let Some(size) = self.sizes.get(&name).copied() {
            remove(self.path(name))?;
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

    /// Takes the blocks whose number the divisor divides, in the order of their numbers.
    pub(super) fn select(&mut self, divisor: NonZeroU64) -> VecDeque<FileName> {
        let chosen = |name: &FileName| name.block.number.is_multiple_of(divisor.get());
        let mut names: Vec<_> = self.sizes.keys().copied().filter(chosen).collect();
        names.sort_unstable();
        for name in &names {
            self.total -= self.sizes.remove(name).unwrap_or_default();
        }
        self.by_age.retain(|name| !chosen(name));
        self.selected.extend(&names);
        names.into()
    }

    /// Reads a selected file; `None` if somebody has removed it.
    pub(super) fn read(&mut self, name: FileName) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.selected.remove(&name);
                Ok(None)
            }
            block => block.map(Some),
        }
    }

    /// Removes a selected file.
    pub(super) fn settle(&mut self, name: FileName) -> io::Result<()> {
        remove(self.path(name))?;
        self.selected.remove(&name);
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

    fn path(&self, name: FileName) -> PathBuf {
        self.folder.join(name.to_string())
    }
}

fn remove(path: PathBuf) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}
