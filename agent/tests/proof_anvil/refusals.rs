//! What the contract refuses, and what follows.

use crate::{
    chain::{
        Chain, disableOperatorCall, forceRevertCall, setSessionDurationCall, setWithoutEventsCall,
        until,
    },
    operator::{Journal, Operator, address, claim, config},
};
use alloy_primitives::{B256, U256};
use bsp_agent::{
    alarm::AlarmKind,
    proof::{
        Outlook, Prover,
        outcome::{Speaker, TABLE, Verdict},
    },
};
use std::{sync::Arc, time::Duration};

const KEY: u8 = 0x22;

async fn ready() -> Option<Chain> {
    let chain = Chain::start().await?;
    chain.enable(address(KEY)).await;
    Some(chain)
}

/// Mines until the outcome is there.
async fn prove(
    chain: &Chain,
    operator: &Operator,
    claim: &bsp_agent::proof::Claim,
) -> crate::operator::Proving {
    let proving = operator.prove(claim, &Arc::default());
    until("an outcome", async || {
        chain.mine(1).await;
        proving.is_finished()
    })
    .await;
    proving
}

/// Every revert string through a real node, none of which costs a transaction.
#[tokio::test]
async fn every_refusal_has_its_outcome() {
    let Some(chain) = ready().await else { return };
    let operator = Operator::of(&chain, KEY);
    for (n, row) in TABLE.iter().filter(|row| row.speaker == Speaker::Contract).enumerate() {
        chain.arrange(forceRevertCall { reason: row.text.to_owned() }).await;
        let proving = operator.prove(&claim(n as u64, ""), &Arc::default());
        match row.verdict {
            Verdict::AlreadySubmitted | Verdict::SessionOver | Verdict::Skip => {
                let reason = proving.skipped().await;
                assert!(reason.starts_with(row.text), "{reason}");
            }
            Verdict::Hold | Verdict::OutOfWindow => {
                let reason = proving.held().await;
                assert!(reason.contains(row.text), "{reason}");
            }
            Verdict::StopAndAlarm => {
                until("the alarm", async || operator.has_alarm(AlarmKind::ProofsStopped)).await;
                assert!(!proving.is_finished());
                chain.arrange(forceRevertCall { reason: String::new() }).await;
                until("it goes on", async || {
                    chain.mine(1).await;
                    proving.is_finished()
                })
                .await;
                proving.proof().await;
                assert!(!operator.has_alarm(AlarmKind::ProofsStopped));
            }
            other => panic!("{other:?}"),
        }
    }
    chain.arrange(forceRevertCall { reason: "something new".to_owned() }).await;
    let reason = operator.prove(&claim(50, ""), &Arc::default()).held().await;
    assert!(reason.contains("something new"), "{reason}");
    let stops = TABLE
        .iter()
        .filter(|row| row.speaker == Speaker::Contract && row.verdict == Verdict::StopAndAlarm);
    assert_eq!(chain.nonce(address(KEY), "latest").await, stops.count() as u64);
}

#[tokio::test]
async fn a_disabled_operator_waits_for_its_role() {
    let Some(chain) = ready().await else { return };
    chain.arrange(disableOperatorCall { operator: address(KEY) }).await;
    let operator = Operator::of(&chain, KEY);
    let proving: Vec<_> = (0..3).map(|n| operator.prove(&claim(n, ""), &Arc::default())).collect();
    until("the alarm", async || operator.has_alarm(AlarmKind::ProofsStopped)).await;
    let alarm = operator.alarms.raised().remove(&AlarmKind::ProofsStopped).unwrap();
    assert!(alarm.message.contains("has no role"), "{}", alarm.message);
    chain.enable(address(KEY)).await;
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

#[tokio::test]
async fn heights_outside_of_the_window_are_skipped_or_wait() {
    let Some(chain) = ready().await else { return };
    chain.take_network(|network| network.allowedThreshold = 200).await;
    let operator = Operator::of(&chain, KEY);
    let future = operator.prove(&claim(130, ""), &Arc::default());
    chain.mine(1).await;
    let old = {
        let mut old = claim(0, "");
        old.block.number -= 150;
        operator.prove(&old, &Arc::default()).skipped().await
    };
    assert_eq!(old, "Block height is out of bounds for live sync");
    let mut past = claim(0, "");
    past.block.number -= 150;
    assert_eq!(operator.prover.outlook(&past).await, Outlook::Closed { reason: old });
    for open in [claim(0, ""), claim(130, "")] {
        assert_eq!(operator.prover.outlook(&open).await, Outlook::Open);
    }
    assert!(!future.is_finished());
    chain.mine(40).await;
    until("the height comes into the window", async || {
        chain.mine(1).await;
        future.is_finished()
    })
    .await;
    future.proof().await;
}

#[tokio::test]
async fn only_every_nth_block_is_taken() {
    let Some(chain) = ready().await else { return };
    chain.take_network(|network| network.nthBlock = 10).await;
    let operator = Operator::of(&chain, KEY);
    let skipped = "Invalid block height: the contract takes every 10th block";
    let outlook = operator.prover.outlook(&claim(5, "")).await;
    assert_eq!(outlook, Outlook::Closed { reason: skipped.to_owned() });
    assert_eq!(operator.prover.outlook(&claim(10, "")).await, Outlook::Open);
    let reason = operator.prove(&claim(5, ""), &Arc::default()).skipped().await;
    assert_eq!(reason, skipped);
    prove(&chain, &operator, &claim(10, "")).await.proof().await;
}

#[tokio::test]
async fn the_limit_of_a_height_is_a_skip() {
    let Some(chain) = ready().await else { return };
    chain.take_network(|network| network.maxSubmissionsPerBlockHeight = 2).await;
    let operator = Operator::of(&chain, KEY);
    for tag in ["a", "b"] {
        prove(&chain, &operator, &claim(1, tag)).await.proof().await;
    }
    let reason = operator.prove(&claim(1, "c"), &Arc::default()).skipped().await;
    assert_eq!(reason, "Max submissions limit exceeded");
}

/// The journal is lost, the chain is not: also when the session is over meanwhile.
#[tokio::test]
async fn our_own_proof_is_found_on_the_chain() {
    let Some(chain) = ready().await else { return };
    chain.arrange(setSessionDurationCall { blocks: 30 }).await;
    let first = prove(&chain, &Operator::of(&chain, KEY), &claim(1, "")).await.proof().await;

    let operator = Operator::of(&chain, KEY);
    assert_eq!(operator.prove(&claim(1, ""), &Arc::default()).proof().await, first);
    let mut elsewhere = claim(1, "");
    elsewhere.url.push_str("-elsewhere");
    assert_eq!(operator.prove(&elsewhere, &Arc::default()).proof().await, first);
    assert!(!operator.has_alarm(AlarmKind::ProvedOtherwise));
    let mut other = claim(1, "");
    other.specimen_hash = B256::repeat_byte(9);
    let reason = operator.prove(&other, &Arc::default()).skipped().await;
    assert!(reason.contains("with another specimen"), "{reason}");
    assert!(operator.has_alarm(AlarmKind::ProvedOtherwise));

    // Not at once: a busy machine takes its time for so many.
    for _ in 0..8 {
        chain.mine(250).await;
    }
    assert_eq!(operator.prove(&claim(1, ""), &Arc::default()).proof().await, first);
    assert_eq!(operator.prove(&elsewhere, &Arc::default()).proof().await, first);
    let mut late = claim(1, "other");
    late.block.hash = B256::repeat_byte(8);
    let reason = operator.prove(&late, &Arc::default()).skipped().await;
    assert_eq!(reason, "Session submissions have closed");
    assert_eq!(chain.submissions().await.len(), 1);
}

/// The proof of another operator, with the same specimen at the same place, is not ours.
#[tokio::test]
async fn another_operators_proof_is_not_taken_for_ours() {
    let Some(chain) = ready().await else { return };
    chain.enable(address(0x23)).await;
    chain.arrange(setSessionDurationCall { blocks: 20 }).await;
    prove(&chain, &Operator::of(&chain, 0x23), &claim(1, "")).await.proof().await;
    chain.mine(30).await;
    let operator = Operator::of(&chain, KEY);
    let reason = operator.prove(&claim(1, ""), &Arc::default()).skipped().await;
    assert_eq!(reason, "Session submissions have closed");
}

#[tokio::test]
async fn success_without_the_event_is_no_proof() {
    let Some(chain) = ready().await else { return };
    chain.arrange(setWithoutEventsCall { without: true }).await;
    let operator = Operator::of(&chain, KEY);
    let reason = prove(&chain, &operator, &claim(1, "")).await.held().await;
    assert!(reason.contains("without the event"), "{reason}");
}

/// The height is past the window, and yet its session, which another operator began, takes
/// submissions.
#[tokio::test]
async fn a_height_past_the_window_whose_session_is_open_is_uploaded_and_proved() {
    let Some(chain) = ready().await else { return };
    chain.enable(address(0x23)).await;
    chain.take_network(|network| network.allowedThreshold = 20).await;
    prove(&chain, &Operator::of(&chain, 0x23), &claim(8, "")).await.proof().await;
    chain.mine(60).await;
    let operator = Operator::of(&chain, KEY);
    assert!(matches!(operator.prover.outlook(&claim(9, "")).await, Outlook::Closed { .. }));
    assert_eq!(operator.prover.outlook(&claim(8, "")).await, Outlook::Open);
    prove(&chain, &operator, &claim(8, "")).await.proof().await;
}

/// The contract changes its mind between the question and the block.
#[tokio::test]
async fn a_proof_that_reverts_on_chain_is_asked_about_again() {
    let Some(chain) = ready().await else { return };
    let mut config = config(&chain.url, chain.contract);
    config.resubmit_after = Duration::from_secs(3600);
    let operator = Operator::with(KEY, config);
    let journal = Arc::new(Journal::default());
    let proving = operator.prove(&claim(1, ""), &journal);
    until("it is in the pool", async || chain.nonce(address(KEY), "pending").await == 1).await;
    // The arranger pays more, so that it comes first in the block.
    let closed = forceRevertCall { reason: "Session submissions have closed".to_owned() };
    chain.arrange_for(closed, Some(400)).await;
    chain.mine(2).await;
    assert_eq!(proving.skipped().await, "Session submissions have closed");
    let hash = journal.hashes()[0];
    let receipt = chain.ask("eth_getTransactionReceipt", serde_json::json!([hash])).await;
    assert_eq!(receipt["status"], "0x0");
    assert_ne!(receipt["gasUsed"], serde_json::json!(U256::ZERO));
}
