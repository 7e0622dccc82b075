//! What only a re-execution can check.

use super::{CheckName, CheckResult, Verdict, VerifyOptions, block, receipts};
use crate::{
    BlockParts, Capture, CaptureError, ChainSpec, MissingState, SignedTransaction, SpecimenState,
    capture,
};
use alloy_consensus::transaction::Recovered;
use alloy_evm::ToTxEnv;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::B256;
use bsp_codec::{
    BlockhashRead, Replica, ReplicaReceipt, StateSpecimen, avro,
    convert::{RebuiltTransaction, export_receipt},
};
use revm::context::{TxEnv, either::Either};
use std::borrow::Cow;

/// The largest gas limit that is executed: the largest that the AVRO layout can hold. It bounds the time that a forged
/// block can cost.
const MAX_GAS_LIMIT: u64 = i32::MAX as u64;

/// The checks that are made of an execution, each of which is impossible without one.
const CHECKS: [CheckName; 10] = [
    CheckName::Receipts,
    CheckName::GasUsed,
    CheckName::BlobGasUsed,
    CheckName::ReceiptsRoot,
    CheckName::LogsBloom,
    CheckName::RequestsHash,
    CheckName::AccountReads,
    CheckName::StorageReads,
    CheckName::CodeReads,
    CheckName::BlockhashReads,
];

pub(super) fn check(
    replica: &Replica,
    transactions: block::Rebuilt,
    options: VerifyOptions<'_>,
    verdict: &mut Verdict,
) {
    if !replica.kind.has_state() {
        return check_receipts_alone(replica, verdict);
    }
    let state = match consistent_state(replica) {
        Ok(state) => state,
        Err(result) => {
            verdict.push(CheckName::State, result);
            return give_up(
                verdict,
                CheckResult::impossible("the read lists contradict themselves"),
            );
        }
    };
    verdict.push(CheckName::State, CheckResult::OK);
    let executed = chain_spec(replica, options).and_then(|spec| {
        let captured = execute(replica, transactions, options, spec.as_ref(), &state)?;
        Ok((captured, spec))
    });
    match executed {
        Ok((captured, spec)) => {
            verdict.push(CheckName::Execution, CheckResult::OK);
            compare(replica, &captured, spec.as_ref(), verdict);
        }
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

fn consistent_state(replica: &Replica) -> Result<SpecimenState, CheckResult> {
    let parent = replica.header.number.wrapping_sub(1);
    let listed = replica.state.blockhash_read.iter().find(|row| row.block_number == parent);
    if let Some(row) = listed
        && row.block_hash != replica.header.parent_hash
    {
        let expected = format!("block {parent} is the parent {}", replica.header.parent_hash);
        return Err(CheckResult::failed(expected, row.block_hash));
    }
    SpecimenState::new(&replica.state)
        .map_err(|contradiction| CheckResult::failed("lists that agree", contradiction))
}

fn execute(
    replica: &Replica,
    transactions: block::Rebuilt,
    options: VerifyOptions<'_>,
    spec: &ChainSpec,
    state: &SpecimenState,
) -> Result<Capture, CheckResult> {
    if replica.header.gas_limit > MAX_GAS_LIMIT {
        let expected = format!("a gas limit of at most {MAX_GAS_LIMIT}");
        return Err(CheckResult::failed(expected, replica.header.gas_limit));
    }
    let transactions = transactions
        .map_err(|error| CheckResult::impossible(format!("a transaction is invalid: {error}")))?;
    if replica.senders.len() != transactions.len() {
        return Err(CheckResult::impossible("there is not one sender a transaction"));
    }
    let executable = transactions
        .into_iter()
        .enumerate()
        .map(|(index, tx)| executable(replica, index, tx, options))
        .collect::<Result<Vec<_>, _>>()?;
    let block = BlockParts {
        header: &replica.header,
        ommers: &replica.uncles,
        withdrawals: replica.withdrawals.as_deref(),
    };
    let captured = capture(spec, block, executable, state).map_err(not_executed)?;
    // A code that is executed must be there; one whose size alone is asked for need not.
    let stood_in = state.stood_in_codes();
    match captured.reads.lists.code_read.iter().find(|code| stood_in.contains(&code.hash)) {
        Some(code) => Err(not_executed(CaptureError::ParentState(MissingState::Code(code.hash)))),
        None => Ok(captured),
    }
}

fn chain_spec<'a>(
    replica: &Replica,
    options: VerifyOptions<'a>,
) -> Result<Cow<'a, ChainSpec>, CheckResult> {
    let id = replica.network_id;
    let built_in = || ChainSpec::from_chain_id(id).map(Cow::Owned);
    options.spec.map(Cow::Borrowed).or_else(built_in).ok_or_else(|| {
        CheckResult::impossible(format!(
            "the rules of chain {id} are not known; give its genesis file"
        ))
    })
}

fn not_executed(error: CaptureError<MissingState>) -> CheckResult {
    CheckResult::failed("the block executes on its own read lists", error)
}

/// A transaction with the environment to execute it in. Authorizations that were supplied from outside are recovered already.
fn executable(
    replica: &Replica,
    index: usize,
    transaction: RebuiltTransaction,
    options: VerifyOptions<'_>,
) -> Result<(TxEnv, Recovered<SignedTransaction>), CheckResult> {
    let supplied = match &transaction {
        RebuiltTransaction::WithoutAuthorizations(..) => {
            options.authorizations.and_then(|lists| lists.of_transaction(index))
        }
        _ => None,
    };
    if let (Some(missing), None) = (transaction.missing(), supplied) {
        return Err(CheckResult::impossible(format!("{missing} (transaction {index})")));
    }
    let signed = transaction.with_authorizations(Vec::new());
    let recovered = Recovered::new_unchecked(signed, replica.senders[index]);
    let mut env: TxEnv = recovered.to_tx_env();
    if let Some(supplied) = supplied {
        env.authorization_list = supplied.iter().cloned().map(Either::Right).collect();
    }
    Ok((env, recovered))
}

fn compare(replica: &Replica, captured: &Capture, spec: &ChainSpec, verdict: &mut Verdict) {
    let header = &replica.header;
    let (receipts_root, logs_bloom) = captured.receipts_root_and_bloom();
    let has_requests = spec.is_prague_active_at_timestamp(header.timestamp);
    let requests_hash = has_requests.then(|| captured.requests.requests_hash());

    verdict.push(CheckName::Receipts, compare_receipts(replica, captured));
    verdict.push(CheckName::GasUsed, CheckResult::compare(&header.gas_used, &captured.gas_used));
    verdict.push(
        CheckName::BlobGasUsed,
        CheckResult::compare(&header.blob_gas_used.unwrap_or(0), &captured.blob_gas_used),
    );
    verdict
        .push(CheckName::ReceiptsRoot, CheckResult::compare(&header.receipts_root, &receipts_root));
    verdict.push(CheckName::LogsBloom, CheckResult::compare(&header.logs_bloom, &logs_bloom));
    verdict.push(CheckName::RequestsHash, compare_optional(header.requests_hash, requests_hash));
    compare_lists(&replica.state, captured, verdict);
}

fn compare_lists(expected: &StateSpecimen, captured: &Capture, verdict: &mut Verdict) {
    let got = &captured.reads.lists;
    verdict.push(
        CheckName::AccountReads,
        CheckResult::compare_rows(&got.account_read, &expected.account_read),
    );
    verdict.push(
        CheckName::StorageReads,
        CheckResult::compare_rows(&got.storage_read, &expected.storage_read),
    );
    let codes = CheckResult::compare_rows(&got.code_read, &expected.code_read);
    verdict.push(CheckName::CodeReads, name_size_only_codes(codes, captured));
    verdict.push(CheckName::BlockhashReads, compare_blockhashes(got, expected));
}

/// Numbers are compared as the segment holds them: those that no block has are rounded there.
fn compare_blockhashes(executed: &StateSpecimen, listed: &StateSpecimen) -> CheckResult {
    let as_written = |lists: &StateSpecimen| -> Vec<BlockhashRead> {
        let rows = lists.blockhash_read.iter();
        rows.map(|row| BlockhashRead {
            block_number: avro::blockhash_number_as_written(row.block_number),
            ..*row
        })
        .collect()
    };
    CheckResult::compare_rows(&as_written(executed), &as_written(listed))
}

/// Names the format's one gap where a block falls into it.
fn name_size_only_codes(result: CheckResult, captured: &Capture) -> CheckResult {
    let codes = &captured.reads.size_only_codes;
    if codes.is_empty() || result != CheckResult::OK {
        return result;
    }
    let named: Vec<_> =
        codes.iter().map(|code| format!("{} of account {}", code.hash, code.account)).collect();
    let reason = format!(
        "only the size was asked for of {}: the format carries no size, so a non-zero one was assumed",
        named.join(", ")
    );
    CheckResult::Ok { reason: Some(reason) }
}

fn compare_receipts(replica: &Replica, captured: &Capture) -> CheckResult {
    if !replica.kind.has_receipts() {
        return CheckResult::Ok { reason: Some("a block-specimen carries no receipts".into()) };
    }
    let expected: Vec<ReplicaReceipt> = captured.receipts.iter().map(export_receipt).collect();
    CheckResult::compare_rows(&expected, &replica.receipts)
}

fn compare_optional(expected: Option<B256>, got: Option<B256>) -> CheckResult {
    let show = |hash: Option<B256>| hash.map_or_else(|| "none".to_owned(), |hash| hash.to_string());
    CheckResult::compare(&show(expected), &show(got))
}

/// A result has receipts but no state to execute on: they are compared with the header as they are.
fn check_receipts_alone(replica: &Replica, verdict: &mut Verdict) {
    const NO_STATE: &str = "a block-result carries no state to execute on";
    verdict.push(CheckName::Execution, CheckResult::impossible(NO_STATE));
    receipts::check(replica, verdict);
    verdict.push(CheckName::RequestsHash, CheckResult::impossible(NO_STATE));
}
