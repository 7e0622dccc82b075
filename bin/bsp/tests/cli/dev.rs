//! `bsp dev`.

use crate::{
    fixture::{Scratch, data_folder, make_chain, segments},
    program::{bsp, command},
};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::Stdio,
};

/// Every file under a folder with its bytes.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(open) = folders.pop() {
        for entry in fs::read_dir(open).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

#[test]
fn every_block_leaves_a_segment_and_a_line() {
    let scratch = Scratch::new();
    let printed = make_chain(&scratch.path("data"), "3", 5);
    let mut lines = printed.lines();
    assert!(lines.next().unwrap().trim_start().starts_with("block"), "{printed}");
    for number in 1..=5 {
        let line: Vec<_> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(line[0], number.to_string());
        let file = scratch.path(&format!("data/segments/1337-{number}-replica.avro"));
        let named = bsp(["cid", file.to_str().unwrap(), "--json"]).expect(0).json_lines();
        assert_eq!(line[1], named[0]["specimen_hash"]);
        assert_eq!(line[7], named[0]["cid"]);
        assert_eq!(line[5], fs::metadata(file).unwrap().len().to_string());
    }
    assert!(printed.contains("\n5 blocks, "), "{printed}");
    assert!(scratch.path("data/genesis.json").is_file());
}

#[test]
fn the_same_seed_gives_the_same_files() {
    let scratch = Scratch::new();
    make_chain(&scratch.path("again"), "7", 12);
    let (first, again) = (contents(data_folder()), contents(&scratch.path("again")));
    assert!(first.len() > segments().len());
    assert!(first == again, "{:?}\n{:?}", first.keys(), again.keys());
}

#[test]
fn a_folder_is_extended_by_the_same_chain_and_refused_to_another() {
    let scratch = Scratch::new();
    let folder = scratch.path("data");
    make_chain(&folder, "1", 2);
    let before = contents(&folder);
    bsp(["dev", "--blocks", "2", "--seed", "2", "--data-dir", folder.to_str().unwrap()])
        .expect_refusal("belongs to another chain");
    assert!(contents(&folder) == before);
    make_chain(&folder, "1", 3);
    let after = contents(&folder);
    assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)));
    assert!(after.contains_key("segments/1337-3-replica.avro"));
}

#[test]
fn no_blocks_are_no_error() {
    let scratch = Scratch::new();
    let printed = make_chain(&scratch.path("data"), "1", 0);
    assert!(printed.contains("\n0 blocks, 0 transactions"), "{printed}");
    assert!(!printed.contains("re-executed"), "{printed}");
    assert_eq!(contents(&scratch.path("data")).len(), 1, "genesis.json");
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

/// Starts `bsp dev`, sends a signal once it has printed a block, and returns everything that it printed.
#[cfg(unix)]
fn interrupted(signal: &str, args: &[&str]) -> String {
    let mut child =
        command(args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("bsp dev");
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut printed = String::new();
    for _ in ["heading", "block 1"] {
        output.read_line(&mut printed).unwrap();
    }
    let kill = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    output.read_to_string(&mut printed).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{printed}");
    printed
}

/// The number of blocks that the summary names, held against the files.
#[cfg(unix)]
fn counted_blocks(printed: &str, folder: &Path) -> usize {
    let summary = printed.lines().find(|line| line.contains(" blocks, ")).expect(printed);
    let blocks = summary.split_once(' ').unwrap().0.parse().unwrap();
    assert_eq!(fs::read_dir(folder.join("segments")).unwrap().count(), blocks, "{printed}");
    blocks
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_run_with_its_summary() {
    for signal in ["-INT", "-TERM"] {
        let scratch = Scratch::new();
        let folder = scratch.path("data");
        // So many that the run would not end by itself before the signal arrives.
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
