//! The place in a node's launch at which the producer begins, where it is no Execution Extension,
//! and its RPC is added.
//!
//! reth v2.5.1 has one hook for RPC modules, and whoever sets it takes the place of who has set it
//! before. So what is to be done there is held by a ticket, in two hooks: that one, and the one
//! that runs once RPC is served. Whichever comes first starts the producer. If neither does, the
//! ticket is dropped unused, which is the moment to say so.

use crate::{
    chain::NodeChain,
    handle::BspHandle,
    host::exex::{Host, run},
    metrics::ExExMetrics,
    rpc::{BspRpc, MODULE},
    targets::Bsp,
};
use reth_chainspec::ChainSpec;
use reth_ethereum_primitives::EthPrimitives;
use reth_node_api::{FullNodeComponents, NodeTypes};
use reth_node_builder::rpc::{RethRpcServerHandles, RpcContext, RpcHooks};
use reth_rpc_eth_api::EthApiTypes;
use reth_rpc_server_types::RethRpcModule;
use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tracing::{error, warn};

/// What the hook for RPC modules has to do for the producer. It is to be [`run`](Self::run) in
/// one's own hook, once.
///
/// It comes from [`InstallBsp::install_bsp_with_hook`](crate::InstallBsp::install_bsp_with_hook),
/// for whom [`InstallBsp::install_bsp`](crate::InstallBsp::install_bsp), which sets the hook
/// itself, does not fit.
#[derive(Debug)]
#[must_use = "run it in the hook for RPC modules, or the namespace `bsp` is not served"]
pub struct BspHook(Option<Arc<Ticket>>);

/// Right to start the producer, once.
#[derive(Debug)]
struct Ticket {
    bsp: Bsp,
    handle: BspHandle,
    /// Whether the producer runs, or is started by somebody else.
    is_started: AtomicBool,
    serves_rpc: AtomicBool,
}

impl BspHook {
    /// Of a producer that is switched off.
    pub(crate) const fn idle() -> Self {
        Self(None)
    }

    /// `is_extension` says that the node starts the producer as an Execution Extension.
    pub(crate) fn new(bsp: Bsp, handle: BspHandle, is_extension: bool) -> Self {
        let (is_started, serves_rpc) = (AtomicBool::new(is_extension), AtomicBool::new(false));
        Self(Some(Arc::new(Ticket { bsp, handle, is_started, serves_rpc })))
    }

    /// Starts the producer, unless it is an Execution Extension, and adds the RPC namespace `bsp`
    /// to the node's modules. Does nothing where the producer is switched off.
    ///
    /// # Errors
    ///
    /// If the node's modules have a method of the same name. Returned from the hook, it ends the
    /// node's launch.
    pub fn run<N, Api>(self, ctx: &mut RpcContext<'_, N, Api>) -> eyre::Result<()>
    where
        N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
        Api: EthApiTypes,
    {
        let Some(ticket) = self.0 else { return Ok(()) };
        ticket.start(ctx);
        ticket.serve(ctx)
    }

    /// Has it run in the hook for RPC modules, before what is in there already.
    pub(crate) fn add_to<N, Api>(self, hooks: &mut RpcHooks<N, Api>)
    where
        N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
        Api: EthApiTypes + 'static,
    {
        if self.0.is_none() {
            return;
        }
        let theirs = mem::replace(&mut hooks.extend_rpc_modules, Box::new(()));
        hooks.extend_rpc_modules = Box::new(move |mut ctx: RpcContext<'_, N, Api>| {
            self.run(&mut ctx)?;
            theirs.extend_rpc_modules(ctx)
        });
    }

    /// Has the producer started at the latest when RPC is served, before what is to be done then
    /// already.
    pub(crate) fn back_up<N, Api>(&self, hooks: &mut RpcHooks<N, Api>)
    where
        N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
        Api: EthApiTypes + 'static,
    {
        let Some(ticket) = self.0.clone() else { return };
        let theirs = mem::replace(&mut hooks.on_rpc_started, Box::new(()));
        hooks.on_rpc_started =
            Box::new(move |ctx: RpcContext<'_, N, Api>, handles: RethRpcServerHandles| {
                ticket.start(&ctx);
                drop(ticket);
                theirs.on_rpc_started(ctx, handles)
            });
    }
}

impl Ticket {
    /// The same future as that of the Execution Extension. reth has the node's components ready by
    /// now, and its engine not yet started.
    fn start<N, Api>(&self, ctx: &RpcContext<'_, N, Api>)
    where
        N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
        Api: EthApiTypes,
    {
        if self.is_started.swap(true, Ordering::Relaxed) {
            return;
        }
        let (components, config) = (ctx.node().clone(), ctx.config().clone());
        let host = Host { components, config, manager: None };
        let running = run(host, self.bsp.clone(), self.handle.clone());
        ctx.node().task_executor().spawn_task(async move {
            // It does not end.
            let _ended = running.await;
        });
    }

    fn serve<N, Api>(&self, ctx: &mut RpcContext<'_, N, Api>) -> eyre::Result<()>
    where
        N: FullNodeComponents<Types: NodeTypes<Primitives = EthPrimitives, ChainSpec = ChainSpec>>,
        Api: EthApiTypes,
    {
        self.serves_rpc.store(true, Ordering::Relaxed);
        let spec = Arc::clone(&ctx.config().chain);
        let args = self.bsp.args();
        let chain = NodeChain::new(ctx.provider().clone(), spec, args.kind());
        let module = BspRpc::new(chain, args.deliver, self.handle.clone()).into_module();
        let name = RethRpcModule::Other(MODULE.to_owned());
        ctx.modules.merge_if_module_configured(name, module.clone())?;
        // IPC's list of modules can't be chosen; anyone who reaches the socket may use all of them.
        ctx.modules.merge_ipc(module)?;
        Ok(())
    }

    /// What is lost if it is dropped now.
    fn loss(&self) -> Option<Loss> {
        if !self.is_started.load(Ordering::Relaxed) {
            Some(Loss::Producer)
        } else if !self.serves_rpc.load(Ordering::Relaxed) {
            Some(Loss::Rpc)
        } else {
            None
        }
    }
}

/// What does not run because the hooks did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    Producer,
    Rpc,
}

/// How an author gets it back.
const CURE: &str = "in this node's program, another call of `extend_rpc_modules` has taken its place: call `install_bsp` \
                    after it, or use `install_bsp_with_hook` and run what it returns in that hook";

impl Drop for Ticket {
    fn drop(&mut self) {
        match self.loss() {
            None => {}
            Some(Loss::Rpc) => {
                warn!(target: "exex::bsp", "The RPC namespace `bsp` is not served, because its hook did not run. If the node has started, {CURE}");
            }
            Some(Loss::Producer) => {
                ExExMetrics::default().not_started.set(1);
                let reason = format!("its hook did not run; {CURE}");
                error!(target: "exex::bsp", "The producer was not started, and no block is delivered, because its hook did not run. If the node has started, {CURE}");
                self.handle.failed(reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{args::BspArgs, handle::NotRunning};

    fn hook(is_extension: bool) -> (BspHook, BspHandle) {
        let handle = BspHandle::default();
        (BspHook::new(BspArgs::enabled().into(), handle.clone(), is_extension), handle)
    }

    fn ticket(hook: &BspHook) -> Arc<Ticket> {
        Arc::clone(hook.0.as_ref().unwrap())
    }

    #[test]
    fn a_producer_whose_hooks_are_all_replaced_says_so() {
        let (hook, handle) = hook(false);
        let backup = ticket(&hook);
        drop(hook);
        // The other hook may still run.
        assert_eq!(handle.status().unwrap_err(), NotRunning::Starting);
        assert_eq!(backup.loss(), Some(Loss::Producer));
        drop(backup);
        let NotRunning::Failed(reason) = handle.status().unwrap_err() else { panic!() };
        assert!(reason.contains("install_bsp_with_hook"), "{reason}");
    }

    #[test]
    fn an_extension_loses_no_more_than_its_rpc() {
        let (hook, handle) = hook(true);
        assert_eq!(ticket(&hook).loss(), Some(Loss::Rpc));
        drop(hook);
        assert_eq!(handle.status().unwrap_err(), NotRunning::Starting);
    }

    #[test]
    fn hooks_that_have_run_have_nothing_to_say() {
        let (hook, _) = hook(false);
        let ticket = ticket(&hook);
        ticket.is_started.store(true, Ordering::Relaxed);
        assert_eq!(ticket.loss(), Some(Loss::Rpc));
        ticket.serves_rpc.store(true, Ordering::Relaxed);
        assert_eq!(ticket.loss(), None);
    }
}
