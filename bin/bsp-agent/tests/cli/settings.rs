//! Settings that are wrong, each told in one line, and settings that are right.

use crate::program::{Agent, CONTRACT, KEY, PASSWORD};
use std::{fs, path::Path};

const REDIS: &str = "--redis-url=redis://username:@localhost:6379/0?topic=replication";

/// A line that starts, to be spoilt.
const LEDGER: [&str; 2] = [REDIS, "--proof=ledger"];

fn refused(args: &[&str], reason: &str) {
    let folder = tempfile::tempdir().unwrap();
    let args = [&LEDGER[..], args].concat();
    Agent::new(folder.path(), &args).with_operators_environment().run().expect_refusal(reason);
}

#[test]
fn each_wrong_setting_is_named() {
    let url = format!("http://:{PASSWORD}@pinner");
    for (arg, reason) in [
        ("--block-divisor=0", "--block-divisor is 0: give 1"),
        ("--block-divisor=three", "'three' for '--block-divisor <N>'"),
        ("--block-divisor=-3", "'-3' for '--block-divisor <N>'"),
        ("--binary-file-path=./no-such", "--binary-file-path: ./no-such does not exist"),
        ("--avro-codec-path=./no-such", "--avro-codec-path: can't read ./no-such"),
        ("--genesis=./no-such", "--genesis: can't read ./no-such"),
        ("--data-dir=./no/such", "--data-dir: ./no/such can't be made"),
        ("--log-folder=./no/such", "--log-folder: ./no/such can't be made"),
        ("--log-folder=$NO_SUCH/logs", "--log-folder names the variable NO_SUCH"),
        (
            "--ipfs-pinner-server=localhost:3001",
            "--ipfs-pinner-server: localhost:// is not supported",
        ),
        ("--source=file:///", "two sources"),
        ("--proof=both", "[possible values: chain, ledger]"),
        ("--verify=all", "'all' for '--verify <HOW>'"),
        ("--log-format=xml", "'xml' for '--log-format <FORM>'"),
        ("--max-message-bytes=64XB", "such as 64MiB"),
        ("--max-inflight-bytes=1MiB", "--max-inflight-bytes is 1048576: give at least 67108864"),
        ("--max-open-blocks=0", "--max-open-blocks is 0: give at least 1"),
        ("--metrics.port=70000", "'70000' for '--metrics.port <PORT>'"),
        ("--metrics=maybe", "'maybe' for '--metrics"),
        ("--no-such-flag", "unexpected argument '--no-such-flag'"),
        ("--redis-ulr=x", "'--redis-ulr' found; did you mean --redis-url?"),
        ("-block-divisor=0", "--block-divisor is 0: give 1"),
        ("-redis-ulr", "unexpected argument '--redis-ulr' found; did you mean --redis-url?"),
        ("--proof=leger", "did you mean ledger?"),
        (&url, "unexpected argument 'http://…'"),
    ] {
        refused(&[arg], reason);
    }
}

#[test]
fn a_codec_of_another_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("old.avsc"), "{\"type\": \"record\", \"fields\": []}").unwrap();
    let args = [&LEDGER[..], &["--avro-codec-path=./old.avsc"]].concat();
    Agent::new(folder.path(), &args).run().expect_refusal("./old.avsc is another schema");
}

#[test]
fn without_a_source_or_a_chain_the_choices_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| Agent::new(folder.path(), args);
    run(&["--proof=ledger"]).run().expect_refusal("give --redis-url redis://");
    let chain = run(&[REDIS]).run();
    for name in ["--proof-chain-address", "MB_RPC_URL", "MB_PRIVATE_KEY", "--proof ledger"] {
        chain.expect_refusal(name);
    }
    // Variables that are empty are as good as none.
    run(&[REDIS, "--proof-chain-address", CONTRACT])
        .with_operators_environment()
        .env("MB_PRIVATE_KEY", "")
        .run()
        .expect_refusal("lacks the key (variable MB_PRIVATE_KEY");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a refused start makes no folders");
}

#[test]
fn a_key_in_the_place_of_an_address_is_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    Agent::new(folder.path(), &[REDIS, "--proof-chain-address", KEY])
        .with_operators_environment()
        .run()
        .expect_refusal("--proof-chain-address is not a contract's address");
}

#[test]
fn a_bad_value_of_a_variable_is_refused_and_an_empty_one_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let run = |value| Agent::new(folder.path(), &[]).env("BlockDivisor", value).run();
    run("many").expect_refusal("'many' for '--block-divisor <N>' (from the variable BlockDivisor)");
    run("").expect_refusal("no source");
}

#[test]
fn an_error_names_the_variable_that_a_value_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        Agent::new(folder.path(), &[&LEDGER[..], args].concat()).env("BlockDivisor", "0").run()
    };
    run(&[]).expect_refusal("--block-divisor (from the variable BlockDivisor) is 0: give 1");
    run(&["--block-divisor=00"]).expect_refusal("--block-divisor is 0: give 1");
    Agent::new(folder.path(), &LEDGER).env("BSP_AGENT_DATA_DIR", "./no/such").run().expect_refusal(
        "--data-dir (from the variable BSP_AGENT_DATA_DIR): ./no/such can't be made",
    );
}

#[test]
fn an_error_says_nothing_twice() {
    for arg in [
        "--avro-codec-path=./no-such",
        "--genesis=./no-such",
        "--log-folder=./file",
        "--data-dir=./file",
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let run = Agent::new(folder.path(), &[&LEDGER[..], &[arg]].concat()).run();
        assert_eq!(run.code, 1, "{run:?}");
        for part in run.stderr.trim().split(": ").filter(|part| part.len() > 3) {
            assert_eq!(run.stderr.matches(part).count(), 1, "{part:?}: {run:?}");
        }
    }
}

#[test]
fn the_last_of_two_equal_flags_counts() {
    refused(&["--block-divisor=0", "--block-divisor=many"], "'many'");
    refused(&["--block-divisor=35", "--block-divisor=0"], "--block-divisor is 0");
}

#[test]
fn checks_are_printed_as_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let args = [&LEDGER[..], &["--check"]].concat();
    let run = Agent::new(folder.path(), &args).with_operators_environment().run();
    let line = run.stdout.lines().find(|line| line.contains("data folder")).unwrap_or_default();
    assert!(line.starts_with("ok ") && line.contains("can be written"), "{run:?}");
    run.expect_no_secret();
}

#[test]
fn a_pinner_that_does_not_answer_fails_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let pinner = format!("--ipfs-pinner-server=http://:{PASSWORD}@127.0.0.1:1");
    let args = [&LEDGER[..], &["--check", &pinner]].concat();
    let run = Agent::new(folder.path(), &args).run();
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stdout.contains("\nFAIL     pinner"), "{run:?}");
    run.expect_no_secret();
}

/// The flags of the documented command line. The paths are as an operator's service has them.
fn operators_line(folder: &Path) -> Vec<String> {
    for name in ["bin", "codec"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../../codec/block-ethereum.avsc");
    fs::copy(schema, folder.join("codec/block-ethereum.avsc")).unwrap();
    [
        REDIS,
        "--avro-codec-path=./codec/block-ethereum.avsc",
        "--binary-file-path=./bin/",
        "--block-divisor=35",
        "--proof-chain-address=0x4f2E285227D43D9eB52799D0A28299540452446E",
        "--consumer-timeout=10000000",
        "--log-folder",
        "./logs/",
        "--ipfs-pinner-server",
        "http://127.0.0.1:1/",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[test]
fn the_documented_command_line_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let mut line = operators_line(folder.path());
    line.push("--check".to_owned());
    let args: Vec<&str> = line.iter().map(String::as_str).collect();
    let run = Agent::new(folder.path(), &args).with_operators_environment().run();
    // The table is printed, so every setting was taken; there are no servers to find.
    assert!(run.stdout.contains("FAIL     pinner"), "{run:?}");
    assert_eq!(run.stderr, "");
    run.expect_no_secret();
}
