//! `bsp cid`.

use crate::{
    fixture::{Scratch, plain_segment},
    program::{bsp, bsp_with_input},
};
use std::{fs, path::Path};

/// Known from elsewhere: what `ipfs add --cid-version 1` says of these twelve bytes, and the
/// SHA-256 of the quoted base64 text `"aGVsbG8gd29ybGQK"`, which is how the agent hashes them.
const HELLO: &[u8] = b"hello world\n";
const HELLO_CID: &str = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4";

fn quoted_base64_sha256() -> String {
    bsp_codec::digest::sha256(b"\"aGVsbG8gd29ybGQK\"").to_string()
}

#[test]
fn any_file_has_both_names() {
    let scratch = Scratch::new();
    let file = scratch.file("hello", HELLO);
    let run = bsp([Path::new("cid"), &file]).expect(0);
    let expected =
        format!("CID            {HELLO_CID}\nspecimen hash  {}\n", quoted_base64_sha256());
    assert_eq!(run.text(), expected);
    assert_eq!(bsp_with_input(["cid", "-"], HELLO).expect(0).text(), expected);
}

#[test]
fn json_has_the_same_names() {
    let scratch = Scratch::new();
    let file = scratch.file("hello", HELLO);
    let lines = bsp([Path::new("cid"), Path::new("--json"), &file]).expect(0).json_lines();
    let expected = serde_json::json!({
        "file": file.to_str().unwrap(),
        "cid": HELLO_CID,
        "specimen_hash": quoted_base64_sha256(),
    });
    assert_eq!(lines, [expected]);
}

#[test]
fn one_byte_changes_both_names() {
    let scratch = Scratch::new();
    let mut bytes = fs::read(plain_segment()).unwrap();
    let names = |bytes: &[u8]| {
        let file = scratch.file("segment", bytes);
        let line = bsp([Path::new("cid"), Path::new("--json"), &file]).expect(0).json_lines();
        (line[0]["cid"].to_string(), line[0]["specimen_hash"].to_string())
    };
    let before = names(&bytes);
    bytes[100] ^= 1;
    let after = names(&bytes);
    assert!(before.0 != after.0 && before.1 != after.1);
}

#[test]
fn a_missing_file_is_refused() {
    bsp(["cid", "no-such-file"]).expect_refusal("cannot read no-such-file");
}
