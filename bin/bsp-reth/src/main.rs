//! The reth node.
#[global_allocator]
static ALLOC: reth_cli_util::allocator::Allocator = reth_cli_util::allocator::new_allocator();
use clap::Parser;
use reth_ethereum_cli::chainspec::EthereumChainSpecParser;
use reth_node_ethereum::EthereumNode;
fn main() {
    if let Err(err) = reth::cli::Cli::<EthereumChainSpecParser>::parse().run(async move |builder, _| {
        let handle = builder.node(EthereumNode::default()).launch_with_debug_capabilities().await?;
        handle.wait_for_node_exit().await
    }) {
        eprintln!("Error: {err:?}");
        std::process::exit(1);
    }
}
