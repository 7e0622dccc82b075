//! `bsp journal`, beside a running agent and without one, and what it is made to forget.

use crate::{
    fixture::make_chain,
    program::{Run, bsp},
    redis::free_port,
    status::agent,
};
use alloy_primitives::B256;
use bsp_agent::{
    BlockId,
    alarm::Alarms,
    journal::{BlockRecord, Journal, Stage},
    source::EntryId,
};
use bsp_codec::ReplicaKind;
use std::{fs, path::Path};

fn journal(data_dir: &Path, words: &[&str]) -> Run {
    let mut args = vec!["journal"];
    args.extend(words);
    args.extend(["--data-dir", data_dir.to_str().unwrap()]);
    bsp(args)
}

fn forget(data_dir: &Path, words: &[&str]) -> Run {
    journal(data_dir, &[&["forget"], words].concat())
}

fn heights(data_dir: &Path) -> Vec<u64> {
    let records = journal(data_dir, &["--json"]).expect(0).json_lines();
    records.iter().map(|record| record["block"]["number"].as_u64().unwrap()).collect()
}

#[test]
fn blocks_are_forgotten_by_height_and_by_hash() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("data");
    make_chain(&folder, "5", 4);
    let agent = folder.join("agent");
    let records = journal(&agent, &["--json"]).expect(0).json_lines();
    let hash = records[3]["block"]["hash"].as_str().unwrap().to_owned();

    let run = forget(&agent, &["2", &hash]).expect(0);
    for line in ["forgot 1337-2 0x", "forgot 1337-4 0x", "proved by 0x", "exported again"] {
        assert!(run.text().contains(line), "{line}: {}", run.text());
    }
    assert_eq!(heights(&agent), [1, 3]);
    forget(&agent, &["2"]).expect_refusal("block 2 is not in the journal");
    // What was made for them stays.
    assert_eq!(fs::read_dir(folder.join("segments/0")).unwrap().count(), 4);
    // The next run delivers them again.
    make_chain(&folder, "5", 4);
    assert_eq!(heights(&agent), [1, 2, 3, 4]);
}

#[test]
fn nothing_is_forgotten_unless_all_can_be() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("data");
    make_chain(&folder, "5", 2);
    let agent = folder.join("agent");
    put_in_work(&agent, 7);

    forget(&agent, &["1", "99"]).expect_refusal("block 99 is not in the journal");
    forget(&agent, &["1", "7"]).expect_refusal("is in flight (received)");
    assert_eq!(heights(&agent), [1, 2, 7]);
    let run = forget(&agent, &["1", "7", "--force"]).expect(0);
    assert!(run.text().contains("which was in flight: received"), "{}", run.text());
    assert_eq!(heights(&agent), [2]);

    for wrong in ["latest", "0x12", "-1"] {
        let run = forget(&agent, &[wrong]).expect(2);
        assert!(run.stderr.contains(wrong), "{}", run.stderr);
    }
    assert!(forget(&agent, &[]).expect(2).stderr.contains("BLOCK|HASH"));
    forget(&agent.join("no"), &["1"]).expect_refusal("--data-dir");
}

fn put_in_work(data_dir: &Path, number: u64) {
    let block = BlockId { network_id: 1337, number, hash: B256::repeat_byte(7) };
    let entries = vec![EntryId("1-0".to_owned())];
    let record = BlockRecord::new(block, ReplicaKind::Replica, entries, Stage::Received);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let journal = Journal::open(&data_dir.join("journal.redb"), Alarms::default()).unwrap();
    runtime.block_on(journal.put(record.key().unwrap(), &record)).unwrap();
}

/// The one data folder is right, so another one is no advice.
#[test]
fn beside_a_running_agent_it_says_that_it_has_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.redb");
    let _agent = Journal::open(&path, Alarms::default()).unwrap();
    for words in [&[][..], &["--unfinished"], &["forget", "1"]] {
        let run = journal(folder.path(), words).expect(2);
        assert!(run.stderr.contains("stop the agent first"), "{}", run.stderr);
        assert!(!run.stderr.contains("give this one its own"), "{}", run.stderr);
    }
}

#[test]
fn one_block_is_looked_up() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("data");
    make_chain(&folder, "5", 3);
    let agent = folder.join("agent");
    let run = journal(&agent, &["--block", "2"]).expect(0);
    assert!(run.text().starts_with("acknowledged    1337-2 0x"), "{}", run.text());
    assert_eq!(run.text().lines().count(), 1);
    let run = journal(&agent, &["--block", "2", "9"]).expect(1);
    assert_eq!(run.text().lines().count(), 1);
    assert_eq!(run.stderr, "bsp: not in the journal: block 9\n");
    assert_eq!(journal(&agent, &["--block", "1", "--json"]).expect(0).json_lines().len(), 1);
    assert_eq!(journal(&agent, &["--block", "1", "--unfinished"]).expect(0).text(), "");
}

/// A running agent has its journal to itself, and answers for it.
#[test]
fn beside_a_running_agent_it_is_asked_about_a_block() {
    let hash = B256::repeat_byte(7);
    let record = format!(
        r#"[{{"block":{{"network_id":1,"number":7,"hash":"{hash}"}},"kind":"block-replica",
            "stage":{{"stage":"skipped","reason":"closed \u001b","acknowledged":true}}}}]"#
    );
    let asked = |words: &[&str], answer: String| {
        let url = agent(answer.leak());
        let mut args = vec!["journal", "--agent-url", &url, "--block"];
        args.extend(words);
        bsp(args)
    };
    let run = asked(&["7"], record.clone()).expect(0);
    assert_eq!(run.text(), format!("skipped         1-7 {hash} block-replica closed \u{fffd}\n"));
    let run = asked(&["7", "--json"], record.clone()).expect(0);
    assert_eq!(run.json_lines()[0]["stage"]["stage"], "skipped");
    assert_eq!(asked(&["7", "--unfinished"], record).expect(0).text(), "");
    assert!(asked(&["8"], "[]".to_owned()).expect(1).stderr.contains("block 8"));
    asked(&["8"], "{}".to_owned()).expect_refusal("is it an older one?");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    bsp(["journal", "--agent-url", &nobody, "--block", "1"]).expect_refusal("does not answer");
}
