//! The block specimen producer beside an Execution Extension of one's own: a counter of transactions.
//!
//! `install_exex` is the counter, `install_bsp` the producer. Each gets the node's notifications, and each has its own
//! `FinishedHeight`, so the node keeps what either still needs.

use bsp_exex::{BspArgs, BspRpcModuleValidator, InstallBsp};
use clap::Parser;
use futures::TryStreamExt;
use reth_chainspec::ChainSpec;
use reth_ethereum_cli::{Cli, chainspec::EthereumChainSpecParser};
use reth_ethereum_primitives::EthPrimitives;
use reth_exex::ExExContext;
use reth_node_api::{FullNodeComponents, NodeTypes};
use reth_node_ethereum::EthereumNode;

fn main() -> eyre::Result<()> {
    let cli = Cli::<EthereumChainSpecParser, BspArgs, BspRpcModuleValidator>::parse();
    cli.run(async move |builder, args| {
        let node = builder.node(EthereumNode::default());
        let node = node.install_exex("counter", async |ctx| Ok(count_transactions(ctx)));
        let handle = node.install_bsp(args).launch_with_debug_capabilities().await?;
        handle.wait_for_node_exit().await
    })
}

async fn count_transactions<N>(mut ctx: ExExContext<N>) -> eyre::Result<()>
where
    N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
{
    let mut total = 0;
    while let Some(notification) = ctx.notifications.try_next().await? {
        let Some(committed) = notification.committed_chain() else { continue };
        total +=
            committed.blocks_iter().map(|block| block.body().transactions.len()).sum::<usize>();
        tracing::info!(target: "counter", tip = committed.tip().number, total, "transactions so far");
        ctx.send_finished_height(committed.tip().num_hash())?;
    }
    Ok(())
}
