//! `bsp dead`, on a folder and on a stream.

use crate::{program::bsp, redis::RedisServer};
use std::{fs, path::Path};

fn folder_with_letters() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let dead = folder.path().join("dead");
    fs::create_dir(&dead).unwrap();
    let letter = r#"{"entry": "chunk.rlp:7", "hash": "0xaa", "reason": "not \u001b[2Jsnappy"}"#;
    fs::write(dead.join("chunk.rlp_7.json"), letter).unwrap();
    fs::write(dead.join("chunk.rlp_7.bin"), b"\x00payload").unwrap();
    folder
}

fn dead(folder: &Path, words: &[&str]) -> crate::program::Run {
    let mut args = vec!["dead"];
    args.extend(words);
    args.extend(["--data-dir", folder.to_str().unwrap()]);
    bsp(args)
}

#[test]
fn the_letters_of_a_folder_are_listed_shown_and_deleted() {
    let folder = folder_with_letters();
    let list = dead(folder.path(), &["list"]).expect(0);
    assert!(list.text().contains("chunk.rlp_7") && list.text().ends_with("\n1 dead letter\n"));
    assert!(!list.text().contains('\u{1b}'));
    let show = dead(folder.path(), &["show", "chunk.rlp_7", "--json"]).expect(0);
    assert_eq!(show.json_lines()[0]["entry"], "chunk.rlp:7");
    assert_eq!(show.json_lines()[0]["bytes"], 8);
    let payload = dead(folder.path(), &["show", "chunk.rlp_7", "-o", "-"]).expect(0);
    assert_eq!(payload.stdout, b"\x00payload");
    assert!(dead(folder.path(), &["retry", "--all"]).expect(2).stderr.contains("bsp dead show"));
    dead(folder.path(), &["drop", "chunk.rlp_7"]).expect(0);
    assert_eq!(fs::read_dir(folder.path().join("dead")).unwrap().count(), 0);
    assert_eq!(dead(folder.path(), &["list"]).expect(0).text(), "0 dead letters\n");
}

#[test]
fn no_id_leads_out_of_the_folder() {
    let folder = folder_with_letters();
    fs::write(folder.path().join("other.json"), "{}").unwrap();
    for id in ["../other", "/etc/passwd", "absent", ""] {
        for command in ["show", "drop"] {
            let run = dead(folder.path(), &[command, id]).expect(2);
            assert!(run.stderr.contains("no dead letter"), "{}", run.stderr);
        }
    }
    assert!(folder.path().join("other.json").exists());
}

#[test]
fn a_place_must_be_named() {
    let mut command = crate::program::command(["dead", "list"]);
    let run = crate::program::Run::from(command.env_remove("RedisURL").output().unwrap());
    assert!(run.expect(2).stderr.contains("--redis-url"));
    let missing = dead(Path::new("/nonexistent"), &["list"]).expect(2);
    assert!(missing.stderr.contains("--data-dir"), "{}", missing.stderr);
}

#[test]
fn the_letters_of_a_stream_go_back_or_away() {
    let Some(server) = RedisServer::start() else { return };
    let mut redis = server.connection();
    let bury = |redis: &mut redis::Connection, reason: &str| -> String {
        let mut command = redis::cmd("XADD");
        command.arg("t.dead").arg("*").arg("id").arg("5-0").arg("hash").arg("0xaa");
        command.arg("data").arg(&b"\x00d"[..]).arg("reason").arg(reason).query(redis).unwrap()
    };
    let (first, second) = (bury(&mut redis, "one"), bury(&mut redis, "two"));
    let url = server.url("t");
    let dead = |words: &[&str]| {
        let mut args = vec!["dead"];
        args.extend(words);
        args.extend(["--redis-url", &url]);
        bsp(args)
    };
    let list = dead(&["list", "--json"]).expect(0).json_lines();
    assert_eq!((&list[0]["reason"], &list[1]["id"]), (&"one".into(), &second.as_str().into()));
    dead(&["retry", &first]).expect(0);
    let entries: redis::streams::StreamRangeReply =
        redis::cmd("XRANGE").arg("t").arg("-").arg("+").query(&mut redis).unwrap();
    assert_eq!(entries.ids.len(), 1);
    assert_eq!(entries.ids[0].get::<Vec<u8>>("data").unwrap(), b"\x00d");
    dead(&["drop", "--all"]).expect(0);
    assert_eq!(dead(&["list"]).expect(0).text(), "0 dead letters\n");
}

#[test]
fn what_redis_could_not_take_is_seen_with_the_rest_and_goes_back() {
    let Some(server) = RedisServer::start() else { return };
    let mut redis = server.connection();
    let folder = folder_with_letters();
    let name = folder.path().join("dead/t_5-0");
    let letter =
        r#"{"entry": "5-0", "hash": "0xbb", "reason": "full", "topic": "t", "group": "g"}"#;
    fs::write(name.with_extension("json"), letter).unwrap();
    fs::write(name.with_extension("bin"), b"\x00d").unwrap();
    let mut command = redis::cmd("XADD");
    command.arg("t.dead").arg("*").arg("id").arg("6-0").arg("reason").arg("in the stream");
    let in_stream: String = command.query(&mut redis).unwrap();

    let dead = |words: &[&str], topic: &str| {
        let url = server.url(topic);
        let mut args = vec!["dead"];
        args.extend(words);
        args.extend(["--redis-url", &url, "--data-dir", folder.path().to_str().unwrap()]);
        bsp(args)
    };
    let list = dead(&["list", "--json"], "t").expect(0).json_lines();
    let ids: Vec<_> = list.iter().map(|letter| letter["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["chunk.rlp_7", "t_5-0", &in_stream]);
    assert_eq!((&list[1]["group"], &list[1]["bytes"]), (&"g".into(), &2.into()));
    assert!(dead(&["show", &in_stream], "t").expect(0).text().contains("in the stream"));

    let other = dead(&["retry", "t_5-0"], "u").expect(2);
    assert!(other.stderr.contains("of the stream t"), "{}", other.stderr);
    dead(&["retry", "t_5-0"], "t").expect(0);
    let entries: redis::streams::StreamRangeReply =
        redis::cmd("XRANGE").arg("t").arg("-").arg("+").query(&mut redis).unwrap();
    assert_eq!(entries.ids.len(), 1);
    assert_eq!(entries.ids[0].get::<Vec<u8>>("data").unwrap(), b"\x00d");
    assert!(!name.with_extension("json").exists() && !name.with_extension("bin").exists());
    dead(&["drop", "--all"], "t").expect(0);
    assert_eq!(dead(&["list"], "t").expect(0).text(), "0 dead letters\n");
}

#[test]
fn what_is_in_the_folder_is_listed_when_redis_does_not_answer() {
    let folder = folder_with_letters();
    let nobody = format!("redis://127.0.0.1:{}?topic=t", crate::redis::free_port());
    let args = ["dead", "list", "--redis-url", &nobody, "--data-dir"];
    let run = bsp(args.into_iter().chain([folder.path().to_str().unwrap()])).expect(2);
    assert!(run.text().contains("chunk.rlp_7"), "{}", run.text());
    assert!(run.stderr.contains("does not answer"), "{}", run.stderr);
}
