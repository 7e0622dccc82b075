//! Puts the producer into a node.

use crate::{
    Bsp, Deliver, NodeChain, Register,
    exex::{Host, run},
    handle::BspHandle,
    metrics::ExExMetrics,
    pruning::prunes,
    rpc::{BspRpc, MODULE},
    wal::close_gaps,
};
use bsp_codec::ReplicaKind;
use futures::FutureExt;
use reth_chainspec::ChainSpec;
use reth_ethereum_primitives::EthPrimitives;
use reth_node_api::{FullNodeComponents, FullNodeTypes, NodeTypes};
use reth_node_builder::{
    NodeAdapter, NodeBuilderWithComponents, NodeComponentsBuilder, WithLaunchContext,
    rpc::{RethRpcAddOns, RpcContext},
};
use reth_rpc_eth_api::EthApiTypes;
use reth_rpc_server_types::RethRpcModule;
use std::{panic::AssertUnwindSafe, sync::Arc};
use tracing::error;

/// The id of the Execution Extension, in the node's logs and metrics.
const EXEX_ID: &str = "bsp";

/// Adds the producer to a node that is being built.
pub trait InstallBsp: Sized {
    /// Installs the producer and the RPC namespace `bsp`, or nothing if the arguments say so.
    ///
    /// The producer is an Execution Extension where the node prunes, see [`Register`](crate::Register), and otherwise runs
    /// beside the node's manager of extensions. Extensions of one's own are installed before or after, as usual. A node
    /// has only one hook for RPC modules: who needs it too calls [`install_bsp_exex`](Self::install_bsp_exex) and
    /// merges [`BspRpc::into_module`].
    #[must_use]
    fn install_bsp(self, bsp: impl Into<Bsp>) -> Self;

    /// Installs the producer as an Execution Extension, whatever the node prunes, and no RPC.
    #[must_use]
    fn install_bsp_exex(self, bsp: impl Into<Bsp>, handle: BspHandle) -> Self;
}

impl<T, CB, AO> InstallBsp for WithLaunchContext<NodeBuilderWithComponents<T, CB, AO>>
where
    T: FullNodeTypes<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
    CB: NodeComponentsBuilder<T>,
    AO: RethRpcAddOns<NodeAdapter<T, CB::Components>>,
{
    fn install_bsp(self, bsp: impl Into<Bsp>) -> Self {
        let bsp = bsp.into();
        let args = bsp.args();
        if !args.is_enabled() {
            return self;
        }
        let handle = BspHandle::default();
        let registers = match args.register {
            Register::Auto => prunes(self.config()),
            Register::Always => true,
            Register::Never => false,
        };
        if registers {
            let kind_and_time = (args.kind(), args.deliver);
            self.install_bsp_exex(bsp, handle.clone())
                .extend_rpc_modules(move |mut ctx| merge_rpc(&mut ctx, kind_and_time, handle))
        } else {
            // For other extensions, which make the node open its log too.
            close_gaps(&self.config().datadir().exex_wal());
            self.extend_rpc_modules(move |mut ctx| {
                run_beside_manager(&ctx, bsp.clone(), handle.clone());
                merge_rpc(&mut ctx, (bsp.args().kind(), bsp.args().deliver), handle)
            })
        }
    }

    fn install_bsp_exex(self, bsp: impl Into<Bsp>, handle: BspHandle) -> Self {
        let bsp = bsp.into();
        let enabled = bsp.args().is_enabled();
        if enabled {
            close_gaps(&self.config().datadir().exex_wal());
        }
        self.install_exex_if(enabled, EXEX_ID, async move |ctx| {
            Ok(run(Host::from(ctx), bsp, handle))
        })
    }
}

/// The same future as that of the Execution Extension. reth has the node's components ready by now, and its engine not
/// yet started.
fn run_beside_manager<N, Api>(ctx: &RpcContext<'_, N, Api>, bsp: Bsp, handle: BspHandle)
where
    N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
    Api: EthApiTypes,
{
    let (components, config) = (ctx.node().clone(), ctx.config().clone());
    let running = run(Host { components, config, manager: None }, bsp, handle);
    ctx.node().task_executor().spawn_task(async move {
        let _ended = AssertUnwindSafe(running).catch_unwind().await;
        // It does not end. If it does all the same, the node need not end with it.
        ExExMetrics::default().not_started.set(1);
        error!(target: "exex::bsp", "The producer has ended, which is a fault of its own. Restart the node: it goes on where it was");
    });
}

fn merge_rpc<N, Api>(
    ctx: &mut RpcContext<'_, N, Api>,
    (kind, deliver): (ReplicaKind, Deliver),
    handle: BspHandle,
) -> eyre::Result<()>
where
    N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
    Api: EthApiTypes,
{
    let spec = Arc::clone(&ctx.config().chain);
    let chain = NodeChain::new(ctx.provider().clone(), spec, kind);
    let module = BspRpc::new(chain, deliver, handle).into_module();
    let name = RethRpcModule::Other(MODULE.to_owned());
    ctx.modules.merge_if_module_configured(name, module.clone())?;
    // IPC's list of modules can't be chosen; who reaches the socket may use all of them.
    ctx.modules.merge_ipc(module)?;
    Ok(())
}
