//! `bsp pinner`, on the store of a folder.

use crate::{
    fixture::{Scratch, data_folder, make_chain, segment},
    program::{Run, bsp},
};
use std::{fs, path::Path};

/// A command on the store of a data folder.
fn pinner(data_dir: &Path, words: &[&str]) -> Run {
    let data_dir = data_dir.to_str().unwrap();
    bsp([&["pinner"], words, &["--data-dir", data_dir]].concat())
}

fn cid_of(file: &Path) -> String {
    let run = bsp([Path::new("cid"), file, Path::new("--json")]).expect(0);
    run.json_lines().remove(0)["cid"].as_str().unwrap().to_owned()
}

#[test]
fn files_are_pinned_listed_exported_and_unpinned() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.path("one"), scratch.path("two"));
    fs::create_dir(&one).unwrap();
    fs::create_dir(&two).unwrap();
    let small = segment(data_folder(), 1);
    let large = scratch.file("large", &[7; 700_000]);
    let words = ["pin", small.to_str().unwrap(), large.to_str().unwrap()];
    let printed = pinner(&one, &words).expect(0);
    let cids = [cid_of(&small), cid_of(&large)];
    for cid in &cids {
        assert!(printed.text().contains(cid), "{}", printed.text());
    }
    let listed = pinner(&one, &["ls", "--json"]).expect(0).json_lines();
    assert_eq!(listed.len(), 2);
    let named = listed.iter().find(|pin| pin["cid"] == *cids[1]).unwrap();
    assert_eq!((&named["name"], &named["state"]), (&"large".into(), &"unconfirmed".into()));
    assert!(
        pinner(&one, &["fsck"])
            .expect(0)
            .text()
            .starts_with("2 pins, 0 not whole; 4 blocks read, 0 damaged")
    );

    let car = scratch.path("large.car");
    let output = format!("--output={}", car.display());
    pinner(&one, &["export", &cids[1], &output]).expect(0);
    let printed = pinner(&two, &["import", car.to_str().unwrap()]).expect(0);
    assert!(printed.text().starts_with(&cids[1]), "{}", printed.text());
    assert!(pinner(&two, &["fsck"]).expect(0).text().starts_with("1 pin, 0 not whole; "));
    let again = scratch.path("again.car");
    pinner(&two, &["export", &cids[1], &format!("--output={}", again.display())]).expect(0);
    assert!(fs::read(&again).unwrap() == fs::read(&car).unwrap());

    pinner(&two, &["unpin", &cids[1]]).expect(0);
    let run = pinner(&two, &["unpin", &cids[1]]).expect(1);
    assert!(run.stderr.contains("is not pinned"), "{}", run.stderr);
    assert!(pinner(&two, &["ls"]).expect(0).text().is_empty());
    pinner(&two, &["export", &cids[1]]).expect_refusal("is not pinned");
}

#[test]
fn a_store_that_an_agent_has_is_asked_for_there() {
    let scratch = Scratch::new();
    let folder = scratch.path("data");
    make_chain(&folder, "1", 1);
    let agent = folder.join("agent");
    let options = bsp_pinner::store::StoreOptions::default();
    let _agent = bsp_pinner::store::Store::open(&agent.join("pins"), options).unwrap();
    pinner(&agent, &["fsck"]).expect_refusal("in use by an agent");
    let nobody = ["ls", "--url", "http://127.0.0.1:1"];
    pinner(&agent, &nobody).expect_refusal("nobody answers at http://127.0.0.1:1");
}

#[test]
fn a_folder_of_no_agent_is_refused() {
    let scratch = Scratch::new();
    pinner(&scratch.path("none"), &["ls"]).expect_refusal("name an agent's --data-dir");
}
