//! A real node (anvil) with the proof-chain contract, for one test.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent};
use bsp_agent::proof::contract::BlockSpecimenProductionProofSubmitted;
pub(crate) use bsp_tests::contract::calls::*;
use bsp_tests::{
    contract::bytecode,
    servers::{
        anvil::{ADMINISTRATOR, Anvil, Mining},
        program::{Program, all_there},
    },
    wait::wait_for,
};
use serde_json::{Value, json};
use std::time::Duration;

/// The height that the contract takes for the target chain's at the start.
pub(crate) const HEIGHT: u64 = 1_000_000;

/// How long a condition may take to come true on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running anvil. Blocks are mined on demand.
pub(crate) struct Chain {
    anvil: Anvil,
    pub(crate) url: String,
    pub(crate) contract: Address,
}

impl Chain {
    /// Starts one, or says that there is none and returns nothing.
    pub(crate) async fn start() -> Option<Self> {
        if !all_there(&[Program::Anvil]) {
            return None;
        }
        let anvil = Anvil::start(Mining::OnDemand).await.unwrap();
        let url = format!("http://{}", anvil.address());
        let mut chain = Self { anvil, url, contract: Address::ZERO };
        chain.deploy().await;
        Some(chain)
    }

    async fn deploy(&mut self) {
        let (from, data) = (ADMINISTRATOR.address, bytecode().unwrap());
        let creation = json!([{"from": from, "data": data, "gas": "0x5b8d80"}]);
        let hash = self.ask("eth_sendTransaction", creation).await;
        self.mine(1).await;
        let receipt = self.mined(&hash).await;
        self.contract = serde_json::from_value(receipt["contractAddress"].clone()).unwrap();
        self.take_network(|_| {}).await;
    }

    /// Lets the contract take all heights near [`HEIGHT`] of network 1, but for a change.
    pub(crate) async fn take_network(&self, change: impl FnOnce(&mut ChainData)) {
        let mut chain = ChainData {
            blockOnTargetChain: U256::from(HEIGHT),
            blockOnCurrentChain: U256::ZERO,
            secondsPerBlockTargetChain: U256::ONE,
            allowedThreshold: 100_000,
            maxSubmissionsPerBlockHeight: 3,
            nthBlock: 1,
        };
        change(&mut chain);
        self.arrange(setChainDataCall { chainId: 1, chain }).await;
    }

    /// Changes the contract, in a block of its own.
    pub(crate) async fn arrange(&self, call: impl SolCall) {
        self.arrange_for(call, None).await;
    }

    /// As [`arrange`](Self::arrange), for a gas price in gwei: ahead of what pays less.
    pub(crate) async fn arrange_for(&self, call: impl SolCall, gwei: Option<u64>) {
        let input = Bytes::from(call.abi_encode());
        let mut transaction = json!({"from": ADMINISTRATOR.address, "to": self.contract, "data": input, "gas": "0x4c4b40"});
        if let Some(gwei) = gwei {
            transaction["gasPrice"] = json!(U256::from(gwei) * U256::from(1_000_000_000));
        }
        let hash = self.ask("eth_sendTransaction", json!([transaction])).await;
        self.mine(1).await;
        self.mined(&hash).await;
    }

    /// Sends a transaction that does nothing in the name of an account, at a price that replaces
    /// any of ours.
    pub(crate) async fn send_foreign(&self, account: Address, nonce: u64) -> Value {
        self.ask("anvil_impersonateAccount", json!([account])).await;
        let (nonce, price) = (U256::from(nonce), U256::from(400_000_000_000_u64));
        let empty = json!([{"from": account, "to": account, "nonce": nonce, "gas": "0x5208", "gasPrice": price}]);
        self.ask("eth_sendTransaction", empty).await
    }

    /// The receipt of a successful transaction. Even without delay to its block, it may come a
    /// moment later.
    async fn mined(&self, hash: &Value) -> Value {
        let mut receipt = Value::Null;
        until("a receipt", async || {
            receipt = self.ask("eth_getTransactionReceipt", json!([hash])).await;
            !receipt.is_null()
        })
        .await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    }

    /// Makes an account an operator, and rich.
    pub(crate) async fn enable(&self, operator: Address) {
        self.arrange(enableOperatorCall { operator, validator: 7 }).await;
        self.fund(operator, U256::from(10).pow(U256::from(21))).await;
    }

    pub(crate) async fn fund(&self, account: Address, wei: U256) {
        self.ask("anvil_setBalance", json!([account, wei])).await;
    }

    pub(crate) async fn mine(&self, blocks: u64) {
        self.ask("anvil_mine", json!([format!("{blocks:#x}")])).await;
    }

    pub(crate) async fn head(&self) -> u64 {
        self.number("eth_blockNumber", json!([])).await
    }

    /// The account's nonce at the latest block, or with the pool.
    pub(crate) async fn nonce(&self, of: Address, at: &str) -> u64 {
        self.number("eth_getTransactionCount", json!([of, at])).await
    }

    async fn number(&self, method: &str, params: Value) -> u64 {
        let text = self.ask(method, params).await;
        u64::from_str_radix(text.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    }

    /// All submissions on the chain, with the transaction of each.
    pub(crate) async fn submissions(&self) -> Vec<(B256, BlockSpecimenProductionProofSubmitted)> {
        let topic = BlockSpecimenProductionProofSubmitted::SIGNATURE_HASH;
        let filter = json!([{"address": self.contract, "fromBlock": "0x0", "topics": [topic]}]);
        let logs = self.ask("eth_getLogs", filter).await;
        let each = logs.as_array().unwrap().iter().map(|log| {
            let data: Bytes = serde_json::from_value(log["data"].clone()).unwrap();
            let event = BlockSpecimenProductionProofSubmitted::abi_decode_data(&data).unwrap();
            let event = BlockSpecimenProductionProofSubmitted::new((topic,), event);
            (serde_json::from_value(log["transactionHash"].clone()).unwrap(), event)
        });
        each.collect()
    }

    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        self.try_ask(method, params).await.unwrap()
    }

    pub(crate) async fn try_ask(&self, method: &str, params: Value) -> Result<Value, String> {
        self.anvil.rpc().call(method, params).await.map_err(|error| error.to_string())
    }
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    wait_for(what, PATIENCE, async || holds().await.then_some(())).await.unwrap();
}
