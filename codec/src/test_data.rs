//! Real mainnet segments for tests and benchmarks, where the machine has them.

#![allow(dead_code, reason = "every test and benchmark that includes this file uses a part of it")]

use alloy_primitives::B256;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// One entry of the manifest beside the segments, with its file.
#[derive(Debug, Deserialize)]
pub(crate) struct MainnetSegment {
    /// Block number.
    pub(crate) block: u64,
    /// SHA-256 of the file.
    pub(crate) avro_sha256: B256,
    /// The network's hash of the file.
    pub(crate) specimen_hash: B256,
    /// The identifier under which the network pinned the file, where that is known.
    pub(crate) cid: Option<String>,
    /// What the producer did not export and a replay needs; empty if nothing.
    pub(crate) unreplayable: String,
    /// The file.
    #[serde(skip)]
    pub(crate) avro: Vec<u8>,
}

/// Every segment of the manifest, or none, and a line on stderr, where the folder is absent.
pub(crate) fn mainnet_segments() -> Vec<MainnetSegment> {
    let Some(manifest) = mainnet_file("manifest.json") else { return Vec::new() };
    let mut segments: Vec<MainnetSegment> =
        serde_json::from_slice(&manifest).expect("the manifest is JSON");
    assert!(!segments.is_empty(), "an empty manifest would test nothing");
    for segment in &mut segments {
        let name = format!("{}.replica.avro", segment.block);
        segment.avro = mainnet_file(&name).expect("every segment of the manifest has its file");
    }
    segments
}

/// The RLP of block 22433670 as it was on the stream, before snappy; `None`, and a line on stderr,
/// where it is absent.
pub(crate) fn mainnet_rlp() -> Option<Vec<u8>> {
    mainnet_file("22433670.replica.rlp")
}

fn mainnet_file(name: &str) -> Option<Vec<u8>> {
    let path = mainnet_folder().join(name);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        eprintln!("SKIPPED: no mainnet data at {}", path.display());
    }
    bytes
}

fn mainnet_folder() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/mainnet")).to_owned()
}
