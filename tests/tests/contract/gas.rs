//! What the contract costs, as `docs/PROOF_CHAIN.md` tells it: `UPDATE_DOCS=1` writes its table.

use crate::{
    abi::*,
    chain::{Chain, NETWORK, OWNER, account, creation, finalization, network, proof, settings},
};
use bsp_tests::flag_table;
use std::path::Path;

/// In thousands, rounded up: a planner wants no less.
fn thousands(gas: u64) -> String {
    match gas.div_ceil(1000) {
        thousands @ 1000.. => format!("{},{:03},000", thousands / 1000, thousands % 1000),
        thousands => format!("{thousands},000"),
    }
}

/// The gas of a finalization of a session in which so many validators agree, and so many others
/// each say three things of their own, which is the most that they can.
async fn finalization_of(chain: &Chain, height: u64, agree: u64, disagree: u64) -> u64 {
    for n in 1..=agree {
        chain.send(account(n), proof(height, "a", "s")).await;
    }
    for n in agree + 1..=agree + disagree {
        for block in ["x", "y", "z"] {
            let specimen = format!("{n}{block}");
            chain.send(account(n), proof(height, block, &specimen)).await;
        }
    }
    chain.end_of(height).await;
    chain.send(OWNER, finalization(height)).await.gas
}

#[tokio::test]
async fn the_document_tells_what_it_costs() {
    let Some(chain) = Chain::bare().await else { return };
    let long = Settings { sessionDuration: 200, ..settings() };
    let mut rows = Vec::new();
    let deployed = chain.deployment_gas(&creation(&settings())).await;
    rows.push(("deploy the contract", deployed));
    let configured = chain.send(OWNER, configureChainCall { chainId: NETWORK, chain: network() });
    rows.push(("configure a chain", configured.await.gas));
    let added = chain.send(OWNER, addBSPOperatorCall { operator: account(1), validatorId: 1 });
    rows.push(("add an operator", added.await.gas));
    let enabled = chain.send(OWNER, enableValidatorCall { validatorId: 1 });
    rows.push(("enable a validator", enabled.await.gas));
    for n in 2..=20 {
        chain.enable(account(n), u128::from(n)).await;
    }
    chain.send(OWNER, changeSettingsCall { settings: long }).await;

    let first = chain.send(account(1), proof(1, "a", "s")).await.gas;
    rows.push(("**prove**: the first of a height, with a new specimen", first));
    let next = chain.send(account(2), proof(1, "a", "s")).await.gas;
    rows.push(("**prove**: the same specimen at the same URL, each further operator", next));
    let other = submitBlockSpecimenProofCall {
        storageURL: "ipfs://bafybei".to_owned() + &"9".repeat(52),
        ..proof(1, "a", "s")
    };
    let elsewhere = chain.send(account(3), other).await.gas;
    rows.push(("**prove**: the same specimen at another URL", elsewhere));
    let against = chain.send(account(4), proof(1, "a", "t")).await.gas;
    rows.push(("**prove**: another specimen", against));

    rows.push(("**finalize**: 2 validators agree", finalization_of(&chain, 2, 2, 0).await));
    rows.push(("**finalize**: 20 validators agree", finalization_of(&chain, 3, 20, 0).await));
    let worst = finalization_of(&chain, 4, 10, 10).await;
    rows.push(("**finalize**: 10 agree, 10 others say three things each", worst));

    let head = "| what | gas |\n|---|---|\n".to_owned();
    let table = rows
        .iter()
        .fold(head, |table, (what, gas)| table + &format!("| {what} | {} |\n", thousands(*gas)));
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PROOF_CHAIN.md");
    flag_table::check_marked(&document, "gas", &table);
    // Ten times as many validators do not make a proof dearer.
    chain.send(account(5), proof(5, "a", "s")).await;
    for n in 6..=19 {
        chain.send(account(n), proof(5, "a", "s")).await;
    }
    let last = chain.send(account(20), proof(5, "a", "s")).await.gas;
    assert!(last.abs_diff(next) < 1000, "{next} for the second, {last} for the sixteenth");
}
