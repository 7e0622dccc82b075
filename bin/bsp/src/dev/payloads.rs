//! The folder from which another client can be driven along the same chain.

use super::folder::keep_genesis;
use bsp_devchain::{DevBlock, DevChain, DevFork, NewPayload};
use eyre::Context;
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

/// `genesis.json`, and `payloads.jsonl` with one call of the engine API a line, in the chain's
/// order.
#[derive(Debug)]
pub(crate) struct PayloadFolder {
    file: File,
    path: PathBuf,
    fork: DevFork,
}

impl PayloadFolder {
    /// Makes the folder, or opens one of the same chain. Every run makes the chain from its first
    /// block on, so the payloads of an earlier one are written again.
    pub(crate) fn open(folder: &Path, chain: &DevChain) -> eyre::Result<Self> {
        fs::create_dir_all(folder)
            .wrap_err_with(|| format!("cannot make the folder {}", folder.display()))?;
        keep_genesis(&folder.join("genesis.json"), chain.genesis(), "--payloads")?;
        let path = folder.join("payloads.jsonl");
        let file =
            File::create(&path).wrap_err_with(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file, path, fork: chain.config().fork })
    }

    /// Adds a block.
    pub(crate) fn add(&mut self, block: &DevBlock) -> eyre::Result<()> {
        let mut line = serde_json::to_vec(&NewPayload::new(block, self.fork))?;
        line.push(b'\n');
        self.file.write_all(&line).wrap_err_with(|| format!("cannot write {}", self.path.display()))
    }
}
