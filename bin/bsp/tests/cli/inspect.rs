//! `bsp inspect`.

use crate::{
    fixture::{Scratch, decode, plain_segment, segment_with_authorizations},
    program::bsp,
};
use bsp_codec::{Profile, dag, digest, json, rlp, snappy};
use std::{collections::BTreeMap, fs, path::Path};

/// The summary's lines, by their names.
fn summary(file: &Path) -> BTreeMap<String, String> {
    let run = bsp([Path::new("inspect"), file]).expect(0);
    let entry = |line: &str| {
        let (name, value) = line.split_at(16);
        (name.trim_end().to_owned(), value.to_owned())
    };
    run.text().lines().map(entry).collect()
}

#[test]
fn a_summary_says_what_is_inside() {
    let file = plain_segment();
    let (bytes, replica) = (fs::read(&file).unwrap(), decode(&file).replica);
    let summary = summary(&file);
    let state = &replica.state;
    let code_bytes: usize = state.code_read.iter().map(|row| row.code.len()).sum();
    for (name, value) in [
        ("file", format!("{}, {} bytes of AVRO", file.display(), bytes.len())),
        ("kind", "block-replica (network profile)".into()),
        ("network", "1337".into()),
        ("block", replica.header.number.to_string()),
        ("hash", replica.hash.to_string()),
        ("parent", replica.header.parent_hash.to_string()),
        ("timestamp", replica.header.timestamp.to_string()),
        ("gas used", format!("{} of {}", replica.header.gas_used, replica.header.gas_limit)),
        ("receipts", replica.transactions.len().to_string()),
        ("account reads", state.account_read.len().to_string()),
        ("storage reads", state.storage_read.len().to_string()),
        ("code reads", format!("{} ({code_bytes} bytes)", state.code_read.len())),
        ("blockhash reads", state.blockhash_read.len().to_string()),
        ("codec version", "0.38".into()),
        ("AVRO bytes", bytes.len().to_string()),
        ("specimen hash", digest::specimen_hash(&bytes).to_string()),
        ("CID", dag::cid_of(&bytes).to_string()),
    ] {
        assert_eq!(summary.get(name), Some(&value), "{name}");
    }
}

#[test]
fn transactions_are_counted_by_type() {
    let (file, _) = segment_with_authorizations();
    let transactions = decode(&file).replica.transactions;
    let set_code = transactions.iter().filter(|tx| tx.tx_type == 4).count();
    let line = &summary(&file)["transactions"];
    assert!(line.starts_with(&format!("{} (", transactions.len())), "{line}");
    assert!(line.ends_with(&format!("{set_code} of type 4)")), "{line}");
}

#[test]
fn a_stream_entry_is_named_as_the_segment_it_becomes() {
    let scratch = Scratch::new();
    let file = plain_segment();
    let rlp = rlp::encode_replica(&decode(&file).replica, Profile::Network).unwrap();
    let entry = scratch.file("entry", &snappy::compress(&rlp).unwrap());
    let (of_segment, of_entry) = (summary(&file), summary(&entry));
    assert!(of_entry["file"].ends_with("bytes of snappy"), "{}", of_entry["file"]);
    for name in ["hash", "AVRO bytes", "specimen hash", "CID"] {
        assert_eq!(of_entry[name], of_segment[name], "{name}");
    }
}

#[test]
fn json_holds_everything() {
    let file = plain_segment();
    let run = bsp([Path::new("inspect"), &file, Path::new("--json")]).expect(0);
    assert_eq!(json::read_segment_json(&run.stdout).unwrap(), decode(&file));
}

#[test]
fn what_is_no_segment_is_refused() {
    let scratch = Scratch::new();
    let file = scratch.file("text", b"no segment");
    bsp([Path::new("inspect"), &file]).expect_refusal("not a replica");
}

#[test]
fn a_file_of_another_format_is_named() {
    let scratch = Scratch::new();
    let avro = fs::read(plain_segment()).unwrap();
    let confluent = [b"\x00\x00\x00\x00\x07", avro.as_slice()].concat();
    let single_object = [b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08", avro.as_slice()].concat();
    for (bytes, told) in [
        (b"Obj\x01\x04\x14avro.codec".as_slice(), "it looks like an AVRO object container file"),
        (b"\x1f\x8b\x08\x00", "it looks like gzip: decompress it with gunzip"),
        (&confluent, "Confluent's wire format: a segment begins after its first 5 bytes"),
        (&single_object, "a segment begins after its first 10 bytes"),
        (b"<html><body>502 Bad Gateway</body></html>", "it looks like HTML or XML"),
    ] {
        let file = scratch.file("foreign", bytes);
        for command in ["inspect", "verify", "encode"] {
            bsp([Path::new(command), &file]).expect_refusal(told);
        }
    }
    let file = scratch.file("avro", &avro);
    let arguments = [Path::new("inspect"), &file, Path::new("--format=snappy")];
    bsp(arguments).expect_refusal("not a replica in snappy; it looks like an AVRO segment");
}
