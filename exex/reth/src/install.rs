//! Puts the producer into a node.

use crate::{
    args::Register,
    handle::BspHandle,
    hook::BspHook,
    host::{
        exex::{Host, run},
        pruning::prunes,
        wal::close_gaps,
    },
    targets::Bsp,
};
use reth_chainspec::ChainSpec;
use reth_ethereum_primitives::EthPrimitives;
use reth_node_api::{FullNodeTypes, NodeTypes};
use reth_node_builder::{
    NodeAdapter, NodeBuilderWithComponents, NodeComponentsBuilder, WithLaunchContext,
    rpc::RethRpcAddOns,
};
use tracing::warn;

/// The id of the Execution Extension, in the node's logs and metrics.
const EXEX_ID: &str = "bsp";

/// Adds the producer to a node that is being built.
///
/// # With RPC modules of one's own
///
/// A node of reth v2.5.1 has one hook for RPC modules, and each call of `extend_rpc_modules` takes
/// the place of the one before. The producer does not depend on it: if its part of the hook is
/// replaced, it starts a moment later, and the log says that the namespace `bsp` is not served. To
/// have both, call `extend_rpc_modules` first: [`install_bsp`](Self::install_bsp) keeps what is
/// there.
///
/// ```ignore
/// builder.node(EthereumNode::default()).extend_rpc_modules(mine).install_bsp(args)
/// ```
///
/// Where that order is not to be had, run the producer's part in the hook of one's own:
///
/// ```ignore
/// let (node, bsp) = builder.node(EthereumNode::default()).install_bsp_with_hook(args);
/// node.extend_rpc_modules(move |mut ctx| {
///     bsp.run(&mut ctx)?;
///     mine(ctx)
/// })
/// ```
///
/// The same holds for `on_rpc_started`, which `install_bsp` uses as well and keeps. If both are
/// replaced by later calls, no producer runs (unless it is an extension, see
/// [`Register`](crate::Register)): an error in the log says so, and the metric `not_started` stays
/// 1.
pub trait InstallBsp: Sized {
    /// Installs the producer and the RPC namespace `bsp`, or nothing if the arguments say so.
    ///
    /// The producer is an Execution Extension where the node prunes, see
    /// [`Register`](crate::Register), and otherwise runs beside the node's manager of extensions.
    /// Extensions of one's own are installed before or after, as usual; RPC modules of one's own
    /// before, see [above](Self#with-rpc-modules-of-ones-own).
    #[must_use]
    fn install_bsp(self, bsp: impl Into<Bsp>) -> Self;

    /// The same, but the namespace `bsp` is left to the caller's hook for RPC modules, which has to
    /// run what this returns.
    fn install_bsp_with_hook(self, bsp: impl Into<Bsp>) -> (Self, BspHook);

    /// Installs the producer as an Execution Extension, whatever the node prunes, and no RPC.
    #[must_use]
    fn install_bsp_exex(self, bsp: impl Into<Bsp>, handle: BspHandle) -> Self;
}

impl<T, CB, AO> InstallBsp for WithLaunchContext<NodeBuilderWithComponents<T, CB, AO>>
where
    T: FullNodeTypes<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
    CB: NodeComponentsBuilder<T>,
    AO: RethRpcAddOns<NodeAdapter<T, CB::Components>, EthApi: 'static>,
{
    fn install_bsp(self, bsp: impl Into<Bsp>) -> Self {
        let (node, hook) = self.install_bsp_with_hook(bsp);
        node.map_add_ons(|mut add_ons| {
            hook.add_to(add_ons.hooks_mut());
            add_ons
        })
    }

    fn install_bsp_with_hook(self, bsp: impl Into<Bsp>) -> (Self, BspHook) {
        let bsp = bsp.into();
        let args = bsp.args();
        if !args.is_enabled() {
            if args.are_idle() {
                warn!(target: "exex::bsp", "Options of the block specimen producer are given, but nothing turns it on: add --exex.bsp, or name targets (the environment variable BSP_TARGETS is empty)");
            }
            return (self, BspHook::idle());
        }
        let handle = BspHandle::default();
        let is_extension = match args.register {
            Register::Auto => prunes(self.config()),
            Register::Always => true,
            Register::Never => false,
        };
        let node = if is_extension {
            self.install_bsp_exex(bsp.clone(), handle.clone())
        } else {
            // For other extensions, which make the node open its log too.
            close_gaps(&self.config().datadir().exex_wal());
            self
        };
        let hook = BspHook::new(bsp, handle, is_extension);
        let node = node.map_add_ons(|mut add_ons| {
            hook.back_up(add_ons.hooks_mut());
            add_ons
        });
        (node, hook)
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
