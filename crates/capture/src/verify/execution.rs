//! What only a re-execution can check.

use super::{
    CheckName, CheckResult, Executed, Verdict, VerifyOptions, block,
    comparison::{self, CHECKS, Results},
    receipts, required,
};
use crate::{
    BlockParts, CaptureError, ChainSpec, MissingState, SignedTransaction, SpecimenState,
    capture::{Extent, Replay, replay},
    recorder::ExactSize,
};
use alloy_consensus::transaction::Recovered;
use alloy_evm::ToTxEnv;
use alloy_hardforks::EthereumHardforks;
use bsp_codec::{Replica, convert::RebuiltTransaction};
use revm::context::{TxEnv, either::Either};
use std::borrow::Cow;

/// The largest gas limit and chain id that the network's format holds. The first bounds the time
/// that a forged block can cost.
const MAX_AVRO_INT: u64 = i32::MAX as u64;

/// The size in bytes that codes have of which only the size was asked for: the least, which suits
/// whoever asks for no more than existence.
const LEAST_SIZE: usize = 1;
/// Those that are tried where this one does not fit: the most that a transaction can deploy
/// (EIP-170), for whoever runs out of gas over a long one, and those that programs know (a
/// delegation, a minimal proxy, small codes).
const OTHER_SIZES: [usize; 6] = [24_576, 23, 45, 2, 32, 64];

pub(super) fn check(
    replica: &Replica,
    transactions: block::Rebuilt,
    options: VerifyOptions<'_>,
    verdict: &mut Verdict,
) {
    if !replica.kind.has_state() {
        return check_receipts_alone(replica, verdict);
    }
    let spec = chain_spec(replica, options);
    let required = required::check(replica, spec.as_ref().ok().map(AsRef::as_ref));
    let state = match consistent_state(replica, options) {
        Ok(state) => state,
        Err(result) => {
            verdict.push(CheckName::State, result);
            verdict.push(CheckName::RequiredReads, required);
            return give_up(
                verdict,
                CheckResult::impossible("the read lists contradict themselves"),
            );
        }
    };
    verdict.push(CheckName::State, CheckResult::OK);
    verdict.push(CheckName::RequiredReads, required);
    match spec.and_then(|spec| Block::new(replica, transactions, options, spec)) {
        Ok(block) => block.judge(state, verdict),
        Err(result) => give_up(verdict, result),
    }
}

/// Without an execution, everything that depends on it is impossible.
fn give_up(verdict: &mut Verdict, execution: CheckResult) {
    verdict.push(CheckName::Execution, execution);
    for name in CHECKS {
        verdict.push(name, CheckResult::impossible("the block was not executed"));
    }
}

fn consistent_state(
    replica: &Replica,
    options: VerifyOptions<'_>,
) -> Result<SpecimenState, CheckResult> {
    let parent = replica.header.number.wrapping_sub(1);
    let listed = replica.state.blockhash_read.iter().find(|row| row.block_number == parent);
    if let Some(row) = listed
        && row.block_hash != replica.header.parent_hash
    {
        let expected =
            format!("{}, the parent's hash, for block {parent}", replica.header.parent_hash);
        return Err(CheckResult::failed(expected, row.block_hash));
    }
    let code_sizes = options.supplement.map(|supplement| supplement.code_sizes.clone());
    SpecimenState::new(&replica.state)
        .map(|state| state.with_code_sizes(code_sizes.unwrap_or_default()))
        .map_err(|contradiction| CheckResult::failed_by("lists that agree", contradiction))
}

fn chain_spec<'a>(
    replica: &Replica,
    options: VerifyOptions<'a>,
) -> Result<Cow<'a, ChainSpec>, CheckResult> {
    let id = replica.network_id;
    if id > MAX_AVRO_INT {
        return Err(CheckResult::impossible(format!(
            "the network's format has chain ids up to {MAX_AVRO_INT}, this one is {id}"
        )));
    }
    let built_in = || ChainSpec::from_chain_id(id).map(Cow::Owned);
    let spec = options.spec.map(Cow::Borrowed).or_else(built_in).ok_or_else(|| {
        CheckResult::impossible(format!(
            "the rules of chain {id} are not known; give its genesis file"
        ))
    })?;
    if spec.is_amsterdam_active_at_timestamp(replica.header.timestamp) {
        return Err(CheckResult::impossible(
            "the block is of the Amsterdam fork, whose rules are not known here",
        ));
    }
    Ok(spec)
}

/// A transaction with the environment to execute it in.
type Executable = (TxEnv, Recovered<SignedTransaction>);

/// A block as far as its replica allows to execute it.
struct Block<'a> {
    replica: &'a Replica,
    spec: Cow<'a, ChainSpec>,
    /// Its transactions, up to the first that is not whole.
    transactions: Vec<Executable>,
    /// What that one lacks.
    lacking: Option<String>,
}

impl<'a> Block<'a> {
    fn new(
        replica: &'a Replica,
        transactions: block::Rebuilt,
        options: VerifyOptions<'_>,
        spec: Cow<'a, ChainSpec>,
    ) -> Result<Self, CheckResult> {
        let gas_limit = replica.header.gas_limit;
        if gas_limit > MAX_AVRO_INT {
            return Err(CheckResult::impossible(format!(
                "the network's format has gas limits up to {MAX_AVRO_INT}, this one is {gas_limit}"
            )));
        }
        let rebuilt = transactions.map_err(|error| {
            CheckResult::impossible(format!("a transaction is invalid: {error}"))
        })?;
        if replica.senders.len() != rebuilt.len() {
            return Err(CheckResult::impossible("there is not one sender a transaction"));
        }
        let mut transactions = Vec::with_capacity(rebuilt.len());
        let mut lacking = None;
        for (index, transaction) in rebuilt.into_iter().enumerate() {
            match executable(replica, index, transaction, options) {
                Ok(executable) => transactions.push(executable),
                Err(missing) => {
                    lacking = Some(missing);
                    break;
                }
            }
        }
        Ok(Self { replica, spec, transactions, lacking })
    }

    /// Executes what there is. Where that fails, and it asked for the size of a code that is in no
    /// list, other sizes are tried; if none fits, what comes before the first such question still
    /// has to agree.
    fn judge(&self, mut state: SpecimenState, verdict: &mut Verdict) {
        let (all, lacking) = (self.transactions.len(), self.lacking.as_deref());
        let first = self.attempt(&mut state, LEAST_SIZE, all, lacking);
        let Some(&guess) = first.guesses.first().filter(|_| !first.is_good()) else {
            return first.report(verdict);
        };
        let mut lacks_unsized_code = first.lacks_unsized_code;
        for size in OTHER_SIZES {
            let other = self.attempt(&mut state, size, all, lacking);
            if other.is_good() {
                return other.report(verdict);
            }
            lacks_unsized_code &= other.lacks_unsized_code;
        }
        if lacks_unsized_code {
            return first.report(verdict);
        }
        let reason = name_guesses(&first.guesses);
        self.attempt(&mut state, LEAST_SIZE, guess.transaction, Some(&reason)).report(verdict);
    }

    /// Executes the first `count` transactions; `rest` is why no more than that, or `None` if it is
    /// the whole block. Codes of unknown size have `size` bytes.
    fn attempt(
        &self,
        state: &mut SpecimenState,
        size: usize,
        count: usize,
        rest: Option<&str>,
    ) -> Attempt {
        state.set_stand_in_size(size);
        let Replay { outcome, codes_read, exact_sizes } = replay(
            self.spec.as_ref(),
            self.parts(),
            self.transactions.iter().take(count).cloned(),
            &*state,
            if rest.is_none() { Extent::Whole } else { Extent::Begin },
        );
        let stood_in = state.stood_in_codes();
        let is_guess = |asked: &ExactSize| {
            stood_in.contains(&asked.code_hash) && !state.knows_size(&asked.code_hash)
        };
        let guesses: Vec<_> = exact_sizes.into_iter().filter(is_guess).collect();
        // A code that is executed must be there; one whose size alone is asked for need not.
        let lacking = codes_read.into_iter().find(|hash| stood_in.contains(hash));
        let outcome = match lacking {
            Some(hash) => Err(CaptureError::ParentState(MissingState::Code(hash))),
            None => outcome,
        };
        let of = self.replica.transactions.len();
        let (execution, results, executed) = match (outcome, rest) {
            (Err(error), _) => {
                let expected = "the block to execute on its own read lists";
                (CheckResult::failed_by(expected, error), None, Executed::None)
            }
            (Ok(captured), None) => {
                let (replica, spec) = (self.replica, self.spec.as_ref());
                let results = comparison::whole(replica, &captured, spec, state, size);
                (CheckResult::OK, Some(results), Executed::Whole)
            }
            (Ok(captured), Some(reason)) => (
                CheckResult::impossible(format!(
                    "{reason}; {count} of {of} transactions were executed"
                )),
                Some(comparison::begin(self.replica, &captured, reason)),
                Executed::Part { transactions: count, of },
            ),
        };
        let is_unsized = |hash| guesses.iter().all(|guess| guess.code_hash != hash);
        let lacks_unsized_code = lacking.is_some_and(is_unsized);
        Attempt { execution, results, executed, guesses, lacks_unsized_code }
    }

    fn parts(&self) -> BlockParts<'_> {
        BlockParts {
            header: &self.replica.header,
            ommers: &self.replica.uncles,
            withdrawals: self.replica.withdrawals.as_deref(),
        }
    }
}

/// One execution and what it gave.
struct Attempt {
    execution: CheckResult,
    results: Option<Results>,
    executed: Executed,
    /// The questions for a size that were answered by a guess on which something can depend.
    guesses: Vec<ExactSize>,
    /// Whether it took a code that is not listed and on whose size it did not depend.
    lacks_unsized_code: bool,
}

impl Attempt {
    fn is_good(&self) -> bool {
        let failed = |result: &CheckResult| matches!(result, CheckResult::Failed { .. });
        !failed(&self.execution) && !self.results.iter().flatten().any(failed)
    }

    fn report(self, verdict: &mut Verdict) {
        let Some(results) = self.results else { return give_up(verdict, self.execution) };
        verdict.set_executed(self.executed);
        verdict.push(CheckName::Execution, self.execution);
        for (name, result) in CHECKS.into_iter().zip(results) {
            verdict.push(name, result);
        }
    }
}

fn name_guesses(guesses: &[ExactSize]) -> String {
    let named: Vec<_> = guesses
        .iter()
        .map(|ExactSize { address, code_hash, transaction }| {
            format!("{code_hash} of account {address} (transaction {transaction})")
        })
        .collect();
    format!(
        "the outcome depends on the size of codes that are in no list, and none of the sizes that were tried fits: {}",
        named.join(", ")
    )
}

/// A transaction with the environment to execute it in, or what it lacks. Authorizations that were
/// supplied without their signatures are recovered already.
fn executable(
    replica: &Replica,
    index: usize,
    transaction: RebuiltTransaction,
    options: VerifyOptions<'_>,
) -> Result<Executable, String> {
    let supplied = match &transaction {
        RebuiltTransaction::WithoutAuthorizations(..) => {
            options.authorizations.and_then(|lists| lists.of_transaction(index))
        }
        _ => None,
    };
    if let (Some(missing), None) = (transaction.missing(), supplied) {
        return Err(format!("{missing} (transaction {index})"));
    }
    let signed = transaction.with_authorizations(Vec::new());
    let recovered = Recovered::new_unchecked(signed, replica.senders[index]);
    let mut env: TxEnv = recovered.to_tx_env();
    if let Some(supplied) = supplied {
        env.authorization_list = supplied.iter().cloned().map(Either::Right).collect();
    }
    Ok((env, recovered))
}

/// A result has receipts but no state to execute on: they are compared with the header as they are.
fn check_receipts_alone(replica: &Replica, verdict: &mut Verdict) {
    const NO_STATE: &str = "a block-result carries no state to execute on";
    verdict.push(CheckName::Execution, CheckResult::impossible(NO_STATE));
    receipts::check(replica, verdict);
    verdict.push(CheckName::RequestsHash, CheckResult::impossible(NO_STATE));
}
