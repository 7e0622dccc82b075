//! A running node.

use super::{engine::EngineApi, status::BspStatus};
use crate::{rpc::JsonRpc, servers::process::Process};
use alloy_eips::BlockNumHash;
use alloy_primitives::{B256, U64};
use eyre::OptionExt;
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::json;
use std::{net::SocketAddr, time::Duration};

/// How long a node may take to write everything to disk and end.
const STOP_DEADLINE: Duration = Duration::from_secs(90);

/// A running node. Dropping it kills it.
#[derive(Debug)]
pub struct Node {
    pub(super) process: Process,
    pub(super) rpc: JsonRpc,
    pub(super) engine: EngineApi,
    pub(super) metrics: SocketAddr,
}

#[derive(Debug, Deserialize)]
struct Header {
    number: U64,
    hash: B256,
}

#[derive(Debug, Deserialize)]
struct NodeInfo {
    enode: String,
}

impl Node {
    /// Its JSON-RPC interface.
    pub const fn rpc(&self) -> &JsonRpc {
        &self.rpc
    }

    /// Its engine API.
    pub const fn engine(&self) -> &EngineApi {
        &self.engine
    }

    /// Its process id.
    ///
    /// # Errors
    ///
    /// Where it has ended.
    pub fn id(&self) -> eyre::Result<u32> {
        self.process.id().ok_or_eyre("the node has ended")
    }

    /// Its tip.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub async fn tip(&self) -> eyre::Result<BlockNumHash> {
        let Header { number, hash } =
            self.rpc.call("eth_getBlockByNumber", json!(["latest", false])).await?;
        Ok(BlockNumHash::new(number.to(), hash))
    }

    /// The hash of its canonical block at a height, if it is that high.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub async fn hash_at(&self, number: u64) -> eyre::Result<Option<B256>> {
        let header: Option<Header> =
            self.rpc.call("eth_getBlockByNumber", json!([U64::from(number), false])).await?;
        Ok(header.map(|header| header.hash))
    }

    /// Where peers find it.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub async fn enode(&self) -> eyre::Result<String> {
        let NodeInfo { enode } = self.rpc.call("admin_nodeInfo", json!([])).await?;
        Ok(enode)
    }

    /// What the extension says of itself.
    ///
    /// # Errors
    ///
    /// Where it does not answer, for instance because it is not installed.
    pub async fn bsp_status(&self) -> eyre::Result<BspStatus> {
        self.rpc.call("bsp_status", json!([])).await
    }

    /// What it gives to Prometheus.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub async fn metrics(&self) -> eyre::Result<String> {
        Ok(reqwest::get(format!("http://{}/", self.metrics)).await?.text().await?)
    }

    /// One number of these; `None` if it is not among them.
    ///
    /// # Errors
    ///
    /// Where the node does not answer, or the metric has labels or is no number.
    pub async fn metric(&self, name: &str) -> eyre::Result<Option<f64>> {
        let metrics = self.metrics().await?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.map(str::parse).transpose()?)
    }

    /// The same number of every target, in the order in which they are given.
    ///
    /// # Errors
    ///
    /// Where the node does not answer, or the metric is no number.
    pub async fn metric_of_targets(&self, name: &str) -> eyre::Result<Vec<f64>> {
        let metrics = self.metrics().await?;
        let labelled =
            metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
        let values = labelled.filter_map(|line| line.rsplit_once(' '));
        values.map(|(_, value)| Ok(value.parse()?)).collect()
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Kills it as `kill -9` does.
    ///
    /// # Errors
    ///
    /// Where the operating system refuses.
    pub async fn kill(mut self) -> eyre::Result<()> {
        self.process.kill().await
    }

    /// Tells it to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// Where it does not end in time, or not in order.
    pub async fn stop(mut self) -> eyre::Result<()> {
        self.process.signal(Signal::TERM)?;
        let status = self.process.end_within(STOP_DEADLINE).await?;
        eyre::ensure!(
            status.success(),
            "the node ended with {status}:\n{}",
            self.process.last_lines(30)
        );
        Ok(())
    }
}
