//! What is asked at the start.

use crate::{
    chain::{Chain, disableOperatorCall},
    operator::{address, config},
};
use alloy_primitives::{Address, U256};
use bsp_agent::proof::preflight::{Check, check};

const KEY: u8 = 0x55;

fn failed(checks: &[Check]) -> Vec<(&str, &str)> {
    checks
        .iter()
        .filter(|check| !check.ok)
        .map(|check| (check.name, check.message.as_str()))
        .collect()
}

#[tokio::test]
async fn each_trouble_is_told_apart() {
    let Some(chain) = Chain::start().await else { return };
    let operator = address(KEY);
    chain.enable(operator).await;
    let good = config(&chain.url, chain.contract);
    let checks = check(&good, operator).await;
    assert_eq!(failed(&checks), []);
    let names: Vec<_> = checks.iter().map(|check| check.name).collect();
    assert_eq!(names, ["proof chain RPC", "proof-chain contract", "operator", "balance"]);
    assert!(checks[0].message.contains("chain id 31337"), "{}", checks[0].message);

    let nowhere = check(&config(&chain.url, Address::repeat_byte(1)), operator).await;
    assert!(
        matches!(failed(&nowhere)[..], [("proof-chain contract", text)] if text.contains("--proof-chain-address"))
    );

    chain.fund(operator, U256::ZERO).await;
    chain.arrange(disableOperatorCall { operator }).await;
    let poor = check(&good, operator).await;
    assert!(
        matches!(failed(&poor)[..], [("operator", one), ("balance", two)] if one.contains("no role") && two.contains("send funds")),
        "{poor:?}"
    );

    let dead = check(&config("http://127.0.0.1:1/s3cret-s3cret", chain.contract), operator).await;
    assert!(
        matches!(failed(&dead)[..], [("proof chain RPC", text)] if text.contains("http://127.0.0.1:1 ") && !text.contains("s3cret")),
        "{dead:?}"
    );
}
