//! The parent state as the EVM gets it, with its errors stored for later.

use crate::{CaptureError, ParentState};
use alloy_primitives::{Address, B256, U256};
use revm::{
    DatabaseRef,
    bytecode::Bytecode,
    context::DBErrorMarker,
    state::{AccountId, AccountInfo},
};
use std::{cell::RefCell, error::Error, fmt};

/// Keeps the database's first error and gives the EVM a stand-in for it.
///
/// What comes out of the block executor is no good to tell a failed lookup from an invalid block:
/// of a system call's database error it passes on the text, and of one while withdrawals are paid
/// out nothing.
pub(crate) struct EvmParent<'p, DB: DatabaseRef> {
    parent: &'p ParentState<DB>,
    failure: RefCell<Option<DB::Error>>,
}

/// Stands in for an error of the parent state's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the parent state cannot be read")]
pub(crate) struct Unavailable;

impl DBErrorMarker for Unavailable {}

impl<'p, DB: DatabaseRef<Error: Error + 'static>> EvmParent<'p, DB> {
    pub(crate) const fn new(parent: &'p ParentState<DB>) -> Self {
        Self { parent, failure: RefCell::new(None) }
    }

    /// The result of an execution on this state. If a lookup failed, that is the reason for
    /// whatever came out.
    pub(crate) fn settle<T>(
        &self,
        result: Result<T, CaptureError<DB::Error>>,
    ) -> Result<T, CaptureError<DB::Error>> {
        match self.failure.take() {
            Some(error) => Err(CaptureError::ParentState(error)),
            None => result,
        }
    }

    fn keep_error<T>(&self, result: Result<T, DB::Error>) -> Result<T, Unavailable> {
        result.map_err(|error| {
            self.failure.borrow_mut().get_or_insert(error);
            Unavailable
        })
    }
}

impl<DB: DatabaseRef> fmt::Debug for EvmParent<'_, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvmParent").field("parent", self.parent).finish_non_exhaustive()
    }
}

impl<DB: DatabaseRef<Error: Error + 'static>> DatabaseRef for EvmParent<'_, DB> {
    type Error = Unavailable;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Unavailable> {
        self.keep_error(self.parent.basic_ref(address))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Unavailable> {
        self.keep_error(self.parent.code_by_hash_ref(code_hash))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Unavailable> {
        self.keep_error(self.parent.storage_ref(address, slot))
    }

    fn storage_by_account_id_ref(
        &self,
        address: Address,
        account_id: AccountId,
        slot: U256,
    ) -> Result<U256, Unavailable> {
        self.keep_error(self.parent.storage_by_account_id_ref(address, account_id, slot))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Unavailable> {
        self.keep_error(self.parent.block_hash_ref(number))
    }
}
