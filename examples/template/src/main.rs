//! reth with the block specimen producer.

use bsp_exex::{BspArgs, BspRpcModuleValidator, InstallBsp};
use clap::Parser;
use reth_ethereum_cli::{Cli, chainspec::EthereumChainSpecParser};
use reth_node_ethereum::EthereumNode;

fn main() -> eyre::Result<()> {
    let cli = Cli::<EthereumChainSpecParser, BspArgs, BspRpcModuleValidator>::parse();
    cli.run(async move |builder, args| {
        let node = builder.node(EthereumNode::default());
        // Your own `install_exex` and `extend_rpc_modules` come here.
        let handle = node
            .install_bsp(args)
            .launch_with_debug_capabilities()
            .await?;
        handle.wait_for_node_exit().await
    })
}
