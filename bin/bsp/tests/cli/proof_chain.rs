//! `bsp proof-chain` on anvil: without it each test says so and is skipped.

use crate::program::{Run, command};
use alloy_primitives::{Address, B256};
use bsp_agent::{
    BlockId, SegmentName,
    proof::{Claim, contract::submission},
};
use bsp_codec::ReplicaKind;
use bsp_tests::{
    contract::ProofContract,
    servers::{
        anvil::{ADMINISTRATOR, Account, Anvil, Mining, OPERATOR},
        program::{Program, all_there},
    },
};
use serde_json::{Value, json};
use std::process::Stdio;
use tokio::task::spawn_blocking;

/// A chain that makes a block for each transaction, and the program with it.
struct Chain {
    anvil: Anvil,
    url: String,
}

impl Chain {
    async fn start() -> Option<Self> {
        if !all_there(&[Program::Anvil]) {
            return None;
        }
        let anvil = Anvil::start(Mining::EachSeconds(1)).await.unwrap();
        let url = format!("http://{}", anvil.address());
        Some(Self { anvil, url })
    }

    /// Runs a command with a key, or without one.
    async fn run(&self, key: Option<Account>, contract: Option<Address>, args: &[&str]) -> Run {
        let mut program = command(["proof-chain"]);
        program.args(args).stdin(Stdio::null()).env("MB_RPC_URL", &self.url);
        for unset in ["MB_PRIVATE_KEY", "MB_KEYSTORE_PATH", "MB_KEYSTORE_PWD", "ProofChain"] {
            program.env_remove(unset);
        }
        program.envs(key.map(|account| ("MB_PRIVATE_KEY", account.key.to_string())));
        program.envs(contract.map(|address| ("ProofChain", address.to_string())));
        spawn_blocking(move || program.output().unwrap().into()).await.unwrap()
    }

    async fn owner(&self, contract: Address, args: &[&str]) -> Run {
        self.run(Some(ADMINISTRATOR), Some(contract), args).await
    }

    async fn deployed(&self, args: &[&str]) -> Address {
        let all = [&["deploy", "--yes", "--json"], args].concat();
        let run = self.run(Some(ADMINISTRATOR), None, &all).await.expect(0);
        serde_json::from_value(run.json_lines()[0]["contract"].clone()).unwrap()
    }

    /// Lets an account prove a block, in no program's name.
    async fn prove(&self, contract: Address, from: Address, height: u64, specimen: u8) {
        let block = BlockId { network_id: 1, number: height, hash: B256::repeat_byte(1) };
        let claim = Claim {
            block,
            segment: SegmentName::new(&block, ReplicaKind::Replica),
            specimen_hash: B256::repeat_byte(specimen),
            url: "ipfs://cid".to_owned(),
        };
        let data = submission(&claim);
        let transaction =
            json!([{ "from": from, "to": contract, "data": data, "gas": "0x989680" }]);
        let _: Value = self.anvil.rpc().call("eth_sendTransaction", transaction).await.unwrap();
        self.anvil.mine().await.unwrap();
    }

    async fn mine(&self, blocks: u64) {
        let blocks = json!([format!("{blocks:#x}")]);
        let _: Value = self.anvil.rpc().call("anvil_mine", blocks).await.unwrap();
    }
}

/// From nothing to a quorum, by the commands alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_group_stands_up_a_chain_and_reaches_a_quorum() {
    let Some(chain) = Chain::start().await else { return };
    let contract = chain.deployed(&["--network=1", "--session-blocks=300", "--quorum=60"]).await;
    let lonely = chain.run(None, Some(contract), &["status"]).await.expect(1);
    assert!(lonely.text().contains("no quorum can be reached"), "{}", lonely.text());
    let nobody = chain.run(None, Some(contract), &["operators", "list"]).await.expect(0);
    assert!(nobody.text().starts_with("nobody has a role"), "{}", nobody.text());

    for account in [ADMINISTRATOR, OPERATOR] {
        let account = account.address.to_string();
        let run = chain.owner(contract, &["operators", "add", &account, "--yes"]).await.expect(0);
        assert!(run.stderr.contains("enable validator"), "{}", run.stderr);
    }
    let status = chain.run(None, Some(contract), &["status"]).await.expect(0);
    for said in [
        "is            the proof chain of this version, byte for byte",
        "60 %, and 2 validators at the least",
        "operators     2, of 2 validators that are enabled",
        "network 1     blocks divisible by 1, of every height, 3 of a height",
    ] {
        assert!(status.text().contains(said), "{said}\n{}", status.text());
    }
    let list = chain.run(None, Some(contract), &["operators", "list", "--json"]).await.expect(0);
    let operators = list.json_lines()[0]["operators"].clone();
    assert_eq!((&operators[0]["validator"], &operators[1]["validator"]), (&json!(1), &json!(2)));

    // Two agree on one height, and not on the other.
    for (who, specimens) in [(ADMINISTRATOR, [7, 7]), (OPERATOR, [7, 8])] {
        for (height, specimen) in [100, 101].into_iter().zip(specimens) {
            chain.prove(contract, who.address, height, specimen).await;
        }
    }
    let open = chain.run(None, Some(contract), &["sessions", "--json"]).await.expect(0);
    let open = open.json_lines();
    assert_eq!((&open[0]["state"], &open[0]["agree"]), (&json!("open"), &json!(2)));
    assert_eq!((&open[1]["agree"], &open[1]["took_part"]), (&json!(1), &json!(2)));
    let early = chain.run(Some(OPERATOR), Some(contract), &["finalize", "--yes"]).await.expect(0);
    assert_eq!(early.text(), "no session is over and not finalized\n");

    chain.mine(301).await;
    let over = chain.run(None, Some(contract), &["sessions"]).await.expect(0);
    assert!(over.text().ends_with(", 2 to finalize\n"), "{}", over.text());
    let ended = chain.run(Some(OPERATOR), Some(contract), &["finalize", "--yes"]).await.expect(0);
    let specimen = B256::repeat_byte(7);
    let quorum = format!("1-100  quorum  {specimen} by validators 1, 2\n1-101  no quorum\n");
    assert_eq!(ended.text(), quorum);
    let all = chain.run(None, Some(contract), &["sessions"]).await.expect(0);
    assert!(all.text().contains("no quorum") && all.text().contains(", 0 to finalize\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_come_and_go() {
    let Some(chain) = Chain::start().await else { return };
    let contract = chain.deployed(&["--min-submissions=1", "--network=1"]).await;
    let account = OPERATOR.address.to_string();
    let other = Address::repeat_byte(9).to_string();
    for args in [
        ["operators", "add", &account, "--validator=7", "--yes"],
        ["operators", "add", &other, "--validator=7", "--yes"],
    ] {
        chain.owner(contract, &args).await.expect(0);
    }
    let off = chain.owner(contract, &["operators", "disable", &account, "--yes"]).await.expect(0);
    let said = format!("disable validator 7, of {account} and of {other}");
    assert!(off.stderr.contains(&said), "{}", off.stderr);
    chain.run(None, Some(contract), &["status"]).await.expect(1);
    chain.owner(contract, &["operators", "enable", &account, "--yes"]).await.expect(0);
    chain.run(None, Some(contract), &["status"]).await.expect(0);

    let twice = ["operators", "add", &account, "--validator=8", "--yes"];
    chain.owner(contract, &twice).await.expect_refusal_after_words("Operator already exists");
    chain.owner(contract, &["operators", "remove", &account, "--yes"]).await.expect(0);
    let again = chain.owner(contract, &["operators", "remove", &account, "--yes"]).await;
    again.expect_refusal_after_words("has no role");
    let governor = ["operators", "add", &account, "--role=governor", "--yes"];
    chain.owner(contract, &governor).await.expect(0);
    let as_governor = ["operators", "add", "0x0808080808080808080808080808080808080808", "--yes"];
    chain.run(Some(OPERATOR), Some(contract), &as_governor).await.expect(0);
    let list = chain.run(None, Some(contract), &["operators", "list"]).await.expect(0);
    assert!(list.text().contains(&format!("{account}  governor\n")), "{}", list.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_that_was_not_agreed_to_or_can_not_succeed() {
    let Some(chain) = Chain::start().await else { return };
    let unasked = chain.run(Some(ADMINISTRATOR), None, &["deploy"]).await.expect(2);
    assert!(unasked.stderr.contains("with --yes it sends without asking"), "{}", unasked.stderr);
    assert!(unasked.stderr.contains("deploy a proof chain with sessions of 240 blocks"));
    assert!(unasked.stderr.contains("together about"), "{}", unasked.stderr);
    let keyless = chain.run(None, None, &["deploy", "--yes"]).await;
    keyless.expect_refusal("no key: set MB_PRIVATE_KEY");
    let contract = chain.deployed(&[]).await;
    let account = Address::repeat_byte(8).to_string();
    let stranger =
        chain.run(Some(OPERATOR), Some(contract), &["operators", "add", &account, "--yes"]).await;
    stranger.expect_refusal_after_words("Sender is not GOVERNANCE_ROLE");
    let early = ["finalize", "--height=5", "--yes"];
    let early = chain.run(Some(OPERATOR), Some(contract), &early).await;
    early.expect_refusal_after_words("Session not started");
    let half = chain.owner(contract, &["network", "--network=1", "--window=10", "--yes"]).await;
    assert!(half.expect(2).stderr.contains("--height"));
    let nonces: Value = chain
        .anvil
        .rpc()
        .call("eth_getTransactionCount", json!([OPERATOR.address, "latest"]))
        .await
        .unwrap();
    assert_eq!(nonces, "0x0");
}

/// What is at an address is named, and nothing is sent to it.
#[tokio::test(flavor = "multi_thread")]
async fn a_contract_of_another_kind_is_named_for_what_it_is() {
    let Some(chain) = Chain::start().await else { return };
    let hooks = ProofContract::deploy(chain.anvil.rpc()).await.unwrap().address();
    let other = chain.run(None, Some(hooks), &["sessions"]).await.expect(0);
    assert!(other.text().contains("0 sessions"), "{}", other.text());
    let named = chain.run(None, Some(hooks), &["status"]).await;
    assert!(named.text().contains("with other code than this version's"), "{}", named.text());

    // Code that answers nothing, and a delegation.
    let strange = Address::repeat_byte(0x42);
    for (code, said) in [
        ("0x00", "it is another contract, of 1 bytes"),
        ("0xef01000000000000000000000000000000000000001234", "has delegated to 0x0000"),
    ] {
        let set = json!([strange, code]);
        let _: Value = chain.anvil.rpc().call("anvil_setCode", set).await.unwrap();
        let run = chain.run(None, Some(strange), &["status"]).await;
        run.expect_refusal(said);
    }
    let run = chain.run(None, Some(Address::repeat_byte(0x43)), &["status"]).await;
    run.expect_refusal("there is nothing at this address");
    let run = chain.run(None, Some(OPERATOR.address), &["status"]).await;
    run.expect_refusal("it is an account without code");
    let run = chain.run(None, None, &["status"]).await;
    run.expect_refusal("name the contract with --proof-chain-address");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_never_shown_and_an_rpc_that_is_down_is_told() {
    let Some(chain) = Chain::start().await else { return };
    let key = ADMINISTRATOR.key.to_string();
    let run = chain.run(Some(ADMINISTRATOR), None, &["deploy", "--yes", "--network=1"]).await;
    let run = run.expect(0);
    for text in [run.text(), &run.stderr] {
        assert!(!text.contains(&key[2..20]), "{text}");
    }
    let mut program = command(["proof-chain", "status", "--proof-chain-address"]);
    program.arg(Address::repeat_byte(1).to_string()).stdin(Stdio::null());
    program.env("MB_RPC_URL", "http://127.0.0.1:1/s3cret-s3cret").env_remove("MB_PRIVATE_KEY");
    let run: Run = spawn_blocking(move || program.output().unwrap().into()).await.unwrap();
    assert!(!run.stderr.contains("s3cret-s3cret"), "{}", run.stderr);
    run.expect_refusal("check MB_RPC_URL");
}
