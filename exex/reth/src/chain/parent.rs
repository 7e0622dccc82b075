//! The state before a block, as the node has it.

use alloy_consensus::Header;
use alloy_eips::BlockNumHash;
use alloy_primitives::{Address, B256, U256};
use reth_provider::{ProviderError, ProviderResult, StateProviderBox};
use reth_revm::database::{EvmStateProvider, StateProviderDatabase};
use revm::{DatabaseRef, bytecode::Bytecode, primitives::KECCAK_EMPTY, state::AccountInfo};
use std::cell::RefCell;

/// How far back `BLOCKHASH` reaches.
const BLOCKHASH_DEPTH: u64 = 256;

/// The parent's state and ancestors. Holds a read transaction of the node's database, so it lives
/// for one execution only.
pub(crate) struct ParentView<F> {
    state: StateProviderDatabase<StateProviderBox>,
    ancestors: Ancestors<F>,
}

impl<F: Fn(B256) -> ProviderResult<Option<Header>>> ParentView<F> {
    /// `parent` is the block whose state this is, `header_of` the node's headers by hash.
    pub(crate) const fn new(state: StateProviderBox, parent: BlockNumHash, header_of: F) -> Self {
        let ancestors = Ancestors::new(parent, header_of);
        Self { state: StateProviderDatabase::new(state), ancestors }
    }
}

impl<F: Fn(B256) -> ProviderResult<Option<Header>>> DatabaseRef for ParentView<F> {
    type Error = ProviderError;

    fn basic_ref(&self, address: Address) -> ProviderResult<Option<AccountInfo>> {
        self.state.basic_ref(address)
    }

    /// A code that an account has but the node has not is an error here: reth's own view gives an
    /// empty one.
    fn code_by_hash_ref(&self, code_hash: B256) -> ProviderResult<Bytecode> {
        match self.state.bytecode_by_hash(&code_hash)? {
            Some(code) => Ok(code.0),
            None if code_hash == KECCAK_EMPTY || code_hash.is_zero() => Ok(Bytecode::default()),
            None => Err(ProviderError::other(MissingCode(code_hash))),
        }
    }

    fn storage_ref(&self, address: Address, slot: U256) -> ProviderResult<U256> {
        self.state.storage_ref(address, slot)
    }

    fn block_hash_ref(&self, number: u64) -> ProviderResult<B256> {
        self.ancestors.hash_of(number)
    }
}

/// The node's database lacks a code.
#[derive(Debug, thiserror::Error)]
#[error("the node has no code with hash {0}, which an account has: its database is damaged")]
struct MissingCode(B256);

/// Hashes of a block's ancestors, followed from child to parent.
///
/// Not looked up by height: there the node has the canonical chain, and after a reorg below what is
/// on disk, for a while, the branch that was left.
struct Ancestors<F> {
    parent: BlockNumHash,
    header_of: F,
    /// The grandparent's and so on, as far as they were asked for.
    older: RefCell<Vec<B256>>,
}

impl<F: Fn(B256) -> ProviderResult<Option<Header>>> Ancestors<F> {
    const fn new(parent: BlockNumHash, header_of: F) -> Self {
        Self { parent, header_of, older: RefCell::new(Vec::new()) }
    }

    /// Zero for a block that `BLOCKHASH` does not reach.
    fn hash_of(&self, number: u64) -> ProviderResult<B256> {
        let generation = match self.parent.number.checked_sub(number) {
            None | Some(BLOCKHASH_DEPTH..) => return Ok(B256::ZERO),
            Some(0) => return Ok(self.parent.hash),
            Some(generation) => generation,
        };
        let mut older = self.older.borrow_mut();
        while (older.len() as u64) < generation {
            let child = older.last().copied().unwrap_or(self.parent.hash);
            older.push(self.parent_of(child)?);
        }
        // Asked for out of order, it may be in the middle.
        let index = usize::try_from(generation - 1).unwrap_or(usize::MAX);
        Ok(older.get(index).copied().unwrap_or_default())
    }

    fn parent_of(&self, hash: B256) -> ProviderResult<B256> {
        let header = (self.header_of)(hash)?.filter(|header| header.hash_slow() == hash);
        header.map(|header| header.parent_hash).ok_or(ProviderError::BlockHashNotFound(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// Headers 0 to `length` of a chain, by hash, and the hashes in order.
    fn chain(length: u64) -> (HashMap<B256, Header>, Vec<B256>) {
        let (mut headers, mut hashes) = (HashMap::new(), Vec::new());
        for number in 0..=length {
            let parent_hash = hashes.last().copied().unwrap_or_default();
            let header = Header { number, parent_hash, ..Header::default() };
            hashes.push(header.hash_slow());
            headers.insert(header.hash_slow(), header);
        }
        (headers, hashes)
    }

    #[test]
    fn ancestors_are_found_in_any_order_and_no_further_than_blockhash_reaches() {
        let (headers, hashes) = chain(300);
        let parent = BlockNumHash::new(300, hashes[300]);
        let ancestors = Ancestors::new(parent, |hash| Ok(headers.get(&hash).cloned()));
        for number in [300, 299, 250, 280, 45, 46] {
            assert_eq!(ancestors.hash_of(number).unwrap(), hashes[number as usize], "{number}");
        }
        for unreachable in [301, 44, 0] {
            assert_eq!(ancestors.hash_of(unreachable).unwrap(), B256::ZERO, "{unreachable}");
        }
    }

    #[test]
    fn a_branch_that_the_node_no_longer_has_is_an_error() {
        let (headers, hashes) = chain(3);
        let parent = BlockNumHash::new(3, B256::repeat_byte(1));
        for known in [None, headers.get(&hashes[3]).cloned()] {
            let ancestors = Ancestors::new(parent, |_| Ok(known.clone()));
            let error = ancestors.hash_of(1).unwrap_err();
            assert!(matches!(error, ProviderError::BlockHashNotFound(_)), "{error}");
        }
    }
}
