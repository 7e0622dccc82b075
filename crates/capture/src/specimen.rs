//! A parent state that holds only what a block specimen lists.

use alloy_primitives::{
    Address, B256, Bytes, U256, keccak256,
    map::{AddressMap, B256Set, HashMap},
};
use bsp_codec::StateSpecimen;
use revm::{
    DatabaseRef, bytecode::Bytecode, context::DBErrorMarker, primitives::KECCAK_EMPTY,
    state::AccountInfo,
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, hash_map::Entry},
};

/// The four read lists as a database to execute on. Any other read is an error that names what is
/// missing.
///
/// Two absences are no errors, because the format cannot express them otherwise:
/// * an account without a row does not exist (a lookup of a missing account leaves no row);
/// * a code whose *size* alone was asked for has no row. Such a code is stood in for by one byte,
///   or by as many as it is [known](Self::with_code_sizes) to have, and
///   [`stood_in_codes`](Self::stood_in_codes) tells which.
#[derive(Debug, Default)]
pub struct SpecimenState {
    accounts: AddressMap<AccountInfo>,
    slots: HashMap<(Address, U256), U256>,
    codes: HashMap<B256, Bytecode>,
    block_hashes: HashMap<u64, B256>,
    code_sizes: BTreeMap<B256, u32>,
    /// The size of what stands in for a code whose size is not known.
    stand_in_size: usize,
    stood_in: RefCell<B256Set>,
}

/// The lists contradict themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// An account has two rows.
    #[error("State.AccountRead[{index}] lists account {address} again")]
    RepeatedAccount {
        /// Index of the second row.
        index: usize,
        /// The account.
        address: Address,
    },
    /// A slot has two rows with different values.
    #[error("State.StorageRead[{index}] lists slot {slot} of {account} again with another value")]
    RepeatedSlot {
        /// Index of the second row.
        index: usize,
        /// Owner of the slot.
        account: Address,
        /// Key.
        slot: B256,
    },
    /// A slot of an account that does not exist has a value.
    #[error(
        "State.StorageRead[{index}] has a value for a slot of {account}, which has no State.AccountRead"
    )]
    OrphanedSlot {
        /// Index of the row.
        index: usize,
        /// Owner of the slot.
        account: Address,
    },
    /// A code does not hash to its hash.
    #[error("State.CodeRead[{index}] is listed under {expected} but hashes to {got}")]
    CodeHash {
        /// Index of the row.
        index: usize,
        /// The row's hash.
        expected: B256,
        /// The code's.
        got: B256,
    },
    /// A block number has two rows with different hashes.
    #[error("State.BlockhashRead[{index}] lists block {number} again with another hash")]
    RepeatedBlockhash {
        /// Index of the second row.
        index: usize,
        /// The block number.
        number: u64,
    },
}

/// The execution read something that the specimen does not list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MissingState {
    /// A slot of a listed account.
    #[error("State.StorageRead lacks slot {slot} of account {account}")]
    Slot {
        /// Owner of the slot.
        account: Address,
        /// Key.
        slot: B256,
    },
    /// A code that no listed account has.
    #[error("State.CodeRead lacks code {0}")]
    Code(B256),
    /// A block hash.
    #[error("State.BlockhashRead lacks block {0}")]
    Blockhash(u64),
}

impl DBErrorMarker for MissingState {}

impl SpecimenState {
    /// Builds the database.
    ///
    /// # Errors
    ///
    /// The first [`Contradiction`] in the lists.
    pub fn new(lists: &StateSpecimen) -> Result<Self, Contradiction> {
        let mut state = Self { stand_in_size: 1, ..Self::default() };
        state.add_accounts(lists)?;
        state.add_slots(lists)?;
        state.add_codes(lists)?;
        state.add_block_hashes(lists)?;
        Ok(state)
    }

    /// Adds sizes of codes that are not listed, in bytes, by their hashes.
    #[must_use]
    pub fn with_code_sizes(mut self, code_sizes: BTreeMap<B256, u32>) -> Self {
        self.code_sizes = code_sizes;
        self
    }

    /// From now on codes of unknown size have this one, in bytes, and none has been stood in for.
    pub(crate) fn set_stand_in_size(&mut self, bytes: usize) {
        self.stand_in_size = bytes;
        self.stood_in.get_mut().clear();
    }

    pub(crate) fn knows_size(&self, code_hash: &B256) -> bool {
        self.code_sizes.contains_key(code_hash)
    }

    /// Hashes of the codes that were asked for and stood in for.
    pub fn stood_in_codes(&self) -> B256Set {
        self.stood_in.borrow().clone()
    }

    fn add_accounts(&mut self, lists: &StateSpecimen) -> Result<(), Contradiction> {
        for (index, row) in lists.account_read.iter().enumerate() {
            let info = AccountInfo {
                nonce: row.nonce,
                balance: row.balance,
                code_hash: row.code_hash,
                code: None,
                ..Default::default()
            };
            if self.accounts.insert(row.address, info).is_some() {
                return Err(Contradiction::RepeatedAccount { index, address: row.address });
            }
        }
        Ok(())
    }

    /// Slots of an address that was created, reverted and created again stand there twice, with
    /// value zero.
    fn add_slots(&mut self, lists: &StateSpecimen) -> Result<(), Contradiction> {
        for (index, row) in lists.storage_read.iter().enumerate() {
            if !row.value.is_zero() && !self.accounts.contains_key(&row.account) {
                return Err(Contradiction::OrphanedSlot { index, account: row.account });
            }
            let value = U256::from_be_bytes(row.value.0);
            match self.slots.entry((row.account, row.slot_key.into())) {
                Entry::Vacant(entry) => {
                    entry.insert(value);
                }
                Entry::Occupied(entry) if *entry.get() == value => {}
                Entry::Occupied(_) => {
                    let (account, slot) = (row.account, row.slot_key);
                    return Err(Contradiction::RepeatedSlot { index, account, slot });
                }
            }
        }
        Ok(())
    }

    fn add_codes(&mut self, lists: &StateSpecimen) -> Result<(), Contradiction> {
        for (index, row) in lists.code_read.iter().enumerate() {
            if self.codes.contains_key(&row.hash)
                && row.code == self.codes[&row.hash].original_bytes()
            {
                continue;
            }
            let got = keccak256(&row.code);
            if got != row.hash {
                return Err(Contradiction::CodeHash { index, expected: row.hash, got });
            }
            self.codes.insert(row.hash, bytecode(&row.code));
        }
        Ok(())
    }

    /// Different numbers above 2^53 can have become equal in AVRO; no block has such a number, so
    /// all have the zero hash.
    fn add_block_hashes(&mut self, lists: &StateSpecimen) -> Result<(), Contradiction> {
        for (index, row) in lists.blockhash_read.iter().enumerate() {
            let known = self.block_hashes.insert(row.block_number, row.block_hash);
            if known.is_some_and(|known| known != row.block_hash) {
                return Err(Contradiction::RepeatedBlockhash { index, number: row.block_number });
            }
        }
        Ok(())
    }

    fn is_code_of_an_account(&self, code_hash: &B256) -> bool {
        self.accounts.values().any(|account| account.code_hash == *code_hash)
    }
}

impl DatabaseRef for SpecimenState {
    type Error = MissingState;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, MissingState> {
        Ok(self.accounts.get(&address).cloned())
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, MissingState> {
        if let Some(code) = self.codes.get(&code_hash) {
            return Ok(code.clone());
        }
        if code_hash == KECCAK_EMPTY {
            return Ok(Bytecode::default());
        }
        if !self.is_code_of_an_account(&code_hash) {
            return Err(MissingState::Code(code_hash));
        }
        self.stood_in.borrow_mut().insert(code_hash);
        let known = self.code_sizes.get(&code_hash).map(|size| *size as usize);
        Ok(Bytecode::new_legacy(vec![0; known.unwrap_or(self.stand_in_size)].into()))
    }

    fn storage_ref(&self, account: Address, slot: U256) -> Result<U256, MissingState> {
        match self.slots.get(&(account, slot)) {
            Some(value) => Ok(*value),
            None if self.accounts.contains_key(&account) => {
                Err(MissingState::Slot { account, slot: slot.into() })
            }
            // An account that does not exist has no storage, whether or not anybody looked.
            None => Ok(U256::ZERO),
        }
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, MissingState> {
        self.block_hashes.get(&number).copied().ok_or(MissingState::Blockhash(number))
    }
}

/// A code as it is executed. One that only begins like a delegation (EIP-7702) is plain code with
/// an invalid first opcode, as in geth; revm's own reading of raw code panics at it.
fn bytecode(code: &Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;
    use bsp_codec::{AccountRead, BlockhashRead, CodeRead, StorageRead};

    const ALICE: Address = address!("0x00000000000000000000000000000000000a11ce");
    const BOB: Address = address!("0x0000000000000000000000000000000000000b0b");

    fn account(address: Address, code: &[u8]) -> AccountRead {
        AccountRead { address, nonce: 1, balance: U256::from(5), code_hash: keccak256(code) }
    }

    fn slot(account: Address, key: u8, value: u8) -> StorageRead {
        StorageRead {
            account,
            slot_key: B256::with_last_byte(key),
            value: B256::with_last_byte(value),
        }
    }

    fn lists() -> StateSpecimen {
        let code = Bytes::from_static(&[0x60, 0x00]);
        StateSpecimen {
            account_read: vec![account(ALICE, &code), account(BOB, &[0xfe])],
            storage_read: vec![slot(ALICE, 1, 7)],
            code_read: vec![CodeRead { hash: keccak256(&code), code }],
            blockhash_read: vec![BlockhashRead {
                block_number: 9,
                block_hash: B256::with_last_byte(9),
            }],
        }
    }

    #[test]
    fn listed_state_is_there_and_the_rest_is_named() {
        let state = SpecimenState::new(&lists()).unwrap();
        assert_eq!(state.storage_ref(ALICE, U256::from(1)), Ok(U256::from(7)));
        let missing = MissingState::Slot { account: ALICE, slot: B256::with_last_byte(2) };
        assert_eq!(state.storage_ref(ALICE, U256::from(2)), Err(missing));
        assert_eq!(state.block_hash_ref(8), Err(MissingState::Blockhash(8)));
        assert_eq!(state.basic_ref(Address::ZERO), Ok(None));
        let unknown = B256::repeat_byte(1);
        assert_eq!(state.code_by_hash_ref(unknown), Err(MissingState::Code(unknown)));
    }

    #[test]
    fn a_code_without_a_row_is_stood_in_for_and_remembered() {
        let state = SpecimenState::new(&lists()).unwrap();
        let hash = keccak256([0xfe]);
        assert_eq!(state.code_by_hash_ref(hash).unwrap().len(), 1);
        assert!(state.stood_in_codes().contains(&hash));
        assert_eq!(state.stood_in_codes().len(), 1);
    }

    #[test]
    fn a_stand_in_has_the_size_that_is_known_or_chosen() {
        let hash = keccak256([0xfe]);
        let mut state = SpecimenState::new(&lists()).unwrap();
        state.code_by_hash_ref(hash).unwrap();
        state.set_stand_in_size(23);
        assert!(state.stood_in_codes().is_empty());
        assert_eq!(state.code_by_hash_ref(hash).unwrap().len(), 23);
        let state = state.with_code_sizes([(hash, 7)].into());
        assert_eq!(state.code_by_hash_ref(hash).unwrap().len(), 7);
        assert!(state.knows_size(&hash));
    }

    /// The hash of a row is its writer's to compute, so any code can be listed.
    #[test]
    fn a_code_that_only_begins_as_a_delegation_is_plain_code() {
        let long = [&[0xef, 0x01, 0x01][..], &[7; 20]].concat();
        for code in [&[0xef, 0x01][..], &[0xef, 0x01, 0x00], &long, &[0xef], &[0xef, 0x00]] {
            let (mut lists, hash) = (lists(), keccak256(code));
            lists.code_read.push(CodeRead { hash, code: Bytes::copy_from_slice(code) });
            let state = SpecimenState::new(&lists).unwrap();
            let read = state.code_by_hash_ref(hash).unwrap();
            assert_eq!(read.original_byte_slice(), code);
            assert!(!read.is_eip7702());
        }
        let designator = [&[0xef, 0x01, 0x00][..], &[7; 20]].concat();
        assert!(bytecode(&designator.into()).is_eip7702());
    }

    #[test]
    fn repeated_zero_slots_of_a_created_account_are_fine() {
        let mut lists = lists();
        let created = Address::with_last_byte(0xcc);
        lists.storage_read.extend([slot(created, 1, 0), slot(created, 1, 0)]);
        assert!(SpecimenState::new(&lists).is_ok());
    }

    #[test]
    fn contradictions_are_found() {
        let contradiction = |change: fn(&mut StateSpecimen)| {
            let mut lists = lists();
            change(&mut lists);
            SpecimenState::new(&lists).err()
        };
        assert_eq!(
            contradiction(|lists| lists.account_read.push(account(ALICE, &[]))),
            Some(Contradiction::RepeatedAccount { index: 2, address: ALICE })
        );
        let key = B256::with_last_byte(1);
        assert_eq!(
            contradiction(|lists| lists.storage_read.push(slot(ALICE, 1, 8))),
            Some(Contradiction::RepeatedSlot { index: 1, account: ALICE, slot: key })
        );
        let nobody = Address::ZERO;
        assert_eq!(
            contradiction(|lists| lists.storage_read.push(slot(Address::ZERO, 1, 8))),
            Some(Contradiction::OrphanedSlot { index: 1, account: nobody })
        );
        assert!(matches!(
            contradiction(|lists| lists.code_read[0].code = Bytes::from_static(&[1])),
            Some(Contradiction::CodeHash { index: 0, .. })
        ));
        assert_eq!(
            contradiction(|lists| {
                let block_hash = B256::with_last_byte(1);
                lists.blockhash_read.push(BlockhashRead { block_number: 9, block_hash });
            }),
            Some(Contradiction::RepeatedBlockhash { index: 1, number: 9 })
        );
    }
}
