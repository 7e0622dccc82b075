//! The agent stops, or dies, at each step of a proof, and continues with what the journal has.

use crate::{
    chain::{Chain, until},
    operator::{Journal, Operator, address, claim, config},
    proxy::{Fault, Proxy},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

const KEY: u8 = 0x44;

struct Stage {
    chain: Chain,
    journal: Arc<Journal>,
}

impl Stage {
    /// A claim whose first agent has stopped: after its broadcast, or before if the node was not to
    /// see it.
    async fn set(broadcast: bool) -> Option<Self> {
        let chain = Chain::start().await?;
        chain.enable(address(KEY)).await;
        let (proxy, url) = Proxy::start(&chain.url).await;
        proxy.rule(move |method, _| match method {
            "eth_sendRawTransaction" if !broadcast => {
                Fault::Answer(json!({"error": {"code": -32603, "message": "try later"}}))
            }
            _ => Fault::None,
        });
        let stage = Self { chain, journal: Arc::default() };
        let first = Operator::with(KEY, config(&url, stage.chain.contract));
        let proving = first.prove(&claim(1, ""), &stage.journal);
        until("the attempt is journaled and sent", async || {
            let pending = stage.chain.nonce(address(KEY), "pending").await;
            !stage.journal.hashes().is_empty() && pending == u64::from(broadcast)
        })
        .await;
        first.stop.cancel();
        assert!(proving.end().await.is_err(), "a claim without outcome is parked");
        Some(stage)
    }

    /// A second agent proves it, and nothing twice.
    async fn finish(&self) {
        let second = Operator::of(&self.chain, KEY);
        let proving = second.prove(&claim(1, ""), &self.journal);
        until("it is proved", async || {
            self.chain.mine(1).await;
            proving.is_finished()
        })
        .await;
        let proof = proving.proof().await;
        let submissions = self.chain.submissions().await;
        assert_eq!(submissions.len(), 1);
        assert_eq!(submissions[0].0, proof.id);
        assert!(self.journal.hashes().contains(&proof.id));
    }
}

#[tokio::test]
async fn journaled_and_not_broadcast() {
    let Some(stage) = Stage::set(false).await else { return };
    let hashes = stage.journal.hashes();
    stage.finish().await;
    assert_eq!(stage.journal.hashes(), hashes);
    assert_eq!(stage.chain.nonce(address(KEY), "latest").await, 1);
}

#[tokio::test]
async fn broadcast_and_not_mined() {
    let Some(stage) = Stage::set(true).await else { return };
    stage.finish().await;
    assert_eq!(stage.chain.nonce(address(KEY), "latest").await, 1);
}

#[tokio::test]
async fn mined_while_the_agent_was_away() {
    let Some(stage) = Stage::set(true).await else { return };
    stage.chain.mine(5).await;
    stage.finish().await;
    assert_eq!(stage.chain.nonce(address(KEY), "latest").await, 1);
}

#[tokio::test]
async fn mined_and_its_session_over_while_the_agent_was_away() {
    let Some(stage) = Stage::set(true).await else { return };
    stage.chain.mine(500).await;
    stage.finish().await;
}

#[tokio::test]
async fn the_nonce_went_to_another_while_the_agent_was_away() {
    let Some(stage) = Stage::set(false).await else { return };
    stage.chain.send_foreign(address(KEY), 0).await;
    stage.chain.mine(3).await;
    stage.finish().await;
    let nonces: Vec<_> = stage.journal.attempts().iter().map(|attempt| attempt.nonce).collect();
    assert_eq!(nonces, [0, 1]);
}

/// The pool is lost with the node's restart, and a new claim comes first.
#[tokio::test]
async fn a_new_claim_does_not_take_the_nonce_of_an_old_one_for_good() {
    let Some(stage) = Stage::set(false).await else { return };
    let second = Operator::of(&stage.chain, KEY);
    let fresh = second.prove(&claim(2, ""), &Arc::default());
    until("the new claim is in the pool", async || {
        stage.chain.nonce(address(KEY), "pending").await == 1
    })
    .await;
    let old = second.prove(&claim(1, ""), &stage.journal);
    until("both are proved", async || {
        stage.chain.mine(1).await;
        fresh.is_finished() && old.is_finished()
    })
    .await;
    fresh.proof().await;
    old.proof().await;
    assert_eq!(stage.chain.submissions().await.len(), 2);
}

/// Attempts of another key: they are checked, and can't be pursued.
#[tokio::test]
async fn the_key_was_changed() {
    let Some(stage) = Stage::set(false).await else { return };
    stage.chain.enable(address(0x45)).await;
    let second = Operator::of(&stage.chain, 0x45);
    let proving = second.prove(&claim(1, ""), &stage.journal);
    until("it is proved", async || {
        stage.chain.mine(1).await;
        proving.is_finished()
    })
    .await;
    proving.proof().await;
    assert_eq!(stage.chain.nonce(address(0x45), "latest").await, 1);
}

#[tokio::test]
async fn stopping_is_prompt_while_the_rpc_is_silent() {
    let Some(chain) = Chain::start().await else { return };
    chain.enable(address(KEY)).await;
    let (proxy, url) = Proxy::start(&chain.url).await;
    proxy.rule(|_, _| Fault::Silence);
    let mut config = config(&url, chain.contract);
    config.limits.deadline = Duration::from_secs(3600);
    let operator = Operator::with(KEY, config);
    let proving = operator.prove(&claim(1, ""), &Arc::default());
    tokio::time::sleep(Duration::from_millis(50)).await;
    operator.stop.cancel();
    assert_eq!(
        proving.end().await.unwrap_err().to_string(),
        "the proof is parked: the agent stops"
    );
}
