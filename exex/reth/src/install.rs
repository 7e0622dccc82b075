//! Puts the producer into a node.

use crate::{
    Bsp, NodeChain,
    exex::run,
    handle::BspHandle,
    rpc::{BspRpc, MODULE},
    wal::close_gaps,
};
use reth_chainspec::ChainSpec;
use reth_ethereum_primitives::EthPrimitives;
use reth_node_api::{FullNodeTypes, NodeTypes};
use reth_node_builder::{
    NodeAdapter, NodeBuilderWithComponents, NodeComponentsBuilder, WithLaunchContext,
    rpc::RethRpcAddOns,
};
use reth_rpc_server_types::RethRpcModule;
use std::sync::Arc;

/// The id of the Execution Extension, in the node's logs and metrics.
const EXEX_ID: &str = "bsp";

/// Adds the producer to a node that is being built.
pub trait InstallBsp: Sized {
    /// Installs the Execution Extension and the RPC namespace `bsp`, or nothing if the arguments say so.
    ///
    /// Other extensions are installed before or after, as usual. A node has only one hook for RPC modules: who
    /// needs it too calls [`install_bsp_exex`](Self::install_bsp_exex) and merges [`BspRpc::into_module`].
    #[must_use]
    fn install_bsp(self, bsp: impl Into<Bsp>) -> Self;

    /// Installs the Execution Extension without RPC.
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
        let (kind, deliver) = (args.kind(), args.deliver);
        self.install_bsp_exex(bsp, handle.clone()).extend_rpc_modules(move |ctx| {
            let spec = Arc::clone(&ctx.config().chain);
            let chain = NodeChain::new(ctx.provider().clone(), spec, kind);
            let module = BspRpc::new(chain, deliver, handle).into_module();
            let name = RethRpcModule::Other(MODULE.to_owned());
            ctx.modules.merge_if_module_configured(name, module.clone())?;
            // IPC's list of modules can't be chosen; who reaches the socket may use all of them.
            ctx.modules.merge_ipc(module)?;
            Ok(())
        })
    }

    fn install_bsp_exex(self, bsp: impl Into<Bsp>, handle: BspHandle) -> Self {
        let bsp = bsp.into();
        let enabled = bsp.args().is_enabled();
        if enabled {
            close_gaps(&self.config().datadir().exex_wal());
        }
        self.install_exex_if(enabled, EXEX_ID, async move |ctx| Ok(run(ctx, bsp, handle)))
    }
}
