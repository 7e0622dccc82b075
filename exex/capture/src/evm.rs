//! An Ethereum EVM whose inspector sees system calls too.

use alloy_evm::{
    Database, Evm, EvmEnv, EvmFactory, eth::EthEvmBuilder, precompiles::PrecompilesMap,
};
use alloy_primitives::{Address, Bytes};
use revm::{
    ExecuteEvm, InspectEvm, InspectSystemCallEvm, Inspector, SystemCallEvm,
    context::{
        BlockEnv, CfgEnv, Context, DBErrorMarker, Evm as RevmEvm, TxEnv,
        result::{EVMError, HaltReason, ResultAndState},
    },
    handler::{EthFrame, instructions::EthInstructions},
    inspector::NoOpInspector,
    interpreter::interpreter::EthInterpreter,
    primitives::hardfork::SpecId,
};

/// The EVM context that inspectors get.
pub type EvmContext<DB> = Context<BlockEnv, TxEnv, CfgEnv, DB>;

type InnerEvm<DB, I> = RevmEvm<
    EvmContext<DB>,
    I,
    EthInstructions<EthInterpreter, EvmContext<DB>>,
    PrecompilesMap,
    EthFrame,
>;

/// alloy-evm's Ethereum EVM, except that [`Evm::transact_system_call`] runs the inspector as well.
///
/// `EthEvm` leaves the inspector out there, but the reads of the system contracts (EIP-4788, EIP-2935, EIP-7002, EIP-7251)
/// belong to a block specimen.
#[expect(missing_debug_implementations)]
pub struct InspectingEvm<DB: Database, I> {
    inner: InnerEvm<DB, I>,
    inspect: bool,
}

impl<DB, I> Evm for InspectingEvm<DB, I>
where
    DB: Database,
    I: Inspector<EvmContext<DB>>,
{
    type DB = DB;
    type Tx = TxEnv;
    type Error = EVMError<DB::Error>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;
    type Inspector = I;

    fn block(&self) -> &BlockEnv {
        &self.inner.ctx.block
    }

    fn cfg_env(&self) -> &CfgEnv {
        &self.inner.ctx.cfg
    }

    fn chain_id(&self) -> u64 {
        self.inner.ctx.cfg.chain_id
    }

    fn transact_raw(&mut self, tx: TxEnv) -> Result<ResultAndState, Self::Error> {
        if self.inspect { self.inner.inspect_tx(tx) } else { self.inner.transact(tx) }
    }

    fn transact_system_call(
        &mut self,
        caller: Address,
        contract: Address,
        data: Bytes,
    ) -> Result<ResultAndState, Self::Error> {
        if self.inspect {
            self.inner.inspect_system_call_with_caller(caller, contract, data)
        } else {
            self.inner.system_call_with_caller(caller, contract, data)
        }
    }

    fn finish(self) -> (DB, EvmEnv) {
        let Context { block: block_env, cfg: cfg_env, journaled_state, .. } = self.inner.ctx;
        (journaled_state.database, EvmEnv { block_env, cfg_env })
    }

    fn set_inspector_enabled(&mut self, enabled: bool) {
        self.inspect = enabled;
    }

    fn components(&self) -> (&DB, &I, &PrecompilesMap) {
        (&self.inner.ctx.journaled_state.database, &self.inner.inspector, &self.inner.precompiles)
    }

    fn components_mut(&mut self) -> (&mut DB, &mut I, &mut PrecompilesMap) {
        (
            &mut self.inner.ctx.journaled_state.database,
            &mut self.inner.inspector,
            &mut self.inner.precompiles,
        )
    }
}

/// Makes [`InspectingEvm`]s. A node plugs it into its own EVM configuration in place of `EthEvmFactory`.
#[derive(Debug, Default, Clone, Copy)]
pub struct InspectingEvmFactory;

impl EvmFactory for InspectingEvmFactory {
    type Evm<DB: Database, I: Inspector<EvmContext<DB>>> = InspectingEvm<DB, I>;
    type Context<DB: Database> = EvmContext<DB>;
    type Tx = TxEnv;
    type Error<DBError: DBErrorMarker> = EVMError<DBError>;
    type HaltReason = HaltReason;
    type Spec = SpecId;
    type BlockEnv = BlockEnv;
    type Precompiles = PrecompilesMap;

    fn create_evm<DB: Database>(&self, db: DB, env: EvmEnv) -> Self::Evm<DB, NoOpInspector> {
        InspectingEvm { inner: EthEvmBuilder::new(db, env).build().into_inner(), inspect: false }
    }

    fn create_evm_with_inspector<DB: Database, I: Inspector<EvmContext<DB>>>(
        &self,
        db: DB,
        env: EvmEnv,
        inspector: I,
    ) -> Self::Evm<DB, I> {
        let inner = EthEvmBuilder::new(db, env).activate_inspector(inspector).build().into_inner();
        InspectingEvm { inner, inspect: true }
    }
}
