//! The data folder of `bsp dev`.

use crate::output;
use alloy_genesis::Genesis;
use eyre::Context;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A folder that belongs to one dev chain: its `genesis.json`, a segment a block under `segments/`, and under
/// `authorizations/` the EIP-7702 lists of the blocks that have some, which segments leave out.
#[derive(Debug)]
pub(crate) struct DevFolder {
    path: PathBuf,
    segments: PathBuf,
    authorizations: PathBuf,
}

impl DevFolder {
    /// Makes the folder, or opens one that belongs to the same chain. Segments of another are never mixed in.
    pub(crate) fn open(path: &Path, genesis: &Genesis) -> eyre::Result<Self> {
        let (segments, authorizations) = (path.join("segments"), path.join("authorizations"));
        for folder in [&segments, &authorizations] {
            fs::create_dir_all(folder)
                .wrap_err_with(|| format!("cannot make the data folder {}", folder.display()))?;
        }
        let description = serde_json::to_vec_pretty(genesis)?;
        let genesis_file = path.join("genesis.json");
        match fs::read(&genesis_file) {
            Ok(present) if present == description => {}
            Ok(_) => eyre::bail!(
                "{} belongs to another chain (made with another --seed or version): give another --data-dir, or remove it",
                path.display()
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                output::write_file(&genesis_file, &description)?;
            }
            Err(error) => {
                return Err(error)
                    .wrap_err_with(|| format!("cannot read {}", genesis_file.display()));
            }
        }
        Ok(Self { path: path.to_owned(), segments, authorizations })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a segment under its name, whole or not at all, and before it the authorizations that it lacks.
    pub(crate) fn store(
        &self,
        segment_name: &str,
        avro: &[u8],
        authorizations: Option<&[u8]>,
    ) -> eyre::Result<()> {
        if let Some(lists) = authorizations {
            output::write_file(&self.authorizations.join(format!("{segment_name}.json")), lists)?;
        }
        output::write_file(&self.segments.join(format!("{segment_name}.avro")), avro)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsp_devchain::{DevChain, DevConfig};

    fn genesis(seed: u64) -> Genesis {
        DevChain::new(seed, DevConfig::default()).unwrap().genesis().clone()
    }

    #[test]
    fn a_folder_is_reopened_by_the_same_chain_only() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep").join("data");
        let folder = DevFolder::open(&path, &genesis(1)).unwrap();
        folder.store("1337-1-replica", b"x", Some(b"{}")).unwrap();
        assert!(DevFolder::open(&path, &genesis(1)).is_ok());
        let refused = DevFolder::open(&path, &genesis(2)).unwrap_err().to_string();
        assert!(refused.contains("another chain"), "{refused}");
        assert_eq!(fs::read(path.join("segments/1337-1-replica.avro")).unwrap(), b"x");
        assert_eq!(fs::read(path.join("authorizations/1337-1-replica.json")).unwrap(), b"{}");
    }
}
