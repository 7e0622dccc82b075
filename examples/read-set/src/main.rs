//! What a block reads of its parent's state, exactly and in order, with `bsp-capture` alone.
//!
//! The parent's state is any [`revm::DatabaseRef`]; here it is a contract and an account in memory.
//! In a node it would be the state provider of the parent block.

use alloy_consensus::{Header, Signed, TxLegacy, transaction::Recovered};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, address, hex};
use bsp_capture::{BlockParts, ChainSpec, Reads, SignedTransaction, capture};
use revm::{
    bytecode::Bytecode,
    database::{CacheDB, EmptyDB},
    state::AccountInfo,
};

const SENDER: Address = address!("0x00000000000000000000000000000000000000aa");
const CONTRACT: Address = address!("0x00000000000000000000000000000000000000cc");
const FRIEND: Address = address!("0x00000000000000000000000000000000000000dd");

fn main() -> eyre::Result<()> {
    let reads = read_set()?;
    for account in &reads.lists.account_read {
        println!("account {} with balance {}", account.address, account.balance);
    }
    for slot in &reads.lists.storage_read {
        println!("slot    {} of {} is {}", slot.slot_key, slot.account, slot.value);
    }
    for code in &reads.lists.code_read {
        println!("code    {}, {} bytes", code.hash, code.code.len());
    }
    Ok(())
}

/// Executes a block of one transaction, which calls the contract.
fn read_set() -> eyre::Result<Reads> {
    let header = Header {
        number: 1,
        gas_limit: 30_000_000,
        base_fee_per_gas: Some(7),
        parent_beacon_block_root: Some(Default::default()),
        excess_blob_gas: Some(0),
        ..Default::default()
    };
    let block = BlockParts { header: &header, ommers: &[], withdrawals: Some(&[]) };
    let captured = capture(&ChainSpec::dev(), block, [call_to_contract()], parent_state()?)?;
    // With a block of a real chain, `captured.check(&header)?` comes next.
    Ok(captured.reads)
}

/// The contract reads its slot 7, and how much its friend has.
fn parent_state() -> eyre::Result<CacheDB<EmptyDB>> {
    let mut code = hex!("6007545073").to_vec(); // PUSH1 7, SLOAD, POP, PUSH20 …
    code.extend_from_slice(FRIEND.as_slice());
    code.extend_from_slice(&hex!("3100")); // BALANCE, STOP
    let contract = AccountInfo::from_bytecode(Bytecode::new_raw(Bytes::from(code)));

    let mut state = CacheDB::new(EmptyDB::new());
    state.insert_account_info(SENDER, AccountInfo::from_balance(U256::from(1_000_000_000)));
    state.insert_account_info(FRIEND, AccountInfo::from_balance(U256::from(5)));
    state.insert_account_info(CONTRACT, contract);
    state.insert_account_storage(CONTRACT, U256::from(7), U256::from(42))?;
    Ok(state)
}

fn call_to_contract() -> Recovered<SignedTransaction> {
    let call = TxLegacy {
        gas_price: 7,
        gas_limit: 100_000,
        to: TxKind::Call(CONTRACT),
        ..Default::default()
    };
    // Execution trusts the sender that it is given, so any signature will do.
    let signed = Signed::new_unhashed(call, Signature::test_signature());
    Recovered::new_unchecked(signed.into(), SENDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_was_read_is_there_once_in_order() {
        let lists = read_set().unwrap().lists;
        let accounts: Vec<_> = lists.account_read.iter().map(|row| row.address).collect();
        assert_eq!(accounts, [SENDER, CONTRACT, FRIEND]);
        let slots: Vec<_> = lists.storage_read.iter().map(|row| (row.account, row.value)).collect();
        assert_eq!(slots, [(CONTRACT, U256::from(42).into())]);
        assert_eq!(lists.code_read.len(), 1);
        assert!(lists.blockhash_read.is_empty());
    }
}
