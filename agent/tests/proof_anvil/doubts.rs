//! Refusals that say too little, concern one claim alone, or contradict what the chain shows.

use crate::{
    chain::{Chain, closeSessionCall, until},
    operator::{Journal, Operator, address, claim, config},
    proxy::{Fault, Proxy},
};
use alloy_sol_types::{Revert, SolCall, SolError};
use bsp_agent::{
    alarm::AlarmKind,
    proof::{
        ChainProverConfig, Claim, Confirmations, Outlook, Proof, Prover,
        contract::submitBlockSpecimenProofCall,
    },
};
use serde_json::{Value, json};
use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const KEY: u8 = 0x44;

/// More than any test takes: what is final after it was not waited for.
const LONG: Duration = Duration::from_secs(3600);

struct Stage {
    chain: Chain,
    proxy: Proxy,
    url: String,
}

impl Stage {
    async fn set() -> Option<Self> {
        let chain = Chain::start().await?;
        chain.enable(address(KEY)).await;
        let (proxy, url) = Proxy::start(&chain.url).await;
        Some(Self { chain, proxy, url })
    }

    fn config(&self) -> ChainProverConfig {
        config(&self.url, self.chain.contract)
    }

    fn operator(&self) -> Operator {
        Operator::with(KEY, self.config())
    }

    /// Proves a claim by a prover that keeps nothing.
    async fn prove(&self, claim: &Claim) -> Proof {
        self.prove_with(&self.operator(), claim).await
    }

    async fn prove_with(&self, operator: &Operator, claim: &Claim) -> Proof {
        let proving = operator.prove(claim, &Arc::default());
        until("it is proved", async || {
            self.chain.mine(1).await;
            proving.is_finished()
        })
        .await;
        proving.proof().await
    }

    /// Has each dry run of a submission refused in that way. Returns how many were.
    fn refuse(&self, error: Value) -> Arc<AtomicU64> {
        let refusals = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&refusals);
        self.proxy.rule(move |method, params| match is_dry_run(method, params) {
            true => {
                count.fetch_add(1, Ordering::SeqCst);
                Fault::Answer(json!({"error": error.clone()}))
            }
            false => Fault::None,
        });
        refusals
    }
}

fn is_dry_run(method: &str, params: &Value) -> bool {
    let selector =
        format!("0x{}", alloy_primitives::hex::encode(submitBlockSpecimenProofCall::SELECTOR));
    let data = params[0]["data"].as_str().unwrap_or_default();
    matches!(method, "eth_call" | "eth_estimateGas") && data.starts_with(&selector)
}

#[tokio::test]
async fn a_network_that_the_contract_does_not_know_holds_its_claim_and_no_other() {
    let Some(stage) = Stage::set().await else { return };
    let operator = stage.operator();
    let mut foreign = claim(1, "");
    foreign.block.network_id = 5;
    let Outlook::Held { reason } = operator.prover.outlook(&foreign).await else { panic!("held") };
    assert!(reason.contains("does not know network 5"), "{reason}");
    assert_eq!(operator.prove(&foreign, &Arc::default()).held().await, reason);
    stage.prove_with(&operator, &claim(1, "")).await;
    assert!(!operator.has_alarm(AlarmKind::ProofsStopped));
}

#[tokio::test]
async fn a_revert_without_reason_that_the_views_do_not_explain_is_held() {
    let Some(stage) = Stage::set().await else { return };
    for data in [json!("0x"), Value::Null] {
        let refusals =
            stage.refuse(json!({"code": 3, "message": "execution reverted", "data": data}));
        let reason = stage.operator().prove(&claim(1, ""), &Arc::default()).held().await;
        assert!(reason.contains("the RPC tells no reason"), "{reason}");
        // The call and the estimate, and both once more.
        assert_eq!(refusals.load(Ordering::SeqCst), 4);
    }
}

/// The refusal of a height that lies behind the window, which the journal knows nothing about.
#[tokio::test]
async fn our_own_proof_is_found_behind_the_window() {
    let Some(stage) = Stage::set().await else { return };
    let first = stage.prove(&claim(1, "")).await;
    stage.chain.take_network(|network| network.allowedThreshold = 10).await;
    stage.chain.mine(500).await;
    let data = Revert::from("Block height is out of bounds for live sync").abi_encode();
    let data = alloy_primitives::hex::encode_prefixed(data);
    stage.refuse(json!({"code": 3, "message": "execution reverted", "data": data}));
    assert_eq!(stage.operator().prove(&claim(1, ""), &Arc::default()).proof().await, first);
    let skipped = stage.operator().prove(&claim(2, ""), &Arc::default()).skipped().await;
    assert_eq!(skipped, "Block height is out of bounds for live sync");
}

#[tokio::test]
async fn a_closed_session_is_known_however_the_node_says_it() {
    let Some(stage) = Stage::set().await else { return };
    stage
        .chain
        .arrange(closeSessionCall { chainId: 1, blockHeight: claim(1, "").block.number })
        .await;
    let told = "0x08c379a0\
        0000000000000000000000000000000000000000000000000000000000000020\
        000000000000000000000000000000000000000000000000000000000000001f\
        53657373696f6e207375626d697373696f6e73206861766520636c6f73656400";
    let untold = "the session is not open";
    for (error, reason) in [
        (
            json!({"code": -32015, "message": "VM execution error.", "data": format!("Reverted {told}")}),
            "Session submissions have closed",
        ),
        (
            json!({"code": -32000, "message": "call failed", "data": {"data": told}}),
            "Session submissions have closed",
        ),
        (json!({"code": -32603, "message": "Internal error"}), untold),
        (json!({"code": 3, "message": "execution reverted", "data": "0x"}), untold),
    ] {
        stage.refuse(error.clone());
        let skipped = stage.operator().prove(&claim(1, ""), &Arc::default()).skipped().await;
        assert!(skipped.starts_with(reason), "{error}: {skipped}");
    }
}

/// The nodes behind one address: the one that is asked first does not have the block of the proof
/// yet.
#[tokio::test]
async fn a_proof_that_one_node_does_not_show_yet_is_looked_for_again() {
    let Some(stage) = Stage::set().await else { return };
    let journal = Arc::new(Journal::default());
    let mut config = stage.config();
    config.search_again_for = LONG;
    let operator = Operator::with(KEY, config.clone());
    let proving = operator.prove(&claim(1, ""), &journal);
    until("it is proved", async || {
        stage.chain.mine(1).await;
        proving.is_finished()
    })
    .await;
    let first = proving.proof().await;

    let (proxy, looks) = (stage.proxy.clone(), Arc::new(AtomicU64::new(0)));
    let hide_until = |looks_in_vain: u64, receipts: bool| {
        looks.store(0, Ordering::SeqCst);
        let looks = Arc::clone(&looks);
        proxy.rule(move |method, _| {
            let seen = match method {
                "eth_getLogs" => looks.fetch_add(1, Ordering::SeqCst),
                _ => looks.load(Ordering::SeqCst),
            };
            match method {
                "eth_getLogs" if receipts || seen < looks_in_vain => {
                    Fault::Answer(json!({"result": []}))
                }
                "eth_getTransactionReceipt" if seen < looks_in_vain => {
                    Fault::Answer(json!({"result": null}))
                }
                _ => Fault::None,
            }
        });
    };
    // Nothing is known of it, and it is among the contract's events.
    hide_until(5, false);
    let operator = Operator::with(KEY, config.clone());
    assert_eq!(operator.prove(&claim(1, ""), &Arc::default()).proof().await, first);
    // Its hash is in the journal.
    hide_until(5, true);
    let operator = Operator::with(KEY, config);
    let proving = operator.prove(&claim(1, ""), &journal);
    until("it is found", async || {
        stage.chain.mine(1).await;
        proving.is_finished()
    })
    .await;
    assert_eq!(proving.proof().await, first);
    assert_eq!(stage.chain.submissions().await.len(), 1);
}

#[tokio::test]
async fn logs_are_asked_for_a_few_blocks_at_once_where_the_rpc_takes_no_more() {
    let Some(stage) = Stage::set().await else { return };
    let first = stage.prove(&claim(1, "")).await;
    stage.chain.mine(40).await;
    let refused = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&refused);
    stage.proxy.rule(move |method, params| {
        let block = |name: &str| {
            let number = params[0][name].as_str().unwrap().trim_start_matches("0x");
            u64::from_str_radix(number, 16).unwrap()
        };
        if method != "eth_getLogs" || block("toBlock") - block("fromBlock") < 5 {
            return Fault::None;
        }
        count.fetch_add(1, Ordering::SeqCst);
        let message = "eth_getLogs is limited to a 5 range";
        Fault::Answer(json!({"error": {"code": -32614, "message": message}}))
    });
    let operator = stage.operator();
    assert_eq!(operator.prove(&claim(1, ""), &Arc::default()).proof().await, first);
    let to_learn = refused.swap(0, Ordering::SeqCst);
    assert_eq!(operator.prove(&claim(1, ""), &Arc::default()).proof().await, first);
    assert!((1..to_learn).contains(&refused.load(Ordering::SeqCst)), "{to_learn}, {refused:?}");
}

#[tokio::test]
async fn without_logs_a_proof_of_ours_is_a_reason_to_skip_after_some_tries() {
    let Some(stage) = Stage::set().await else { return };
    stage.prove(&claim(1, "")).await;
    stage.proxy.rule(|method, _| match method {
        "eth_getLogs" => {
            let message = "the method eth_getLogs does not exist/is not available";
            Fault::Answer(json!({"error": {"code": -32601, "message": message}}))
        }
        _ => Fault::None,
    });
    let operator = stage.operator();
    let reason = operator.prove(&claim(1, ""), &Arc::default()).skipped().await;
    assert!(reason.starts_with("Operator already submitted"), "{reason}");
    assert!(reason.contains("the RPC gives no logs"), "{reason}");
}

/// All else gets on: then the trouble is this claim's.
#[tokio::test]
async fn a_claim_that_fails_alone_is_held() {
    let Some(stage) = Stage::set().await else { return };
    let odd = claim(1, "");
    let of_odd = alloy_primitives::hex::encode(odd.block.hash);
    stage.proxy.rule(move |method, params| {
        let data = params[0]["data"].as_str().unwrap_or_default();
        match is_dry_run(method, params) && data.contains(&of_odd) {
            true => {
                let error = json!({"code": -32000, "message": "evm error: OutOfGas"});
                Fault::Answer(json!({"error": error}))
            }
            false => Fault::None,
        }
    });
    let operator = stage.operator();
    let proving = operator.prove(&odd, &Arc::default());
    until("the RPC's failure is told", async || operator.has_alarm(AlarmKind::RpcFailing)).await;
    until("the proof is told to wait", async || operator.has_alarm(AlarmKind::ProofWaits)).await;
    assert!(!proving.is_finished(), "nobody else has got on");
    for above in 2.. {
        if proving.is_finished() {
            break;
        }
        stage.prove_with(&operator, &claim(above, "")).await;
    }
    let reason = proving.held().await;
    assert!(reason.contains("while other claims got on"), "{reason}");
    assert!(reason.contains("evm error: OutOfGas"), "{reason}");
    assert!(!operator.has_alarm(AlarmKind::ProofWaits));
}

#[tokio::test]
async fn a_proof_counts_when_the_rpc_calls_its_block_finalized() {
    let Some(stage) = Stage::set().await else { return };
    let mut config = stage.config();
    config.confirmations = Confirmations::Finalized;
    let operator = Operator::with(KEY, config);
    let final_block = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&final_block);
    let looks = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&looks);
    let finalized = json!(["finalized", false]);
    stage.proxy.rule(move |_, params| {
        if *params != finalized {
            return Fault::None;
        }
        count.fetch_add(1, Ordering::SeqCst);
        let number = format!("{:#x}", told.load(Ordering::SeqCst));
        let block = json!({"number": number, "hash": format!("0x{}", "12".repeat(32))});
        Fault::Answer(json!({"result": block}))
    });
    let proving = operator.prove(&claim(1, ""), &Arc::default());
    until("it is mined", async || {
        stage.chain.mine(20).await;
        !stage.chain.submissions().await.is_empty()
    })
    .await;
    let so_far = looks.load(Ordering::SeqCst);
    until("it is looked at", async || looks.load(Ordering::SeqCst) >= so_far + 3).await;
    assert!(!proving.is_finished());
    final_block.store(stage.chain.head().await, Ordering::SeqCst);
    proving.proof().await;
}

#[tokio::test]
async fn a_proof_counts_by_its_depth_where_the_rpc_does_not_know_what_is_final() {
    let Some(stage) = Stage::set().await else { return };
    let mut config = stage.config();
    config.confirmations = Confirmations::Finalized;
    let operator = Operator::with(KEY, config);
    stage.proxy.rule(|_, params| match params[0].as_str() {
        Some("finalized") => {
            let message = "invalid argument 0: hex string without 0x prefix";
            Fault::Answer(json!({"error": {"code": -32602, "message": message}}))
        }
        _ => Fault::None,
    });
    let proof = stage.prove_with(&operator, &claim(1, "")).await;
    let depth = stage.chain.head().await - proof.mined_in.unwrap().0 + 1;
    assert!(depth >= bsp_agent::proof::DEPTH_WITHOUT_FINALITY, "{depth}");
}

/// The journal knows nothing of it.
#[tokio::test]
async fn a_proof_that_is_found_on_the_chain_counts_when_it_is_deep_enough() {
    let Some(stage) = Stage::set().await else { return };
    let first = stage.prove(&claim(1, "")).await;
    let searches = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&searches);
    stage.proxy.rule(move |method, _| {
        if method == "eth_getLogs" {
            count.fetch_add(1, Ordering::SeqCst);
        }
        Fault::None
    });
    let mut config = stage.config();
    config.confirmations = Confirmations::Blocks(1000);
    let operator = Operator::with(KEY, config);
    let proving = operator.prove(&claim(1, ""), &Arc::default());
    until("it is found a few times", async || {
        proving.is_finished() || searches.load(Ordering::SeqCst) >= 3
    })
    .await;
    assert!(!proving.is_finished(), "it is not deep enough");
    stage.chain.mine(1000).await;
    assert_eq!(proving.proof().await, first);
}

/// What an RPC is asked for claims that are likely to be taken.
#[tokio::test]
async fn an_outlook_costs_nothing_while_the_figures_are_fresh() {
    let Some(stage) = Stage::set().await else { return };
    let mut config = stage.config();
    config.check_interval = LONG;
    let operator = Operator::with(KEY, config);
    assert_eq!(operator.prover.outlook(&claim(1, "")).await, Outlook::Open);
    let contract = json!(stage.chain.contract);
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    stage.proxy.rule(move |_, params| {
        if params[0]["to"].as_str().map(str::to_lowercase)
            == contract.as_str().map(str::to_lowercase)
        {
            count.fetch_add(1, Ordering::SeqCst);
        }
        Fault::None
    });
    for above in 2..50 {
        assert_eq!(operator.prover.outlook(&claim(above, "")).await, Outlook::Open);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    operator.prover.outlook(&claim(1_000_000, "")).await;
    let mut past = claim(0, "");
    past.block.number = 1;
    assert!(matches!(operator.prover.outlook(&past).await, Outlook::Closed { .. }));
    assert!(asked.load(Ordering::SeqCst) > 0);
}

/// Lines of the log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn only_what_is_sent_is_said_to_be_submitted() {
    let Some(stage) = Stage::set().await else { return };
    let mut config = stage.config();
    config.max_in_flight = 1;
    let operator = Operator::with(KEY, config);
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let provings: Vec<_> =
        (1..9).map(|above| operator.prove(&claim(above, ""), &Arc::default())).collect();
    until("one is in the pool", async || stage.chain.nonce(address(KEY), "pending").await == 1)
        .await;
    operator.stop.cancel();
    for proving in provings {
        proving.end().await.unwrap_err();
    }
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("submitting block-replica segment proof for").count(), 1, "{text}");
}
