//! The block specimen producer beside an Execution Extension of one's own: a counter of
//! transactions.
//!
//! `install_exex` is the counter, `install_bsp` the producer. Each gets the node's notifications,
//! and each has its own `FinishedHeight`, so the node keeps what either still needs.
//!
//! The counter has an RPC method too. A node has one hook for RPC modules, and `install_bsp` keeps
//! what is in it: so `extend_rpc_modules` comes first.

use bsp_exex::{BspArgs, BspRpcModuleValidator, InstallBsp};
use clap::Parser;
use futures::TryStreamExt;
use jsonrpsee::RpcModule;
use reth_chainspec::ChainSpec;
use reth_ethereum_cli::{Cli, chainspec::EthereumChainSpecParser};
use reth_ethereum_primitives::EthPrimitives;
use reth_exex::ExExContext;
use reth_node_api::{FullNodeComponents, NodeTypes};
use reth_node_ethereum::EthereumNode;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

fn main() -> eyre::Result<()> {
    let cli = Cli::<EthereumChainSpecParser, BspArgs, BspRpcModuleValidator>::parse();
    cli.run(async move |builder, args| {
        let total = Arc::new(AtomicU64::new(0));
        let answer = Arc::clone(&total);
        let node = builder.node(EthereumNode::default());
        let node = node
            .install_exex("counter", async move |ctx| Ok(count_transactions(ctx, total)))
            .extend_rpc_modules(move |ctx| Ok(ctx.modules.merge_configured(rpc(answer)?)?));
        let handle = node.install_bsp(args).launch_with_debug_capabilities().await?;
        handle.wait_for_node_exit().await
    })
}

/// `counter_transactions`: how many transactions there were since the start.
fn rpc(total: Arc<AtomicU64>) -> eyre::Result<RpcModule<Arc<AtomicU64>>> {
    let mut module = RpcModule::new(total);
    module.register_method("counter_transactions", |_, total, _| total.load(Relaxed))?;
    Ok(module)
}

async fn count_transactions<N>(mut ctx: ExExContext<N>, total: Arc<AtomicU64>) -> eyre::Result<()>
where
    N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
{
    while let Some(notification) = ctx.notifications.try_next().await? {
        let Some(committed) = notification.committed_chain() else { continue };
        let count =
            committed.blocks_iter().map(|block| block.body().transactions.len()).sum::<usize>();
        let total = total.fetch_add(count as u64, Relaxed) + count as u64;
        tracing::info!(target: "counter", tip = committed.tip().number, total, "transactions so far");
        ctx.send_finished_height(committed.tip().num_hash())?;
    }
    Ok(())
}
