//! `bsp status`, with and without an agent.

use crate::{
    program::{Run, bsp, command},
    redis::{RedisServer, free_port},
};
use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

/// An agent that answers one request with this body.
pub(crate) fn agent(body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let _ = client.read(&mut [0; 4096]).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        client.write_all(head.as_bytes()).unwrap();
        client.write_all(body.as_bytes()).unwrap();
    });
    url
}

#[test]
fn the_stream_and_the_agent_are_on_one_screen() {
    let Some(server) = RedisServer::start() else { return };
    let mut redis = server.connection();
    for _ in 0..3 {
        redis::cmd("XADD").arg("t").arg("*").arg("hash").arg("x").exec(&mut redis).unwrap();
    }
    let words = ["GROUP", "g", "one", "COUNT", "2", "STREAMS", "t", ">"];
    redis::cmd("XGROUP").arg(&["CREATE", "t", "g", "0"]).exec(&mut redis).unwrap();
    redis::cmd("XREADGROUP").arg(&words).exec(&mut redis).unwrap();
    let url = server.url("t") + "#g";
    let agent = agent(r#"{"stages": {"pinned": 2}, "alarms": {}, "prover": "ledger /l"}"#);

    let run = bsp(["status", "--redis-url", &url, "--agent-url", &agent]).expect(0);
    for line in [
        "entries       3",
        "dead letters  0",
        "to deliver  1",
        "pending     2",
        "consumer one: 2 pending",
        "in flight     2 pinned",
        "alarms        none",
        "prover        ledger /l",
    ] {
        assert!(run.text().contains(line), "{line}:\n{}", run.text());
    }

    let nobody = format!("http://127.0.0.1:{}", free_port());
    let run = bsp(["status", "--redis-url", &url, "--agent-url", &nobody]).expect(2);
    assert!(run.text().starts_with("stream "), "{}", run.text());
    let told = format!("bsp: the agent at {nobody} does not answer: Connection refused");
    assert!(run.stderr.starts_with(&told), "{}", run.stderr);
    let run = bsp(["status", "--json", "--redis-url", &url, "--agent-url", &nobody]).expect(2);
    assert_eq!(run.json_lines()[0]["stream"]["groups"][0]["pending"], 2);
    assert!(
        run.json_lines()[0]["agent"].is_null() && run.json_lines()[0]["agent_error"].is_string()
    );
}

/// A stream is not all there is: an agent may read files, and Redis may be away.
#[test]
fn without_a_stream_the_agent_is_asked() {
    let ask = |body: &'static str, words: &[&str]| -> Run {
        let agent = agent(body);
        let mut command = command(["status", "--agent-url", &agent]);
        command.args(words).env_remove("RedisURL").output().unwrap().into()
    };
    let well =
        r#"{"version": "0.1.0", "uptime_seconds": 61, "backlog": {"length": 3}, "alarms": {}}"#;
    let run = ask(well, &[]).expect(0);
    for line in ["version       0.1.0, up for 1 min 1 s\n", "backlog       3 entries\n"] {
        assert!(run.text().contains(line), "{line}:\n{}", run.text());
    }
    let ill = r#"{"alarms": {"balance": {"message": "no funds", "since_ms": 1}}}"#;
    let run = ask(ill, &[]).expect(1);
    assert!(run.text().contains("      no funds\n"), "{}", run.text());
    let run = ask(ill, &["--json"]).expect(1);
    assert!(run.json_lines()[0]["stream"].is_null());
    ask("nonsense", &[]).expect_refusal("its answer is no JSON");
}

#[test]
fn a_stream_that_is_not_there_is_told_from_a_server_that_is_not() {
    let nobody = format!("redis://:secret@127.0.0.1:{}?topic=t", free_port());
    let run = bsp(["status", "--redis-url", &nobody]).expect(2);
    assert!(run.stderr.contains("does not answer"), "{}", run.stderr);
    assert!(!run.stderr.contains("secret"), "{}", run.stderr);
    let Some(server) = RedisServer::start() else { return };
    let run = bsp(["status", "--redis-url", &server.url("absent")]).expect(2);
    assert!(run.stderr.contains("no such stream"), "{}", run.stderr);
    let run = bsp(["status", "--redis-url", "redis://localhost"]).expect(2);
    assert!(run.stderr.contains("?topic="), "{}", run.stderr);
}

#[test]
fn entries_that_no_group_will_read_are_told() {
    let Some(server) = RedisServer::start() else { return };
    let mut redis = server.connection();
    for _ in 0..3 {
        redis::cmd("XADD").arg("t").arg("*").arg("hash").arg("x").exec(&mut redis).unwrap();
    }
    redis::cmd("XGROUP").arg(&["CREATE", "t", "g", "$"]).exec(&mut redis).unwrap();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let url = server.url("t") + "#g";
    let run = bsp(["status", "--redis-url", &url, "--agent-url", &nobody]).expect(2);
    assert!(run.text().contains("WARNING") && run.text().contains("no group will read"));
    assert!(run.text().contains("XGROUP SETID") && run.text().contains("XTRIM"), "{}", run.text());
    redis::cmd("XGROUP").arg(&["SETID", "t", "g", "0"]).exec(&mut redis).unwrap();
    let run = bsp(["status", "--redis-url", &url, "--agent-url", &nobody]).expect(2);
    assert!(!run.text().contains("WARNING"), "{}", run.text());
}
