//! A parent state that is written down account by account.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use bsp_codec::{AccountRead, CodeRead};
use bsp_devchain::asm::assemble;
use revm::{DatabaseRef, bytecode::Bytecode, state::AccountInfo};
use std::{collections::BTreeMap, convert::Infallible};

/// An account of the parent state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    nonce: u64,
    balance: U256,
    code: Bytes,
    storage: BTreeMap<U256, U256>,
}

impl Account {
    /// An account with nothing but a balance, in wei.
    pub(crate) fn with_balance(balance: u64) -> Self {
        Self { balance: U256::from(balance), ..Default::default() }
    }

    /// A contract with nonce 1 and the code that `source` assembles to.
    pub(crate) fn contract(source: &str) -> Self {
        Self::coded(assemble(source).expect("a program"))
    }

    /// A contract with nonce 1 and this code.
    pub(crate) fn coded(code: impl Into<Bytes>) -> Self {
        Self { nonce: 1, code: code.into(), ..Default::default() }
    }

    pub(crate) const fn nonce(mut self, nonce: u64) -> Self {
        self.nonce = nonce;
        self
    }

    pub(crate) fn balance(mut self, balance: u64) -> Self {
        self.balance = U256::from(balance);
        self
    }

    pub(crate) fn slot(mut self, key: u64, value: u64) -> Self {
        self.storage.insert(U256::from(key), U256::from(value));
        self
    }
}

/// The accounts of the parent state. The hash of block n is n as 32 bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    accounts: BTreeMap<Address, Account>,
    codes: BTreeMap<B256, Bytes>,
}

impl World {
    pub(crate) fn insert(&mut self, address: Address, account: Account) {
        self.codes.insert(keccak256(&account.code), account.code.clone());
        self.accounts.insert(address, account);
    }

    pub(crate) fn nonce(&self, address: Address) -> u64 {
        self.accounts.get(&address).map_or(0, |account| account.nonce)
    }

    /// The row that the account should have.
    pub(crate) fn account_row(&self, address: Address) -> AccountRead {
        let account = &self.accounts[&address];
        AccountRead {
            address,
            nonce: account.nonce,
            balance: account.balance,
            code_hash: keccak256(&account.code),
        }
    }

    /// The row that the account's code should have.
    pub(crate) fn code_row(&self, address: Address) -> CodeRead {
        let code = self.accounts[&address].code.clone();
        CodeRead { hash: keccak256(&code), code }
    }
}

impl DatabaseRef for World {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        // Without the code, so that the EVM has to ask for it by its hash.
        Ok(self.accounts.get(&address).map(|account| AccountInfo {
            nonce: account.nonce,
            balance: account.balance,
            code_hash: keccak256(&account.code),
            code: None,
            ..Default::default()
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.codes.get(&code_hash).cloned().map(Bytecode::new_raw).unwrap_or_default())
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Infallible> {
        let account = self.accounts.get(&address);
        Ok(account.and_then(|account| account.storage.get(&slot)).copied().unwrap_or_default())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Infallible> {
        Ok(U256::from(number).into())
    }
}
