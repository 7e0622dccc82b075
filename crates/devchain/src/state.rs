//! The world state in memory: accounts, their storage, code by hash, and the hashes of recent
//! blocks.
//!
//! Accounts and slots are held under their keccak-256 digests, in order, which is the order in
//! which the Merkle-Patricia tries of the yellow paper take them: a root is one pass. A storage
//! root is computed again only when one of its slots has changed.

use alloy_consensus::constants::KECCAK_EMPTY;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::B256Map};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount, root};
use revm::{
    Database, DatabaseRef,
    bytecode::Bytecode,
    database::{BundleAccount, BundleState, states::StorageSlot},
    database_interface::DBErrorMarker,
    state::AccountInfo,
};
use std::collections::BTreeMap;

/// How many ancestors `BLOCKHASH` can name.
pub const BLOCK_HASH_WINDOW: usize = 256;

/// Something was asked for that the state has never held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// No code with this hash was ever deployed.
    #[error("no code with hash {0}")]
    UnknownCode(B256),
    /// Not one of the last 256 blocks.
    #[error("block {0} is not among the last 256")]
    UnknownBlock(u64),
}

impl DBErrorMarker for StateError {}

/// State of the chain after one block.
#[derive(Debug, Clone, Default)]
pub struct WorldState {
    accounts: BTreeMap<B256, StoredAccount>,
    codes: B256Map<Bytecode>,
    block_hashes: BTreeMap<u64, B256>,
}

#[derive(Debug, Clone)]
struct StoredAccount {
    fields: TrieAccount,
    storage: BTreeMap<B256, U256>,
}

impl StoredAccount {
    fn new() -> Self {
        let fields = TrieAccount {
            nonce: 0,
            balance: U256::ZERO,
            storage_root: EMPTY_ROOT_HASH,
            code_hash: KECCAK_EMPTY,
        };
        Self { fields, storage: BTreeMap::new() }
    }

    fn set_slot(&mut self, slot: B256, value: U256) {
        let key = keccak256(slot);
        if value.is_zero() {
            self.storage.remove(&key);
        } else {
            self.storage.insert(key, value);
        }
    }

    fn update_storage_root(&mut self) {
        self.fields.storage_root =
            root::storage_root(self.storage.iter().map(|(key, value)| (*key, *value)));
    }
}

/// A code of a genesis file, which may be anything. What only begins as an EIP-7702 delegation is a
/// code like any other.
fn bytecode(code: &Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code.clone()))
}

impl WorldState {
    /// The state that a genesis allocation describes.
    pub fn from_alloc(alloc: &BTreeMap<Address, GenesisAccount>) -> Self {
        let mut state = Self::default();
        for (address, genesis) in alloc {
            let mut account = StoredAccount::new();
            account.fields.nonce = genesis.nonce.unwrap_or_default();
            account.fields.balance = genesis.balance;
            if let Some(code) = genesis.code.as_ref().filter(|code| !code.is_empty()) {
                account.fields.code_hash = state.add_code(bytecode(code));
            }
            for (slot, value) in genesis.storage.iter().flatten() {
                account.set_slot(*slot, (*value).into());
            }
            account.update_storage_root();
            state.accounts.insert(keccak256(address), account);
        }
        state
    }

    fn add_code(&mut self, code: Bytecode) -> B256 {
        let hash = keccak256(code.original_byte_slice());
        self.codes.insert(hash, code);
        hash
    }

    /// Applies what a block changed, destroyed storage included. Accounts left empty (EIP-161) are
    /// removed.
    pub fn apply(&mut self, changes: &BundleState) {
        for (hash, code) in &changes.contracts {
            self.codes.insert(*hash, code.clone());
        }
        for (address, change) in &changes.state {
            self.apply_account(keccak256(address), change);
        }
    }

    fn apply_account(&mut self, key: B256, change: &BundleAccount) {
        let Some(info) = change.info.as_ref().filter(|info| !info.is_empty()) else {
            self.accounts.remove(&key);
            return;
        };
        let account = self.accounts.entry(key).or_insert_with(StoredAccount::new);
        account.fields.nonce = info.nonce;
        account.fields.balance = info.balance;
        account.fields.code_hash = info.code_hash;
        if change.was_destroyed() {
            account.storage.clear();
        }
        for (slot, value) in &change.storage {
            account.set_slot((*slot).into(), value.present_value);
        }
        if change.was_destroyed() || change.storage.values().any(StorageSlot::is_changed) {
            account.update_storage_root();
        }
    }

    /// Makes the hash of a block known to `BLOCKHASH` and forgets the one that fell out of its
    /// window.
    pub fn add_block_hash(&mut self, number: u64, hash: B256) {
        self.block_hashes.insert(number, hash);
        while self.block_hashes.len() > BLOCK_HASH_WINDOW {
            self.block_hashes.pop_first();
        }
    }

    /// Root of the account trie.
    pub fn state_root(&self) -> B256 {
        root::state_root(self.accounts.iter().map(|(key, account)| (*key, account.fields)))
    }

    /// How many accounts exist.
    pub fn account_count(&self) -> usize {
        self.accounts.len()
    }

    /// Nonce, balance in wei, storage root and code hash of an account, or `None` where it does not
    /// exist.
    pub fn account(&self, address: Address) -> Option<&TrieAccount> {
        self.accounts.get(&keccak256(address)).map(|account| &account.fields)
    }

    /// Nonce of an account, zero where it does not exist.
    pub fn nonce(&self, address: Address) -> u64 {
        self.account(address).map_or(0, |account| account.nonce)
    }

    /// Code of an account, empty where it has none or does not exist.
    pub fn code(&self, address: Address) -> Bytes {
        self.account(address)
            .and_then(|account| self.codes.get(&account.code_hash))
            .map(Bytecode::original_bytes)
            .unwrap_or_default()
    }

    /// Value of a storage slot, zero where it was never set.
    pub fn slot(&self, address: Address, slot: U256) -> U256 {
        self.accounts
            .get(&keccak256(address))
            .and_then(|account| account.storage.get(&keccak256(B256::from(slot))))
            .copied()
            .unwrap_or_default()
    }
}

impl DatabaseRef for WorldState {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        Ok(self.account(address).map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        if code_hash == KECCAK_EMPTY {
            return Ok(Bytecode::default());
        }
        self.codes.get(&code_hash).cloned().ok_or(StateError::UnknownCode(code_hash))
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, Self::Error> {
        Ok(self.slot(address, index))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Self::Error> {
        self.block_hashes.get(&number).copied().ok_or(StateError::UnknownBlock(number))
    }
}

impl Database for WorldState {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        self.basic_ref(address)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        self.code_by_hash_ref(code_hash)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Self::Error> {
        self.storage_ref(address, index)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        self.block_hash_ref(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_genesis_may_have_any_code() {
        let address = Address::repeat_byte(1);
        for code in [&[0xef, 0x01][..], &[0xef, 0x01, 0x00], &[0xef, 0x00, 0x01], &[0xfe]] {
            let account = GenesisAccount::default().with_code(Some(Bytes::copy_from_slice(code)));
            let state = WorldState::from_alloc(&[(address, account)].into());
            let hash = state.basic_ref(address).unwrap().unwrap().code_hash;
            assert_eq!(hash, keccak256(code));
            assert_eq!(state.code_by_hash_ref(hash).unwrap().original_byte_slice(), code);
        }
    }
}
