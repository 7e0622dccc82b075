//! What can be checked of a block without executing it.

use super::{CheckName, CheckResult, Verdict, supplement};
use alloy_consensus::transaction::SignerRecoverable;
use bsp_codec::{
    Profile, Replica, ReplicaKind, ReplicaTransaction,
    convert::{
        ConvertError, RebuiltTransaction, export_transaction, rebuild_transactions,
        roots::{ommers_hash, transactions_root, withdrawals_root},
    },
    supplement::Supplement,
};

/// The block's transactions, as far as the replica lets them be rebuilt.
pub(super) type Rebuilt = Result<Vec<RebuiltTransaction>, ConvertError>;

/// Why signatures cannot be checked in a result.
const NO_SIGNATURES: &str = "a block-result carries no signatures";

pub(super) fn check(
    replica: &Replica,
    supplement: Option<&Supplement>,
    verdict: &mut Verdict,
) -> Rebuilt {
    let header = &replica.header;
    let rebuilt = rebuild_transactions(replica)
        .map(|transactions| supplement::complete(transactions, supplement));
    verdict.push(CheckName::HeaderHash, CheckResult::compare(&replica.hash, &header.hash_slow()));
    verdict.push(CheckName::TransactionsRoot, check_transactions_root(replica, &rebuilt));
    let ommers = ommers_hash(&replica.uncles);
    verdict.push(CheckName::OmmersHash, CheckResult::compare(&header.ommers_hash, &ommers));
    verdict.push(CheckName::WithdrawalsRoot, check_withdrawals_root(replica));
    verdict.push(CheckName::TransactionFields, check_fields(replica, &rebuilt));
    verdict.push(CheckName::Senders, check_senders(replica, &rebuilt));
    rebuilt
}

fn check_transactions_root(replica: &Replica, rebuilt: &Rebuilt) -> CheckResult {
    let transactions = match with_signatures(replica, rebuilt) {
        Ok(transactions) => transactions,
        Err(result) => return result,
    };
    let signed: Option<Vec<_>> = transactions.iter().map(|tx| tx.signed().cloned()).collect();
    match signed {
        Some(signed) => {
            let got = transactions_root(&signed);
            CheckResult::compare(&replica.header.transactions_root, &got)
        }
        None => CheckResult::impossible(name_incomplete(transactions)),
    }
}

/// The rebuilt transactions, or the result of every check that needs them.
fn with_signatures<'a>(
    replica: &Replica,
    rebuilt: &'a Rebuilt,
) -> Result<&'a [RebuiltTransaction], CheckResult> {
    match rebuilt {
        Ok(transactions) => Ok(transactions),
        Err(_) if replica.kind == ReplicaKind::Result => {
            Err(CheckResult::impossible(NO_SIGNATURES))
        }
        Err(error) => Err(CheckResult::failed_by("valid transactions", error)),
    }
}

/// Names the transactions that are not whole, and what they lack.
fn name_incomplete(transactions: &[RebuiltTransaction]) -> String {
    let mut named: Vec<(&str, Vec<String>)> = Vec::new();
    for (index, missing) in transactions.iter().map(RebuiltTransaction::missing).enumerate() {
        let Some(missing) = missing else { continue };
        match named.iter_mut().find(|(known, _)| *known == missing) {
            Some((_, indices)) => indices.push(index.to_string()),
            None => named.push((missing, vec![index.to_string()])),
        }
    }
    let phrases: Vec<_> = named
        .iter()
        .map(|(missing, indices)| format!("{missing} (transaction {})", indices.join(", ")))
        .collect();
    phrases.join("; ")
}

fn check_withdrawals_root(replica: &Replica) -> CheckResult {
    let withdrawals = replica.withdrawals.as_deref().unwrap_or_default();
    match replica.header.withdrawals_root {
        Some(_) if replica.kind == ReplicaKind::Result => {
            CheckResult::impossible("a block-result carries no withdrawals")
        }
        Some(root) => CheckResult::compare(&root, &withdrawals_root(withdrawals)),
        None if withdrawals.is_empty() => CheckResult::OK,
        None => CheckResult::failed("no withdrawals", format!("{} withdrawals", withdrawals.len())),
    }
}

/// Compares every transaction with the export of what was rebuilt from it, which catches fields
/// that no root covers: the effective gas price, a type-0 or type-1 transaction's caps, the blob
/// gas.
fn check_fields(replica: &Replica, rebuilt: &Rebuilt) -> CheckResult {
    let transactions = match with_signatures(replica, rebuilt) {
        Ok(transactions) => transactions,
        Err(result) => return result,
    };
    let base_fee = replica.header.base_fee_per_gas;
    let (mut fee_cap_prices, mut difference) = (0_usize, None);
    for (index, (given, rebuilt)) in replica.transactions.iter().zip(transactions).enumerate() {
        // What is missing of a transaction is not exported either, so an empty list in its place
        // changes nothing.
        let signed = rebuilt.clone().with_authorizations(Vec::new());
        let sender = given.from.unwrap_or_default();
        let profile = replica.profile();
        let mut expected = export_transaction(&signed, sender, base_fee, replica.kind, profile);
        if given.gas_price != expected.gas_price && given.gas_price == expected.gas_fee_cap {
            fee_cap_prices += 1;
            expected.gas_price = expected.gas_fee_cap;
        }
        if let Some(field) = first_differing_field(&expected, given, profile) {
            difference.get_or_insert(format!("Transactions[{index}].{field}"));
        }
    }
    match difference {
        Some(field) => CheckResult::Failed {
            expected: "fields that follow from the signed transaction".into(),
            got: "a field that does not".into(),
            first_difference: Some(field),
        },
        None if fee_cap_prices > 0 => CheckResult::Ok {
            reason: Some(format!(
                "gasPrice of {fee_cap_prices} transactions is the fee cap, as producers before codec 0.35 wrote it"
            )),
        },
        None => CheckResult::OK,
    }
}

/// The first field that differs. An absent blob field stands for the zero that newer producers
/// write.
fn first_differing_field(
    expected: &ReplicaTransaction,
    given: &ReplicaTransaction,
    profile: Profile,
) -> Option<&'static str> {
    let zero = Default::default();
    let no_hashes = Vec::new();
    let hashes =
        |tx: &'_ ReplicaTransaction| tx.blob_hashes.clone().unwrap_or_else(|| no_hashes.clone());
    let fields = [
        ("gasPrice", expected.gas_price == given.gas_price),
        ("gasTipCap", expected.gas_tip_cap == given.gas_tip_cap),
        ("gasFeeCap", expected.gas_fee_cap == given.gas_fee_cap),
        ("chainId", expected.chain_id == given.chain_id),
        ("from", given.from.is_some()),
        ("to", expected.to == given.to),
        ("v", expected.v == given.v),
        ("r", expected.r == given.r),
        ("s", expected.s == given.s),
        ("blobFeeCap", expected.blob_fee_cap.unwrap_or(zero) == given.blob_fee_cap.unwrap_or(zero)),
        ("blobHashes", hashes(expected) == hashes(given)),
        ("blobGas", expected.blob_gas.unwrap_or(0) == given.blob_gas.unwrap_or(0)),
        (
            "AuthList",
            profile == Profile::Complete || expected.authorization_list == given.authorization_list,
        ),
    ];
    fields.iter().find(|(_, equal)| !equal).map(|(name, _)| *name)
}

fn check_senders(replica: &Replica, rebuilt: &Rebuilt) -> CheckResult {
    if replica.senders.len() != replica.transactions.len() {
        let expected = format!("{} senders", replica.transactions.len());
        return CheckResult::failed(expected, format!("{} senders", replica.senders.len()));
    }
    let transactions = match with_signatures(replica, rebuilt) {
        Ok(transactions) => transactions,
        Err(result) => return result,
    };
    let mut incomplete = false;
    for (index, tx) in transactions.iter().enumerate() {
        let (listed, from) = (replica.senders[index], replica.transactions[index].from);
        let Some(signed) = tx.signed() else {
            incomplete = true;
            continue;
        };
        let recovered = signed.recover_signer();
        if recovered.as_ref().ok() != Some(&listed) || from != Some(listed) {
            return CheckResult::Failed {
                expected: recovered
                    .map_or_else(|_| "no sender".into(), |sender| sender.to_string()),
                got: format!("Senders {listed}, from {from:?}"),
                first_difference: Some(format!("Transactions[{index}]")),
            };
        }
    }
    if incomplete {
        let others = "all other signatures recover to the listed senders";
        return CheckResult::impossible(format!("{}; {others}", name_incomplete(transactions)));
    }
    CheckResult::OK
}
