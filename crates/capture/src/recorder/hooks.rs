//! Where in the EVM's run geth reads state.
//!
//! One opcode goes through these stages in geth: stack check, constant gas, memory size, gas
//! function, memory growth, execution. Reads of the gas function happen even if the opcode then
//! fails; they are taken in `step`, before revm runs the opcode, with the same conditions. Reads of
//! the execution happen when the opcode succeeds, which shows when the frame continues to another
//! opcode: they are taken in the `step` of that one. Calls and creations read at the entry of their
//! frame.
//!
//! Most opcodes read nothing, and there are millions in a block. All that `step` does for those is
//! to look one byte up; there is no `step_end`.

use super::{ExactSize, ObjectId, ReadLog, memory};
use crate::{ParentState, RecordError, evm::EvmContext};
use alloy_evm::Database;
use alloy_primitives::{Address, B256, TxKind, U256};
use bsp_codec::StateSpecimen;
use revm::{
    DatabaseRef, Inspector,
    bytecode::opcode,
    context::{Transaction, transaction::AuthorizationTr},
    handler::SYSTEM_ADDRESS,
    interpreter::{
        CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome, InstructionResult,
        Interpreter, interpreter_types::Jumps,
    },
    primitives::{constants::CALL_STACK_LIMIT, hardfork::SpecId},
};
use std::error::Error;

/// EIP-2200: `SSTORE` with no more gas than this fails before it looks at the slot.
const SSTORE_SENTRY_GAS: u64 = 2300;
/// EIP-150: constant gas of `SELFDESTRUCT`.
const SELFDESTRUCT_GAS: u64 = 5000;

/// An inspector that records what a block's execution reads of the parent state, in the network's
/// order.
///
/// It watches and never changes the execution. Give it to an
/// [`InspectingEvmFactory`](crate::InspectingEvmFactory) EVM (one that inspects system calls), run
/// the whole block on that one EVM, and [`finish`](Self::finish). [`capture`](crate::capture())
/// does all that for a block.
///
/// `DB` is the parent state's database. Its errors cannot leave a hook: the first is kept, and has
/// to be asked for with [`take_error`](Self::take_error) after each transaction. The lists are
/// incomplete from then on.
#[derive(Debug)]
pub struct Recorder<'p, DB: DatabaseRef<Error: Error + 'static>> {
    log: ReadLog<'p, DB>,
    frames: Vec<Frame>,
    /// Which opcodes `step` looks closer at: [`READING`], or [`ANY`] while a read is pending.
    watched: &'static [bool; 256],
    /// The opcode whose reads are due once it has succeeded; `STOP`, which reads nothing, if there
    /// is none.
    pending_opcode: u8,
    /// Its first stack operand.
    pending_operand: U256,
    /// How many transactions have begun, system calls not counted.
    transactions: usize,
}

/// The opcodes that read state, by number.
static READING: [bool; 256] = reading_opcodes();
/// All of them.
static ANY: [bool; 256] = [true; 256];

const fn reading_opcodes() -> [bool; 256] {
    let mut watched = [false; 256];
    let reading = [
        opcode::BALANCE,
        opcode::EXTCODESIZE,
        opcode::EXTCODECOPY,
        opcode::EXTCODEHASH,
        opcode::BLOCKHASH,
        opcode::SLOAD,
        opcode::SSTORE,
        opcode::CALL,
        opcode::CALLCODE,
        opcode::DELEGATECALL,
        opcode::STATICCALL,
        opcode::SELFDESTRUCT,
    ];
    let mut index = 0;
    while index < reading.len() {
        watched[reading[index] as usize] = true;
        index += 1;
    }
    watched
}

/// A call frame on the EVM's stack.
#[derive(Debug)]
struct Frame {
    /// Where to go back to if the frame fails.
    snapshot: usize,
    /// The account whose storage the frame works on; `None` where no code runs.
    object: Option<ObjectId>,
}

impl<'p, DB: DatabaseRef<Error: Error + 'static>> Recorder<'p, DB> {
    /// A recorder for the block after the one that `parent` holds the state of.
    pub fn new(parent: &'p ParentState<DB>) -> Self {
        Self {
            log: ReadLog::new(parent),
            frames: Vec::new(),
            watched: &READING,
            pending_opcode: opcode::STOP,
            pending_operand: U256::ZERO,
            transactions: 0,
        }
    }

    /// The first error of the parent state's database, if there was one.
    pub const fn take_error(&mut self) -> Option<RecordError<DB::Error>> {
        self.log.error.take()
    }

    /// Ends the block and returns the lists. `state` is the state after the last transaction or
    /// system call; `rewarded` are the accounts that the block's end credits outside of the EVM, in
    /// geth's order.
    ///
    /// # Errors
    ///
    /// The first error of the parent state's database, also one that was met earlier.
    pub fn finish<S: Database>(
        mut self,
        state: &mut S,
        rewarded: impl IntoIterator<Item = Address>,
    ) -> Result<Reads, RecordError<DB::Error>> {
        self.end_block(state, rewarded);
        self.take_reads()
    }

    /// The reads of the block's end, outside of the EVM.
    pub(crate) fn end_block<S: Database>(
        &mut self,
        state: &mut S,
        rewarded: impl IntoIterator<Item = Address>,
    ) {
        self.finalise(state);
        for address in rewarded {
            self.log.touch_or_create(address);
        }
    }

    /// What was read so far; nothing is left of it here.
    pub(crate) fn take_reads(&mut self) -> Result<Reads, RecordError<DB::Error>> {
        let size_only_codes = self.log.size_only_codes();
        let lists = std::mem::take(&mut self.log.rows);
        match self.log.error.take() {
            Some(error) => Err(error),
            None => Ok(Reads { lists, size_only_codes }),
        }
    }

    /// Hashes of the codes that were read so far, if nothing was taken.
    pub(crate) fn code_hashes(&self) -> Vec<B256> {
        self.log.rows.code_read.iter().map(|row| row.hash).collect()
    }

    /// The questions for a code's size on whose answer the execution can depend, in order.
    pub(crate) fn exact_sizes(&self) -> &[ExactSize] {
        &self.log.exact_sizes
    }

    /// Everything that geth does when a transaction or system call is over, put off until the next
    /// one begins: only then is the state after it (fees and refunds included) in the EVM's
    /// database.
    fn finalise<S: Database>(&mut self, state: &mut S) {
        self.log.finalise(|address| {
            state.basic(address).map(|account| account.is_none_or(|account| account.is_empty()))
        });
    }

    /// The reads before the first frame: sender, EIP-7702 authorities in list order, then the
    /// recipient's code.
    ///
    /// The last is read to see a delegation, whether or not the call then runs it: a recipient that
    /// is a precompile and has code (in a genesis of its own) has a row for it.
    fn begin_transaction<S: Database>(&mut self, context: &mut EvmContext<S>) {
        self.finalise(&mut context.journaled_state.database);
        if context.tx.caller == SYSTEM_ADDRESS {
            return;
        }
        self.transactions += 1;
        // A sender with code is one that delegated (EIP-7702).
        self.log.read_code(context.tx.caller);
        self.log.touch_or_create(context.tx.caller);
        if let TxKind::Call(recipient) = context.tx.kind {
            self.read_authorities(context);
            self.log.read_code(recipient);
        }
    }

    /// geth loads an authority's code to check the authorization, also if it then turns it down for
    /// its nonce or code; not if the chain id, a nonce of 2^64-1, or the signature rule it out
    /// before.
    fn read_authorities<S: Database>(&mut self, context: &EvmContext<S>) {
        for authorization in context.tx.authorization_list() {
            let chain_id = authorization.chain_id();
            let is_for_us = chain_id.is_zero() || chain_id == U256::from(context.cfg.chain_id);
            if !is_for_us || authorization.nonce() == u64::MAX {
                continue;
            }
            let Some(authority) = authorization.authority() else { continue };
            if self.log.read_code(authority).is_none() && was_set_up(context, authority) {
                self.log.create(authority);
            }
        }
    }

    /// The reads after the last frame: gas refund and fee, the latter even if it is zero.
    fn end_transaction<S: Database>(&mut self, context: &EvmContext<S>) {
        if context.tx.caller != SYSTEM_ADDRESS {
            self.log.touch_or_create(context.block.beneficiary);
        }
    }

    /// geth's `Call`, `CallCode`, `DelegateCall` and `StaticCall`. Returns the object that the
    /// called code works on.
    fn enter_call<S: Database>(
        &mut self,
        context: &EvmContext<S>,
        inputs: &CallInputs,
    ) -> Option<ObjectId> {
        if self.frames.len() > CALL_STACK_LIMIT as usize || lacks_funds(context, inputs) {
            return None;
        }
        let object = match inputs.scheme {
            CallScheme::Call => Some(self.enter_transfer(context, inputs)?),
            CallScheme::StaticCall => Some(self.log.touch_or_create(inputs.target_address)),
            CallScheme::CallCode | CallScheme::DelegateCall => {
                self.frames.last().and_then(|frame| frame.object)
            }
        };
        if is_precompile(context, &inputs.bytecode_address) {
            return None;
        }
        self.log.read_code(inputs.bytecode_address);
        if let Some(delegate) = delegate_of(context, &inputs.bytecode_address) {
            self.log.read_code(delegate);
        }
        object
    }

    /// The part of `Call` that moves value: a missing recipient is created, unless there is nothing
    /// to do for it.
    fn enter_transfer<S: Database>(
        &mut self,
        context: &EvmContext<S>,
        inputs: &CallInputs,
    ) -> Option<ObjectId> {
        let target = inputs.target_address;
        let object = match self.log.touch(target) {
            Some(id) => {
                self.log.change(id);
                id
            }
            None if !inputs.transfers_value() && !is_precompile(context, &target) => return None,
            None => self.log.create(target),
        };
        // The payer is credited with minus the value. Any but the system caller is loaded already.
        if inputs.caller == SYSTEM_ADDRESS {
            self.log.touch_or_create(SYSTEM_ADDRESS);
        }
        Some(object)
    }

    /// geth's `create`. An address that exists keeps its object, whether or not the creation
    /// collides with it.
    fn enter_create<S: Database>(
        &mut self,
        context: &EvmContext<S>,
        inputs: &CreateInputs,
    ) -> Option<ObjectId> {
        let caller = context.journaled_state.inner.state.get(&inputs.caller())?;
        let (balance, nonce) = (caller.info.balance, caller.info.nonce);
        if self.frames.len() > CALL_STACK_LIMIT as usize
            || balance < inputs.value()
            || nonce == u64::MAX
        {
            return None;
        }
        Some(self.log.touch_or_create(inputs.created_address(nonce)))
    }

    fn enter_frame(&mut self, snapshot: usize, object: Option<ObjectId>) {
        self.frames.push(Frame { snapshot, object });
    }

    fn leave_frame<S: Database>(&mut self, context: &EvmContext<S>, result: InstructionResult) {
        self.end_pending(result);
        if let Some(frame) = self.frames.pop()
            && !result.is_ok()
        {
            self.log.revert(frame.snapshot);
        }
        if self.frames.is_empty() {
            self.end_transaction(context);
        }
    }

    /// The slot's first read is part of `SSTORE`'s price, so it happens before the write is allowed
    /// or paid for.
    fn before_sstore(&mut self, interpreter: &Interpreter) {
        let stack = &interpreter.stack;
        if interpreter.gas.remaining() > SSTORE_SENTRY_GAS
            && stack.len() >= 2
            && let Ok(slot) = stack.peek(0)
        {
            self.read_own_slot(slot);
        }
    }

    /// Whether the beneficiary exists is part of `SELFDESTRUCT`'s price.
    fn before_selfdestruct(&mut self, interpreter: &Interpreter) {
        if interpreter.gas.remaining() >= SELFDESTRUCT_GAS
            && let Ok(beneficiary) = interpreter.stack.peek(0)
        {
            self.log.touch(to_address(beneficiary));
        }
    }

    /// A call's price depends on the target: from Prague on geth loads its code, to follow a
    /// delegation (and reads no further than the target). Before, it only checks that the target of
    /// a value transfer exists.
    fn before_call<S: Database>(
        &mut self,
        interpreter: &Interpreter,
        context: &EvmContext<S>,
        call: u8,
    ) {
        let is_prague = context.cfg.spec.is_enabled_in(SpecId::PRAGUE);
        if !is_prague && call != opcode::CALL {
            return;
        }
        let Some(operands) = CallOperands::of(interpreter, call) else { return };
        let fits = memory::ranges_fit([operands.input, operands.output]);
        if !fits || !can_pay_access(interpreter, context, &operands.target) {
            return;
        }
        if is_prague {
            self.log.read_code(operands.target);
        } else if operands.has_value {
            self.log.touch(operands.target);
        }
    }

    fn read_own_slot(&mut self, slot: U256) {
        if let Some(id) = self.frames.last().and_then(|frame| frame.object) {
            self.log.read_slot(id, slot);
        }
    }

    /// The reads of an opcode that has just succeeded.
    fn after_success(&mut self, interpreter: &Interpreter) {
        let operand = self.pending_operand;
        match self.pending_opcode {
            opcode::SLOAD => self.read_own_slot(operand),
            opcode::BALANCE | opcode::EXTCODEHASH => {
                self.log.touch(to_address(operand));
            }
            opcode::EXTCODESIZE => {
                let exact = !asks_for_existence_only(interpreter);
                let transaction = self.transactions.saturating_sub(1);
                self.log.read_code_size(to_address(operand), exact.then_some(transaction));
            }
            opcode::EXTCODECOPY => {
                self.log.read_code(to_address(operand));
            }
            opcode::BLOCKHASH => {
                let hash = interpreter.stack.peek(0).unwrap_or_default();
                if let Ok(number) = u64::try_from(operand) {
                    self.log.read_block_hash(number, B256::from(hash));
                }
            }
            _ => {}
        }
    }

    /// Drops the reads of an opcode that ended its frame by failing. A self-destruct that ends it
    /// has succeeded.
    fn end_pending(&mut self, result: InstructionResult) {
        if self.pending_opcode == opcode::SELFDESTRUCT && result == InstructionResult::SelfDestruct
        {
            self.log.touch_or_create(to_address(self.pending_operand));
            if let Some(id) = self.frames.last().and_then(|frame| frame.object) {
                self.log.mark_changed(id);
            }
        }
        self.set_pending(opcode::STOP, U256::ZERO);
    }

    fn set_pending(&mut self, opcode: u8, operand: U256) {
        self.watched = if opcode == opcode::STOP { &READING } else { &ANY };
        self.pending_opcode = opcode;
        self.pending_operand = operand;
    }

    /// `step` of an opcode that reads, or of one that follows such an opcode.
    #[inline(never)]
    fn observe<S: Database>(
        &mut self,
        opcode: u8,
        interpreter: &Interpreter,
        context: &EvmContext<S>,
    ) {
        if self.pending_opcode != opcode::STOP {
            self.after_success(interpreter);
            self.set_pending(opcode::STOP, U256::ZERO);
        }
        match opcode {
            opcode::SSTORE => self.before_sstore(interpreter),
            opcode::CALL | opcode::CALLCODE | opcode::DELEGATECALL | opcode::STATICCALL => {
                self.before_call(interpreter, context, opcode);
            }
            opcode::SELFDESTRUCT => {
                self.before_selfdestruct(interpreter);
                self.await_success(opcode, interpreter);
            }
            reading if READING[usize::from(reading)] => self.await_success(reading, interpreter),
            _ => {}
        }
    }

    fn await_success(&mut self, opcode: u8, interpreter: &Interpreter) {
        self.set_pending(opcode, interpreter.stack.peek(0).unwrap_or_default());
    }
}

impl<DB, S> Inspector<EvmContext<S>> for Recorder<'_, DB>
where
    DB: DatabaseRef<Error: Error + 'static>,
    S: Database,
{
    #[inline(always)]
    fn step(&mut self, interpreter: &mut Interpreter, context: &mut EvmContext<S>) {
        let opcode = interpreter.bytecode.opcode();
        if self.watched[usize::from(opcode)] {
            self.observe(opcode, interpreter, context);
        }
    }

    fn call(
        &mut self,
        context: &mut EvmContext<S>,
        inputs: &mut CallInputs,
    ) -> Option<CallOutcome> {
        if self.frames.is_empty() {
            self.begin_transaction(context);
        }
        let snapshot = self.log.snapshot();
        let object = self.enter_call(context, inputs);
        self.enter_frame(snapshot, object);
        None
    }

    fn call_end(&mut self, context: &mut EvmContext<S>, _: &CallInputs, outcome: &mut CallOutcome) {
        self.leave_frame(context, *outcome.instruction_result());
    }

    fn create(
        &mut self,
        context: &mut EvmContext<S>,
        inputs: &mut CreateInputs,
    ) -> Option<CreateOutcome> {
        if self.frames.is_empty() {
            self.begin_transaction(context);
        }
        let snapshot = self.log.snapshot();
        let object = self.enter_create(context, inputs);
        self.enter_frame(snapshot, object);
        None
    }

    fn create_end(
        &mut self,
        context: &mut EvmContext<S>,
        _: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        self.leave_frame(context, *outcome.instruction_result());
    }
}

/// What a finished block has read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads {
    /// The four lists, in order of first read.
    pub lists: StateSpecimen,
    /// Codes whose size was asked for while the code itself was not: the only reads that the
    /// network's format has no row for. One for each account, in order of first question.
    pub size_only_codes: Vec<SizeOnlyCode>,
}

impl Reads {
    /// The sizes of [`Self::size_only_codes`] by hash, as a [supplement](bsp_codec::supplement) has
    /// them.
    pub fn code_sizes(&self) -> impl Iterator<Item = (B256, u32)> {
        self.size_only_codes.iter().map(|code| (code.hash, code.size))
    }
}

/// A code of which the execution asked for nothing but the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeOnlyCode {
    /// An account that has the code.
    pub account: Address,
    /// The code's hash.
    pub hash: B256,
    /// Its size, in bytes. Of a parent state that does not have the code, as
    /// [`SpecimenState`](crate::SpecimenState), that of what stands in for it.
    pub size: u32,
}

/// The operands of a call opcode that its gas function looks at.
struct CallOperands {
    target: Address,
    has_value: bool,
    input: (U256, U256),
    output: (U256, U256),
}

impl CallOperands {
    /// `None` where the stack is too short for the opcode.
    fn of(interpreter: &Interpreter, call: u8) -> Option<Self> {
        let operand = |n| interpreter.stack.peek(n).ok();
        let takes_value = matches!(call, opcode::CALL | opcode::CALLCODE);
        // Gas, target, then value where there is one, then the two ranges.
        let first_range = if takes_value { 3 } else { 2 };
        Some(Self {
            target: to_address(operand(1)?),
            has_value: takes_value && !operand(2)?.is_zero(),
            input: (operand(first_range)?, operand(first_range + 1)?),
            output: (operand(first_range + 2)?, operand(first_range + 3)?),
        })
    }
}

/// Whether an `EXTCODESIZE` that has just left its answer on the stack asked for nothing but
/// whether there is a code: the opcode that comes now consumes the answer, and tells zero from all
/// else. Compilers ask so before each call.
fn asks_for_existence_only(interpreter: &Interpreter) -> bool {
    match interpreter.bytecode.opcode() {
        opcode::ISZERO | opcode::POP => true,
        // Of stack words, the upper one is the left-hand side: `size > 0`.
        opcode::GT => interpreter.stack.peek(1).is_ok_and(|right| right.is_zero()),
        _ => false,
    }
}

/// Whether the gas covers a call's constant price and, for a cold target, the cold access on top of
/// it (EIP-2929).
fn can_pay_access<S: Database>(
    interpreter: &Interpreter,
    context: &EvmContext<S>,
    target: &Address,
) -> bool {
    let gas = interpreter.gas.remaining();
    let warm = context.cfg.gas_params.warm_storage_read_cost();
    let cold = warm + context.cfg.gas_params.cold_account_additional_cost();
    gas >= cold || (gas >= warm && is_warm(context, target))
}

/// Whether an address is in the transaction's access list in geth's sense.
fn is_warm<S: Database>(context: &EvmContext<S>, address: &Address) -> bool {
    let journal = &context.journaled_state.inner;
    let is_loaded =
        |account: &revm::state::Account| !account.is_cold_transaction_id(journal.transaction_id);
    journal.state.get(address).is_some_and(is_loaded) || journal.warm_addresses.is_warm(address)
}

/// Whether geth refuses the call because the caller cannot pay its value. A delegate call moves
/// none.
fn lacks_funds<S: Database>(context: &EvmContext<S>, inputs: &CallInputs) -> bool {
    let Some(value) = inputs.transfer_value() else { return false };
    let caller = context.journaled_state.inner.state.get(&inputs.caller);
    !value.is_zero() && caller.is_none_or(|caller| caller.info.balance < value)
}

fn is_precompile<S: Database>(context: &EvmContext<S>, address: &Address) -> bool {
    context.journaled_state.inner.warm_addresses.precompiles().contains(address)
}

/// The account that `address` has delegated its code to by now (EIP-7702).
fn delegate_of<S: Database>(context: &EvmContext<S>, address: &Address) -> Option<Address> {
    let account = context.journaled_state.inner.state.get(address)?;
    account.info.code.as_ref()?.eip7702_address()
}

/// Whether an authority that did not exist before was set up by one of the transaction's
/// authorizations: revm has applied them all before the first frame, and an accepted one leaves a
/// nonce.
fn was_set_up<S: Database>(context: &EvmContext<S>, authority: Address) -> bool {
    let account = context.journaled_state.inner.state.get(&authority);
    account.is_some_and(|account| account.info.nonce > 0)
}

/// The low 20 bytes of a stack word.
fn to_address(word: U256) -> Address {
    Address::from_word(word.into())
}
