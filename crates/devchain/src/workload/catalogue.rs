//! The table of scenarios, and how often each has run.

use super::{
    calls, creations, delegations, destructions, frame_failures, precompiles, probes, protocol,
    scenario::{Part, Scenario},
    tokens, transfers,
};
use crate::genesis::DevFork;

/// The fork that a scenario asks for, or the oldest.
macro_rules! fork {
    () => {
        DevFork::Cancun
    };
    ($fork:ident) => {
        DevFork::$fork
    };
}

macro_rules! scenarios {
    ($($part:ident {
        $($module:ident::$function:ident * $weight:literal $(since $fork:ident)?: $exercises:literal;)*
    })*) => {
        &[$($(Scenario {
            name: stringify!($function),
            exercises: $exercises,
            part: Part::$part,
            since: fork!($($fork)?),
            weight: $weight,
            plan: $module::$function,
        },)*)*]
    };
}

impl Scenario {
    /// All scenarios.
    pub const ALL: &'static [Self] = scenarios! {
        FeeRecipient {
            protocol::fee_recipient_account * 4: "a fee recipient that exists";
            protocol::fee_recipient_missing * 2: "a fee recipient that the first fee creates";
            protocol::fee_recipient_missing_without_fee * 2: "a missing fee recipient that gets nothing: blank object, destructed";
            protocol::fee_recipient_created_later * 2: "a contract created where the fee recipient was left blank gives no slot rows";
            protocol::fee_recipient_contract * 2: "a fee recipient with code, which is not loaded";
            protocol::fee_recipient_delegated * 2 since Prague: "a fee recipient with a delegation, which is not loaded";
            protocol::fee_recipient_sender * 2: "a fee recipient that also sends";
        }
        Filling {
            transfers::fill_block * 1: "gas used above the target raises the base fee";
        }
        Empty {
            protocol::empty_block * 1: "system calls alone";
        }
        Withdrawals {
            protocol::withdrawal_to_account * 2: "withdrawal: touch";
            protocol::withdrawal_to_missing * 2: "withdrawal that creates its account";
            protocol::withdrawal_of_nothing * 2: "withdrawals of amount 0 touch too";
            protocol::withdrawal_repeated * 2: "two withdrawals to one account: one row";
            protocol::withdrawal_to_contract * 2: "withdrawal to a contract: no code row";
        }
        Transactions {
            transfers::transfer * 6: "sender and receiver touched";
            transfers::transfer_to_missing * 2: "receiver created: no row";
            transfers::nothing_to_missing * 2: "call of a missing account with no value: nothing";
            transfers::transfer_to_itself * 2: "sender is receiver: one row";
            transfers::transfer_to_precompile * 2: "value for a precompile, existing and missing";
            transfers::fund_system_caller * 1: "the system caller exists from now on: its row follows the first system contract's";
            transfers::unprotected * 2: "legacy transaction without chain id (before EIP-155)";
            transfers::access_list * 3: "access lists warm accounts and slots without reading them";
            transfers::blobs * 8: "blob transaction";
            transfers::transaction_reverts * 2: "a reverted transaction keeps its rows";
            transfers::transaction_out_of_gas * 1: "a transaction that runs out of gas keeps its rows";
            tokens::token_transfer * 6: "slots of a mapping, logs";
            tokens::token_through_proxy * 3: "slot of the proxy, code of the implementation";
            tokens::token_through_clones * 3: "equal code in two accounts: two code rows";
            tokens::token_short_of_balance * 2: "slot read in a call that reverts";
            tokens::logs_and_transient_storage * 2: "opcodes that read nothing";
            probes::probe_balance * 2: "BALANCE touches";
            probes::probe_code_size * 2: "EXTCODESIZE touches, no code row";
            probes::probe_code_size_alone * 2: "account whose code is asked for its size only: account row without code row";
            probes::probe_code_hash * 2: "EXTCODEHASH touches, no code row";
            probes::probe_code_copy * 2: "EXTCODECOPY loads code; of a delegated account the designator";
            probes::probe_self_balance * 1: "SELFBALANCE: nothing new";
            probes::slots_read_and_written * 3: "SLOAD and SSTORE share a cache; zero slots have rows";
            probes::slots_of_twins * 2: "equal slots and code in two accounts";
            probes::slots_across_transactions * 2: "a slot's row holds the parent's value, however often it changes";
            probes::slots_of_delegatecaller * 2: "DELEGATECALL reads slots of the caller";
            probes::block_hash_in_window * 3: "BLOCKHASH, once a number and block";
            probes::block_hash_out_of_window * 2: "BLOCKHASH of own, later and too old numbers: row with hash 0";
            probes::block_hash_beyond_u64 * 2: "BLOCKHASH over 64 bits: no row";
            frame_failures::store_with_stipend * 2: "SSTORE at 2300 gas fails before it reads";
            frame_failures::store_out_of_gas * 2: "SSTORE reads its slot and then runs out of gas";
            frame_failures::store_in_static_frame * 2: "SSTORE reads its slot and then fails in a static frame";
            frame_failures::destroy_out_of_gas * 2: "SELFDESTRUCT touches its beneficiary and then runs out of gas";
            frame_failures::destroy_in_static_frame * 2: "SELFDESTRUCT touches its beneficiary and then fails in a static frame";
            frame_failures::pay_out_of_gas * 2: "CALL loads its target and then cannot pay for value and new account";
            frame_failures::pay_out_of_gas_early * 2: "CALL that cannot pay for a cold target reads nothing";
            frame_failures::pay_in_static_frame * 2: "CALL with value loads its target and then fails in a static frame";
            frame_failures::create_in_static_frame * 2: "CREATE in a static frame reads nothing";
            frame_failures::balance_out_of_gas * 2: "BALANCE that cannot pay reads nothing";
            frame_failures::copy_out_of_memory * 2: "EXTCODECOPY that cannot pay for memory reads nothing";
            frame_failures::reads_in_reverted_frame * 3: "a reverted frame keeps its rows";
            frame_failures::delegate_out_of_gas * 2 since Prague: "CALL loads a delegation and cannot pay for the delegate, which is not read";
            calls::call_matrix * 6: "CALL, CALLCODE, DELEGATECALL, STATICCALL of accounts of every kind";
            calls::call_with_value * 3: "CALL and CALLCODE with value: payer and payee";
            calls::call_short_of_balance * 2: "CALL, CALLCODE and CREATE beyond the balance: target of the call loaded by gas alone";
            calls::call_recursion * 1: "calls into oneself until gas runs out (63/64 of EIP-150 ends it before depth 1024)";
            calls::call_delegated * 3 since Prague: "call of a delegated account: both codes";
            calls::call_twice_delegated * 2 since Prague: "delegation to a delegated account is followed once";
            calls::call_delegated_to_nothing * 2 since Prague: "delegation to a precompile, to a missing account, to itself";
            calls::blank_then_created * 2: "STATICCALL leaves a blank object; a contract created there later gives no slot rows";
            precompiles::precompiles_pass * 3: "every precompile with valid input";
            precompiles::precompiles_fail * 2: "every precompile that can fail, failing";
            precompiles::precompiles_by_delegatecall * 2: "DELEGATECALL and CALLCODE to a precompile: its account is read by gas alone";
            creations::create_by_transaction * 2: "creation: slots of the new object have rows";
            creations::create_by_transaction_over_balance * 2: "creation transaction at an address with balance";
            creations::create_by_transaction_fails * 2: "creation transaction whose init code fails";
            creations::create_by_contract * 3: "CREATE, with and without value";
            creations::create2_by_contract * 3: "CREATE2, then calls of what was created";
            creations::create2_collides * 2: "CREATE2 where a contract stands: touched, fails";
            creations::create_reverts_and_repeats * 3: "creation reverted and repeated: slot rows twice";
            creations::create_init_reverts_twice * 2: "init code reverted twice: slot rows twice";
            creations::create_bad_code * 2: "code that EIP-170 and EIP-3541 refuse";
            creations::create_codeless * 2: "creation of an account without code";
            creations::create_nested * 2: "creation inside of init code";
            creations::prefund * 3: "balance where a later block creates";
            creations::create_over_balance * 4: "creation over a prefunded account: account row and slot rows";
            creations::call_created_earlier * 4: "contract created in an earlier block: account, code and slot rows";
            destructions::destroy_existing * 3: "SELFDESTRUCT of an old contract only moves its balance (EIP-6780)";
            destructions::destroy_leaves_blank * 2: "SELFDESTRUCT without balance leaves a blank beneficiary; creation there gives no slot rows";
            destructions::destroy_in_creation * 2: "SELFDESTRUCT in init code";
            destructions::destroy_and_rebirth * 3: "destroyed in its transaction, reborn in the next: no rows any more";
            destructions::destroy_and_collide * 2: "destroyed but alive until its transaction ends: CREATE2 collides";
            destructions::destroy_over_balance * 3: "prefunded account destroyed: its storage gives no rows later in the block";
            destructions::destroy_then_probe * 2: "a destroyed account is missing for the rest of the block";
            delegations::delegate_new_account * 2 since Prague: "authority that does not exist";
            delegations::delegate_account * 4 since Prague: "authority that exists: set, changed or cleared delegation";
            delegations::delegate_and_call * 2 since Prague: "delegation set and called in one transaction: no code row for the designator";
            delegations::delegate_itself * 2 since Prague: "sender is authority";
            delegations::delegate_any_chain * 2 since Prague: "authorization for any chain";
            delegations::delegate_repeatedly * 2 since Prague: "one authority twice in one list";
            delegations::delegation_unread * 3 since Prague: "authorizations skipped before the authority is read: chain id, nonce 2^64-1, signature";
            delegations::delegation_of_contract * 2 since Prague: "authority with real code: its code is loaded, then rejected";
            delegations::delegation_with_wrong_nonce * 2 since Prague: "authority with another nonce: its code is loaded, then rejected";
            delegations::delegated_sender * 3 since Prague: "sender with a delegation: its code is loaded";
            protocol::withdrawal_request * 2 since Prague: "withdrawal request (EIP-7002)";
            protocol::consolidation_request * 2 since Prague: "consolidation request (EIP-7251)";
            protocol::deposit * 2 since Prague: "deposit request (EIP-6110)";
            protocol::request_without_fee * 1 since Prague: "request that cannot pay its fee reverts";
            protocol::system_contracts_called * 2 since Prague: "contracts of EIP-4788 and EIP-2935 asked by a transaction";
        }
    };

    /// The scenarios of a part that a chain with this newest fork can run, in the table's order.
    pub(super) fn of_part(part: Part, fork: DevFork) -> impl Iterator<Item = &'static Self> {
        Self::ALL.iter().filter(move |scenario| scenario.part == part && scenario.since <= fork)
    }
}

/// How often each scenario has run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage(Vec<u64>);

impl Default for Coverage {
    fn default() -> Self {
        Self(vec![0; Scenario::ALL.len()])
    }
}

impl Coverage {
    /// Every scenario with its number of runs, in the order of [`Scenario::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (&'static Scenario, u64)> {
        Scenario::ALL.iter().zip(self.0.iter().copied())
    }

    /// The scenarios that have not run.
    pub fn missing(&self) -> impl Iterator<Item = &'static Scenario> {
        self.iter().filter(|(_, runs)| *runs == 0).map(|(scenario, _)| scenario)
    }

    pub(crate) fn count(&mut self, scenarios: &[&Scenario]) {
        for ran in scenarios {
            let known = Scenario::ALL.iter().zip(&mut self.0).find(|(scenario, _)| scenario == ran);
            if let Some((_, runs)) = known {
                *runs += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_weights_positive() {
        let names: BTreeSet<_> = Scenario::ALL.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), Scenario::ALL.len());
        assert!(Scenario::ALL.iter().all(|scenario| scenario.weight > 0));
    }

    #[test]
    fn coverage_counts_runs() {
        let mut coverage = Coverage::default();
        let [first, second, ..] = Scenario::ALL else { panic!("no scenarios") };
        coverage.count(&[first, second, first]);
        assert_eq!(coverage.iter().map(|(_, runs)| runs).sum::<u64>(), 3);
        assert_eq!(coverage.missing().count(), Scenario::ALL.len() - 2);
    }
}
