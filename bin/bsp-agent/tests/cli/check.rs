//! `--check` fails where a start would, and asks services on this host directly.

use crate::program::{Agent, CONTRACT, KEY, PASSWORD, Run};
use bsp_agent::{alarm::Alarms, journal::Journal};
use std::{
    fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    thread,
};

const LEDGER: [&str; 2] = ["--redis-url=redis://127.0.0.1:1/0?topic=t", "--proof=ledger"];

fn check(folder: &Path, args: &[&str]) -> Run {
    Agent::new(folder, &[&LEDGER[..], &["--check"], args].concat()).run()
}

#[track_caller]
fn expect_row(run: &Run, verdict: &str, name: &str, said: &str) {
    let is_it = |line: &&str| {
        let mut words = line.splitn(2, ' ');
        words.next() == Some(verdict)
            && words.next().is_some_and(|rest| rest.trim_start().starts_with(name))
    };
    let row = run.stdout.lines().find(is_it).unwrap_or_else(|| panic!("{verdict} {name}: {run:?}"));
    assert!(row.contains(said), "{said}: {row}");
}

#[test]
fn a_port_that_is_taken_fails_it() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("--metrics.port={}", listener.local_addr().unwrap().port());
    let run = check(folder.path(), &[&port]);
    assert_eq!(run.code, 1, "{run:?}");
    expect_row(&run, "FAIL", "metrics", "is in use");
    drop(listener);
    expect_row(&check(folder.path(), &[&port]), "ok", "metrics", "can be listened on");
}

/// As in `bsp-agent … --check | head`.
#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("--source=file://{}", folder.path().display());
    let mut agent = Agent::new(folder.path(), &[&source, "--proof=ledger", "--check"]);
    agent.command.stdout(io::pipe().unwrap().1);
    let run = agent.run();
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
}

#[test]
fn a_data_folder_that_cant_be_used_fails_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let argument = format!("--data-dir={}", data.display());
    let journal = data.join("journal.redb");
    expect_row(&check(folder.path(), &[&argument]), "ok", "journal", "none yet");
    assert!(!journal.exists(), "a check makes no journal");

    let running = Journal::open(&journal, Alarms::default()).unwrap();
    let run = check(folder.path(), &[&argument]);
    assert_eq!(run.code, 1, "{run:?}");
    expect_row(&run, "FAIL", "journal", "in use by a running agent");
    drop(running);
    expect_row(&check(folder.path(), &[&argument]), "ok", "journal", "0 blocks unfinished");

    fs::write(data.join("ledger.jsonl"), "no ledger\n").unwrap();
    expect_row(&check(folder.path(), &[&argument]), "FAIL", "journal", "line 1 of the ledger");
    fs::remove_file(data.join("ledger.jsonl")).unwrap();
    fs::write(&journal, vec![7; 20_000]).unwrap();
    expect_row(&check(folder.path(), &[&argument]), "FAIL", "journal", "is damaged");
}

/// What a start opens besides: a start that fails for it fails the check too.
#[test]
fn whatever_a_start_opens_is_checked() {
    for place in ["unselected", "segments", "pins"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bsp-agent-data").join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "a file in the place of a folder").unwrap();
        let run = check(folder.path(), &[]);
        assert_eq!(run.code, 1, "{place}: {run:?}");
        expect_row(&run, "FAIL", "data", "is no folder");
        if !place.contains('/') {
            let start = Agent::new(folder.path(), &LEDGER).run();
            assert_eq!(start.code, 1, "{place}: {start:?}");
            assert!(start.stderr.contains(place), "{place}: {start:?}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("logs/log.log")).unwrap();
    let run = check(folder.path(), &[]);
    assert_eq!(run.code, 1, "{run:?}");
    expect_row(&run, "FAIL", "log file", "log.log can't be written");
    let start = Agent::new(folder.path(), &LEDGER).run();
    assert!(start.code == 1 && start.stderr.contains("log.log"), "{start:?}");
}

#[test]
fn a_genesis_file_that_cant_be_used_fails_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("genesis.json");
    let genesis = |id: u64| {
        format!(
            r#"{{"config": {{"chainId": {id}}}, "difficulty": "0x0", "gasLimit": "0x1", "alloc": {{}}}}"#
        )
    };
    let check = || check(folder.path(), &["--genesis=./genesis.json"]);
    fs::write(&path, genesis((1 << 31) - 1)).unwrap();
    expect_row(&check(), "ok", "genesis", "is of chain 2147483647");
    fs::write(&path, genesis(1 << 31)).unwrap();
    let run = check();
    assert_eq!(run.code, 1, "{run:?}");
    expect_row(&run, "FAIL", "genesis", "chain id 2147483648 can't be carried");
    fs::write(&path, "{}").unwrap();
    expect_row(&check(), "FAIL", "genesis", "--genesis ./genesis.json: it has no `config`");
}

#[test]
fn a_chain_whose_id_cant_be_carried_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let genesis = r#"{"config": {"chainId": 3503995874084926}, "difficulty": "0x0", "gasLimit": "0x1", "alloc": {}}"#;
    fs::write(folder.path().join("genesis.json"), genesis).unwrap();
    let run =
        Agent::new(folder.path(), &[&LEDGER[..], &["--genesis=./genesis.json"]].concat()).run();
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("chain id 3503995874084926 can't be carried"), "{run:?}");
}

/// An RPC at this host, of a chain without a contract.
fn rpc() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/{PASSWORD}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap());
        }
    });
    url
}

fn answer(mut stream: TcpStream) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        request.push(byte[0]);
    }
    let head = String::from_utf8(request).unwrap().to_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let block = format!(r#"{{"number": "0x7", "hash": "0x{}"}}"#, "11".repeat(32));
    let result = match body.contains("eth_getBlockByNumber") {
        true => block.as_str(),
        false if body.contains("eth_getCode") => "\"0x\"",
        false => "\"0x504\"",
    };
    // As some providers write the id.
    let answer = format!(r#"{{"jsonrpc": "2.0", "id": "0", "result": {result}}}"#);
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
    stream.write_all((head + &answer).as_bytes()).unwrap();
}

fn chain_check(rpc: &str, variable: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let args = [LEDGER[0], "--check", "--proof-chain-address", CONTRACT];
    Agent::new(folder.path(), &args)
        .env("MB_RPC_URL", rpc)
        .env("MB_PRIVATE_KEY", KEY)
        .env(variable, &format!("http://user:{PASSWORD}@127.0.0.1:1"))
        .run()
}

/// As in Go's net/http, so in bsp-agent v1.9.2.
#[test]
fn proxy_variables_do_not_catch_this_host() {
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let run = chain_check(&rpc(), variable);
        expect_row(&run, "ok", "proof chain RPC", "has chain id 1284, at block 7");
        run.expect_no_secret();
    }
}

#[test]
fn an_error_names_the_proxy_that_stands_between() {
    let run = chain_check(&format!("http://rpc.example/{PASSWORD}"), "HTTP_PROXY");
    let said = "http://rpc.example can't be used: ";
    expect_row(&run, "FAIL", "proof chain RPC", said);
    expect_row(&run, "FAIL", "proof chain RPC", "through the proxy http://127.0.0.1:1 ");
    run.expect_no_secret();
}
