//! The real mainnet blocks in the folder `shared/mainnet` beside the repository.

use alloy_primitives::B256;
use bsp_codec::{Replica, avro};
use eyre::Context;
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What the folder's manifest says of a file.
#[derive(Debug, Clone, Deserialize)]
struct Entry {
    block: u64,
    avro_sha256: B256,
    specimen_hash: B256,
    cid: Option<String>,
    unreplayable: String,
}

/// A mainnet block and the reference file of its segment.
#[derive(Debug, Clone)]
pub struct MainnetBlock {
    /// What a producer would put on the stream.
    pub replica: Replica,
    /// The segment that bsp-agent v1.9.2 makes of it.
    pub file: Vec<u8>,
    /// The file's SHA-256.
    pub sha256: B256,
    /// The file's specimen hash.
    pub specimen_hash: B256,
    /// The file's CID, where a reader of the network has published it.
    pub cid: Option<String>,
    /// Whether it executes on nothing but what the network exports.
    pub executable: bool,
}

/// The folder, if it is there; otherwise says that tests of it are skipped.
pub fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/mainnet");
    if folder.join("manifest.json").is_file() {
        return Some(folder);
    }
    eprintln!("SKIPPED: {} is not there", folder.display());
    None
}

/// All blocks of the folder.
///
/// # Errors
///
/// Where a file can't be read, or is not what its name says.
pub fn blocks(folder: &Path) -> eyre::Result<Vec<MainnetBlock>> {
    let manifest = fs::read(folder.join("manifest.json"))?;
    let entries: Vec<Entry> = serde_json::from_slice(&manifest)?;
    entries.iter().map(|entry| block(folder, entry)).collect()
}

fn block(folder: &Path, entry: &Entry) -> eyre::Result<MainnetBlock> {
    let path = folder.join(format!("{}.replica.avro", entry.block));
    let file = fs::read(&path).wrap_err_with(|| path.display().to_string())?;
    Ok(MainnetBlock {
        replica: avro::decode_segment(&file)?.replica,
        sha256: entry.avro_sha256,
        specimen_hash: entry.specimen_hash,
        cid: entry.cid.clone(),
        executable: entry.unreplayable.is_empty(),
        file,
    })
}
