//! Real segments of mainnet, where they are at hand.

use crate::{
    fixture::{Scratch, decode},
    program::bsp,
    verify::{checks_with, verdict_of, verify},
};
use bsp_codec::snappy;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The block whose files are the network's own, stream payload included.
const NATIVE: &str = "22433670";

/// The folder of real data; without it a test has nothing to look at, and says so.
fn folder() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/mainnet");
    if !folder.is_dir() {
        eprintln!("SKIPPED: there is no real data at {}", folder.display());
        return None;
    }
    Some(folder)
}

/// The manifest's entry of every block.
fn manifest(folder: &Path) -> Vec<Value> {
    let text = fs::read(folder.join("manifest.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_slice(&text).unwrap();
    assert!(!entries.is_empty());
    entries
}

#[test]
fn every_block_verifies() {
    let Some(folder) = folder() else { return };
    for entry in manifest(&folder) {
        let file = folder.join(format!("{}.replica.avro", entry["block"]));
        let line = verdict_of(&file, 0);
        assert_eq!(line["block"], entry["block"]);
        let replayable = entry["unreplayable"] == "";
        let expected = if replayable { "ok" } else { "impossible" };
        assert_eq!(line["verdict"], expected, "{line}");
        assert_eq!(checks_with(&line, "failed"), [""; 0]);
    }
}

#[test]
fn authorizations_from_beside_the_file_let_the_native_block_be_executed() {
    let Some(folder) = folder() else { return };
    let file = folder.join(format!("{NATIVE}.replica.avro"));
    let lists = folder.join(format!("{NATIVE}.authorizations.json"));
    let args = [&file, Path::new("--authorizations"), &lists, Path::new("--json")];
    let lines = verify(&args).expect(0).json_lines();
    assert_eq!(checks_with(&lines[0], "impossible"), ["senders", "transactions_root"]);
    assert_eq!(lines[0]["checks"]["execution"]["result"], "ok");
}

#[test]
fn codes_whose_size_alone_was_asked_for_are_named() {
    let Some(folder) = folder() else { return };
    let line = verdict_of(&folder.join("16791900.replica.avro"), 0);
    let reason = line["checks"]["code_reads"]["reason"].as_str().unwrap();
    assert!(reason.contains("only the size was asked for"), "{reason}");
}

#[test]
fn the_stream_payload_becomes_the_networks_segment() {
    let Some(folder) = folder() else { return };
    let scratch = Scratch::new();
    let payload = folder.join(format!("{NATIVE}.replica.rlp"));
    let reference = fs::read(folder.join(format!("{NATIVE}.replica.avro"))).unwrap();
    assert!(bsp([Path::new("encode"), &payload]).expect(0).stdout == reference);
    let entry = scratch.file("entry", &snappy::compress(&fs::read(&payload).unwrap()).unwrap());
    let output = scratch.path("out.avro");
    bsp([Path::new("encode"), &entry, Path::new("-o"), &output]).expect(0);
    assert!(fs::read(output).unwrap() == reference);
}

#[test]
fn names_are_those_of_the_manifest() {
    let Some(folder) = folder() else { return };
    for entry in manifest(&folder) {
        let file = folder.join(format!("{}.replica.avro", entry["block"]));
        let lines = bsp([Path::new("cid"), &file, Path::new("--json")]).expect(0).json_lines();
        assert_eq!(lines[0]["specimen_hash"], entry["specimen_hash"]);
        if let Some(cid) = entry.get("cid") {
            assert_eq!(&lines[0]["cid"], cid);
        }
    }
}

#[test]
fn the_native_block_is_summed_up() {
    let Some(folder) = folder() else { return };
    let file = folder.join(format!("{NATIVE}.replica.avro"));
    let run = bsp([Path::new("inspect"), &file]).expect(0);
    for line in [
        "block           22433670\n",
        "transactions    132 (12 of type 0, 3 of type 1, 116 of type 2, 1 of type 4)\n",
        "account reads   393\n",
        "storage reads   1168\n",
        "codec version   0.38\n",
    ] {
        assert!(run.text().contains(line), "{line}{}", run.text());
    }
}

#[test]
fn a_real_segment_survives_json() {
    let Some(folder) = folder() else { return };
    let scratch = Scratch::new();
    let file = folder.join("19434520.replica.avro");
    let text = bsp([Path::new("inspect"), &file, Path::new("--json")]).expect(0).stdout;
    let json = scratch.file("segment.json", &text);
    let back = bsp([Path::new("encode"), &json]).expect(0).stdout;
    assert!(back == fs::read(&file).unwrap());
}

#[test]
fn a_forged_real_block_is_caught() {
    let Some(folder) = folder() else { return };
    let scratch = Scratch::new();
    let mut segment = decode(&folder.join("19434520.replica.avro"));
    segment.replica.state.account_read.swap(3, 4);
    let bytes = bsp_codec::avro::encode_segment(&segment, bsp_codec::Profile::Network).unwrap();
    let line = verdict_of(&scratch.file("forged.avro", &bytes), 1);
    assert_eq!(checks_with(&line, "failed"), ["account_reads"]);
}
