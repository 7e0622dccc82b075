#![doc = include_str!("../README.md")]
//!
//! Every canonical block is re-executed on the node's own data. Everything that the execution reads
//! of the parent state is recorded in the network's order ([`bsp_capture`]), the outcome is
//! compared with the header, and block, receipts and reads go to Redis streams or folders
//! ([`bsp_replication`]), byte for byte as bsp-geth v2.2.0 writes them.
//!
//! # Install it next to your own extension
//!
//! ```no_run,standalone_crate
//! use bsp_exex::{BspArgs, InstallBsp};
//! use reth_ethereum_cli::{Cli, chainspec::EthereumChainSpecParser};
//! use reth_node_ethereum::EthereumNode;
//! # use clap::Parser;
//! # async fn mine<N: reth_node_api::FullNodeComponents>(
//! #     _: reth_exex::ExExContext<N>,
//! # ) -> eyre::Result<std::future::Pending<eyre::Result<()>>> {
//! #     Ok(std::future::pending())
//! # }
//! # fn my_rpc() -> jsonrpsee::RpcModule<()> {
//! #     jsonrpsee::RpcModule::new(())
//! # }
//! # fn main() -> eyre::Result<()> {
//!
//! Cli::<EthereumChainSpecParser, BspArgs>::parse().run(async move |builder, args| {
//!     let node = builder.node(EthereumNode::default()).install_exex("mine", mine);
//!     // Before `install_bsp`, which keeps it. A later call takes the place of what is there.
//!     let node = node.extend_rpc_modules(|ctx| Ok(ctx.modules.merge_configured(my_rpc())?));
//!     let handle = node.install_bsp(args).launch_with_debug_capabilities().await?;
//!     handle.wait_for_node_exit().await
//! })
//! # }
//! ```
//!
//! A node has one hook for RPC modules. Where yours can't come first,
//! [`InstallBsp::install_bsp_with_hook`] returns what to run in it; see [`InstallBsp`]. Whatever
//! becomes of that hook, the producer runs.
//!
//! [`BspArgs`] are the options `--exex.bsp…`; without them nothing is installed.
//! [`BspArgs::enabled`] are the options of `--exex.bsp` alone, for a program with a command line of
//! its own. [`NodeChain`] is the piece to build other things from: any block of the node
//! re-executed, with what it reads.
//!
//! # Deliver to a target of your own
//!
//! A [`Target`](bsp_replication::Target) is a trait with one method that counts.
//! [`Bsp::with_target`] adds one to those of the command line:
//!
//! ```no_run
//! use bsp_exex::{Bsp, BspArgs};
//! use bsp_replication::{FileOptions, FileTarget, Target};
//!
//! let bsp = Bsp::new(BspArgs::enabled()).with_target("replicas", |stop| {
//!     let (folder, options) = ("/var/lib/replicas".as_ref(), FileOptions::default());
//!     Ok(Box::new(FileTarget::open(folder, &options, stop.clone())?))
//! });
//! // …and `node.install_bsp(bsp)`.
//! ```
//!
//! # Assumptions
//!
//! * An Ethereum node: reth's own primitives and chain specification, its rules for execution. The
//!   node's EVM configuration is neither used nor changed.
//! * The state before a block is still there when the block is due. A node that prunes keeps it,
//!   because of `FinishedHeight`; state that was pruned before the first start is reported, or
//!   skipped if that is asked for.
//!
//! # Invariants
//!
//! * The content of notifications is ignored. They, the canonical-state stream and a timer wake the
//!   producer, which goes from each target's cursor to the canonical tip; so it does not matter how
//!   many notifications are lost.
//! * Blocks and states are asked for by hash. A height stands for a block only up to the tip: above
//!   it, reth's database still has the branch that a reorg has left.
//! * A block leaves only if gas used, receipts root, logs bloom, requests hash, transactions root
//!   and withdrawals root are the header's, and its header hashes to the hash that was asked for.
//! * Nothing is executed while the node's pipeline has more executed than indexed: states of the
//!   past are wrong then.
//! * A block of a fork that this version does not know is not executed, and nothing is delivered
//!   from there on; what is known of such forks beforehand is told from the first start on
//!   ([`unknown_forks`]).
//! * The future does not end, nor by a panic, and what fails is tried again: the node must never
//!   stop for us.
//!
//! # Performance
//!
//! One execution more of each block, on a thread of its own. A state is opened for one block and
//! closed before the replica is encoded, so no read transaction of the database grows old. However
//! far a target is behind, the replicas that wait for it are bounded by
//! `--exex.bsp.memory-budget`. On top of that come the blocks that are executed at the moment,
//! whose size is not known before, and two compressed copies of the batch that is being delivered.
//!
//! # Pruning
//!
//! reth prunes nothing above `FinishedHeight`, which is the lower of the finalized block and the
//! last canonical block that every target has confirmed, with all before it. It is sent soon after
//! every start, because reth does not remember it, and again whenever it changes. While a target is
//! down the node keeps what that target has yet to get.
//!
//! The pipeline of reth v2.5.1 prunes too, and asks no extension before. A node that prunes and was
//! away for long, or whose target was, says so in its log, and which distance is enough until that
//! has passed.
//!
//! A node that prunes nothing has to be told nothing. There, [`InstallBsp::install_bsp`] runs the
//! producer beside the node's manager of extensions, which costs the node processor time for each
//! block: see [`Register`].
//!
//! reth tells an extension nothing of commits up to its `FinishedHeight`; every extension has its
//! own.
//!
//! # Delivery
//!
//! Each target gets every canonical block once, in the order of their heights. After a reorg it
//! gets the new branch from the common ancestor on; a block that becomes canonical again is not
//! sent again. Consumers tell what is orphaned by the parent hashes. [`Deliver`] decides how long a
//! block has to settle before.

mod args;
mod chain;
mod failpoint;
mod handle;
mod hook;
mod host;
mod install;
mod metrics;
mod rpc;
mod targets;

pub use self::{
    args::{BspArgs, Deliver, Register, TargetList, TargetListError, TargetListParser, kind_of},
    chain::{
        NodeChain,
        forks::{ForkBegin, UnknownFork, unknown_forks},
        limits::{UnfitNetwork, check_network},
        produce::ExecutedBlock,
        provider::NodeProvider,
        spec::NodeSpec,
    },
    handle::{BspHandle, NotRunning},
    hook::BspHook,
    install::InstallBsp,
    rpc::{
        BlockReplica, BlockSelector, BspApiServer, BspRpc, BspRpcModuleValidator, MODULE,
        NodeStatus, ReadSet,
    },
    targets::Bsp,
};

/// The node that `examples/template` begins with.
#[cfg(doctest)]
#[doc = concat!(
    "```no_run,standalone_crate\n",
    include_str!("../../../examples/template/src/main.rs"),
    "\n```"
)]
mod template {}
