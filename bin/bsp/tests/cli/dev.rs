//! `bsp dev`.

use crate::{
    fixture::{Scratch, data_folder, make_chain, segment, segments},
    program::{bsp, command},
    redis::free_port,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

/// The files of a folder with their bytes; those of `segments/` under their blocks' names, as
/// proofs differ from run to run.
fn contents(folder: &Path, subfolder: &str) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder.join(subfolder)).unwrap().map(|entry| entry.unwrap());
    files
        .map(|file| {
            let name = file.file_name().into_string().unwrap();
            let name = name.split_once("-0x").map_or(name.as_str(), |(name, _proof)| name);
            (name.to_owned(), fs::read(file.path()).unwrap())
        })
        .collect()
}

/// What `bsp cid` says of a file.
fn named(file: &Path) -> Value {
    bsp([Path::new("cid"), file, Path::new("--json")]).expect(0).json_lines().remove(0)
}

/// The entries of the ledger, oldest first.
fn ledger(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("agent/ledger.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The journal's records, in the order of their blocks.
fn journal(folder: &Path) -> Vec<Value> {
    let agent = folder.join("agent");
    bsp(["journal", "--json", "--data-dir", agent.to_str().unwrap()]).expect(0).json_lines()
}

/// What `bsp pinner ls` says of the agent's pins, by CID.
fn pins(folder: &Path) -> BTreeMap<String, Value> {
    let agent = folder.join("agent");
    let run = bsp(["pinner", "ls", "--json", "--data-dir", agent.to_str().unwrap()]).expect(0);
    run.json_lines().into_iter().map(|pin| (pin["cid"].as_str().unwrap().to_owned(), pin)).collect()
}

#[test]
fn every_block_goes_all_the_way_to_its_proof() {
    let scratch = Scratch::new();
    let folder = scratch.path("data");
    let printed = make_chain(&folder, "3", 5);
    let mut lines = printed.lines();
    assert!(lines.next().unwrap().trim_start().starts_with("block"), "{printed}");
    let (ledger, journal, pins) = (ledger(&folder), journal(&folder), pins(&folder));
    assert_eq!((ledger.len(), journal.len(), pins.len()), (5, 5, 5));
    let mut segments = Vec::new();
    for (number, record) in (1..=5).zip(&journal) {
        let file = segment(&folder, number);
        let named = named(&file);
        let proof = ledger.iter().find(|entry| entry["height"] == number).unwrap();
        let cid = named["cid"].as_str().unwrap();
        assert_eq!(proof["specimen_hash"], named["specimen_hash"]);
        assert_eq!(proof["url"], format!("ipfs://{cid}"));
        assert_eq!(proof["block_hash"], record["block"]["hash"]);
        assert_eq!(record["block"]["number"], number);
        assert_eq!(record["stage"]["stage"], "acknowledged");
        let id = proof["id"].as_str().unwrap();
        assert!(file.to_str().unwrap().ends_with(&format!("-{id}")), "{file:?} {id}");
        assert_eq!(pins[cid]["state"], "confirmed", "{cid}");
        assert_eq!(pins[cid]["name"], format!("1337-{number}-replica"));

        let line: Vec<_> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(line[0], number.to_string());
        assert_eq!(line[4], fs::metadata(&file).unwrap().len().to_string());
        // Whole, so that they can be copied: standard output is no terminal.
        assert_eq!((line[6], line[7]), (cid, id), "{line:?}");
        segments.push(file);
    }
    bsp([PathBuf::from("verify")].iter().chain(&segments)).expect(0);
    assert!(printed.contains("\n5 blocks made, 5 delivered, 5 proved, "), "{printed}");
    assert!(folder.join("genesis.json").is_file());
}

#[test]
fn what_was_re_executed_is_counted_from_the_journal() {
    let scratch = Scratch::new();
    let folder = scratch.path("data");
    let printed = make_chain(&folder, "7", 12);
    let verifications: Vec<_> =
        journal(&folder).iter().map(|record| record["stage"]["verification"].clone()).collect();
    // Those that the format leaves incomplete too.
    assert_eq!(verifications, vec!["executed"; 12]);
    assert!(printed.contains(" 12 re-executed from"), "{printed}");
    let incomplete = contents(&folder, "authorizations").len();
    assert!(incomplete > 0);
    assert!(printed.contains(&format!("\n{incomplete} blocks have EIP-7702")), "{printed}");
}

#[test]
fn the_same_seed_gives_the_same_segments() {
    let scratch = Scratch::new();
    let again = scratch.path("again");
    make_chain(&again, "7", 12);
    for subfolder in ["segments/0", "authorizations"] {
        let (first, again) = (contents(data_folder(), subfolder), contents(&again, subfolder));
        assert!(!first.is_empty());
        assert!(first == again, "{:?}\n{:?}", first.keys(), again.keys());
    }
    assert_eq!(contents(&again, "segments/0").len(), segments().len());
    let genesis = |folder: &Path| fs::read(folder.join("genesis.json")).unwrap();
    assert_eq!(genesis(data_folder()), genesis(&again));
}

#[test]
fn a_folder_is_extended_by_the_same_chain_and_refused_to_another() {
    let scratch = Scratch::new();
    let folder = scratch.path("data");
    make_chain(&folder, "1", 2);
    let before = (ledger(&folder), contents(&folder, "segments/0"), contents(&folder, "replicas"));
    bsp(["dev", "--blocks", "2", "--seed", "2", "--data-dir", folder.to_str().unwrap()])
        .expect_refusal("belongs to another chain");
    let (first, segments, replicas) = before;
    assert!(contents(&folder, "replicas") == replicas);

    let printed = make_chain(&folder, "1", 3);
    assert_eq!(printed.matches("(already proved)").count(), 2, "{printed}");
    let summary = "\n3 blocks made, 1 delivered, 1 proved (2 already proved), ";
    assert!(printed.contains(summary), "{printed}");
    let after = ledger(&folder);
    assert_eq!((after.len(), &after[..2]), (3, &first[..]));
    let extended = contents(&folder, "segments/0");
    assert_eq!(extended.len(), 3);
    assert!(segments.iter().all(|(name, bytes)| extended.get(name) == Some(bytes)));
}

#[test]
fn a_proved_segment_that_was_altered_is_noticed() {
    let scratch = Scratch::new();
    let folder = scratch.path("data");
    make_chain(&folder, "1", 2);
    fs::write(segment(&folder, 2), b"something else").unwrap();
    let data_dir = folder.to_str().unwrap();
    let run = bsp(["dev", "--blocks", "2", "--data-dir", data_dir]).expect(2);
    assert!(run.stderr.contains("1337-2-replica-0x"), "{}", run.stderr);
    assert!(run.stderr.contains("give another --data-dir"), "{}", run.stderr);
}

#[test]
fn no_blocks_are_no_error() {
    let scratch = Scratch::new();
    let printed = make_chain(&scratch.path("data"), "1", 0);
    assert!(printed.contains("\n0 blocks made, 0 delivered, 0 proved, "), "{printed}");
    assert!(contents(&scratch.path("data"), "segments").is_empty());
}

#[test]
fn two_runs_do_not_share_a_folder() {
    let scratch = Scratch::new();
    let folder = scratch.path("data");
    let data_dir = folder.to_str().unwrap();
    let (mut running, _, _) = started(&["dev", "--block-time", "60", "--data-dir", data_dir]);
    bsp(["dev", "--blocks", "1", "--data-dir", data_dir]).expect_refusal("another process");
    running.kill().unwrap();
    running.wait().unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_refused() {
    let scratch = Scratch::new();
    let file = scratch.file("file", b"");
    let inside = file.join("data");
    bsp(["dev", "--blocks", "1", "--data-dir", inside.to_str().unwrap()])
        .expect_refusal("cannot make the data folder");
    bsp(["dev", "--blocks", "1", "--data-dir", file.to_str().unwrap()])
        .expect_refusal("cannot make the data folder");
    assert_eq!(fs::read(file).unwrap(), b"");
}

#[test]
fn a_block_time_that_is_none_is_a_usage_error() {
    for time in ["-1", "NaN", "soon"] {
        let run = bsp(["dev", "--blocks", "1", &format!("--block-time={time}")]).expect(2);
        assert!(run.stderr.contains("--block-time"), "{}", run.stderr);
    }
}

/// Starts `bsp dev` and waits until it has printed a block. Returns it with what it printed so far
/// and what it will.
fn started(args: &[&str]) -> (Child, String, impl Read + use<>) {
    let mut child =
        command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("bsp dev");
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    for _ in ["heading", "block 1"] {
        output.read_line(&mut printed).unwrap();
    }
    (child, printed, output)
}

/// Starts `bsp dev`, sends a signal once it has printed a block, and returns everything that it
/// printed.
#[cfg(unix)]
fn interrupted(signal: &str, args: &[&str]) -> String {
    let (mut child, mut printed, mut output) = started(args);
    let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    output.read_to_string(&mut printed).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{printed}");
    printed
}

/// The number of blocks that the summary names, held against the files.
#[cfg(unix)]
fn counted_blocks(printed: &str, folder: &Path) -> usize {
    let summary = printed.lines().find(|line| line.contains(" made, ")).expect(printed);
    let blocks = summary.split_once(' ').unwrap().0.parse().unwrap();
    assert!(summary.contains(&format!(" {blocks} delivered, {blocks} proved, ")), "{printed}");
    assert_eq!(contents(folder, "segments/0").len(), blocks, "{printed}");
    assert_eq!(ledger(folder).len(), blocks, "{printed}");
    blocks
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_run_with_its_summary() {
    for signal in ["-INT", "-TERM"] {
        let scratch = Scratch::new();
        let folder = scratch.path("data");
        // So many that the run would not end on its own before the signal arrives.
        let args = ["dev", "--blocks", "1000", "--data-dir", folder.to_str().unwrap()];
        let blocks = counted_blocks(&interrupted(signal, &args), &folder);
        assert!((1..1000).contains(&blocks), "{signal}: {blocks} blocks");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupt_does_not_wait_for_the_block_time() {
    let scratch = Scratch::new();
    let folder = scratch.path("data");
    let data_dir = folder.to_str().unwrap();
    let args = ["dev", "--blocks", "2", "--block-time", "60", "--data-dir", data_dir];
    assert_eq!(counted_blocks(&interrupted("-INT", &args), &folder), 1);
}

/// A run that waits for a pinner that is away has something to wait for when it is to end.
#[cfg(unix)]
#[test]
fn an_interrupt_says_what_it_waits_for() {
    let scratch = Scratch::new();
    let pinner = format!("--ipfs-pinner-server=http://127.0.0.1:{}/", free_port());
    let data_dir = format!("--data-dir={}", scratch.path("data").display());
    let mut child = command(["dev", "--blocks=2", &pinner, &data_dir])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut messages = BufReader::new(child.stderr.take().unwrap()).lines();
    let interrupt = |child: &Child| {
        let pid = child.id().to_string();
        assert!(
            std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success()
        );
    };
    let alarm = messages.next().unwrap().unwrap();
    assert!(alarm.starts_with("bsp: alarm: "), "{alarm}");
    interrupt(&child);
    let waits = messages.find(|line| !line.as_ref().unwrap().contains("alarm")).unwrap().unwrap();
    assert!(waits.starts_with("bsp: waiting up to 10 s for "), "{waits}");
    assert!(waits.ends_with(" in flight; another Ctrl-C ends at once"), "{waits}");
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_run_that_was_killed_is_gone_on_with() {
    let scratch = Scratch::new();
    let folder = scratch.path("data");
    let args = ["dev", "--blocks", "1000", "--data-dir", folder.to_str().unwrap()];
    let (mut child, _, _) = started(&args);
    child.kill().unwrap();
    child.wait().unwrap();
    // More than can have been in flight.
    let printed = make_chain(&folder, "1", 20);
    assert!(printed.contains("\n20 blocks made, "), "{printed}");
    let heights: Vec<_> =
        ledger(&folder).iter().map(|entry| entry["height"].as_u64().unwrap()).collect();
    for number in 1..=20 {
        let proofs = heights.iter().filter(|height| **height == number).count();
        assert_eq!(proofs, 1, "block {number}: {heights:?}");
        segment(&folder, number);
    }
}

/// A chain of `blocks` blocks under a fork's rules, with its payloads beside.
fn make_chain_of_fork(root: &Path, fork: &str, blocks: u64) -> (PathBuf, PathBuf) {
    let (data, payloads) = (root.join(fork), root.join(format!("{fork}-payloads")));
    let blocks = blocks.to_string();
    let paths = [data.to_str().unwrap(), payloads.to_str().unwrap()];
    let options = ["dev", "--seed", "3", "--blocks", &blocks, "--fork", fork];
    let folders = ["--data-dir", paths[0], "--payloads", paths[1]];
    bsp(options.iter().chain(&folders)).expect(0);
    (data, payloads)
}

#[test]
fn a_chain_of_an_older_fork_is_proved_and_written_for_other_clients() {
    let scratch = Scratch::new();
    for (fork, method, forks) in [
        ("cancun", "engine_newPayloadV3", [true, false, false]),
        ("prague", "engine_newPayloadV4", [true, true, false]),
        ("osaka", "engine_newPayloadV4", [true, true, true]),
    ] {
        let (data, payloads) = make_chain_of_fork(&scratch.path(fork), fork, 6);
        let journal = journal(&data);
        assert_eq!(journal.len(), 6);
        let genesis = fs::read(payloads.join("genesis.json")).unwrap();
        assert_eq!(genesis, fs::read(data.join("genesis.json")).unwrap());
        let genesis: Value = serde_json::from_slice(&genesis).unwrap();
        let scheduled = ["cancunTime", "pragueTime", "osakaTime"]
            .map(|name| genesis["config"].get(name).is_some_and(Value::is_number));
        assert_eq!(scheduled, forks);
        let text = fs::read_to_string(payloads.join("payloads.jsonl")).unwrap();
        let calls: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(calls.len(), 6);
        for (call, record) in calls.iter().zip(&journal) {
            assert_eq!(call["method"], method);
            assert_eq!(call["hash"], record["block"]["hash"]);
            assert_eq!(call["params"][0]["blockHash"], record["block"]["hash"]);
        }
    }
}

#[test]
fn a_folder_of_another_fork_is_refused() {
    let scratch = Scratch::new();
    let (data, payloads) = make_chain_of_fork(&scratch.path("root"), "prague", 1);
    let other = scratch.path("other");
    for (option, folder) in [("--data-dir", &data), ("--payloads", &payloads)] {
        let data = if option == "--data-dir" { &data } else { &other };
        let arguments = ["dev", "--seed", "3", "--blocks", "1", "--fork", "osaka", "--data-dir"];
        let arguments = arguments.map(PathBuf::from).into_iter().chain([data.clone()]);
        let failed = bsp(arguments.chain(["--payloads".into(), folder.clone()])).expect(2);
        assert!(failed.stderr.contains("another chain"), "{}", failed.stderr);
        assert!(failed.stderr.contains(option), "{}", failed.stderr);
    }
}

/// What is printed is run, as whoever reads it does.
#[cfg(unix)]
#[test]
fn segments_are_served_until_an_interrupt() {
    let scratch = Scratch::new();
    let folder = scratch.path("data");
    let args = ["dev", "--blocks", "3", "--serve", "--data-dir", folder.to_str().unwrap()];
    let mut child =
        command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("bsp dev");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let fetching = lines.find(|line| line.as_ref().unwrap().contains("curl -o")).unwrap().unwrap();
    let url = fetching.split_whitespace().last().unwrap();
    let fetch = async { reqwest::get(url).await?.bytes().await };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let fetched = runtime.block_on(fetch).unwrap();
    assert_eq!(fetched, fs::read(segment(&folder, 3)).unwrap());
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
