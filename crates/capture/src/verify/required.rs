//! What the read lists must hold whatever the block's execution does.
//!
//! These are no more than follows from the block alone, so that no genuine block fails: an account
//! whose existence nothing in the block proves may be absent, say a fee recipient, or a sender that
//! an earlier transaction of the block paid.

use super::CheckResult;
use crate::ChainSpec;
use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, AddressSet, B256Set},
};
use bsp_codec::{Replica, ReplicaTransaction};
use revm::primitives::KECCAK_EMPTY;

/// EIP-7702: the gas of each authorization, so that a transaction's gas bounds their number.
const AUTHORIZATION_GAS: u64 = 25_000;
/// EIP-2718 type of the transactions that carry them.
const SET_CODE_TX_TYPE: u8 = 4;

/// Without the chain's rules, the contracts that a block calls itself are not looked for.
pub(super) fn check(replica: &Replica, spec: Option<&ChainSpec>) -> CheckResult {
    let listed = Listed::of(replica);
    let result = check_called_contracts(replica, spec, &listed)
        .and_then(|()| check_senders(replica, &listed))
        .and_then(|()| check_codes(replica, &listed));
    result.err().unwrap_or(CheckResult::OK)
}

/// The rows that are looked for.
struct Listed {
    accounts: AddressMap<B256>,
    codes: B256Set,
}

impl Listed {
    fn of(replica: &Replica) -> Self {
        let state = &replica.state;
        Self {
            accounts: state.account_read.iter().map(|row| (row.address, row.code_hash)).collect(),
            codes: state.code_read.iter().map(|row| row.hash).collect(),
        }
    }

    /// Whether an account that is listed has a code that is not.
    fn lacks_code(&self, address: &Address) -> bool {
        let has_code = |hash: &&B256| **hash != KECCAK_EMPTY && !hash.is_zero();
        let hash = self.accounts.get(address).filter(has_code);
        hash.is_some_and(|hash| !self.codes.contains(hash))
    }
}

fn check_called_contracts(
    replica: &Replica,
    spec: Option<&ChainSpec>,
    listed: &Listed,
) -> Result<(), CheckResult> {
    let timestamp = replica.header.timestamp;
    for contract in spec.into_iter().flat_map(|spec| spec.called_contracts(timestamp)) {
        let row = match listed.accounts.get(&contract) {
            None => "State.AccountRead",
            Some(hash) if !listed.codes.contains(hash) => "State.CodeRead",
            Some(_) => continue,
        };
        return Err(CheckResult::failed(
            format!("a row of the contract {contract}, which every block of this time calls"),
            format!("none in {row}; for a chain that has no such contract, give its genesis file"),
        ));
    }
    Ok(())
}

/// A sender that is certain to exist before the block has a row.
fn check_senders(replica: &Replica, listed: &Listed) -> Result<(), CheckResult> {
    let mut seen = AddressSet::default();
    let mut authorizations = 0_u64;
    for (index, (tx, sender)) in replica.transactions.iter().zip(&replica.senders).enumerate() {
        let is_first = seen.insert(*sender);
        let existed = must_have_existed(index, tx, authorizations);
        if is_first && existed && !listed.accounts.contains_key(sender) {
            return Err(CheckResult::failed(
                format!("a row of account {sender}, which sends transaction {index}"),
                "none in State.AccountRead",
            ));
        }
        if tx.tx_type == SET_CODE_TX_TYPE {
            authorizations = authorizations.saturating_add(tx.gas / AUTHORIZATION_GAS);
        }
    }
    Ok(())
}

/// Whether the sender of its first transaction in the block existed before the block. Nobody can
/// have paid the sender of the very first one; and of others a nonce tells that is higher than the
/// authorizations before it can have made it.
fn must_have_existed(index: usize, tx: &ReplicaTransaction, authorizations: u64) -> bool {
    let pays = !tx.value.is_zero() || (tx.gas > 0 && tx.gas_price.max(tx.gas_fee_cap) > U256::ZERO);
    tx.nonce > authorizations || (index == 0 && pays)
}

/// The code of a sender or recipient is read before anything is executed, so it is listed if the
/// account has one. Nobody takes it away before without running, and so reading, it.
fn check_codes(replica: &Replica, listed: &Listed) -> Result<(), CheckResult> {
    let recipients = replica.transactions.iter().map(|tx| tx.to);
    for (index, (sender, recipient)) in replica.senders.iter().zip(recipients).enumerate() {
        let lacking = |address: &&Address| listed.lacks_code(address);
        if let Some(address) =
            [Some(sender), recipient.as_ref()].into_iter().flatten().find(lacking)
        {
            return Err(CheckResult::failed(
                format!("the code of account {address}, which transaction {index} reads"),
                "none in State.CodeRead",
            ));
        }
    }
    Ok(())
}
