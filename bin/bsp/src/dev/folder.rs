//! The data folder of `bsp dev`.

use crate::output;
use alloy_genesis::Genesis;
use alloy_primitives::B256;
use bsp_agent::{SegmentName, segments::SegmentFolder};
use bsp_codec::digest;
use eyre::{Context, ContextCompat};
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use url::Url;

/// A folder that belongs to one dev chain.
///
/// | name | what is in it |
/// | --- | --- |
/// | `genesis.json` | the chain's rules and its first state |
/// | `replicas/` | what the producer delivers: chunk files of a `file://` target |
/// | `agent/` | what the agent keeps: its journal, pinned content, ledger |
/// | `agent-2/` | what the second operator of `--contract` keeps, its segments too |
/// | `segments/` | the agent's segment files, each named after its proof |
/// | `authorizations/` | EIP-7702 lists, which segments leave out, of the blocks that have some |
/// | `supplements/` | all that segments leave out, of the blocks that have some |
#[derive(Debug, Clone)]
pub(crate) struct DevFolder(PathBuf);

impl DevFolder {
    /// Makes the folder, or opens one that belongs to the same chain. Files of another are never
    /// mixed in.
    pub(crate) fn open(path: &Path, genesis: &Genesis) -> eyre::Result<Self> {
        let folder = Self(path.to_owned());
        for made in [folder.segments(), folder.authorizations(), folder.supplements()] {
            fs::create_dir_all(&made)
                .wrap_err_with(|| format!("cannot make the data folder {}", made.display()))?;
        }
        keep_genesis(&folder.genesis(), genesis, "--data-dir")?;
        Ok(folder)
    }

    pub(crate) fn genesis(&self) -> PathBuf {
        self.0.join("genesis.json")
    }

    pub(crate) fn replicas(&self) -> PathBuf {
        self.0.join("replicas")
    }

    pub(crate) fn agent(&self) -> PathBuf {
        self.0.join("agent")
    }

    /// What the second operator of `--contract` keeps.
    pub(crate) fn second_agent(&self) -> PathBuf {
        self.0.join("agent-2")
    }

    pub(crate) fn segments(&self) -> PathBuf {
        self.0.join("segments")
    }

    pub(crate) fn authorizations(&self) -> PathBuf {
        self.0.join("authorizations")
    }

    fn supplements(&self) -> PathBuf {
        self.0.join("supplements")
    }

    /// The `file://` URL of the folder of replicas.
    pub(crate) fn replicas_url(&self) -> eyre::Result<String> {
        let path = std::path::absolute(self.replicas())?;
        let url = Url::from_directory_path(&path).ok();
        Ok(url.wrap_err_with(|| format!("{} has no file:// URL", path.display()))?.into())
    }

    /// Keeps the authorization lists that a segment lacks. Whole or not at all.
    pub(crate) fn keep_authorizations(&self, segment: &str, lists: &[u8]) -> eyre::Result<()> {
        output::write_file(&self.authorizations().join(format!("{segment}.json")), lists)
    }

    /// Keeps all that a segment lacks, for `bsp verify` to find. Whole or not at all.
    pub(crate) fn keep_supplement(&self, segment: &str, supplement: &[u8]) -> eyre::Result<()> {
        output::write_file(&self.supplements().join(format!("{segment}.supplement")), supplement)
    }

    /// Whether the segment's file has its final name and the bytes of this specimen hash.
    pub(crate) fn check_proved(
        &self,
        height: u64,
        segment: &SegmentName,
        proof: B256,
        specimen_hash: B256,
    ) -> eyre::Result<()> {
        let path = SegmentFolder::new(self.segments()).proved(height, segment, proof);
        let bytes = fs::read(&path).wrap_err_with(|| {
            format!(
                "cannot read {}, which was proved: give another --data-dir to start over",
                path.display()
            )
        })?;
        let found = digest::specimen_hash(&bytes);
        eyre::ensure!(
            found == specimen_hash,
            "{} has the hash {found}, and {specimen_hash} was proved: give another --data-dir to start over",
            path.display()
        );
        Ok(())
    }
}

/// Writes a chain's genesis file, or finds the same one there. The folder of another chain is
/// refused; `option` is where the user names another.
pub(crate) fn keep_genesis(file: &Path, genesis: &Genesis, option: &str) -> eyre::Result<()> {
    let description = serde_json::to_vec_pretty(genesis)?;
    match fs::read(file) {
        Ok(present) if present == description => Ok(()),
        Ok(_) => eyre::bail!(
            "{} belongs to another chain (made with another --seed, --fork or version): give another {option}, or remove it",
            file.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            output::write_file(file, &description)
        }
        Err(error) => Err(error).wrap_err_with(|| format!("cannot read {}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsp_agent::BlockId;
    use bsp_codec::ReplicaKind;
    use bsp_devchain::{DevChain, DevConfig};

    fn genesis(seed: u64) -> Genesis {
        DevChain::new(seed, DevConfig::default()).unwrap().genesis().clone()
    }

    #[test]
    fn a_folder_is_reopened_by_the_same_chain_only() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("deep").join("data");
        let folder = DevFolder::open(&path, &genesis(1)).unwrap();
        folder.keep_authorizations("1337-1-replica", b"{}").unwrap();
        assert!(DevFolder::open(&path, &genesis(1)).is_ok());
        let refused = DevFolder::open(&path, &genesis(2)).unwrap_err().to_string();
        assert!(refused.contains("another chain"), "{refused}");
        assert_eq!(fs::read(path.join("authorizations/1337-1-replica.json")).unwrap(), b"{}");
    }

    #[test]
    fn a_proved_segment_that_is_gone_or_altered_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let folder = DevFolder::open(root.path(), &genesis(1)).unwrap();
        let block = BlockId { network_id: 1337, number: 1, hash: B256::ZERO };
        let name = SegmentName::new(&block, ReplicaKind::Replica);
        let (proof, hash) = (B256::repeat_byte(7), digest::specimen_hash(b"x"));
        let check =
            || folder.check_proved(1, &name, proof, hash).map_err(|error| error.to_string());

        assert!(check().unwrap_err().contains("cannot read"));
        let file = folder.segments().join(format!("0/1337-1-replica-{proof}"));
        fs::create_dir(file.parent().unwrap()).unwrap();
        fs::write(&file, b"x").unwrap();
        assert_eq!(check(), Ok(()));
        fs::write(&file, b"y").unwrap();
        assert!(check().unwrap_err().contains("was proved"));
    }

    #[test]
    fn any_folder_has_a_url() {
        let root = tempfile::tempdir().unwrap();
        let folder = DevFolder(root.path().join("a b#c?%"));
        let url: Url = folder.replicas_url().unwrap().parse().unwrap();
        assert_eq!(url.to_file_path().unwrap(), folder.replicas());
    }
}
