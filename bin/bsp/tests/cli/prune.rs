//! `bsp prune`, beside a running agent and without one.

use crate::{
    fixture::{make_chain, segment},
    program::{Run, bsp},
};
use bsp_agent::{alarm::Alarms, journal::Journal};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A chain of four blocks, of which all but the last were written 40 days ago.
struct Scene {
    scratch: TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { scratch: tempfile::tempdir().unwrap() };
        make_chain(&scene.folder(), "5", 4);
        for number in 1..=3 {
            let file = File::options().write(true).open(scene.segment(number)).unwrap();
            file.set_modified(SystemTime::now() - 40 * DAY).unwrap();
        }
        scene
    }

    fn folder(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    fn agent(&self) -> PathBuf {
        self.folder().join("agent")
    }

    fn segment(&self, number: u64) -> PathBuf {
        segment(&self.folder(), number)
    }

    /// Heights whose files are there.
    fn kept(&self) -> Vec<u64> {
        let files = fs::read_dir(self.folder().join("segments/0")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut kept: Vec<_> =
            names.map(|name| name.split('-').nth(1).unwrap().parse().unwrap()).collect();
        kept.sort_unstable();
        kept
    }

    fn prune(&self, words: &[&str]) -> Run {
        let (agent, segments) = (self.agent(), self.folder().join("segments"));
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let mut args = vec!["prune".to_owned(), "--data-dir".to_owned(), path(&agent)];
        args.extend(["--binary-file-path".to_owned(), path(&segments)]);
        args.extend(words.iter().map(|word| (*word).to_owned()));
        bsp(args)
    }
}

#[test]
fn only_old_files_that_are_pinned_go() {
    let scene = Scene::new();
    let run = scene.prune(&["--keep-days", "30", "--dry-run"]).expect(0);
    assert!(run.text().starts_with("3 files of 0 MiB would be removed"), "{}", run.text());
    assert_eq!(scene.kept(), [1, 2, 3, 4]);

    // What others would fetch of block 2 is gone.
    let cid = bsp(["cid".into(), scene.segment(2)]).expect(0).text().to_owned();
    let cid = cid.split_whitespace().find(|word| word.starts_with("baf")).unwrap().to_owned();
    bsp(["pinner", "unpin", &cid, "--data-dir", scene.agent().to_str().unwrap()]).expect(0);
    let run = scene.prune(&["--keep-days", "30"]).expect(1);
    assert!(run.text().contains("2 files of 0 MiB removed\n1 file stays: "), "{}", run.text());
    assert_eq!(scene.kept(), [2, 4]);
}

#[test]
fn beside_a_running_agent_it_goes_by_what_that_has_written() {
    let scene = Scene::new();
    let journal = Journal::open(&scene.agent().join("journal.redb"), Alarms::default()).unwrap();
    let told = scene.agent().join("unfinished.json");
    // The agent of the chain has written this when it started.
    let text = fs::read_to_string(&told).unwrap();
    let mut unfinished: serde_json::Value = serde_json::from_str(&text).unwrap();
    unfinished["segments"] = ["1337-2-replica"].as_slice().into();
    fs::write(&told, unfinished.to_string()).unwrap();
    let run = scene.prune(&["--keep-days", "30"]).expect(0);
    assert!(run.text().contains("1 file stays: its block is not finished"), "{}", run.text());
    assert_eq!(scene.kept(), [2, 4]);

    unfinished["time_ms"] = 1.into();
    fs::write(&told, unfinished.to_string()).unwrap();
    for old in [true, false] {
        if !old {
            fs::remove_file(&told).unwrap();
        }
        scene.prune(&["--keep-days", "30"]).expect_refusal("which blocks are not finished");
    }
    assert_eq!(scene.kept(), [2, 4]);
    drop(journal);
    scene.prune(&["--keep-days", "30"]).expect(0);
    assert_eq!(scene.kept(), [4]);
}

#[test]
fn a_folder_of_no_agent_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().to_str().unwrap();
    bsp(["prune", "--keep-days", "1", "--data-dir", folder]).expect_refusal("name an agent's");
    let run = bsp(["prune", "--keep-days", "0", "--data-dir", folder]).expect(2);
    assert!(run.stderr.contains("--keep-days"), "{}", run.stderr);
}
