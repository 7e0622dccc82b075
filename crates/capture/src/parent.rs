//! The parent state behind both the EVM and the recorder.

use alloy_primitives::{Address, B256, U256, map::HashMap};
use revm::{
    DatabaseRef,
    bytecode::Bytecode,
    state::{AccountId, AccountInfo},
};
use std::{cell::RefCell, fmt};

/// A read-only view of the parent state that asks the database behind it once for what two ask for.
///
/// The EVM keeps its own cache, which mixes the block's changes in; the recorder needs the parent's
/// values, nearly always of something that the EVM has just loaded or is about to. Both read
/// through here, so that capture costs the database hardly any second read.
pub struct ParentState<DB> {
    database: DB,
    memo: RefCell<Memo>,
}

#[derive(Default)]
struct Memo {
    accounts: HashMap<Address, Option<AccountInfo>>,
    /// The slot that was read last. The EVM and the recorder read a slot right after one another,
    /// in either order, so remembering one is enough for all but a few.
    last_slot: Option<((Address, U256), U256)>,
    codes: HashMap<B256, Bytecode>,
    block_hashes: HashMap<u64, B256>,
}

impl<DB> ParentState<DB> {
    /// A view of `database`, which must hold the state after the parent block.
    pub fn new(database: DB) -> Self {
        Self { database, memo: RefCell::default() }
    }

    /// The database behind the view.
    pub const fn database(&self) -> &DB {
        &self.database
    }
}

impl<DB> fmt::Debug for ParentState<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memo = self.memo.borrow();
        f.debug_struct("ParentState")
            .field("accounts", &memo.accounts.len())
            .field("codes", &memo.codes.len())
            .finish_non_exhaustive()
    }
}

impl<DB: DatabaseRef> DatabaseRef for ParentState<DB> {
    type Error = DB::Error;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, DB::Error> {
        if let Some(known) = self.memo.borrow().accounts.get(&address) {
            return Ok(known.clone());
        }
        let account = self.database.basic_ref(address)?;
        self.memo.borrow_mut().accounts.insert(address, account.clone());
        Ok(account)
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, DB::Error> {
        if let Some(known) = self.memo.borrow().codes.get(&code_hash) {
            return Ok(known.clone());
        }
        let code = self.database.code_by_hash_ref(code_hash)?;
        self.memo.borrow_mut().codes.insert(code_hash, code.clone());
        Ok(code)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, DB::Error> {
        self.remembered_slot(address, slot, || self.database.storage_ref(address, slot))
    }

    fn storage_by_account_id_ref(
        &self,
        address: Address,
        account_id: AccountId,
        slot: U256,
    ) -> Result<U256, DB::Error> {
        self.remembered_slot(address, slot, || {
            self.database.storage_by_account_id_ref(address, account_id, slot)
        })
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, DB::Error> {
        if let Some(known) = self.memo.borrow().block_hashes.get(&number) {
            return Ok(*known);
        }
        let hash = self.database.block_hash_ref(number)?;
        self.memo.borrow_mut().block_hashes.insert(number, hash);
        Ok(hash)
    }
}

impl<DB: DatabaseRef> ParentState<DB> {
    fn remembered_slot(
        &self,
        address: Address,
        slot: U256,
        read: impl FnOnce() -> Result<U256, DB::Error>,
    ) -> Result<U256, DB::Error> {
        if let Some((key, value)) = self.memo.borrow().last_slot
            && key == (address, slot)
        {
            return Ok(value);
        }
        let value = read()?;
        self.memo.borrow_mut().last_slot = Some(((address, slot), value));
        Ok(value)
    }
}
