//! Sending, and what happens to transactions under way.

use crate::{
    chain::{Chain, closeSessionCall, until},
    operator::{Journal, Operator, address, claim, config},
};
use alloy_primitives::U256;
use bsp_agent::{
    alarm::AlarmKind,
    proof::{Confirmations, Prover},
};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

const KEY: u8 = 0x11;

async fn ready() -> Option<Chain> {
    let chain = Chain::start().await?;
    chain.enable(address(KEY)).await;
    Some(chain)
}

/// Waits until this many of the account's transactions are in the pool.
async fn until_pending(chain: &Chain, count: u64) {
    until("transactions are in the pool", async || {
        chain.nonce(address(KEY), "pending").await - chain.nonce(address(KEY), "latest").await
            >= count
    })
    .await;
}

#[tokio::test]
async fn twenty_proofs_go_into_one_block() {
    let Some(chain) = ready().await else { return };
    let mut config = config(&chain.url, chain.contract);
    config.max_in_flight = 20;
    let operator = Operator::with(KEY, config);
    let claims: Vec<_> = (0..20).map(|n| claim(n, "")).collect();
    let journals: Vec<_> = claims.iter().map(|_| Arc::new(Journal::default())).collect();
    let proving: Vec<_> = claims
        .iter()
        .zip(&journals)
        .map(|(claim, journal)| operator.prove(claim, journal))
        .collect();
    until_pending(&chain, 20).await;
    assert!(proving.iter().all(|proving| !proving.is_finished()));

    chain.mine(1).await;
    let block = chain.head().await;
    chain.mine(1).await;
    let mut proofs = Vec::new();
    for proving in proving {
        proofs.push(proving.proof().await);
    }
    let submissions = chain.submissions().await;
    assert_eq!(submissions.len(), 20);
    for ((claim, proof), journal) in claims.iter().zip(&proofs).zip(&journals) {
        assert_eq!(proof.mined_in.unwrap().0, block);
        let (_, event) = submissions.iter().find(|(hash, _)| *hash == proof.id).unwrap();
        assert!(event.proves(claim), "{event:?}");
        assert_eq!(journal.hashes(), [proof.id]);
    }
    let nonces: BTreeSet<_> = journals.iter().map(|journal| journal.attempts()[0].nonce).collect();
    assert_eq!(nonces.into_iter().collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
    assert!(operator.alarms.raised().is_empty(), "{:?}", operator.alarms.raised());
    assert!(operator.prover.name().contains("http://127.0.0.1"));
}

#[tokio::test]
async fn no_more_than_allowed_are_in_flight() {
    let Some(chain) = ready().await else { return };
    let mut config = config(&chain.url, chain.contract);
    config.max_in_flight = 3;
    let operator = Operator::with(KEY, config);
    let proving: Vec<_> = (0..5).map(|n| operator.prove(&claim(n, ""), &Arc::default())).collect();
    until_pending(&chain, 3).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(chain.nonce(address(KEY), "pending").await, 3);
    chain.mine(2).await;
    until_pending(&chain, 2).await;
    chain.mine(2).await;
    for proving in proving {
        proving.proof().await;
    }
}

#[tokio::test]
async fn a_dropped_transaction_is_sent_again() {
    let Some(chain) = ready().await else { return };
    let operator = Operator::of(&chain, KEY);
    let journal = Arc::new(Journal::default());
    let proving = operator.prove(&claim(1, ""), &journal);
    until_pending(&chain, 1).await;
    chain.ask("anvil_dropTransaction", json!([journal.hashes()[0]])).await;
    until_pending(&chain, 1).await;
    chain.mine(2).await;
    assert_eq!(vec![proving.proof().await.id], journal.hashes());
}

#[tokio::test]
async fn a_reorg_takes_a_proof_back_and_it_is_proved_again() {
    let Some(chain) = ready().await else { return };
    let mut config = config(&chain.url, chain.contract);
    config.confirmations = Confirmations::Blocks(3);
    let operator = Operator::with(KEY, config);
    chain.mine(5).await;
    let journal = Arc::new(Journal::default());
    let proving = operator.prove(&claim(1, ""), &journal);
    until_pending(&chain, 1).await;
    chain.mine(2).await;
    assert_eq!(chain.submissions().await.len(), 1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    // The last two blocks are replaced by empty ones.
    chain.ask("anvil_reorg", json!([2, []])).await;
    assert!(!proving.is_finished());
    until("the proof is in the pool again, or mined", async || {
        chain.mine(1).await;
        !chain.submissions().await.is_empty()
    })
    .await;
    chain.mine(3).await;
    let proof = proving.proof().await;
    let (hash, event) = chain.submissions().await.remove(0);
    assert_eq!(proof.id, hash);
    assert!(event.proves(&claim(1, "")));
    assert_eq!(chain.submissions().await.len(), 1);
}

#[tokio::test]
async fn a_fee_that_is_too_low_is_raised_with_the_same_nonce() {
    let Some(chain) = ready().await else { return };
    let mut config = config(&chain.url, chain.contract);
    config.resubmit_after = Duration::from_millis(300);
    let operator = Operator::with(KEY, config);
    let journal = Arc::new(Journal::default());
    let proving = operator.prove(&claim(1, ""), &journal);
    until_pending(&chain, 1).await;
    // Higher than twice the base fee that was offered.
    chain.ask("anvil_setNextBlockBaseFeePerGas", json!(["0x174876e800"])).await;
    chain.mine(1).await;
    until("the fee is raised and the proof mined", async || {
        chain.mine(1).await;
        proving.is_finished()
    })
    .await;
    let proof = proving.proof().await;
    let attempts = journal.attempts();
    assert_eq!(attempts.len(), 1);
    let transactions = &attempts[0].transactions;
    assert!(transactions.len() >= 2, "{}", transactions.len());
    assert!(transactions.is_sorted_by_key(|sent| sent.max_fee_per_gas));
    assert!(transactions.iter().any(|sent| sent.hash == proof.id));
    assert_eq!(chain.submissions().await.len(), 1);
}

#[tokio::test]
async fn at_the_ceiling_the_operator_is_told() {
    let Some(chain) = ready().await else { return };
    let mut config = config(&chain.url, chain.contract);
    config.resubmit_after = Duration::from_millis(100);
    config.max_fee_per_gas = 20_000_000_000;
    let operator = Operator::with(KEY, config);
    let journal = Arc::new(Journal::default());
    let proving = operator.prove(&claim(1, ""), &journal);
    until("the ceiling is reached", async || operator.has_alarm(AlarmKind::ProofStuck)).await;
    let attempts = journal.attempts();
    assert!(attempts[0].transactions.iter().all(|sent| sent.max_fee_per_gas <= 20_000_000_000));
    chain.mine(2).await;
    proving.proof().await;
}

#[tokio::test]
async fn a_foreign_transaction_takes_the_nonce_and_the_claim_gets_another() {
    let Some(chain) = ready().await else { return };
    let operator = Operator::of(&chain, KEY);
    let journal = Arc::new(Journal::default());
    let proving = operator.prove(&claim(1, ""), &journal);
    until_pending(&chain, 1).await;
    let (me, ours) = (address(KEY), journal.hashes()[0]);
    chain.send_foreign(me, 0).await;
    until("the claim is proved with another nonce", async || {
        chain.mine(1).await;
        proving.is_finished()
    })
    .await;
    let proof = proving.proof().await;
    assert_ne!(proof.id, ours);
    let nonces: Vec<_> = journal.attempts().iter().map(|attempt| attempt.nonce).collect();
    assert_eq!(nonces, [0, 1]);
    assert_eq!(chain.submissions().await.len(), 1);
}

#[tokio::test]
async fn a_claim_without_hope_frees_its_nonce() {
    let Some(chain) = ready().await else { return };
    let mut config = config(&chain.url, chain.contract);
    config.resubmit_after = Duration::from_millis(300);
    let operator = Operator::with(KEY, config);
    let journal = Arc::new(Journal::default());
    let proving = operator.prove(&claim(1, ""), &journal);
    until_pending(&chain, 1).await;
    // What is under way is too cheap for the next block; the closing is not.
    chain.ask("anvil_setNextBlockBaseFeePerGas", json!(["0x2540be4000"])).await;
    let closing = closeSessionCall { chainId: 1, blockHeight: claim(1, "").block.number };
    chain.arrange_for(closing, Some(300)).await;
    until("the nonce is used up", async || {
        chain.mine(1).await;
        proving.is_finished()
    })
    .await;
    assert_eq!(proving.skipped().await, "Session submissions have closed");
    assert!(chain.submissions().await.is_empty());
    assert_eq!(chain.nonce(address(KEY), "latest").await, 1);

    let next = operator.prove(&claim(2, ""), &Arc::default());
    until("the next claim is proved", async || {
        chain.mine(1).await;
        next.is_finished()
    })
    .await;
    next.proof().await;
}

#[tokio::test]
async fn two_senders_share_a_key() {
    let Some(chain) = ready().await else { return };
    let operators = [Operator::of(&chain, KEY), Operator::of(&chain, KEY)];
    let claims: Vec<_> = (0..12).map(|n| claim(n, "")).collect();
    let proving: Vec<_> = claims
        .iter()
        .enumerate()
        .map(|(n, claim)| operators[n % 2].prove(claim, &Arc::default()))
        .collect();
    until("all are proved", async || {
        chain.mine(1).await;
        proving.iter().all(crate::operator::Proving::is_finished)
    })
    .await;
    for proving in proving {
        proving.proof().await;
    }
    let submissions = chain.submissions().await;
    assert_eq!(submissions.len(), 12);
    assert!(claims.iter().all(|claim| submissions.iter().any(|(_, event)| event.proves(claim))));
}

#[tokio::test]
async fn an_empty_account_is_told_and_goes_on_when_it_is_filled() {
    let Some(chain) = ready().await else { return };
    chain.fund(address(KEY), U256::from(1000)).await;
    let operator = Operator::of(&chain, KEY);
    let proving = operator.prove(&claim(1, ""), &Arc::default());
    until("the balance is told", async || operator.has_alarm(AlarmKind::Balance)).await;
    assert!(!proving.is_finished());
    chain.fund(address(KEY), U256::from(10).pow(U256::from(21))).await;
    until_pending(&chain, 1).await;
    chain.mine(2).await;
    proving.proof().await;
    until("the alarm is over", async || !operator.has_alarm(AlarmKind::Balance)).await;
}

#[tokio::test]
async fn nothing_is_sent_that_is_not_journaled() {
    let Some(chain) = ready().await else { return };
    let operator = Operator::of(&chain, KEY);
    let journal = Journal::failing(2);
    let proving = operator.prove(&claim(1, ""), &journal);
    until_pending(&chain, 1).await;
    chain.mine(2).await;
    let proof = proving.proof().await;
    assert_eq!(journal.hashes(), [proof.id]);
}

/// What waits for its depth is no reason to send anything.
#[tokio::test]
async fn waiting_for_depth_costs_nothing() {
    let Some(chain) = ready().await else { return };
    let mut config = config(&chain.url, chain.contract);
    config.confirmations = Confirmations::Blocks(10);
    config.resubmit_after = Duration::from_millis(50);
    let operator = Operator::with(KEY, config);
    let proving = operator.prove(&claim(1, ""), &Arc::default());
    until_pending(&chain, 1).await;
    for _ in 0..9 {
        chain.mine(1).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(!proving.is_finished());
    }
    chain.mine(1).await;
    proving.proof().await;
    assert_eq!(chain.nonce(address(KEY), "pending").await, 1);
}

#[tokio::test]
async fn a_hole_below_our_nonces_is_filled() {
    let Some(chain) = ready().await else { return };
    let me = address(KEY);
    let foreign = chain.send_foreign(me, 0).await;
    let operator = Operator::of(&chain, KEY);
    let journal = Arc::new(Journal::default());
    let proving = operator.prove(&claim(1, ""), &journal);
    until("our proof is behind it", async || !journal.hashes().is_empty()).await;
    assert_eq!(journal.attempts()[0].nonce, 1);
    chain.ask("anvil_dropTransaction", json!([foreign])).await;
    until("the hole is filled and the proof mined", async || {
        chain.mine(1).await;
        proving.is_finished()
    })
    .await;
    assert_eq!(vec![proving.proof().await.id], journal.hashes());
    assert_eq!(chain.nonce(me, "latest").await, 2);
}
