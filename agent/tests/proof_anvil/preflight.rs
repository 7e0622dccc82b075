//! What is asked at the start.

use crate::{
    chain::{Chain, disableOperatorCall, until},
    operator::{Operator, address, claim, config},
};
use alloy_primitives::{Address, U256};
use bsp_agent::{
    alarm::AlarmKind,
    proof::{
        ChainProverConfig,
        divisor::{BUILT_IN, Selection},
        preflight::{PreflightCheck, check},
    },
};
use std::{num::NonZeroU64, sync::Arc};

const KEY: u8 = 0x55;

fn failed(checks: &[PreflightCheck]) -> Vec<(&str, &str)> {
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

fn selecting(chain: &Chain, divisor: u64, networks: &[u64], is_certain: bool) -> ChainProverConfig {
    let divisor = NonZeroU64::new(divisor).unwrap();
    let networks = networks.to_vec();
    let selection = Some(Selection { divisor, networks, is_certain });
    ChainProverConfig { selection, ..config(&chain.url, chain.contract) }
}

/// The contract knows network 1 alone.
#[tokio::test]
async fn a_divisor_that_is_not_the_contracts_is_told_at_the_start() {
    let Some(chain) = Chain::start().await else { return };
    let operator = address(KEY);
    chain.enable(operator).await;
    chain.take_network(|network| network.nthBlock = 35).await;
    for (divisor, networks, is_certain, ok, said) in [
        (35, &BUILT_IN[..], false, true, "35, of network 1 the contract takes just those"),
        (3, &BUILT_IN, false, false, "34 of 35 selected blocks are skipped, 2 of 3 that it takes"),
        (1, &[1], true, false, "34 of 35 selected blocks are skipped, set --block-divisor 35"),
        (70, &[1], true, false, "1 of 2 that it takes are never selected"),
        (35, &[77], true, false, "does not know network 77, which --genesis names"),
        (35, &[77], false, true, "knows none of the networks [77]"),
    ] {
        let config = selecting(&chain, divisor, networks, is_certain);
        let checks = check(&config, operator).await;
        let found = checks.iter().find(|check| check.name == "block divisor").unwrap();
        assert!(found.ok == ok && found.message.contains(said), "{found:?}");
    }
}

#[tokio::test]
async fn a_divisor_that_is_not_the_contracts_is_an_alarm_for_as_long() {
    let Some(chain) = Chain::start().await else { return };
    chain.enable(address(KEY)).await;
    chain.take_network(|network| network.nthBlock = 2).await;
    let operator = Operator::with(KEY, selecting(&chain, 1, &[1], true));
    let mut number = 0;
    let mut prove = || {
        number += 2;
        operator.prove(&claim(number, ""), &Arc::default())
    };
    let first = prove();
    until("it is told", async || operator.has_alarm(AlarmKind::BlockDivisor)).await;
    chain.take_network(|network| network.nthBlock = 1).await;
    let mut others = Vec::new();
    until("it is over", async || {
        others.push(prove());
        chain.mine(1).await;
        !operator.has_alarm(AlarmKind::BlockDivisor)
    })
    .await;
    drop((first, others));
}
