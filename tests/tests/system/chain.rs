//! The proof chain that the other tests rely on: it forks, forgets and refuses as it is told.

use alloy_primitives::{B256, Bytes};
use alloy_sol_types::{SolCall, sol};
use bsp_tests::{
    audit::ProofBook,
    contract::ProofContract,
    rpc::JsonRpc,
    servers::{
        anvil::{Anvil, Mining, OPERATOR},
        program::{Program, all_there},
    },
};
use serde_json::json;

sol! {
    function submitBlockSpecimenProof(
        uint64 chainId,
        uint64 blockHeight,
        bytes32 blockHash,
        bytes32 specimenHash,
        string calldata storageURL
    ) external;
}

/// Sends a proof of a block, of network 1337, that is named after its height.
async fn submit(rpc: &JsonRpc, contract: &ProofContract, height: u64) -> eyre::Result<B256> {
    let call = submitBlockSpecimenProofCall {
        chainId: 1337,
        blockHeight: height,
        blockHash: B256::with_last_byte(height as u8),
        specimenHash: B256::repeat_byte(9),
        storageURL: format!("ipfs://block-{height}-with-a-name-of-more-than-a-word"),
    };
    let transaction = json!({
        "from": OPERATOR.address,
        "to": contract.address(),
        "data": Bytes::from(call.abi_encode()),
    });
    // anvil's own estimate would not refuse what reverts.
    rpc.call::<Bytes>("eth_call", json!([transaction, "latest"])).await?;
    rpc.call("eth_sendTransaction", json!([transaction])).await
}

#[tokio::test]
async fn proofs_are_read_from_events_and_go_with_a_reorganisation() {
    if !all_there(&[Program::Anvil]) {
        return;
    }
    let anvil = Anvil::start(Mining::OnDemand).await.unwrap();
    let contract = ProofContract::deploy(anvil.rpc()).await.unwrap();
    contract.accept_network(1337).await.unwrap();
    let book = |confirmations| ProofBook::Chain {
        rpc: anvil.rpc().clone(),
        contract: contract.address(),
        confirmations,
        reorganising: anvil.reorganising(),
    };

    let first = submit(anvil.rpc(), &contract, 5).await.unwrap();
    assert_eq!(anvil.pending().await.unwrap(), [first]);
    anvil.mine().await.unwrap();
    let proofs = book(1).all().await.unwrap();
    assert_eq!(proofs.len(), 1);
    assert_eq!((proofs[0].chain_id, proofs[0].height, proofs[0].id), (1337, 5, first));
    assert_eq!(proofs[0].block_hash, B256::with_last_byte(5));
    assert_eq!(proofs[0].specimen_hash, B256::repeat_byte(9));
    assert_eq!(proofs[0].url, "ipfs://block-5-with-a-name-of-more-than-a-word");
    assert_eq!(book(1).settled(first).await.unwrap(), proofs);
    assert!(book(2).settled(first).await.unwrap().is_empty());
    anvil.mine().await.unwrap();
    assert_eq!(book(2).settled(first).await.unwrap(), proofs);

    anvil.reorganise(2).await.unwrap();
    assert!(book(1).all().await.unwrap().is_empty());
    assert!(book(1).settled(first).await.unwrap().is_empty());

    let dropped = submit(anvil.rpc(), &contract, 6).await.unwrap();
    anvil.drop_transaction(dropped).await.unwrap();
    anvil.mine().await.unwrap();
    assert!(book(1).all().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_contract_refuses_what_it_is_told_to() {
    if !all_there(&[Program::Anvil]) {
        return;
    }
    let anvil = Anvil::start(Mining::OnDemand).await.unwrap();
    let contract = ProofContract::deploy(anvil.rpc()).await.unwrap();
    let refusal = async |height| {
        submit(anvil.rpc(), &contract, height).await.map_err(|error| error.to_string()).unwrap_err()
    };
    assert!(refusal(1).await.contains("Invalid chain ID"));
    contract.accept_network(1337).await.unwrap();
    contract.close_session(1337, 1).await.unwrap();
    assert!(refusal(1).await.contains("Session submissions have closed"));
    contract.force_revert("for a test").await.unwrap();
    assert!(refusal(2).await.contains("for a test"));
    contract.force_revert("").await.unwrap();
    contract.disable(OPERATOR.address).await.unwrap();
    assert!(refusal(2).await.contains("Sender is not BLOCK_SPECIMEN_PRODUCER_ROLE"));
    contract.enable(OPERATOR.address).await.unwrap();
    submit(anvil.rpc(), &contract, 2).await.unwrap();
}
