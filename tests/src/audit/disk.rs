//! What the agents left on disk.

use super::{
    dag,
    fed::{BlockRef, sha256},
    packs::Packs,
    proofs::ProofRecord,
    segment::{read_segment, specimen_hash},
};
use crate::servers::pinner::StandInPinner;
use alloy_primitives::B256;
use eyre::Context;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The folders of one agent.
#[derive(Debug, Clone)]
pub struct AgentFolders {
    /// Journal, ledger, local pins, unselected blocks.
    pub data: PathBuf,
    /// Segment files.
    pub segments: PathBuf,
}

/// A segment file of a proved block, read once.
#[derive(Debug)]
pub struct SegmentFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Heights whose segments share a sub-folder.
const HEIGHTS: u64 = 10_000;

/// The folder of the segments that an agent is done with, by a segment's name: `1-22433670-replica`
/// is in `22430000`.
fn sub_folder(segments: &Path, segment: &str) -> PathBuf {
    let height = segment.split('-').nth(1).and_then(|height| height.parse().ok());
    let height: u64 = height.unwrap_or_default();
    segments.join((height / HEIGHTS * HEIGHTS).to_string())
}

/// The names of all files of a segment that an agent is done with, which begin like this.
///
/// # Errors
///
/// Where the folder can't be read.
pub fn finished_names(
    folder: &AgentFolders,
    segment: &str,
    prefix: &str,
) -> io::Result<Vec<String>> {
    names_with_prefix(&sub_folder(&folder.segments, segment), prefix)
}

/// The names of all files in a folder that begin like this; none if there is no folder.
///
/// # Errors
///
/// Where the folder can't be read.
pub fn names_with_prefix(folder: &Path, prefix: &str) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The proofs that file names of a segment carry: `<segment>-0x<proof>`.
///
/// # Errors
///
/// Where a folder can't be read.
pub fn proofs_in_names(folders: &[AgentFolders], segment: &str) -> io::Result<Vec<B256>> {
    let prefix = format!("{segment}-0x");
    let mut proofs = Vec::new();
    for folder in folders {
        for name in finished_names(folder, segment, &prefix)? {
            if let Some(Ok(proof)) = name.strip_prefix(&prefix).map(str::parse) {
                proofs.push(proof);
            }
        }
    }
    Ok(proofs)
}

/// The file of a proof, in the first folder that has it.
///
/// # Errors
///
/// Where a file is there and can't be read.
pub fn segment_file(
    folders: &[AgentFolders],
    segment: &str,
    proof: B256,
) -> eyre::Result<Option<SegmentFile>> {
    for folder in folders {
        let path = sub_folder(&folder.segments, segment).join(format!("{segment}-{proof}"));
        match fs::read(&path) {
            Ok(bytes) => return Ok(Some(SegmentFile { path, bytes })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).wrap_err_with(|| path.display().to_string()),
        }
    }
    Ok(None)
}

/// What is wrong with a segment's file, itself and against its block.
pub fn fault_of_file(file: &[u8], block: &BlockRef) -> Option<String> {
    let content = match read_segment(file) {
        Ok(content) => content,
        Err(error) => return Some(error.to_string()),
    };
    let fits = content.block_hash == block.hash
        && content.header_hash == block.hash
        && content.event_hash == block.hash
        && content.number == block.number
        && content.network_id == block.network_id
        && content.kind == format!("block-{}", block.kind);
    (!fits).then(|| format!("it holds {content:?}"))
}

/// What a proof says differently from its file: the field, the proof's value, the file's value.
pub fn differences(proof: &ProofRecord, file: &[u8]) -> Vec<(&'static str, String, String)> {
    let actual_hash = specimen_hash(file);
    let actual_url =
        dag::file_cid(file).map_or_else(|e| e.to_string(), |cid| format!("ipfs://{cid}"));
    let mut differences = Vec::new();
    if proof.specimen_hash != actual_hash {
        let proved = proof.specimen_hash.to_string();
        differences.push(("specimen hash", proved, actual_hash.to_string()));
    }
    if proof.url != actual_url {
        differences.push(("URL", proof.url.clone(), actual_url));
    }
    differences
}

/// Where pinned content is.
#[derive(Debug, Clone)]
pub enum Pins {
    /// In a stand-in pinner's memory.
    Pinner(Arc<StandInPinner>),
    /// In the agents' own stores, `<data>/pins`.
    Local(Packs),
}

impl Pins {
    /// Why nobody can fetch a file under a CID.
    ///
    /// # Errors
    ///
    /// Where the CID of the file can't be computed.
    pub fn fault(
        &self,
        cid: &str,
        file: &[u8],
        folders: &[AgentFolders],
    ) -> eyre::Result<Option<String>> {
        match self {
            Self::Pinner(pinner) => Ok(match pinner.content(cid) {
                None => Some("the pinner does not have it".to_owned()),
                Some(content) if content != file => Some("the pinner has other bytes".to_owned()),
                Some(_) => None,
            }),
            Self::Local(packs) => {
                let blocks = dag::blocks_of(file)?;
                let faults = folders.iter().map(|folder| local_fault(packs, &folder.data, &blocks));
                let faults: Vec<_> = faults.collect::<Result<_, _>>()?;
                Ok(if faults.contains(&None) { None } else { faults.into_iter().flatten().next() })
            }
        }
    }
}

/// Why a file is not pinned in an agent's own store.
fn local_fault(packs: &Packs, data: &Path, blocks: &[dag::Block]) -> eyre::Result<Option<String>> {
    let Some(root) = blocks.last() else { return Ok(Some("the file has no blocks".to_owned())) };
    let mut wanted = Vec::new();
    for block in blocks {
        wanted.push((block.cid.hash().digest().try_into()?, &*block.bytes));
    }
    Ok(packs.fault(data, &root.cid.to_bytes(), &wanted)?)
}

/// Why a block that was not selected could not be taken up later.
pub fn fault_of_unselected(
    folders: &[AgentFolders],
    block: &BlockRef,
    payload: Option<[u8; 32]>,
) -> Option<String> {
    let name = format!("{}-{}.rlp.snappy", block.segment(), block.hash);
    let kept =
        folders.iter().find_map(|folder| fs::read(folder.data.join("unselected").join(&name)).ok());
    match kept {
        None => Some(format!("there is no {name}")),
        Some(bytes) if Some(sha256(&bytes)) != payload => Some(format!("{name} has other bytes")),
        Some(_) => None,
    }
}
