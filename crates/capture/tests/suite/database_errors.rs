//! A database that fails: whichever read it is, the capture fails with that error and lists
//! nothing.

use crate::support::devblocks::{self, CapturedBlock};
use alloy_primitives::{Address, B256, U256};
use bsp_capture::{CaptureError, ChainSpec, capture};
use bsp_devchain::WorldState;
use revm::{DatabaseRef, bytecode::Bytecode, context::DBErrorMarker, state::AccountInfo};
use std::{cell::Cell, ops::RangeFrom};

/// Says which read failed, counted from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read {0} failed")]
struct ReadFailed(usize);

impl DBErrorMarker for ReadFailed {}

/// Which reads fail.
#[derive(Debug, Clone)]
enum Failing {
    /// One does; the same one would succeed if it was tried again.
    Once(usize),
    /// All do from one on.
    From(RangeFrom<usize>),
}

impl Failing {
    fn includes(&self, read: usize) -> bool {
        match self {
            Self::Once(failing) => read == *failing,
            Self::From(range) => range.contains(&read),
        }
    }
}

struct FailingState<'a> {
    state: &'a WorldState,
    failing: Failing,
    reads: &'a Cell<usize>,
}

impl FailingState<'_> {
    fn read<T>(&self, read: impl FnOnce(&WorldState) -> T) -> Result<T, ReadFailed> {
        let number = self.reads.replace(self.reads.get() + 1);
        if self.failing.includes(number) { Err(ReadFailed(number)) } else { Ok(read(self.state)) }
    }
}

impl DatabaseRef for FailingState<'_> {
    type Error = ReadFailed;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, ReadFailed> {
        self.read(|state| state.basic_ref(address).expect("an account"))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, ReadFailed> {
        self.read(|state| state.code_by_hash_ref(code_hash).expect("a code"))
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, ReadFailed> {
        self.read(|state| state.storage_ref(address, slot).expect("a slot"))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, ReadFailed> {
        self.read(|state| state.block_hash_ref(number).expect("a block hash"))
    }
}

/// Captures with some reads failing; also returns how many reads there were.
fn capture_failing(
    block: &CapturedBlock,
    failing: Failing,
) -> (Result<(), CaptureError<ReadFailed>>, usize) {
    let reads = Cell::new(0);
    let parent = FailingState { state: &block.parent, failing, reads: &reads };
    let captured = capture(&ChainSpec::dev(), block.parts(), block.transactions(), parent);
    let compared = captured.map(|captured| assert_eq!(captured, block.captured, "complete lists"));
    (compared, reads.get())
}

#[test]
fn a_failed_read_is_reported_as_such_whichever_it_is() {
    for block in devblocks::blocks(21, 4) {
        let (captured, reads) = capture_failing(&block, Failing::Once(usize::MAX));
        assert!(captured.is_ok() && reads > 0);
        for read in 0..reads {
            assert_eq!(reported(&block, &Failing::Once(read)), read);
            assert!(reported(&block, &Failing::From(read..)) >= read);
        }
    }
}

/// The read that the capture reports as failed.
fn reported(block: &CapturedBlock, failing: &Failing) -> usize {
    match capture_failing(block, failing.clone()).0 {
        Err(CaptureError::ParentState(ReadFailed(read))) => read,
        other => panic!("{failing:?} in {}: {other:?}", block.name()),
    }
}
