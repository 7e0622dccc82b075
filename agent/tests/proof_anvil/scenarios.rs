//! What an operator meets on the network's contract, met on ours: the outcomes that no other test
//! here looks at.

use crate::{
    chain::{
        Chain, ChainData, disableOperatorCall, setChainDataCall, setSessionDurationCall,
        setValidatorEnabledCall, until,
    },
    operator::{Operator, address, claim},
};
use alloy_primitives::U256;
use alloy_sol_types::sol;
use bsp_agent::{alarm::AlarmKind, proof::Claim};
use std::sync::Arc;

const KEY: u8 = 0x44;
const OTHER: u8 = 0x45;

sol! {
    function finalizeSpecimenSession(uint64 chainId, uint64 blockHeight) external;
}

async fn ready() -> Option<Chain> {
    let chain = Chain::start().await?;
    chain.enable(address(KEY)).await;
    chain.enable(address(OTHER)).await;
    Some(chain)
}

/// Mines until a claim has its outcome.
async fn prove(chain: &Chain, key: u8, claim: &Claim) -> crate::operator::Proving {
    let operator = Operator::of(chain, key);
    let proving = operator.prove(claim, &Arc::default());
    until("an outcome", async || {
        chain.mine(1).await;
        proving.is_finished()
    })
    .await;
    proving
}

/// The other operator proves a height, and its session is finalized.
async fn finalized(chain: &Chain, key: u8, claim: &Claim) {
    chain.arrange(setSessionDurationCall { blocks: 30 }).await;
    prove(chain, key, claim).await.proof().await;
    chain.mine(40).await;
    let height = claim.block.number;
    chain.arrange(finalizeSpecimenSessionCall { chainId: 1, blockHeight: height }).await;
}

#[tokio::test]
async fn a_finalized_session_of_others_is_a_skip_and_the_rest_goes_on() {
    let Some(chain) = ready().await else { return };
    finalized(&chain, OTHER, &claim(1, "")).await;
    let reason = prove(&chain, KEY, &claim(1, "")).await.skipped().await;
    assert_eq!(reason, "Session submissions have closed");
    prove(&chain, KEY, &claim(2, "")).await.proof().await;
}

#[tokio::test]
async fn our_own_proof_in_a_finalized_session_is_found() {
    let Some(chain) = ready().await else { return };
    finalized(&chain, KEY, &claim(1, "")).await;
    prove(&chain, KEY, &claim(1, "")).await.proof().await;
    assert_eq!(chain.submissions().await.len(), 1);
}

#[tokio::test]
async fn a_limit_that_our_own_proof_has_used_up_is_done() {
    let Some(chain) = ready().await else { return };
    chain.take_network(|network| network.maxSubmissionsPerBlockHeight = 1).await;
    let first = prove(&chain, KEY, &claim(1, "")).await.proof().await;
    assert_eq!(prove(&chain, KEY, &claim(1, "")).await.proof().await, first);
    let reason = prove(&chain, KEY, &claim(1, "other block")).await.skipped().await;
    assert_eq!(reason, "Max submissions limit exceeded");
}

/// The network's contract can be left without a limit, which is a limit of zero for all but who
/// begins the session.
#[tokio::test]
async fn a_limit_that_was_never_set_is_a_skip_for_the_second() {
    let Some(chain) = ready().await else { return };
    chain.take_network(|network| network.maxSubmissionsPerBlockHeight = 0).await;
    prove(&chain, OTHER, &claim(1, "")).await.proof().await;
    let reason = prove(&chain, KEY, &claim(1, "")).await.skipped().await;
    assert_eq!(reason, "Max submissions limit exceeded");
}

#[tokio::test]
async fn a_disabled_validator_stops_all_until_it_is_enabled() {
    let Some(chain) = ready().await else { return };
    chain.arrange(setValidatorEnabledCall { validator: 7, enabled: false }).await;
    let operator = Operator::of(&chain, KEY);
    let proving: Vec<_> = (0..3).map(|n| operator.prove(&claim(n, ""), &Arc::default())).collect();
    until("the alarm", async || operator.has_alarm(AlarmKind::ProofsStopped)).await;
    chain.arrange(setValidatorEnabledCall { validator: 7, enabled: true }).await;
    until("all are proved", async || {
        chain.mine(1).await;
        proving.iter().all(crate::operator::Proving::is_finished)
    })
    .await;
    for proving in proving {
        proving.proof().await;
    }
    assert!(!operator.has_alarm(AlarmKind::ProofsStopped));
}

/// The role goes while proofs are under way: those that revert are sent again once it is back.
#[tokio::test]
async fn proofs_under_way_that_lose_their_role_are_proved_later() {
    let Some(chain) = ready().await else { return };
    let operator = Operator::of(&chain, KEY);
    let proving: Vec<_> = (0..6).map(|n| operator.prove(&claim(n, ""), &Arc::default())).collect();
    until("they are in the pool", async || chain.nonce(address(KEY), "pending").await == 6).await;
    chain.arrange_for(disableOperatorCall { operator: address(KEY) }, Some(400)).await;
    until("the alarm", async || {
        chain.mine(1).await;
        operator.has_alarm(AlarmKind::ProofsStopped)
    })
    .await;
    assert!(chain.submissions().await.is_empty());
    chain.enable(address(KEY)).await;
    until("all are proved", async || {
        chain.mine(1).await;
        proving.iter().all(crate::operator::Proving::is_finished)
    })
    .await;
    for proving in proving {
        proving.proof().await;
    }
    assert_eq!(chain.submissions().await.len(), 6);
}

/// The network's contract panics where its figures make no sense. Ours can't be configured so; with
/// the tests' hook it can, and panics alike.
#[tokio::test]
async fn figures_that_make_no_sense_are_held() {
    let Some(chain) = ready().await else { return };
    let sound = |change: fn(&mut ChainData)| {
        let mut data = ChainData {
            blockOnTargetChain: U256::from(crate::chain::HEIGHT),
            blockOnCurrentChain: U256::ZERO,
            secondsPerBlockTargetChain: U256::ONE,
            allowedThreshold: 100_000,
            maxSubmissionsPerBlockHeight: 3,
            nthBlock: 1,
        };
        change(&mut data);
        setChainDataCall { chainId: 1, chain: data }
    };
    let future = sound(|data| data.blockOnCurrentChain = U256::from(1_000_000));
    let never = sound(|data| data.secondsPerBlockTargetChain = U256::ZERO);
    for (figures, code) in [(future, "0x11"), (never, "0x12")] {
        chain.arrange(figures).await;
        let operator = Operator::of(&chain, KEY);
        let reason = operator.prove(&claim(1, ""), &Arc::default()).held().await;
        assert!(reason.contains(&format!("panics with code {code}")), "{reason}");
    }
    chain.arrange(sound(|_| {})).await;
    prove(&chain, KEY, &claim(1, "")).await.proof().await;
}
