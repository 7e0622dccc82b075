//! A node's data directory, as a command finds it.

use eyre::{Result, bail};
use reth_chainspec::ChainSpec;
use reth_node_core::args::DatadirArgs;

/// What to do about a data directory that can't be read.
pub(crate) const UNREADABLE: &str = "the data directory can't be read; give the --datadir and --chain of a node that has run before";

/// Refuses a directory without a database, before reth makes files in it.
pub(crate) fn check(datadir: &DatadirArgs, chain: &ChainSpec) -> Result<()> {
    let database = datadir.clone().resolve_datadir(chain.chain()).db();
    if !database.is_dir() {
        bail!(
            "there is no database in {}: give the --datadir and --chain of a node that has run before",
            database.display()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reth_chainspec::MAINNET;
    use std::fs;

    #[test]
    fn a_mistyped_directory_is_refused_and_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wrong");
        let datadir = DatadirArgs { datadir: path.clone().into(), ..DatadirArgs::default() };
        let error = check(&datadir, &MAINNET).unwrap_err().to_string();
        assert!(error.contains("wrong/db: give the --datadir"), "{error}");
        assert!(!path.exists());
        fs::create_dir_all(path.join("db")).unwrap();
        check(&datadir, &MAINNET).unwrap();
    }
}
