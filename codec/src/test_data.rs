//! Real mainnet segments for tests, where the machine has them.

use alloy_primitives::B256;
use serde::Deserialize;
use std::path::Path;

/// One line of the manifest beside the segments, with its file.
#[derive(Debug, Deserialize)]
pub(crate) struct MainnetSegment {
    pub(crate) block: u64,
    pub(crate) avro_sha256: B256,
    pub(crate) specimen_hash: B256,
    pub(crate) cid: Option<String>,
    #[serde(skip)]
    pub(crate) avro: Vec<u8>,
}

/// Every segment of the manifest, or none, and a line on stderr, where the folder is absent.
pub(crate) fn mainnet_segments() -> Vec<MainnetSegment> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/mainnet"));
    let Ok(manifest) = std::fs::read(folder.join("manifest.json")) else {
        eprintln!("SKIPPED: no mainnet segments in {}", folder.display());
        return Vec::new();
    };
    let mut segments: Vec<MainnetSegment> =
        serde_json::from_slice(&manifest).expect("the manifest is JSON");
    assert!(!segments.is_empty(), "an empty manifest would test nothing");
    for segment in &mut segments {
        let file = folder.join(format!("{}.replica.avro", segment.block));
        segment.avro = std::fs::read(&file).expect("every segment of the manifest has its file");
    }
    segments
}
