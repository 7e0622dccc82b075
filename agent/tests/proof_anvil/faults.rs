//! An RPC that lies, fails, is late or silent: nothing of it makes a proof, and nothing of it loses
//! one.

use crate::{
    chain::{Chain, until},
    operator::{Journal, Operator, Proving, address, claim, config},
    proxy::{Fault, Proxy, Wire},
};
use bsp_agent::alarm::AlarmKind;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

const KEY: u8 = 0x33;

struct Stage {
    chain: Chain,
    proxy: Proxy,
    operator: Operator,
    journal: Arc<Journal>,
}

impl Stage {
    async fn set() -> Option<Self> {
        let chain = Chain::start().await?;
        chain.enable(address(KEY)).await;
        let (proxy, url) = Proxy::start(&chain.url).await;
        let mut config = config(&url, chain.contract);
        config.limits.deadline = Duration::from_millis(700);
        config.limits.max_answer = 4 << 20;
        let operator = Operator::with(KEY, config);
        Some(Self { chain, proxy, operator, journal: Arc::default() })
    }

    fn prove(&self) -> Proving {
        self.operator.prove(&claim(1, ""), &self.journal)
    }

    async fn until_failing(&self) {
        until("the RPC's failure is told", async || self.operator.has_alarm(AlarmKind::RpcFailing))
            .await;
        let alarm = self.operator.alarms.raised().remove(&AlarmKind::RpcFailing).unwrap();
        assert!(alarm.message.contains("the RPC http://127.0.0.1:"), "{}", alarm.message);
    }

    async fn until_proved(&self, proving: Proving) {
        until("it is proved", async || {
            self.chain.mine(1).await;
            proving.is_finished()
        })
        .await;
        let proof = proving.proof().await;
        let submissions = self.chain.submissions().await;
        assert_eq!(submissions.len(), 1);
        assert_eq!(submissions[0].0, proof.id);
        until("the alarm is over", async || !self.operator.has_alarm(AlarmKind::RpcFailing)).await;
    }
}

#[tokio::test]
async fn a_broken_connection_is_told_and_waited_for() {
    let Some(stage) = Stage::set().await else { return };
    let proving = stage.prove();
    for wire in [Wire::Broken, Wire::Garbage, Wire::Endless, Wire::Hang] {
        stage.proxy.wire(wire);
        stage.until_failing().await;
        assert!(!proving.is_finished());
        stage.proxy.wire(Wire::Good);
        until("it works again", async || !stage.operator.has_alarm(AlarmKind::RpcFailing)).await;
    }
    stage.until_proved(proving).await;
}

#[tokio::test]
async fn an_rpc_without_batches_will_do() {
    let Some(stage) = Stage::set().await else { return };
    stage.proxy.wire(Wire::NoBatch);
    let proving = stage.prove();
    stage.until_proved(proving).await;
}

/// The node took it, but nobody said so.
#[tokio::test]
async fn a_broadcast_without_answer_is_looked_for() {
    let Some(stage) = Stage::set().await else { return };
    stage.proxy.rule(|method, _| match method {
        "eth_sendRawTransaction" => Fault::Silence,
        _ => Fault::None,
    });
    let proving = stage.prove();
    stage.until_proved(proving).await;
    assert_eq!(stage.journal.hashes().len(), 1);
}

/// Words of a node about a transaction that it took are no outcome.
#[tokio::test]
async fn already_known_is_neither_done_nor_failed() {
    let Some(stage) = Stage::set().await else { return };
    let sent = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&sent);
    stage.proxy.rule(move |method, _| {
        if method != "eth_sendRawTransaction" || count.fetch_add(1, Ordering::SeqCst) >= 3 {
            return Fault::None;
        }
        Fault::Answer(json!({"error": {"code": -32000, "message": "already known"}}))
    });
    let proving = stage.prove();
    until("it is sent until the node has it", async || sent.load(Ordering::SeqCst) > 3).await;
    assert!(!proving.is_finished());
    stage.until_proved(proving).await;
}

async fn lie(method: &'static str, change: fn(&mut Value)) {
    let Some(stage) = Stage::set().await else { return };
    stage
        .proxy
        .rule(move |asked, _| if asked == method { Fault::Change(change) } else { Fault::None });
    let proving = stage.prove();
    until("it is mined, or the lie is noticed", async || {
        stage.chain.mine(1).await;
        stage.operator.has_alarm(AlarmKind::RpcFailing)
            || stage.chain.submissions().await.len() == 1
    })
    .await;
    stage.chain.mine(3).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!proving.is_finished(), "{method}: the lie was believed");
    stage.proxy.rule(|_, _| Fault::None);
    stage.until_proved(proving).await;
}

#[tokio::test]
async fn the_receipt_of_another_transaction_is_not_believed() {
    lie("eth_getTransactionReceipt", |receipt| {
        if receipt.is_object() {
            receipt["transactionHash"] = json!(format!("0x{}", "12".repeat(32)));
        }
    })
    .await;
}

#[tokio::test]
async fn a_receipt_in_a_block_that_is_not_canonical_is_not_believed() {
    lie("eth_getTransactionReceipt", |receipt| {
        if receipt.is_object() {
            receipt["blockHash"] = json!(format!("0x{}", "12".repeat(32)));
        }
    })
    .await;
}

#[tokio::test]
async fn a_receipt_beyond_the_head_is_not_believed() {
    lie("eth_getTransactionReceipt", |receipt| {
        if receipt.is_object() {
            receipt["blockNumber"] = json!("0xffffff");
        }
    })
    .await;
}

#[tokio::test]
async fn another_block_than_asked_for_is_not_believed() {
    lie("eth_getBlockByNumber", |block| {
        if block.is_object() {
            block["hash"] = json!(format!("0x{}", "12".repeat(32)));
        }
    })
    .await;
}

#[tokio::test]
async fn another_chain_is_noticed() {
    let Some(stage) = Stage::set().await else { return };
    let first = stage.prove();
    stage.until_proved(first).await;
    stage.proxy.rule(|method, _| match method {
        "eth_chainId" => Fault::Answer(json!({"result": "0x1"})),
        _ => Fault::None,
    });
    stage.until_failing().await;
    let second = stage.operator.prove(&claim(2, ""), &Arc::default());
    stage.chain.mine(3).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!second.is_finished());
    assert_eq!(stage.chain.submissions().await.len(), 1);
}

/// A nonce from a node that is behind: what was seen used is not used again.
#[tokio::test]
async fn a_late_nonce_is_not_used_again() {
    let Some(stage) = Stage::set().await else { return };
    let first = stage.prove();
    stage.until_proved(first).await;
    stage.proxy.rule(|method, _| match method {
        "eth_getTransactionCount" => Fault::Answer(json!({"result": "0x0"})),
        _ => Fault::None,
    });
    let journal = Arc::new(Journal::default());
    let second = stage.operator.prove(&claim(2, ""), &journal);
    until("it is proved", async || {
        stage.chain.mine(1).await;
        second.is_finished()
    })
    .await;
    second.proof().await;
    assert_eq!(stage.chain.submissions().await.len(), 2);
}
