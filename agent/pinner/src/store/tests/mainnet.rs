//! Real segments of the network.

use super::*;
use std::path::Path;

#[test]
fn real_segments_have_the_networks_identifiers_and_shrink() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/mainnet"));
    let Ok(manifest) = std::fs::read(folder.join("manifest.json")) else {
        eprintln!("SKIPPED: no mainnet data at {}", folder.display());
        return;
    };
    let manifest: Vec<serde_json::Value> = serde_json::from_slice(&manifest).unwrap();
    let fixture = Fixture::new();
    let store = fixture.open();
    let (mut known, mut bytes) = (0, 0);
    for entry in manifest {
        let name = format!("{}.replica.avro", entry["block"]);
        let segment = std::fs::read(folder.join(name)).unwrap();
        let pin = import(&store, &segment);
        if let Some(cid) = entry["cid"].as_str() {
            assert_eq!(pin.root.to_string(), cid);
            known += 1;
        }
        assert_eq!(pin.root, cid_of(&segment));
        assert!(read(&store, &pin.root) == segment);
        bytes += segment.len() as u64;
    }
    assert!(known > 0, "the manifest names no identifier");
    let packs = store.usage().unwrap().disk_bytes;
    assert!(packs < bytes, "{packs} bytes on disk for {bytes}");
}
