//! `bsp verify`: what it prints, and its exit codes.

use crate::{
    fixture::{Scratch, data_folder, decode, plain_segment, segment_with_authorizations, segments},
    program::{Run, bsp, bsp_with_input},
};
use bsp_codec::{Profile, rlp, snappy};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

/// Every check of a segment with state, as reports name them.
const CHECKS: [&str; 21] = [
    "header_hash",
    "transactions_root",
    "ommers_hash",
    "withdrawals_root",
    "transaction_fields",
    "senders",
    "state",
    "required_reads",
    "execution",
    "receipts",
    "gas_used",
    "blob_gas_used",
    "receipts_root",
    "logs_bloom",
    "requests_hash",
    "account_reads",
    "storage_reads",
    "code_reads",
    "blockhash_reads",
    "envelope",
    "bytes",
];

pub(crate) fn verify(args: &[&Path]) -> Run {
    bsp([Path::new("verify")].iter().chain(args))
}

/// The one JSON line of a file, which has the promised fields and no others.
pub(crate) fn verdict_of(file: &Path, code: i32) -> Value {
    let mut lines = verify(&[file, Path::new("--json")]).expect(code).json_lines();
    assert_eq!(lines.len(), 1);
    let line = lines.remove(0);
    assert_eq!(keys(&line), ["block", "checks", "executed", "file", "hash", "verdict"]);
    assert_eq!(line["file"], file.to_str().unwrap());
    for (name, check) in line["checks"].as_object().unwrap() {
        assert!(CHECKS.contains(&name.as_str()), "{name}");
        let keys = keys(check);
        match check["result"].as_str().unwrap() {
            "ok" => assert!(keys == ["result"] || keys == ["reason", "result"], "{name}: {check}"),
            "impossible" => assert_eq!(keys, ["reason", "result"], "{name}: {check}"),
            "failed" => {
                let promised = ["expected", "first_difference", "got", "result"];
                assert!(keys.iter().all(|key| promised.contains(key)), "{name}: {check}");
                assert!(keys.contains(&"expected") && keys.contains(&"got"), "{name}: {check}");
            }
            other => panic!("{name}: {other}"),
        }
    }
    line
}

fn keys(object: &Value) -> Vec<&str> {
    let keys: BTreeSet<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.into_iter().collect()
}

/// The names of the checks with this result.
pub(crate) fn checks_with<'a>(line: &'a Value, result: &str) -> Vec<&'a str> {
    let checks = line["checks"].as_object().unwrap();
    let wanted = checks.iter().filter(|(_, check)| check["result"] == result);
    wanted.map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_good_segment_has_every_check_ok() {
    let file = plain_segment();
    let replica = decode(&file).replica;
    let line = verdict_of(&file, 0);
    assert_eq!(line["block"], replica.header.number);
    assert_eq!(line["hash"], replica.hash.to_string());
    assert_eq!(line["verdict"], "ok");
    assert_eq!(checks_with(&line, "ok").len(), CHECKS.len());
}

#[test]
fn people_get_a_line_a_check_in_report_order() {
    let file = plain_segment();
    let run = verify(&[&file]).expect(0);
    let mut lines = run.text().lines();
    let (number, hash) = (decode(&file).replica.header.number, decode(&file).replica.hash);
    let heading = format!("{}: block-replica {number} {hash}: ok", file.display());
    assert_eq!(lines.next().unwrap(), heading);
    let names: Vec<_> = lines.map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(names, CHECKS);
}

#[test]
fn every_form_of_a_replica_verifies() {
    let scratch = Scratch::new();
    let file = plain_segment();
    let rlp = rlp::encode_replica(&decode(&file).replica, Profile::Network).unwrap();
    let json = bsp([Path::new("inspect"), &file, Path::new("--json")]).expect(0).stdout;
    let forms = [
        ("avro", fs::read(&file).unwrap()),
        ("snappy", snappy::compress(&rlp).unwrap()),
        ("rlp", rlp),
        ("json", json),
    ];
    for (form, bytes) in forms {
        let path = scratch.file(form, &bytes);
        assert_eq!(verdict_of(&path, 0)["verdict"], "ok", "{form}");
        verify(&[&path, Path::new("--format"), Path::new(form)]).expect(0);
        let piped = bsp_with_input(["verify", "-"], &bytes).expect(0);
        assert!(piped.text().starts_with("-: block-replica "), "{form}");
    }
}

#[test]
fn a_block_without_its_authorizations_is_impossible_and_says_what_to_give() {
    let scratch = Scratch::new();
    let (segment, _) = segment_with_authorizations();
    let segment = scratch.file("alone", &fs::read(segment).unwrap());
    let line = verdict_of(&segment, 0);
    assert_eq!(line["verdict"], "impossible");
    let reason = line["checks"]["execution"]["reason"].as_str().unwrap();
    assert!(reason.contains("type-4 authorization list not exported"), "{reason}");
    assert!(checks_with(&line, "failed").is_empty());
    assert!(checks_with(&line, "ok").contains(&"header_hash"));
    let run = verify(&[&segment]).expect(0);
    assert!(run.text().contains("give --authorizations FILE"), "{}", run.text());
}

#[test]
fn authorizations_from_beside_the_file_let_it_be_executed() {
    let (segment, lists) = segment_with_authorizations();
    let flags = [Path::new("--authorizations"), &lists];
    let run = verify(&[&segment, flags[0], flags[1], Path::new("--json")]).expect(0);
    let line = &run.json_lines()[0];
    // Without signatures, the root over them and the senders that follow from them stay open.
    assert_eq!(checks_with(line, "impossible"), ["senders", "transactions_root"]);
    assert_eq!(checks_with(line, "ok").len(), CHECKS.len() - 2);
    let human = verify(&[&segment, flags[0], flags[1]]).expect(0);
    assert!(!human.text().contains("give --authorizations"), "{}", human.text());
}

#[test]
fn wrong_authorizations_fail_the_block() {
    let scratch = Scratch::new();
    let (segment, lists) = segment_with_authorizations();
    let mut changed: Value = serde_json::from_slice(&fs::read(lists).unwrap()).unwrap();
    for list in changed.as_object_mut().unwrap().values_mut() {
        *list = Value::Array(Vec::new());
    }
    let empty = scratch.file("empty.json", changed.to_string().as_bytes());
    let flags = [Path::new("--authorizations"), &empty, Path::new("--json")];
    let run = verify(&[&segment, flags[0], flags[1], flags[2]]).expect(1);
    assert_eq!(run.json_lines()[0]["verdict"], "failed");
}

#[test]
fn authorizations_that_do_not_belong_to_the_file_are_refused() {
    let scratch = Scratch::new();
    let (segment, lists) = segment_with_authorizations();
    let authorizations = Path::new("--authorizations");
    for (name, text, reason) in [
        ("other.json", r#"{"999": []}"#, "only transactions of type 4 have one, here "),
        ("malformed.json", r#"{"0": [{"nonce": 1}]}"#, "chainId, authority, delegate, nonce"),
        ("text.json", "authority", "text.json"),
    ] {
        let file = scratch.file(name, text.as_bytes());
        verify(&[&segment, authorizations, &file]).expect_refusal(reason);
    }
    verify(&[&segment, authorizations, &scratch.path("none.json")]).expect_refusal("none.json");
    verify(&[&plain_segment(), authorizations, &lists]).expect_refusal("this block has none");
    verify(&[&segment, &segment, authorizations, &lists]).expect_refusal("give one FILE");
}

#[test]
fn a_genesis_file_gives_the_rules() {
    let scratch = Scratch::new();
    let file = plain_segment();
    let genesis_file = data_folder().join("genesis.json");
    let flag = Path::new("--genesis");
    verify(&[&file, flag, &genesis_file]).expect(0);

    let text = fs::read_to_string(&genesis_file).unwrap();
    let mut genesis: Value = serde_json::from_str(&text).unwrap();
    genesis["config"]["osakaTime"] = Value::Null;
    genesis["config"]["pragueTime"] = Value::Null;
    let older = scratch.file("older.json", genesis.to_string().as_bytes());
    verify(&[&file, flag, &older]).expect(1);

    genesis["config"]["chainId"] = 77.into();
    let other = scratch.file("other.json", genesis.to_string().as_bytes());
    verify(&[&file, flag, &other]).expect_refusal("--genesis describes chain 77");
    verify(&[&file, flag, &file]).expect_refusal("is not a genesis file");
}

#[test]
fn an_unknown_chain_asks_for_its_genesis() {
    let scratch = Scratch::new();
    let file = scratch.tampered("private.avro", |replica| replica.network_id = 424_242);
    let line = verdict_of(&file, 0);
    let reason = line["checks"]["execution"]["reason"].as_str().unwrap();
    assert!(reason.contains("chain 424242") && reason.contains("genesis file"), "{reason}");
}

#[test]
fn what_is_no_segment_is_told_from_a_bad_one() {
    let scratch = Scratch::new();
    let good = fs::read(plain_segment()).unwrap();
    let rlp = rlp::encode_replica(&decode(&plain_segment()).replica, Profile::Network).unwrap();
    let noise: Vec<u8> =
        (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let longer = [&good[..], b"\0"].concat();
    let files = [
        ("truncated", &good[..good.len() / 2], "not a replica in AVRO"),
        ("longer", &longer, "not a replica in AVRO"),
        ("truncated-rlp", &rlp[..rlp.len() / 2], "not a replica in RLP"),
        ("empty", &[], "is empty"),
        ("noise", &noise, "is not a replica: it does not begin like"),
        ("object", b"{}", "not a replica in JSON"),
    ];
    for (name, bytes, reason) in files {
        let path = scratch.file(name, bytes);
        verify(&[&path]).expect_refusal(reason);
        let lines = verify(&[&path, Path::new("--json")]).expect(2).json_lines();
        assert_eq!(keys(&lines[0]), ["error", "file"]);
        assert_eq!(lines[0]["file"], path.to_str().unwrap());
        assert!(lines[0]["error"].as_str().unwrap().contains(reason), "{}", lines[0]);
    }
    verify(&[&scratch.path("missing")]).expect_refusal("cannot read");
}

#[test]
fn a_format_that_is_not_the_files_is_named() {
    let run = verify(&[&plain_segment(), Path::new("--format"), Path::new("rlp")]);
    run.expect_refusal("is not a replica in RLP; it looks like an AVRO segment");
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let scratch = Scratch::new();
    let (good, missing) = (plain_segment(), scratch.path("missing.avro"));
    let forged = scratch.tampered("forged.avro", |replica| replica.header.gas_used += 1);
    let json = Path::new("--json");

    let lines = verify(&[&good, &forged, &good, json]).expect(1).json_lines();
    let verdicts: Vec<_> = lines.iter().map(|line| line["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["ok", "failed", "ok"]);

    let lines = verify(&[&missing, &forged, &good, json]).expect(2).json_lines();
    assert!(lines[0]["error"].is_string());
    assert_eq!((&lines[1]["verdict"], &lines[2]["verdict"]), (&"failed".into(), &"ok".into()));

    let run = verify(&[&missing, &good]).expect(2);
    assert!(run.stderr.contains("missing.avro") && run.text().contains(": ok\n"));
}

#[test]
fn all_segments_of_a_chain_verify_at_once() {
    let files = segments();
    let paths: Vec<_> = files.iter().map(AsRef::as_ref).chain([Path::new("--json")]).collect();
    let lines = verify(&paths).expect(0).json_lines();
    assert_eq!(lines.len(), files.len());
    for (line, number) in lines.iter().zip(1_u64..) {
        assert_eq!(line["block"], number);
    }
}

#[test]
fn without_a_file_the_usage_is_shown() {
    let run = bsp(["verify"]).expect(2);
    assert!(run.stderr.contains("Usage: bsp verify"), "{}", run.stderr);
}

#[test]
fn what_lies_beside_a_segment_is_used() {
    let scratch = Scratch::new();
    let line = |file: &Path| verify(&[file, Path::new("--json")]).expect(0).json_lines().remove(0);
    let (segment, lists) = segment_with_authorizations();
    let run = verify(&[&segment]).expect(0);
    let heading = run.text().lines().next().unwrap();
    assert!(heading.ends_with(": ok"), "{heading}");
    assert!(run.text().contains("comes from ") && run.text().contains(".supplement."));

    let (replica, bytes) = (decode(&segment).replica, fs::read(&segment).unwrap());
    let name = replica.segment_name();
    let unproved = scratch.file(&format!("{name}-{}.unproved", replica.hash), &bytes);
    assert_eq!(line(&unproved)["verdict"], "impossible");
    fs::create_dir(scratch.path("authorizations")).unwrap();
    fs::copy(&lists, scratch.path(&format!("authorizations/{name}.json"))).unwrap();
    let partly = line(&unproved);
    assert_eq!(checks_with(&partly, "impossible"), ["senders", "transactions_root"]);
    let supplement = data_folder().join(format!("supplements/{name}.supplement"));
    let beside = scratch.path(&format!("{name}-{}.supplement", replica.hash));
    fs::copy(&supplement, &beside).unwrap();
    assert_eq!(line(&unproved)["verdict"], "ok");
    // Another block's is not taken for this one's; a broken one is told.
    let other = fs::read_dir(data_folder().join("supplements")).unwrap();
    let other = other.map(|file| file.unwrap().path()).find(|path| *path != supplement).unwrap();
    fs::copy(other, &beside).unwrap();
    assert_eq!(line(&unproved)["verdict"], "impossible");
    fs::write(&beside, b"noise").unwrap();
    verify(&[&unproved]).expect_refusal(".supplement");
}

#[test]
fn a_folder_is_verified_with_a_count_and_little_else() {
    let scratch = Scratch::new();
    let run = verify(&[&data_folder().join("segments")]).expect(0);
    assert_eq!(run.text().lines().count(), segments().len() + 1, "{}", run.text());
    let count =
        format!("{0} files: {0} ok, 0 impossible, 0 failed, 0 unreadable\n", segments().len());
    assert!(run.text().ends_with(&count), "{}", run.text());
    let headings = run.text().lines().zip(segments());
    assert!(headings.into_iter().all(|(line, file)| line.starts_with(file.to_str().unwrap())));

    fs::copy(plain_segment(), scratch.path("1337-1-replica-good")).unwrap();
    scratch.tampered("1337-2-replica-bad", |replica| replica.header.gas_used += 1);
    scratch.file("1337-3-replica-noise", b"noise");
    let folder = scratch.path("");
    let run = verify(&[&folder, Path::new("--quiet")]).expect(2);
    let lines: Vec<_> = run.text().lines().collect();
    assert!(
        lines[0].contains("1337-2-replica-bad: ") && lines[0].ends_with(": failed"),
        "{lines:?}"
    );
    assert!(lines[1].contains(" FAILED: expected "), "{lines:?}");
    assert!(!run.text().contains(" ok\n") && !run.text().contains("replica-good"), "{lines:?}");
    assert_eq!(*lines.last().unwrap(), "3 files: 1 ok, 0 impossible, 1 failed, 1 unreadable");
    assert!(run.stderr.contains("1337-3-replica-noise"), "{}", run.stderr);
    let run = verify(&[&plain_segment(), Path::new("-q")]).expect(0);
    assert_eq!(run.text(), "1 file: 1 ok, 0 impossible, 0 failed, 0 unreadable\n");

    let empty = scratch.path("empty");
    fs::create_dir(&empty).unwrap();
    verify(&[&empty]).expect_refusal("has no segments");
}

#[test]
fn a_failed_execution_is_told_in_a_sentence() {
    let scratch = Scratch::new();
    let forged = scratch.tampered("forged", |replica| {
        replica.state.code_read.clear();
    });
    let run = verify(&[&forged]).expect(1);
    let expected = "FAILED: expected the block to execute on its own read lists, got an error: ";
    assert!(run.text().contains(expected), "{}", run.text());
}

#[test]
fn a_cause_is_told_once() {
    let scratch = Scratch::new();
    let broken = scratch.file("broken.json", b"{");
    let flags = [Path::new("--authorizations"), &broken];
    let run = verify(&[&plain_segment(), flags[0], flags[1]]).expect(2);
    assert_eq!(run.stderr.matches("EOF").count(), 1, "{}", run.stderr);
    let snappy = verify(&[&scratch.file("noise", &[7; 64]), Path::new("--format=snappy")]);
    let run = snappy.expect(2);
    assert_eq!(run.stderr.matches("corrupt").count(), 1, "{}", run.stderr);
}
