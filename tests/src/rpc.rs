//! Plain JSON-RPC over HTTP, as little as the tests need.

use crate::node::JwtSecret;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use eyre::Context;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};

/// A JSON-RPC server.
#[derive(Debug, Clone)]
pub struct JsonRpc {
    client: reqwest::Client,
    url: String,
    secret: Option<JwtSecret>,
}

/// An event as `eth_getLogs` and receipts give it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// The contract.
    pub address: Address,
    /// Topics, the event's signature first.
    pub topics: Vec<B256>,
    /// The arguments that are not indexed.
    pub data: Bytes,
    /// The transaction.
    pub transaction_hash: B256,
    /// The number of the block that holds it.
    pub block_number: U64,
}

/// What became of a transaction.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// 1 for success.
    pub status: U64,
    /// The number of the block that holds it.
    pub block_number: U64,
    /// The contract that it created.
    pub contract_address: Option<Address>,
    /// Its events.
    pub logs: Vec<Log>,
}

impl JsonRpc {
    /// The server at an address, without asking it anything.
    pub fn new(address: SocketAddr) -> Self {
        Self { client: reqwest::Client::new(), url: format!("http://{address}"), secret: None }
    }

    /// A server that wants each request to carry a token made with this secret.
    pub fn with_secret(address: SocketAddr, secret: JwtSecret) -> Self {
        Self { secret: Some(secret), ..Self::new(address) }
    }

    /// Calls a method.
    ///
    /// # Errors
    ///
    /// Where the server does not answer in time, or with an error.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> eyre::Result<T> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut post = self.client.post(&self.url).timeout(Duration::from_secs(30));
        if let Some(secret) = &self.secret {
            post = post.bearer_auth(secret.token()?);
        }
        let reply: Value =
            post.json(&request).send().await.wrap_err_with(|| method.to_owned())?.json().await?;
        if let Some(error) = reply.get("error") {
            eyre::bail!("{method}: {error}");
        }
        let result = reply.get("result").cloned().unwrap_or_default();
        serde_json::from_value(result).wrap_err_with(|| method.to_owned())
    }

    /// Number of the last block.
    ///
    /// # Errors
    ///
    /// As [`Self::call`].
    pub async fn block_number(&self) -> eyre::Result<u64> {
        Ok(self.call::<U64>("eth_blockNumber", json!([])).await?.to())
    }

    /// An account's balance after a block.
    ///
    /// # Errors
    ///
    /// As [`Self::call`], and where the server no longer has that state.
    pub async fn balance_at(&self, account: Address, block: u64) -> eyre::Result<U256> {
        self.call("eth_getBalance", json!([account, U64::from(block)])).await
    }

    /// What became of a transaction, if the canonical chain holds it.
    ///
    /// # Errors
    ///
    /// As [`Self::call`].
    pub async fn receipt(&self, transaction: B256) -> eyre::Result<Option<Receipt>> {
        self.call("eth_getTransactionReceipt", json!([transaction])).await
    }

    /// All events of a contract with this signature on the canonical chain.
    ///
    /// # Errors
    ///
    /// As [`Self::call`].
    pub async fn logs(&self, contract: Address, signature: B256) -> eyre::Result<Vec<Log>> {
        let filter = json!([{
            "fromBlock": "0x0",
            "toBlock": "latest",
            "address": contract,
            "topics": [signature],
        }]);
        self.call("eth_getLogs", filter).await
    }
}
