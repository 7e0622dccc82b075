//! Where the programs of the servers are.

use std::{
    env,
    path::{Path, PathBuf},
};

/// A program that tests start but can't build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// redis-server, 7.0 or later.
    Redis,
    /// Foundry's development chain.
    Anvil,
}

impl Program {
    /// Its file name.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Redis => "redis-server",
            Self::Anvil => "anvil",
        }
    }

    /// The environment variable that names another file.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Redis => "REDIS_SERVER",
            Self::Anvil => "ANVIL",
        }
    }

    /// Its path: what the environment names, else the first in `PATH`, else what npm installed in
    /// `tests/`.
    pub fn find(self) -> Option<PathBuf> {
        if let Some(path) = env::var_os(self.variable()).filter(|value| !value.is_empty()) {
            return Some(path.into());
        }
        let folders = env::var_os("PATH").unwrap_or_default();
        let npm = Path::new(env!("CARGO_MANIFEST_DIR")).join("node_modules/.bin");
        env::split_paths(&folders)
            .chain([npm])
            .map(|folder| folder.join(self.file_name()))
            .find(|path| path.is_file())
    }

    /// [`Self::find`], or an error that says how to get it.
    ///
    /// # Errors
    ///
    /// Where there is none.
    pub fn require(self) -> eyre::Result<PathBuf> {
        self.find().ok_or_else(|| {
            eyre::eyre!(
                "there is no {}: install it, or name its file in {}",
                self.file_name(),
                self.variable()
            )
        })
    }
}

/// Whether all these programs are there. If not, says so for a test that is about to pass without
/// testing.
pub fn all_there(programs: &[Program]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|program| program.find().is_none()).collect();
    for program in &missing {
        eprintln!(
            "SKIPPED: there is no {}; install it, or name its file in {}",
            program.file_name(),
            program.variable()
        );
    }
    missing.is_empty()
}
