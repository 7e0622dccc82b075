//! The RPC namespace `bsp`.
//!
//! Served over IPC, and over HTTP and WebSocket where `--http.api` or `--ws.api` lists `bsp`: two
//! of the methods execute blocks, which not everybody should be able to ask for.

mod answers;
mod block_selector;
mod refusal;
mod validator;

pub use answers::{BlockReplica, NodeStatus, ReadSet};
pub use block_selector::BlockSelector;
pub use validator::BspRpcModuleValidator;

use crate::{
    args::Deliver,
    chain::{NodeChain, produce::ExecutedBlock, provider::NodeProvider},
    handle::BspHandle,
};
use alloy_eips::BlockNumHash;
use alloy_primitives::U64;
use bsp_codec::ReplicaKind;
use jsonrpsee::{
    RpcModule,
    core::{RpcResult, async_trait},
    proc_macros::rpc,
};
use refusal::Refusal;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

/// The namespace's name, as in `--http.api`.
pub const MODULE: &str = "bsp";

/// How many blocks are executed for callers at once.
const EXECUTIONS: usize = 2;

/// How long a caller waits for its turn.
const TURN: Duration = Duration::from_secs(10);

/// The namespace's methods.
#[rpc(server, namespace = "bsp")]
pub trait BspApi {
    /// What the producer is doing, for every target.
    #[method(name = "status")]
    fn status(&self) -> RpcResult<NodeStatus>;

    /// The replica of a block, made again. `kind` is `block-replica`, `block-specimen` or
    /// `block-result`, and by default what the node delivers.
    #[method(name = "getBlockReplica")]
    async fn get_block_replica(
        &self,
        block: BlockSelector,
        kind: Option<String>,
    ) -> RpcResult<BlockReplica>;

    /// What a block's execution reads of its parent's state.
    #[method(name = "getReadSet")]
    async fn get_read_set(&self, block: BlockSelector) -> RpcResult<ReadSet>;
}

/// Answers the namespace's methods.
#[derive(Debug)]
pub struct BspRpc<P> {
    chain: NodeChain<P>,
    deliver: Deliver,
    handle: BspHandle,
    turns: Arc<Semaphore>,
}

impl<P: NodeProvider> BspRpc<P> {
    /// `handle` is that of the Execution Extension whose status is told.
    pub fn new(chain: NodeChain<P>, deliver: Deliver, handle: BspHandle) -> Self {
        Self { chain, deliver, handle, turns: Arc::new(Semaphore::new(EXECUTIONS)) }
    }

    /// The methods, to be merged into a node's RPC modules.
    pub fn into_module(self) -> RpcModule<Self> {
        self.into_rpc()
    }

    /// Executes a block on a thread that may block. A caller that gives up does not stop it, so the
    /// turn goes along.
    async fn execute<T: Send + 'static>(
        &self,
        block: BlockSelector,
        answer: impl FnOnce(BlockNumHash, &ExecutedBlock) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let turn = timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Refusal::Busy);
        };
        let chain = self.chain.clone();
        let execution = spawn_blocking(move || {
            let _turn = turn;
            let id = block.resolve(&chain)?;
            answer(id, &chain.execute(id)?)
        });
        execution.await.unwrap_or(Err(Refusal::Panic))
    }
}

#[async_trait]
impl<P: NodeProvider> BspApiServer for BspRpc<P> {
    fn status(&self) -> RpcResult<NodeStatus> {
        let forks = self.chain.spec().unknown_forks().to_vec();
        Ok(NodeStatus::new(self.chain.kind(), self.deliver, forks, self.handle.status()))
    }

    async fn get_block_replica(
        &self,
        block: BlockSelector,
        kind: Option<String>,
    ) -> RpcResult<BlockReplica> {
        let kind = kind.map_or(Ok(self.chain.kind()), |kind| kind.parse::<ReplicaKind>());
        let kind = kind.map_err(|_| Refusal::UnknownKind)?;
        let replica = self.execute(block, move |id, executed| {
            let rlp = executed.replica(kind)?.into();
            Ok(BlockReplica {
                number: U64::from(id.number),
                hash: id.hash,
                kind: kind.as_str(),
                rlp,
            })
        });
        Ok(replica.await?)
    }

    async fn get_read_set(&self, block: BlockSelector) -> RpcResult<ReadSet> {
        Ok(self.execute(block, |id, executed| Ok(ReadSet::of(id, executed))).await?)
    }
}
