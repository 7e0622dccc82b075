//! An Ethereum EVM whose inspector sees system calls too, and that does not call hooks without
//! success.

use alloy_evm::{
    Database, Evm, EvmEnv, EvmFactory, eth::EthEvmBuilder, precompiles::PrecompilesMap,
};
use alloy_primitives::{Address, Bytes};
use revm::{
    ExecuteEvm, Inspector, SystemCallEvm,
    context::{
        BlockEnv, CfgEnv, Context, ContextSetters, DBErrorMarker, Evm as RevmEvm, FrameStack,
        TxEnv,
        result::{EVMError, ExecutionResult, HaltReason, ResultAndState},
    },
    handler::{
        EthFrame, EvmTr, FrameInitOrResult, FrameResult, FrameTr, ItemOrResult, MainnetHandler,
        SystemCallTx,
        evm::{ContextDbError, FrameInitResult},
        instructions::{EthInstructions, InstructionProvider},
    },
    inspector::{InspectorEvmTr, InspectorHandler, NoOpInspector, handler::frame_end},
    interpreter::{
        Interpreter, InterpreterAction,
        instructions::{GasTable, InstructionTable},
        interpreter::EthInterpreter,
        interpreter_types::LoopControl,
    },
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

type Handler<DB, I> =
    MainnetHandler<InspectingEvm<DB, I>, EVMError<<DB as revm::Database>::Error>, EthFrame>;

/// Which hooks of an inspector are called.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Hooks {
    /// All that revm knows.
    #[default]
    All,
    /// `step`, and those at the start and the end of a frame: what a [`Recorder`](crate::Recorder)
    /// implements.
    StepsAndFrames,
}

/// alloy-evm's Ethereum EVM, with two differences.
///
/// * [`Evm::transact_system_call`] runs the inspector as well. `EthEvm` leaves it out there, but
///   the reads of the system contracts (EIP-4788, EIP-2935, EIP-7002, EIP-7251) belong to a block
///   specimen.
/// * It can leave hooks out that a [`Recorder`](crate::Recorder) does not have. revm looks after
///   every opcode for logs and self-destructs to report, which costs more than the recording.
#[expect(missing_debug_implementations)]
pub struct InspectingEvm<DB: Database, I> {
    inner: InnerEvm<DB, I>,
    inspect: bool,
    hooks: Hooks,
}

impl<DB: Database, I: Inspector<EvmContext<DB>>> InspectingEvm<DB, I> {
    /// Ends a transaction like revm's own `inspect_tx`: the journal is cleared, also after an
    /// error.
    fn finalize(
        &mut self,
        result: Result<ExecutionResult, EVMError<DB::Error>>,
    ) -> Result<ResultAndState, EVMError<DB::Error>> {
        let state = self.inner.finalize();
        Ok(ResultAndState::new(result?, state))
    }
}

/// Runs a frame's code and calls nothing but `step`.
fn run_steps<DB: Database, I: Inspector<EvmContext<DB>>>(
    context: &mut EvmContext<DB>,
    interpreter: &mut Interpreter,
    inspector: &mut I,
    instructions: &InstructionTable<EthInterpreter, EvmContext<DB>>,
    gas_table: &GasTable,
) -> InterpreterAction {
    let end = loop {
        inspector.step(interpreter, context);
        if let Err(end) = interpreter.step(instructions, gas_table, context) {
            break end;
        }
    };
    if interpreter.bytecode.action().is_none() {
        interpreter.halt(end);
    }
    interpreter.take_next_action()
}

impl<DB: Database, I: Inspector<EvmContext<DB>>> EvmTr for InspectingEvm<DB, I> {
    type Context = EvmContext<DB>;
    type Instructions = EthInstructions<EthInterpreter, EvmContext<DB>>;
    type Precompiles = PrecompilesMap;
    type Frame = EthFrame;

    fn all(
        &self,
    ) -> (&Self::Context, &Self::Instructions, &Self::Precompiles, &FrameStack<EthFrame>) {
        self.inner.all()
    }

    fn all_mut(
        &mut self,
    ) -> (
        &mut Self::Context,
        &mut Self::Instructions,
        &mut Self::Precompiles,
        &mut FrameStack<EthFrame>,
    ) {
        self.inner.all_mut()
    }

    fn frame_init(
        &mut self,
        frame_input: <EthFrame as FrameTr>::FrameInit,
    ) -> Result<FrameInitResult<'_, EthFrame>, ContextDbError<Self::Context>> {
        self.inner.frame_init(frame_input)
    }

    fn frame_run(&mut self) -> Result<FrameInitOrResult<EthFrame>, ContextDbError<Self::Context>> {
        self.inner.frame_run()
    }

    fn frame_return_result(
        &mut self,
        result: FrameResult,
    ) -> Result<Option<FrameResult>, ContextDbError<Self::Context>> {
        self.inner.frame_return_result(result)
    }
}

impl<DB: Database, I: Inspector<EvmContext<DB>>> InspectorEvmTr for InspectingEvm<DB, I> {
    type Inspector = I;

    fn all_inspector(
        &self,
    ) -> (&Self::Context, &Self::Instructions, &Self::Precompiles, &FrameStack<EthFrame>, &I) {
        self.inner.all_inspector()
    }

    fn all_mut_inspector(
        &mut self,
    ) -> (
        &mut Self::Context,
        &mut Self::Instructions,
        &mut Self::Precompiles,
        &mut FrameStack<EthFrame>,
        &mut I,
    ) {
        self.inner.all_mut_inspector()
    }

    fn inspect_frame_run(
        &mut self,
    ) -> Result<FrameInitOrResult<EthFrame>, ContextDbError<Self::Context>> {
        if self.hooks == Hooks::All {
            return self.inner.inspect_frame_run();
        }
        let (context, inspector, frame, instructions) = self.ctx_inspector_frame_instructions();
        let action = run_steps(
            context,
            &mut frame.interpreter,
            inspector,
            instructions.instruction_table(),
            instructions.gas_table(),
        );
        let mut result = frame.process_next_action(context, action);
        if let Ok(ItemOrResult::Result(frame_result)) = &mut result {
            frame_end(context, inspector, &frame.input, frame_result);
            frame.set_finished(true);
        }
        result
    }
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
        if !self.inspect {
            return self.inner.transact(tx);
        }
        self.inner.ctx.set_tx(tx);
        let result = Handler::default().inspect_run(self);
        self.finalize(result)
    }

    fn transact_system_call(
        &mut self,
        caller: Address,
        contract: Address,
        data: Bytes,
    ) -> Result<ResultAndState, Self::Error> {
        if !self.inspect {
            return self.inner.system_call_with_caller(caller, contract, data);
        }
        self.inner.ctx.set_tx(TxEnv::new_system_tx_with_caller(caller, contract, data));
        let result = Handler::default().inspect_run_system_call(self);
        self.finalize(result)
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

/// Makes [`InspectingEvm`]s. A node plugs it into its own EVM configuration in place of
/// `EthEvmFactory`.
///
/// By default every hook is called, so any inspector works.
#[derive(Debug, Default, Clone, Copy)]
pub struct InspectingEvmFactory {
    hooks: Hooks,
}

impl InspectingEvmFactory {
    /// A factory of faster EVMs for a [`Recorder`](crate::Recorder). Of other inspectors' hooks
    /// they call only `step` and those of frames: not `step_end`, not those for logs and
    /// self-destructs.
    pub const fn for_recorder() -> Self {
        Self { hooks: Hooks::StepsAndFrames }
    }
}

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
        let inner = EthEvmBuilder::new(db, env).build().into_inner();
        InspectingEvm { inner, inspect: false, hooks: self.hooks }
    }

    fn create_evm_with_inspector<DB: Database, I: Inspector<EvmContext<DB>>>(
        &self,
        db: DB,
        env: EvmEnv,
        inspector: I,
    ) -> Self::Evm<DB, I> {
        let inner = EthEvmBuilder::new(db, env).activate_inspector(inspector).build().into_inner();
        InspectingEvm { inner, inspect: true, hooks: self.hooks }
    }
}
