//! What a producer sends beside a replica, because the network's format leaves it out.

use super::{CheckName, CheckResult, Verdict};
use bsp_codec::{Replica, convert::RebuiltTransaction, supplement::Supplement};

/// EIP-2718 type of the transactions that carry EIP-7702 authorizations.
const SET_CODE_TX_TYPE: u8 = 4;

/// The largest size of a code that is believed, 1 MiB: forty times what a transaction can deploy
/// (EIP-170). It bounds what a forged supplement can cost.
const MAX_CODE_SIZE: u32 = 1 << 20;

/// Notes whether the supplement belongs to the block, if there is one, and returns it if so.
pub(super) fn check<'a>(
    replica: &Replica,
    supplement: Option<&'a Supplement>,
    verdict: &mut Verdict,
) -> Option<&'a Supplement> {
    let supplement = supplement?;
    let result = check_fits(replica, supplement);
    let fits = result == CheckResult::OK;
    verdict.push(CheckName::Supplement, result);
    fits.then_some(supplement)
}

fn check_fits(replica: &Replica, supplement: &Supplement) -> CheckResult {
    if supplement.block_hash != replica.hash {
        let expected = format!("the supplement of block {}", replica.hash);
        return CheckResult::failed(expected, format!("that of block {}", supplement.block_hash));
    }
    let is_set_code = |index: usize| {
        replica.transactions.get(index).is_some_and(|tx| tx.tx_type == SET_CODE_TX_TYPE)
    };
    if let Some(index) = supplement.authorizations.keys().find(|index| !is_set_code(**index)) {
        let got = format!("one of transaction {index}");
        return CheckResult::failed("authorization lists of type-4 transactions", got);
    }
    let is_size = |size: &u32| (1..=MAX_CODE_SIZE).contains(size);
    match supplement.code_sizes.iter().find(|(_, size)| !is_size(size)) {
        Some((hash, size)) => CheckResult::failed(
            format!("code sizes from 1 to {MAX_CODE_SIZE} bytes"),
            format!("{size} of code {hash}"),
        ),
        None => CheckResult::OK,
    }
}

/// Gives transactions the authorization lists that they lack.
pub(super) fn complete(
    transactions: Vec<RebuiltTransaction>,
    supplement: Option<&Supplement>,
) -> Vec<RebuiltTransaction> {
    let Some(supplement) = supplement else { return transactions };
    let completed = |(index, tx): (usize, RebuiltTransaction)| match tx {
        RebuiltTransaction::WithoutAuthorizations(..) => {
            match supplement.authorizations.get(&index) {
                Some(list) => RebuiltTransaction::Signed(tx.with_authorizations(list.clone())),
                None => tx,
            }
        }
        other => other,
    };
    transactions.into_iter().enumerate().map(completed).collect()
}
