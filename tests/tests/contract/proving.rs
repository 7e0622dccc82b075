//! What is refused of a submission, in which order, and what one leaves.

use crate::{
    abi::*,
    chain::{Chain, NETWORK, OWNER, account, event, finalization, hash, network, proof},
};
use alloy_primitives::{B256, U256};
use alloy_sol_types::SolCall;

/// Each refusal comes before those behind it: a call with every fault is mended fault by fault.
#[tokio::test]
async fn faults_are_refused_in_the_networks_order() {
    let Some(chain) = Chain::bare().await else { return };
    let operator = account(1);
    let mut call = submitBlockSpecimenProofCall {
        chainId: NETWORK,
        blockHeight: 1_000_001,
        blockHash: B256::ZERO,
        specimenHash: B256::ZERO,
        storageURL: String::new(),
    };
    let refused = async |call: &submitBlockSpecimenProofCall, reason: &str| {
        assert_eq!(chain.try_send(operator, call).await.unwrap_err(), reason);
    };
    refused(&call, "Invalid block hash").await;
    call.blockHash = hash("block");
    refused(&call, "Invalid specimen hash").await;
    call.specimenHash = hash("specimen");
    refused(&call, "Invalid storage URL").await;
    call.storageURL = "ipfs://cid".to_owned();
    refused(&call, "Sender is not BLOCK_SPECIMEN_PRODUCER_ROLE").await;
    chain.send(OWNER, addBSPOperatorCall { operator, validatorId: 7 }).await;
    refused(&call, "Invalid chain ID").await;
    let every_tenth = ChainData { nthBlock: 10, allowedThreshold: 100, ..network() };
    chain.send(OWNER, configureChainCall { chainId: NETWORK, chain: every_tenth }).await;
    refused(&call, "Invalid block height").await;
    call.blockHeight = 1_000_000;
    refused(&call, "Block height is out of bounds for live sync").await;
    call.blockHeight = 30;
    refused(&call, "Validator is not enabled").await;
    chain.send(OWNER, enableValidatorCall { validatorId: 7 }).await;
    chain.send(operator, call).await;
}

#[tokio::test]
async fn the_first_proof_begins_the_session_and_says_so() {
    let Some(chain) = Chain::with_operators(1).await else { return };
    let call = proof(5, "block", "specimen");
    let mined = chain.send(account(1), call.clone()).await;
    let started: SessionStarted = event(&mined.logs).unwrap();
    let deadline = mined.block + 10;
    assert_eq!(started, SessionStarted { chainId: NETWORK, blockHeight: 5, deadline });
    let submitted: BlockSpecimenProductionProofSubmitted = event(&mined.logs).unwrap();
    assert_eq!(submitted.storageURL, call.storageURL);
    assert_eq!((submitted.chainId, submitted.blockHeight), (NETWORK, 5));
    assert_eq!((submitted.blockHash, submitted.specimenHash), (call.blockHash, call.specimenHash));
    let session = chain.view(getSessionCall { chainId: NETWORK, blockHeight: 5 }).await;
    assert_eq!((session.deadline, session.done), (deadline, false));
    assert_eq!(session.votes, [U256::ONE << 254]);
}

#[tokio::test]
async fn an_operator_proves_a_block_once_and_no_more_blocks_than_allowed() {
    let Some(chain) = Chain::with_operators(2).await else { return };
    let operator = account(1);
    let refused = async |block: &str, specimen: &str| {
        chain.try_send(operator, &proof(5, block, specimen)).await.unwrap_err()
    };
    chain.send(operator, proof(5, "a", "s")).await;
    let again = "Operator already submitted for the provided block hash";
    assert_eq!(refused("a", "s").await, again);
    assert_eq!(refused("a", "other").await, again);
    chain.send(operator, proof(5, "b", "s")).await;
    assert_eq!(refused("a", "other").await, again);
    assert!(chain.view(isSessionOpenCall { chainId: NETWORK, blockHeight: 5, operator }).await);
    chain.send(operator, proof(5, "c", "s")).await;
    assert!(!chain.view(isSessionOpenCall { chainId: NETWORK, blockHeight: 5, operator }).await);
    for block in ["a", "d"] {
        assert_eq!(refused(block, "s").await, "Max submissions limit exceeded");
    }
    let other = account(2);
    assert!(
        chain.view(isSessionOpenCall { chainId: NETWORK, blockHeight: 5, operator: other }).await
    );
    chain.send(other, proof(5, "a", "s")).await;
    // Another height, and the same height of another chain, are other sessions.
    chain.send(operator, proof(6, "a", "s")).await;
    chain.send(OWNER, configureChainCall { chainId: 2, chain: network() }).await;
    chain.send(operator, submitBlockSpecimenProofCall { chainId: 2, ..proof(5, "a", "s") }).await;
}

#[tokio::test]
async fn the_window_moves_with_the_chain_and_ends_where_it_says() {
    let Some(chain) = Chain::with_operators(1).await else { return };
    let head = chain.head().await;
    let narrow = ChainData {
        blockOnTargetChain: U256::from(1000),
        blockOnCurrentChain: U256::from(head),
        secondsPerBlockTargetChain: U256::from(2),
        allowedThreshold: 20,
        ..network()
    };
    chain.send(OWNER, configureChainCall { chainId: NETWORK, chain: narrow }).await;
    // Two blocks of this chain are one of the other's: at the head and two blocks, 1001.
    let out = "Block height is out of bounds for live sync";
    for (height, taken) in [(990, false), (991, true), (1011, true), (1012, false)] {
        let refusal = chain.refusal(account(1), &proof(height, "a", "s")).await;
        assert_eq!(refusal, (!taken).then(|| out.to_owned()), "{height}");
    }
    chain.send(account(1), proof(991, "a", "s")).await;
    chain.mine(40).await;
    // Its session is open yet or over, but the window is no reason any more.
    let late = chain.refusal(account(1), &proof(991, "b", "s")).await;
    assert_eq!(late.as_deref(), Some("Session submissions have closed"));
    let behind = chain.refusal(account(1), &proof(992, "a", "s")).await;
    assert_eq!(behind.as_deref(), Some(out));
}

#[tokio::test]
async fn a_url_is_kept_once_and_the_first_stays_first() {
    let Some(chain) = Chain::with_operators(3).await else { return };
    let first = proof(5, "a", "s");
    let other = submitBlockSpecimenProofCall { storageURL: "ipfs://other".into(), ..first.clone() };
    chain.send(account(1), first.clone()).await;
    chain.send(account(2), first.clone()).await;
    chain.send(account(3), other).await;
    let urls = chain.view(getURLSCall { specimenHash: first.specimenHash }).await;
    assert_eq!(urls, [first.storageURL, "ipfs://other".to_owned()]);
}

#[tokio::test]
async fn it_takes_no_value() {
    let Some(chain) = Chain::with_operators(1).await else { return };
    let paying = |data: &[u8]| {
        let data = alloy_primitives::Bytes::copy_from_slice(data);
        serde_json::json!([{"from": OWNER, "to": chain.contract, "value": "0x1", "data": data}, "latest"])
    };
    for data in [vec![], finalization(5).abi_encode(), acceptOwnershipCall {}.abi_encode()] {
        assert!(chain.fails("eth_call", paying(&data)).await);
    }
}
