//! `bsp dev --contract`.

use crate::{
    fixture::Scratch,
    program::{Run, command},
};
use bsp_tests::servers::{
    anvil::{Anvil, Mining, OPERATOR},
    program::{Program, all_there},
};
use std::process::Stdio;
use tokio::task::spawn_blocking;

async fn dev(args: Vec<String>) -> Run {
    let mut program = command(["dev", "--contract", "--blocks=4"]);
    program.args(args).stdin(Stdio::null());
    for unset in ["MB_RPC_URL", "MB_PRIVATE_KEY", "MB_KEYSTORE_PATH"] {
        program.env_remove(unset);
    }
    program.env("ANVIL", Program::Anvil.find().unwrap());
    spawn_blocking(move || program.output().unwrap().into()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_ends_in_a_quorum_of_each_height() {
    if !all_there(&[Program::Anvil]) {
        return;
    }
    let scratch = Scratch::new();
    let folder = format!("--data-dir={}", scratch.path("own").display());
    let run = dev(vec![folder.clone()]).await.expect(0);
    let text = run.text();
    assert!(text.contains(&OPERATOR.address.to_string()), "{text}");
    assert!(text.contains("everybody knows these keys"), "{text}");
    assert!(text.contains("\n4 blocks made, 4 delivered, 4 proved, "), "{text}");
    for height in 1..=4 {
        assert!(text.contains(&format!("\n    {height}  quorum     0x")), "{text}");
    }
    assert!(text.ends_with("\n4 of 4 heights have a quorum of two operators\n"), "{text}");
    // Those proofs are on a chain that is gone.
    dev(vec![folder]).await.expect_refusal_after_words_and_text("give another --data-dir");
}

/// A chain that was there before stays, and can be looked at.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_named_stays() {
    if !all_there(&[Program::Anvil]) {
        return;
    }
    let anvil = Anvil::start(Mining::EachSeconds(1)).await.unwrap();
    let url = format!("http://{}", anvil.address());
    let scratch = Scratch::new();
    let folder = format!("--data-dir={}", scratch.path("named").display());
    let run = dev(vec![folder, format!("--rpc-url={url}")]).await.expect(0);
    let contract = run.text().split("contract     ").nth(1).unwrap();
    let contract = contract.split('\n').next().unwrap().to_owned();
    let look = async |what: &'static [&'static str]| -> Run {
        let mut program = command(["proof-chain"]);
        program.args(what).env("MB_RPC_URL", &url).env("ProofChain", &contract);
        program.env_remove("MB_PRIVATE_KEY").env_remove("MB_KEYSTORE_PATH");
        spawn_blocking(move || program.output().unwrap().into()).await.unwrap()
    };
    let status = look(&["status", "--network=1337"]).await.expect(0);
    assert!(status.text().contains("2, of 2 validators that are enabled"), "{}", status.text());
    let sessions = look(&["sessions"]).await.expect(0);
    assert_eq!(sessions.text().matches("by validators 1, 2\n").count(), 4, "{}", sessions.text());
}
