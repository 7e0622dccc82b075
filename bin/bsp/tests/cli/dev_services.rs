//! `bsp dev` with real services in place of its stand-ins.

use crate::{
    fixture::{Scratch, make_chain, segment},
    program::{Run, bsp, command},
    redis::{RedisServer, free_port},
};
use bsp_tests::{
    audit::ProofBook,
    contract::ProofContract,
    servers::{
        anvil::{Anvil, Mining, OPERATOR},
        pinner::StandInPinner,
        program::{Program, all_there},
    },
};
use std::{fs, process::Stdio, sync::Arc, time::Duration};
use tokio::task::spawn_blocking;

/// Runs with a password or key in the environment.
fn with_variables(args: &[&str], variables: &[(&str, &str)]) -> Run {
    command(args)
        .env_remove("MB_RPC_URL")
        .env_remove("MB_PRIVATE_KEY")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap()
        .into()
}

#[test]
fn a_redis_stream_takes_the_place_of_the_files() {
    let Some(server) = RedisServer::start() else { return };
    let scratch = Scratch::new();
    let (folder, plain) = (scratch.path("redis"), scratch.path("files"));
    let url = server.url("dev") + "#agents";
    let data_dir = folder.to_str().unwrap();
    let args = ["dev", "--blocks", "6", "--data-dir", data_dir, "--redis-url", &url];
    let run = bsp(args).expect(0);
    assert!(run.text().contains("\n6 blocks made, 6 delivered, 6 proved, "), "{}", run.text());
    assert!(!folder.join("replicas").exists());

    let mut redis = server.connection();
    let count = |command: &[&str], redis: &mut redis::Connection| -> u64 {
        redis::cmd(command[0]).arg(&command[1..]).query(redis).unwrap()
    };
    assert_eq!(count(&["XLEN", "dev"], &mut redis), 0);
    assert_eq!(count(&["EXISTS", "dev.dead"], &mut redis), 0);
    let added: Vec<redis::Value> =
        redis::cmd("XINFO").arg(&["STREAM", "dev"]).query(&mut redis).unwrap();
    let added = format!("{added:?}");
    assert!(added.contains("entries-added") && added.contains("int(6)"), "{added}");

    make_chain(&plain, "1", 6);
    for number in 1..=6 {
        let bytes = |folder| fs::read(segment(folder, number)).unwrap();
        assert!(bytes(&folder) == bytes(&plain), "block {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_and_a_pinner_take_the_place_of_the_folders() {
    if !all_there(&[Program::Anvil]) {
        return;
    }
    let anvil = Anvil::start(Mining::OnDemand).await.unwrap();
    let contract = ProofContract::deploy(anvil.rpc()).await.unwrap();
    contract.accept_network(bsp_capture::DEV_CHAIN_ID).await.unwrap();
    let _miner = anvil.keep_mining(Duration::from_millis(100));
    let pinner = StandInPinner::start().await.unwrap();
    let scratch = Scratch::new();
    let folder = scratch.path("data");

    let args = [
        "dev".to_owned(),
        "--blocks=5".to_owned(),
        format!("--data-dir={}", folder.display()),
        format!("--proof-chain-address={}", contract.address()),
        format!("--rpc-url=http://{}", anvil.address()),
        format!("--ipfs-pinner-server=http://{}/", pinner.address()),
    ];
    let key = format!("{:x}", OPERATOR.key);
    let run = spawn_blocking(move || {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        with_variables(&args, &[("MB_PRIVATE_KEY", &key)])
    });
    let run = run.await.unwrap().expect(0);
    assert!(run.text().contains("\n5 blocks made, 5 delivered, 5 proved, "), "{}", run.text());
    assert!(!folder.join("agent/ledger.jsonl").exists() && !folder.join("agent/pins").exists());

    let (rpc, contract) = (anvil.rpc().clone(), contract.address());
    let proofs = ProofBook::Chain { rpc, contract, confirmations: 1, reorganising: Arc::default() }
        .all()
        .await
        .unwrap();
    assert_eq!(proofs.len(), 5);
    for proof in proofs {
        let file = segment(&folder, proof.height);
        let stored = fs::read(&file).unwrap();
        let named = bsp(["cid", file.to_str().unwrap(), "--json"]).expect(0).json_lines();
        assert_eq!(named[0]["specimen_hash"], proof.specimen_hash.to_string());
        assert_eq!(proof.url, format!("ipfs://{}", named[0]["cid"].as_str().unwrap()));
        assert!(file.to_str().unwrap().ends_with(&proof.id.to_string()), "{file:?} {}", proof.id);
        let pinned = pinner.content(proof.url.trim_start_matches("ipfs://")).unwrap();
        assert!(pinned == stored, "block {}", proof.height);
    }
}

#[test]
fn a_service_that_is_incomplete_or_not_there_is_told() {
    let scratch = Scratch::new();
    let data_dir = format!("--data-dir={}", scratch.path("data").display());
    let dev = |arg: &str, variables: &[(&str, &str)]| {
        with_variables(&["dev", "--blocks=1", &data_dir, arg], variables)
    };
    let contract = "--proof-chain-address=0x5FbDB2315678afecb367f032d93F642f64180aa3";
    dev(contract, &[]).expect_refusal("--proof-chain-address lacks the chain's RPC");
    let rpc = format!("http://127.0.0.1:{}/token", free_port());
    dev(contract, &[("MB_RPC_URL", &rpc)]).expect_refusal("MB_PRIVATE_KEY");
    let key = format!("{:x}", OPERATOR.key);
    let run = dev(contract, &[("MB_RPC_URL", &rpc), ("MB_PRIVATE_KEY", &key)]).expect(2);
    assert!(run.stderr.contains("127.0.0.1"), "{}", run.stderr);
    assert!(!run.stderr.contains("token") && !run.stderr.contains(&key), "{}", run.stderr);

    let nobody = format!("--redis-url=redis://:secret@127.0.0.1:{}/0?topic=t", free_port());
    let run = dev(&nobody, &[]).expect(2);
    assert!(run.stderr.contains("127.0.0.1") && !run.stderr.contains("secret"), "{}", run.stderr);
    dev("--redis-url=file:///tmp", &[]).expect_refusal("redis://");
    dev("--ipfs-pinner-server=ftp://x", &[]).expect_refusal("--ipfs-pinner-server");
    let run = dev("--rpc-url=http://127.0.0.1:1", &[]).expect(2);
    assert!(run.stderr.contains("--proof-chain-address"), "{}", run.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_the_contract_will_never_take_ends_the_run() {
    if !all_there(&[Program::Anvil]) {
        return;
    }
    let anvil = Anvil::start(Mining::OnDemand).await.unwrap();
    let contract = ProofContract::deploy(anvil.rpc()).await.unwrap();
    contract.accept_network(bsp_capture::DEV_CHAIN_ID).await.unwrap();
    contract.close_session(bsp_capture::DEV_CHAIN_ID, 2).await.unwrap();
    let _miner = anvil.keep_mining(Duration::from_millis(100));
    let scratch = Scratch::new();
    let args = [
        "dev".to_owned(),
        "--blocks=3".to_owned(),
        format!("--data-dir={}", scratch.path("data").display()),
        format!("--proof-chain-address={}", contract.address()),
        format!("--rpc-url=http://{}", anvil.address()),
    ];
    let key = format!("{:x}", OPERATOR.key);
    let run = spawn_blocking(move || {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        with_variables(&args, &[("MB_PRIVATE_KEY", &key)])
    });
    let run = run.await.unwrap().expect(2);
    assert!(run.stderr.contains("the proof of block 2 is refused"), "{}", run.stderr);
}
