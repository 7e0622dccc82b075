//! The comparison of one block.

use super::{
    cause::{Cause, Violation},
    read_set::{AccountRow, ReadSet, SlotRow},
    steps::FailedSteps,
    table::Table,
    trace::{BlockTraces, TracedAccount, TracedSlot},
};
use crate::rpc::JsonRpc;
use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS,
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
};
use alloy_primitives::{Address, B256, Bytes, U64, U256, address, keccak256};
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The contracts that the protocol calls in every block.
const SYSTEM_CONTRACTS: [Address; 4] = [
    BEACON_ROOTS_ADDRESS,
    HISTORY_STORAGE_ADDRESS,
    WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
];

/// Who the protocol calls them as (EIP-4788).
const SYSTEM_CALLER: Address = address!("0xfffffffffffffffffffffffffffffffffffffffe");

/// The first three bytes of a delegation (EIP-7702).
const DELEGATION: [u8; 3] = [0xef, 0x01, 0x00];

/// Compares a block's read set with its traces, and adds what it finds to a table.
///
/// # Errors
///
/// Where the node does not answer what evidence is asked for.
pub async fn compare(
    rpc: &JsonRpc,
    number: u64,
    reads: &ReadSet,
    traces: &BlockTraces,
    table: &mut Table,
) -> eyre::Result<()> {
    table.blocks += 1;
    for (kind, count) in &traces.types {
        *table.transactions.entry(*kind).or_default() += count;
    }
    let mut comparison = Comparison { rpc, number, reads, traces, table, failed: None };
    comparison.accounts().await?;
    comparison.slots().await?;
    comparison.codes().await
}

struct Comparison<'a> {
    rpc: &'a JsonRpc,
    number: u64,
    reads: &'a ReadSet,
    traces: &'a BlockTraces,
    table: &'a mut Table,
    /// Asked for where it is needed: such a trace is long.
    failed: Option<FailedSteps>,
}

/// An account before the block, by the node's own interface.
#[derive(Deserialize)]
struct Before {
    balance: U256,
    nonce: U64,
    code: Bytes,
}

impl Before {
    fn is_absent(&self) -> bool {
        self.balance.is_zero() && self.nonce.is_zero() && self.code.is_empty()
    }
}

impl Comparison<'_> {
    fn violation(&mut self, violation: Violation) {
        self.table.violations.push((self.number, violation));
    }

    async fn before(&self, address: Address) -> eyre::Result<Before> {
        let parent = U64::from(self.number.saturating_sub(1));
        self.rpc.call("eth_getAccountInfo", json!([address, parent])).await
    }

    async fn slot_before(&self, address: Address, slot: B256) -> eyre::Result<B256> {
        let parent = U64::from(self.number.saturating_sub(1));
        self.rpc.call("eth_getStorageAt", json!([address, slot, parent])).await
    }

    async fn failed_steps(&mut self) -> eyre::Result<&FailedSteps> {
        let failed = match self.failed.take() {
            Some(failed) => failed,
            None => FailedSteps::of(self.rpc, self.number).await?,
        };
        Ok(self.failed.insert(failed))
    }

    async fn accounts(&mut self) -> eyre::Result<()> {
        let mut rows: BTreeMap<Address, &AccountRow> = BTreeMap::new();
        for row in &self.reads.accounts {
            if rows.insert(row.address, row).is_some() {
                self.violation(Violation::RepeatedAccount(row.address));
            }
        }
        for (address, traced) in &self.traces.accounts {
            match rows.get(address) {
                Some(row) => self.account_values(row, traced),
                None if traced.is_new() && self.before(*address).await?.is_absent() => {
                    self.table.count(Cause::AbsentBefore);
                }
                None if self.is_delegate(*address) && !self.ran(*address) => {
                    self.table.count(Cause::DelegateNotReached);
                }
                None => self.violation(Violation::MissingAccount {
                    address: *address,
                    traced: format!("{traced:?}"),
                }),
            }
        }
        for address in rows.keys().filter(|it| !self.traces.accounts.contains_key(*it)) {
            self.extra_account(*address).await?;
        }
        Ok(())
    }

    async fn extra_account(&mut self, address: Address) -> eyre::Result<()> {
        let witnessed = self.traces.witnessed(address.as_slice());
        if address == SYSTEM_CALLER {
            self.table.count(Cause::SystemCaller);
        } else if SYSTEM_CONTRACTS.contains(&address) && witnessed {
            self.table.count(Cause::SystemContract);
        } else if self.traces.withdrawals.contains(&address) && witnessed {
            self.table.count(Cause::Withdrawal);
        } else if self.failed_steps().await?.accounts.contains(&address) {
            self.table.count(Cause::FailedStep);
        } else {
            self.violation(Violation::ExtraAccount(address));
        }
        Ok(())
    }

    fn account_values(&mut self, row: &AccountRow, traced: &TracedAccount) {
        let same = row.balance == traced.balance && row.nonce.to::<u64>() == traced.nonce;
        // Code that was written in the block is not what the account had before.
        let code_same = row.code_hash == traced.code_hash()
            || row.code_hash == keccak256([]) && traced.code.starts_with(&DELEGATION);
        if same && code_same {
            self.table.accounts += 1;
        } else {
            self.violation(Violation::AccountValue {
                address: row.address,
                read: format!("{} {} {}", row.nonce, row.balance, row.code_hash),
                traced: format!("{} {} {}", traced.nonce, traced.balance, traced.code_hash()),
            });
        }
    }

    async fn slots(&mut self) -> eyre::Result<()> {
        let rows: BTreeMap<(Address, B256), &SlotRow> =
            self.reads.slots.iter().map(|row| ((row.address, row.slot), row)).collect();
        let mut traced = BTreeMap::new();
        for (address, account) in &self.traces.accounts {
            traced
                .extend(account.slots.iter().map(|(slot, it)| ((*address, *slot), (account, it))));
        }
        for ((address, slot), (account, TracedSlot { value, transaction })) in &traced {
            match rows.get(&(*address, *slot)) {
                Some(row) if row.value == *value => self.table.slots += 1,
                Some(row)
                    if SYSTEM_CONTRACTS.contains(address)
                        && self.slot_before(*address, *slot).await? == row.value =>
                {
                    self.table.count(Cause::SystemValue);
                }
                Some(row) => self.violation(Violation::SlotValue {
                    address: *address,
                    slot: *slot,
                    read: row.value,
                    traced: *value,
                }),
                None if value.is_zero()
                    && account.transaction < *transaction
                    && self.before(*address).await?.is_absent() =>
                {
                    self.table.count(Cause::DestroyedSlot);
                }
                None => self.violation(Violation::MissingSlot(*address, *slot)),
            }
        }
        for ((address, slot), row) in rows.iter().filter(|(key, _)| !traced.contains_key(*key)) {
            let witnessed = self.traces.witnessed(slot.as_slice());
            if SYSTEM_CONTRACTS.contains(address) && witnessed {
                self.table.count(Cause::SystemSlot);
            } else if row.value.is_zero() && self.before(*address).await?.is_absent() {
                self.table.count(Cause::NewAccountSlot);
            } else if self.failed_steps().await?.slots.contains(slot)
                && self.slot_before(*address, *slot).await? == row.value
            {
                self.table.count(Cause::FailedStepSlot);
            } else {
                self.violation(Violation::ExtraSlot(*address, *slot));
            }
        }
        Ok(())
    }

    async fn codes(&mut self) -> eyre::Result<()> {
        for row in &self.reads.codes {
            if keccak256(&row.code) != row.hash {
                self.violation(Violation::WrongCode(row.hash));
            }
        }
        let hashes: BTreeSet<_> = self.reads.codes.iter().map(|row| row.hash).collect();
        let mut explained = BTreeSet::new();
        for (address, account) in &self.traces.accounts {
            if account.code.is_empty() {
                continue;
            }
            let hash = account.code_hash();
            if hashes.contains(&hash) {
                explained.insert(hash);
                self.table.codes += 1;
            } else if keccak256(self.before(*address).await?.code) != hash {
                self.table.count(Cause::WrittenInBlock);
            } else if self.ran(*address) {
                self.violation(Violation::MissingCode(*address));
            } else {
                self.table.count(Cause::NeverRan);
            }
        }
        for hash in hashes.difference(&explained) {
            if self.is_code_of(*hash, |address| SYSTEM_CONTRACTS.contains(address)) {
                self.table.count(Cause::SystemCode);
                continue;
            }
            self.failed_steps().await?;
            let failed = self.failed.as_ref().map(|failed| &failed.accounts);
            if self.is_code_of(*hash, |it| failed.is_some_and(|failed| failed.contains(it))) {
                self.table.count(Cause::FailedStepCode);
            } else {
                self.violation(Violation::ExtraCode(*hash));
            }
        }
        Ok(())
    }

    /// Whether a frame was entered with this account's code, called on its own or through a
    /// delegation.
    fn ran(&self, address: Address) -> bool {
        let entered = &self.traces.entered;
        entered.contains(&address) || entered.iter().any(|it| self.delegates(it, address))
    }

    /// Whether an account that was touched delegates to this one.
    fn is_delegate(&self, address: Address) -> bool {
        self.traces.accounts.keys().any(|it| self.delegates(it, address))
    }

    fn delegates(&self, from: &Address, to: Address) -> bool {
        let code = self.traces.accounts.get(from).map(|account| &account.code);
        code.and_then(|code| code.strip_prefix(&DELEGATION))
            .is_some_and(|delegate| delegate == to.as_slice())
    }

    /// Whether one of these accounts has a row with this code.
    fn is_code_of(&self, hash: B256, of: impl Fn(&Address) -> bool) -> bool {
        self.reads.accounts.iter().any(|row| of(&row.address) && row.code_hash == hash)
    }
}
