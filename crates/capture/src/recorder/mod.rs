//! Which reads of the parent state a block specimen lists, and in which order.
//!
//! The order is geth's: bsp-geth v2.2.0 appends a row whenever its state database (`StateDB`, one
//! for the whole block) first fetches something from the parent state. The recorder does not run
//! geth; it keeps a shadow of the little of that database that decides on rows, and moves it at the
//! places where geth would:
//!
//! | geth | here |
//! |---|---|
//! | `stateObjects` | [`ReadLog::live`]: addresses whose object is loaded or was created |
//! | `stateObjectsDestruct` | [`ReadLog::destructed`]: addresses that were destroyed or cleared; only grows |
//! | journal of created and touched objects | [`ReadLog::journal`], undone by a revert |
//! | `getStateObject` | [`ReadLog::touch`] |
//! | `getOrNewStateObject` | [`ReadLog::touch_or_create`] |
//! | `stateObject.Code` | [`ReadLog::read_code`] |
//! | `GetCommittedState` | [`ReadLog::read_slot`] |
//! | `RevertToSnapshot` | [`ReadLog::revert`] |
//! | `Finalise(true)` | [`ReadLog::finalise`] |
//!
//! The lists are append-only: not a revert, nor a failed transaction, nor a self-destruct takes a
//! row away. Rows hold the parent block's values, whatever the block has changed since.
//!
//! [`ReadLog`] is that shadow; `hooks` drives it from the EVM.

mod hooks;
mod memory;

pub use hooks::{Reads, Recorder, SizeOnlyCode};

use crate::{ParentState, RecordError};
use alloy_primitives::{
    Address, B256, U256,
    map::{AddressMap, AddressSet, B256Set, HashSet},
};
use bsp_codec::{AccountRead, BlockhashRead, CodeRead, StateSpecimen, StorageRead};
use revm::{DatabaseRef, primitives::KECCAK_EMPTY, state::AccountInfo};
use std::error::Error;

/// Index of an object in [`ReadLog::objects`]. Objects that are gone keep theirs.
type ObjectId = usize;

/// What geth keeps of one account object, as far as it decides on rows.
#[derive(Debug)]
struct Object {
    address: Address,
    /// Code hash in the parent state if the account has code there and this object has not loaded
    /// it yet.
    unread_code: Option<B256>,
    /// Whether the account existed in the parent state. An object created in the block reads zero
    /// slots.
    in_parent: bool,
    /// Whether it existed there without nonce, balance and code: such an account vanishes at its
    /// next change (EIP-161).
    blank_in_parent: bool,
}

/// A question for the size of a code that is in no row so far, the answer to which an execution can
/// depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExactSize {
    /// Whose code.
    pub(crate) address: Address,
    /// The code's hash.
    pub(crate) code_hash: B256,
    /// Index of the transaction that asked.
    pub(crate) transaction: usize,
}

/// An undoable change since the transaction began.
#[derive(Debug, Clone, Copy)]
enum JournalEntry {
    /// An object came into being.
    Created(Address),
    /// An object of the parent state was changed in a way that can make it disappear.
    Changed(Address),
}

impl JournalEntry {
    const fn address(self) -> Address {
        match self {
            Self::Created(address) | Self::Changed(address) => address,
        }
    }
}

/// The four read lists, and the shadow of geth's state database that decides what is appended to
/// them.
#[derive(Debug)]
pub(crate) struct ReadLog<'p, DB: DatabaseRef<Error: Error + 'static>> {
    parent: &'p ParentState<DB>,
    rows: StateSpecimen,
    objects: Vec<Object>,
    live: AddressMap<ObjectId>,
    destructed: AddressSet,
    journal: Vec<JournalEntry>,
    /// Slots that an object was asked for already, to read or to write.
    asked_slots: HashSet<(ObjectId, U256)>,
    asked_block_hashes: HashSet<u64>,
    /// Accounts whose code's size was asked for before the code was loaded, with its hash, in
    /// order.
    sized_codes: Vec<(Address, B256)>,
    /// The same accounts, to name each once.
    sized_accounts: AddressSet,
    /// The questions for a size in which more was asked than whether there is a code.
    exact_sizes: Vec<ExactSize>,
    /// Of which accounts, to name each once.
    exactly_sized_accounts: AddressSet,
    /// The first failed lookup. The EVM's hooks cannot return an error, so the executor asks for
    /// it.
    error: Option<RecordError<DB::Error>>,
}

impl<'p, DB: DatabaseRef<Error: Error + 'static>> ReadLog<'p, DB> {
    fn new(parent: &'p ParentState<DB>) -> Self {
        Self {
            parent,
            rows: StateSpecimen::default(),
            objects: Vec::with_capacity(512),
            live: AddressMap::with_capacity_and_hasher(512, Default::default()),
            destructed: AddressSet::default(),
            journal: Vec::new(),
            asked_slots: HashSet::with_capacity_and_hasher(2048, Default::default()),
            asked_block_hashes: HashSet::default(),
            sized_codes: Vec::new(),
            sized_accounts: AddressSet::default(),
            exact_sizes: Vec::new(),
            exactly_sized_accounts: AddressSet::default(),
            error: None,
        }
    }

    /// Looks an account up. Its first lookup in the block leaves a row if the parent state has it;
    /// an account that is missing there leaves none and is looked up again the next time.
    fn touch(&mut self, address: Address) -> Option<ObjectId> {
        if let Some(id) = self.live.get(&address) {
            return Some(*id);
        }
        if self.destructed.contains(&address) {
            return None;
        }
        let account = self.parent.basic_ref(address);
        let account = self.value_or_fail(account)?;
        let code_hash = code_hash_of(&account);
        self.rows.account_read.push(AccountRead {
            address,
            nonce: account.nonce,
            balance: account.balance,
            code_hash,
        });
        let unread_code = (code_hash != KECCAK_EMPTY).then_some(code_hash);
        Some(self.insert(Object {
            address,
            unread_code,
            in_parent: true,
            blank_in_parent: account.is_empty(),
        }))
    }

    /// Looks an account up to change it (geth does, even to add a balance of zero), and creates a
    /// blank one where there is none.
    fn touch_or_create(&mut self, address: Address) -> ObjectId {
        match self.touch(address) {
            Some(id) => {
                self.change(id);
                id
            }
            None => self.create(address),
        }
    }

    /// Changes a loaded object's balance, if only by zero.
    fn change(&mut self, id: ObjectId) {
        let object = &self.objects[id];
        if object.blank_in_parent {
            self.journal.push(JournalEntry::Changed(object.address));
        }
    }

    /// Creates a blank object at an address that has none.
    fn create(&mut self, address: Address) -> ObjectId {
        self.journal.push(JournalEntry::Created(address));
        self.insert(Object { address, unread_code: None, in_parent: false, blank_in_parent: false })
    }

    fn insert(&mut self, object: Object) -> ObjectId {
        let id = self.objects.len();
        self.live.insert(object.address, id);
        self.objects.push(object);
        id
    }

    /// Loads an account's code: a row for each account that has code in the parent state, the first
    /// time. Equal codes of two accounts give two rows. Code deployed in this block, or a
    /// delegation set in it, gives none.
    fn read_code(&mut self, address: Address) -> Option<ObjectId> {
        let id = self.touch(address)?;
        if let Some(hash) = self.objects[id].unread_code.take() {
            let code = self.parent.code_by_hash_ref(hash);
            if let Some(code) = self.value_or_fail(code.map(Some)) {
                self.rows.code_read.push(CodeRead { hash, code: code.original_bytes() });
            }
        }
        Some(id)
    }

    /// Asks for an account's code size, which leaves no code row. `exact_in` is the transaction, if
    /// it asks for more than whether there is a code.
    fn read_code_size(&mut self, address: Address, exact_in: Option<usize>) {
        if let Some(id) = self.touch(address)
            && let Some(hash) = self.objects[id].unread_code
        {
            if self.sized_accounts.insert(address) {
                self.sized_codes.push((address, hash));
            }
            if let Some(transaction) = exact_in
                && self.exactly_sized_accounts.insert(address)
            {
                self.exact_sizes.push(ExactSize { address, code_hash: hash, transaction });
            }
        }
    }

    /// Reads (or is about to write) a slot of a loaded object. The first time leaves a row with the
    /// parent's value, zero included; an object created in this block has zeros. Slots of an
    /// address that was destroyed earlier in the block leave none.
    fn read_slot(&mut self, id: ObjectId, slot: U256) {
        if !self.asked_slots.insert((id, slot)) {
            return;
        }
        let object = &self.objects[id];
        if self.destructed.contains(&object.address) {
            return;
        }
        let (account, in_parent) = (object.address, object.in_parent);
        let value = if in_parent {
            let value = self.parent.storage_ref(account, slot);
            self.value_or_fail(value.map(Some)).unwrap_or_default()
        } else {
            U256::ZERO
        };
        self.rows.storage_read.push(StorageRead {
            account,
            slot_key: slot.into(),
            value: value.into(),
        });
    }

    /// Notes what `BLOCKHASH` returned for a number, once for each number in the block. Numbers
    /// outside of the window count too: they returned zero.
    fn read_block_hash(&mut self, block_number: u64, block_hash: B256) {
        if self.asked_block_hashes.insert(block_number) {
            self.rows.blockhash_read.push(BlockhashRead { block_number, block_hash });
        }
    }

    /// Marks a self-destructed account, so that [`Self::finalise`] looks whether it is gone.
    fn mark_changed(&mut self, id: ObjectId) {
        self.journal.push(JournalEntry::Changed(self.objects[id].address));
    }

    /// The point to which [`Self::revert`] can go back.
    const fn snapshot(&self) -> usize {
        self.journal.len()
    }

    /// Takes back what a failed call frame created. Objects of the parent state stay loaded; a
    /// created object leaves with its asked keys, so a second creation there reads the same slots
    /// again.
    fn revert(&mut self, snapshot: usize) {
        while self.journal.len() > snapshot {
            if let Some(JournalEntry::Created(address)) = self.journal.pop() {
                self.live.remove(&address);
            }
        }
    }

    /// Ends a transaction or system call: of what it created or destroyed, all that is now empty or
    /// gone is destructed for the rest of the block. `is_gone` tells that of an address, from the
    /// state after the transaction.
    fn finalise<E>(&mut self, mut is_gone: impl FnMut(Address) -> Result<bool, E>)
    where
        E: Error + Send + Sync + 'static,
    {
        for entry in std::mem::take(&mut self.journal) {
            let address = entry.address();
            match is_gone(address) {
                Ok(true) => {
                    self.live.remove(&address);
                    self.destructed.insert(address);
                }
                Ok(false) => {}
                Err(error) => self.fail(RecordError::BlockState(Box::new(error))),
            }
        }
    }

    /// The codes whose size was asked for, but which are in no row: the one thing that execution
    /// reads and the format cannot carry. The parent state has them at hand, since the execution
    /// has just loaded them.
    fn size_only_codes(&mut self) -> Vec<SizeOnlyCode> {
        let listed: B256Set = self.rows.code_read.iter().map(|row| row.hash).collect();
        let mut codes = std::mem::take(&mut self.sized_codes);
        codes.retain(|(_, hash)| !listed.contains(hash));
        let sized = |(account, hash)| {
            let code = self.parent.code_by_hash_ref(hash).map(Some);
            let length = self.value_or_fail(code)?.original_byte_slice().len();
            Some(SizeOnlyCode { account, hash, size: u32::try_from(length).unwrap_or(u32::MAX) })
        };
        codes.into_iter().filter_map(sized).collect()
    }

    fn value_or_fail<T>(&mut self, value: Result<Option<T>, DB::Error>) -> Option<T> {
        value.unwrap_or_else(|error| {
            self.fail(RecordError::ParentState(error));
            None
        })
    }

    fn fail(&mut self, error: RecordError<DB::Error>) {
        self.error.get_or_insert(error);
    }
}

/// The code hash that geth stores: databases may have zero for an account without code.
fn code_hash_of(account: &AccountInfo) -> B256 {
    if account.code_hash.is_zero() { KECCAK_EMPTY } else { account.code_hash }
}
