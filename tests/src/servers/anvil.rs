//! anvil, the proof chain of the tests: forks, drops and reorders on demand.

use super::{free_address, process::Process, program::Program};
use crate::{rpc::JsonRpc, wait::wait_for};
use alloy_primitives::{Address, B256, address, b256};
use eyre::Context;
use serde_json::{Value, json};
use std::{net::SocketAddr, process::Command, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{sync::RwLock, task::JoinHandle};

const START_DEADLINE: Duration = Duration::from_secs(30);

/// An account that anvil funds at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Its address.
    pub address: Address,
    /// Its key, known to everybody who has anvil.
    pub key: B256,
}

/// Deploys and administers the contract.
pub const ADMINISTRATOR: Account = Account {
    address: address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
    key: b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
};

/// Sends the proofs.
pub const OPERATOR: Account = Account {
    address: address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    key: b256!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
};

/// Who makes blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mining {
    /// anvil, each this many seconds.
    EachSeconds(u64),
    /// The test, with [`Anvil::mine`] or [`Anvil::keep_mining`].
    OnDemand,
}

/// A running anvil.
#[derive(Debug)]
pub struct Anvil {
    folder: TempDir,
    address: SocketAddr,
    rpc: JsonRpc,
    process: Process,
    reorganising: Arc<RwLock<()>>,
}

impl Anvil {
    /// Starts an empty chain.
    ///
    /// # Errors
    ///
    /// Where there is no anvil, or it does not start.
    pub async fn start(mining: Mining) -> eyre::Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = free_address()?;
        let mut command = Command::new(Program::Anvil.require()?);
        command.args(["--host", &address.ip().to_string(), "--port", &address.port().to_string()]);
        match mining {
            Mining::EachSeconds(seconds) => {
                command.args(["--block-time", &seconds.to_string(), "--mixed-mining"]);
            }
            Mining::OnDemand => {
                command.arg("--no-mining");
            }
        }
        // Each request would be a line.
        command.arg("--silent");
        let process = Process::spawn("anvil", command, &folder.path().join("anvil.log"))?;
        let anvil = Self {
            folder,
            address,
            rpc: JsonRpc::new(address),
            process,
            reorganising: Arc::default(),
        };
        wait_for("anvil answers", START_DEADLINE, async || anvil.rpc.block_number().await.ok())
            .await
            .wrap_err_with(|| anvil.process.last_lines(20))?;
        Ok(anvil)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its JSON-RPC interface.
    pub const fn rpc(&self) -> &JsonRpc {
        &self.rpc
    }

    /// Makes one block of what is in the mempool.
    ///
    /// # Errors
    ///
    /// Where anvil does not answer.
    pub async fn mine(&self) -> eyre::Result<()> {
        self.rpc.call::<Value>("evm_mine", json!([])).await.map(drop)
    }

    /// Makes a block each `period`, until the handle is dropped.
    pub fn keep_mining(&self, period: Duration) -> Miner {
        let rpc = self.rpc.clone();
        Miner(tokio::spawn(async move {
            loop {
                tokio::time::sleep(period).await;
                // A busy anvil is asked again a moment later.
                let _: eyre::Result<Value> = rpc.call("evm_mine", json!([])).await;
            }
        }))
    }

    /// Held for writing while blocks are replaced. anvil does that in two steps, and the chain is
    /// shorter between them: who judges by its length waits.
    pub fn reorganising(&self) -> Arc<RwLock<()>> {
        Arc::clone(&self.reorganising)
    }

    /// Replaces the last `depth` blocks with as many empty ones. Their transactions are gone.
    ///
    /// # Errors
    ///
    /// Where anvil refuses, for instance because there are not this many blocks.
    pub async fn reorganise(&self, depth: u64) -> eyre::Result<()> {
        let _standstill = self.reorganising.write().await;
        self.rpc.call::<Value>("anvil_reorg", json!([depth, []])).await.map(drop)
    }

    /// The hashes of the transactions in the mempool.
    ///
    /// # Errors
    ///
    /// Where anvil does not answer.
    pub async fn pending(&self) -> eyre::Result<Vec<B256>> {
        let content: Value = self.rpc.call("txpool_content", json!([])).await?;
        let pools = ["pending", "queued"].iter().filter_map(|pool| content[*pool].as_object());
        let transactions = pools
            .flat_map(|senders| senders.values())
            .filter_map(Value::as_object)
            .flat_map(|nonces| nonces.values());
        transactions.map(|tx| Ok(serde_json::from_value(tx["hash"].clone())?)).collect()
    }

    /// Forgets a transaction of the mempool.
    ///
    /// # Errors
    ///
    /// Where anvil does not answer.
    pub async fn drop_transaction(&self, hash: B256) -> eyre::Result<()> {
        self.rpc.call::<Value>("anvil_dropTransaction", json!([hash])).await.map(drop)
    }

    /// Sets an account's balance, in wei.
    ///
    /// # Errors
    ///
    /// Where anvil does not answer.
    pub async fn set_balance(&self, account: Address, wei: u128) -> eyre::Result<()> {
        let wei = format!("{wei:#x}");
        self.rpc.call::<Value>("anvil_setBalance", json!([account, wei])).await.map(drop)
    }

    /// The end of what it printed.
    pub fn last_lines(&self) -> String {
        format!("{}: {}", self.folder.path().display(), self.process.last_lines(20))
    }
}

/// Makes blocks until it is dropped.
#[derive(Debug)]
pub struct Miner(JoinHandle<()>);

impl Drop for Miner {
    fn drop(&mut self) {
        self.0.abort();
    }
}
