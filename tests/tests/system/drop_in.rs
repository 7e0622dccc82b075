//! The operators' documented command line, unchanged: it starts and does its work.

use crate::run::DEADLINE;
use bsp_tests::{
    agent::{AgentCommand, Shipped},
    audit::{AgentFolders, Audit, Expect, Pins, ProofBook, StreamName},
    contract::ProofContract,
    messages::{
        Message,
        dev::{DevBlocks, write_genesis},
    },
    servers::{
        anvil::{Anvil, Mining, OPERATOR},
        pinner::StandInPinner,
        program::{Program, all_there},
        redis::RedisServer,
    },
    wait::wait_for,
};
use rustix::process::Signal;
use std::{collections::HashMap, fs, path::Path, sync::Arc, time::Duration};

const DIVISOR: u64 = 35;

#[tokio::test]
async fn the_documented_command_line_does_its_work() {
    if !all_there(&[Program::Redis, Program::Anvil]) {
        return;
    }
    let redis = RedisServer::start_with_password(Some("s3cret")).await.unwrap();
    let anvil = Anvil::start(Mining::OnDemand).await.unwrap();
    let contract = ProofContract::deploy(anvil.rpc()).await.unwrap();
    contract.accept_network(bsp_capture::DEV_CHAIN_ID).await.unwrap();
    let _miner = anvil.keep_mining(Duration::from_millis(300));
    let pinner = Arc::new(StandInPinner::start().await.unwrap());

    let folder = tempfile::tempdir().unwrap();
    let segments = folder.path().join("bin/block-ethereum");
    fs::create_dir_all(&segments).unwrap();
    fs::create_dir_all(folder.path().join("codec")).unwrap();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../codec/block-ethereum.avsc");
    fs::copy(schema, folder.path().join("codec/block-ethereum.avsc")).unwrap();

    write_genesis(folder.path()).unwrap();

    // Only the ports, the contract's address and the development chain's rules are this test's.
    let address = redis.address();
    let url = format!("redis://username:@localhost:{}/0?topic=replication", address.port());
    let command = AgentCommand::new(Shipped::Agent.find().unwrap(), folder.path())
        .unwrap()
        .arg(format!("--redis-url={url}"))
        .arg("--avro-codec-path=./codec/block-ethereum.avsc")
        .arg("--binary-file-path=./bin/block-ethereum/")
        .arg("--genesis=./genesis.json")
        .arg("--block-divisor=35")
        .arg(format!("--proof-chain-address={}", contract.address()))
        .arg("--consumer-timeout=10000000")
        .args(["--log-folder", "./logs/"])
        .args(["--ipfs-pinner-server", &format!("http://{}/", pinner.address())])
        .env("MB_RPC_URL", format!("http://{}", anvil.address()))
        .env("MB_PRIVATE_KEY", format!("{:x}", OPERATOR.key))
        .env("REDIS_PWD", "s3cret");

    let mut connection = redis.connect().await.unwrap();
    let mut blocks = DevBlocks::new(35).unwrap();
    let mut fed = Vec::new();
    for number in 1..=2 * DIVISOR {
        let mut message = Message::of(&blocks.next_replica().unwrap()).unwrap();
        if !number.is_multiple_of(DIVISOR) {
            message = message.expecting(Expect::Unselected);
        }
        fed.push(message.push(&mut connection, "replication").await.unwrap());
    }
    let mut process = command.start().unwrap();
    let stream = StreamName { topic: "replication".to_owned(), group: "bsp-agent".to_owned() };
    let settled = wait_for("the stream is empty", DEADLINE, async || {
        (stream.remaining(&mut connection).await.ok()? == (0, 0)).then_some(())
    });
    settled.await.unwrap_or_else(|error| panic!("{error}\n{}", process.last_lines(30)));
    process.signal(Signal::TERM).unwrap();
    let status = process.end_within(Duration::from_secs(60)).await.unwrap();
    assert!(status.success(), "{status}");

    let folders = AgentFolders { data: folder.path().join("bsp-agent-data"), segments };
    let audit = Audit {
        stream: Some(stream),
        proofs: ProofBook::Chain {
            rpc: anvil.rpc().clone(),
            contract: contract.address(),
            confirmations: 1,
            reorganising: anvil.reorganising(),
        },
        pins: Pins::Pinner(pinner),
        folders: vec![folders],
        skipped: HashMap::new(),
    };
    let report = audit.run(&fed, &mut connection).await.unwrap();
    assert!(report.violations.is_empty(), "{report}");
    assert_eq!((report.proved, report.unselected), (2, 68));
    assert!(!process.output().contains("s3cret"), "the password is in the log");
    let log = fs::read_to_string(folder.path().join("logs/log.log")).unwrap();
    for line in ["Initializing Consumer: ", "---> Processing 1337-35-replica <---"] {
        assert!(log.contains(line), "{line} is not in the log file");
    }
    expect_old_lines(&log);
}

/// The lines that operators search for, as bsp-agent v1.9.2 prints them: its logger adds no blanks
/// between the parts of a message.
fn expect_old_lines(log: &str) {
    let message = |begin: &str| {
        let found = log.lines().find_map(|line| Some(&line[line.find(begin)?..]));
        found.unwrap_or_else(|| panic!("{begin} is not in the log file"))
    };
    assert_eq!(
        message("block-specimen not created for: 1,"),
        "block-specimen not created for: 1, base block number divisor is :35"
    );
    let written = message("File written successfully to: ");
    let path = written.strip_prefix("File written successfully to: ./bin/block-ethereum/");
    let file = path.and_then(|path| path.rsplit('/').next());
    let file = file.unwrap_or_else(|| panic!("{written}"));
    let hash = file.strip_prefix("1337-35-replica-0x").or(file.strip_prefix("1337-70-replica-0x"));
    let hash = hash.unwrap_or_else(|| panic!("{written}"));
    assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{written}");
    let acked = message("stream ids acked and trimmed: [");
    let rest = acked.strip_prefix("stream ids acked and trimmed: [").unwrap_or_default();
    let (id, rest) =
        rest.split_once("], for stream key: replication, with current length: ").unwrap();
    assert!(id.split('-').all(|part| part.parse::<u64>().is_ok()), "{acked}");
    assert!(rest.parse::<u64>().is_ok(), "{acked}");
}
