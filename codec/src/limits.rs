//! How much a reader takes before it refuses an input, and why that is where the line is.
//!
//! Two things bound the memory that decoding takes. The input's length bounds all byte strings:
//! code, call data and logs are at most as long as the bytes they are read from. It doesn't bound
//! the *records* around them as well, because a record of empty fields is up to 40 times as large
//! in memory as in the input. So records have a budget of their own: what the elements of all lists
//! take together, each list being charged with its capacity before that is reserved.
//!
//! A legitimate block stays within the defaults, [`MAX_INPUT_BYTES`] and [`MAX_RECORD_BYTES`].A
//! caller that reads from strangers and knows more about what to expect sets smaller
//! [`DecodeLimits`].

use std::cell::Cell;

/// The longest input that is read unless told otherwise, 1 GiB: of RLP, AVRO and JSON, and of what
/// a snappy block decompresses to.
///
/// Mainnet's blocks have 2 to 3 MB. But a block may load a contract of 24,576 bytes (EIP-170) for
/// each 2600 gas (EIP-2929), and does nothing forbidden if it loads nothing else: with 60 M gas
/// that is 567 MB of code in RLP, and 756 MB in the base64 of AVRO and JSON.
pub const MAX_INPUT_BYTES: usize = 1 << 30;

/// The most that the records of one input may take in memory unless told otherwise, 512 MiB.
///
/// A block of 1 G gas, far above any there is, can read 476,190 storage slots (2100 gas each,
/// EIP-2929), whose records take 84 bytes: 40 MB. Of all records logs take the most for their gas:
/// 2.7 million of them at 375 gas and 168 bytes each are 448 MB.
pub const MAX_RECORD_BYTES: usize = 512 << 20;

/// What a reader takes. The default are [`MAX_INPUT_BYTES`] and [`MAX_RECORD_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// The longest input, in bytes.
    pub max_input_bytes: usize,
    /// The most that the elements of all lists together may take in memory, in bytes. Allocations
    /// have some overhead beyond it, and while a list of unknown length grows, its old elements are
    /// there a second time.
    pub max_record_bytes: usize,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_input_bytes: MAX_INPUT_BYTES, max_record_bytes: MAX_RECORD_BYTES }
    }
}

/// A list of records takes more memory than is left of [`DecodeLimits::max_record_bytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "room for {count} more records of {size} bytes each, {left} of {max} bytes are left for records"
)]
pub struct RecordBudgetExceeded {
    /// How many records there should be room for, beyond those that there is room for already.
    pub count: usize,
    /// What one of them takes in memory, in bytes.
    pub size: usize,
    /// What other lists have left of the budget, in bytes.
    pub left: usize,
    /// The budget, in bytes.
    pub max: usize,
}

/// What is left for the records of one input. The one way for readers to make room in a list.
#[derive(Debug)]
pub(crate) struct RecordBudget {
    max: usize,
    /// In a cell, as a reader lends the budget to those of its inner lists.
    left: Cell<usize>,
}

impl RecordBudget {
    pub(crate) const fn new(max: usize) -> Self {
        Self { max, left: Cell::new(max) }
    }

    /// Makes room for `additional` more elements, so that a list whose length is known is exactly
    /// as large as it needs to be, and one that grows by steps grows at least twofold.
    pub(crate) fn reserve<T>(
        &self,
        list: &mut Vec<T>,
        additional: usize,
    ) -> Result<(), RecordBudgetExceeded> {
        let room = list.capacity() - list.len();
        let Some(missing) = additional.checked_sub(room).filter(|missing| *missing > 0) else {
            return Ok(());
        };
        let count = missing.max(list.capacity());
        self.charge(count, size_of::<T>())?;
        list.reserve_exact(room + count);
        Ok(())
    }

    fn charge(&self, count: usize, size: usize) -> Result<(), RecordBudgetExceeded> {
        let left = self.left.get();
        let rest = count.checked_mul(size).and_then(|bytes| left.checked_sub(bytes));
        self.left.set(rest.ok_or(RecordBudgetExceeded { count, size, left, max: self.max })?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReplicaLog, StorageRead};
    use proptest::prelude::*;

    #[test]
    fn the_figures_that_the_budget_rests_on() {
        const GAS: usize = 1_000_000_000;
        assert_eq!(size_of::<StorageRead>(), 84);
        assert_eq!(size_of::<ReplicaLog>(), 168);
        const { assert!(GAS / 2100 * size_of::<StorageRead>() < MAX_RECORD_BYTES) };
        const { assert!(GAS / 375 * size_of::<ReplicaLog>() < MAX_RECORD_BYTES) };
        const { assert!(60_000_000 / 2600 * 24_576 * 4 / 3 < MAX_INPUT_BYTES) };
    }

    #[test]
    fn a_list_of_known_length_is_charged_once_and_exactly() {
        let budget = RecordBudget::new(100);
        let mut list: Vec<u64> = Vec::new();
        budget.reserve(&mut list, 12).unwrap();
        assert_eq!((list.capacity(), budget.left.get()), (12, 4));
        list.extend([0; 12]);
        let exceeded = RecordBudgetExceeded { count: 12, size: 8, left: 4, max: 100 };
        assert_eq!(budget.reserve(&mut list, 1), Err(exceeded));
        assert_eq!(list.capacity(), 12, "nothing was reserved");
    }

    #[test]
    fn what_no_memory_can_hold_is_refused_without_reserving_it() {
        let budget = RecordBudget::new(usize::MAX);
        for count in [usize::MAX, usize::MAX / 2, usize::MAX / 84 + 1] {
            let mut list: Vec<StorageRead> = Vec::new();
            let exceeded =
                RecordBudgetExceeded { count, size: 84, left: usize::MAX, max: usize::MAX };
            assert_eq!(budget.reserve(&mut list, count), Err(exceeded));
        }
    }

    proptest! {
        #[test]
        fn what_is_charged_is_the_capacity(steps in prop::collection::vec(0..50usize, 0..40)) {
            let budget = RecordBudget::new(5000);
            let mut list: Vec<u16> = Vec::new();
            let mut growths = 0;
            for step in steps {
                let before = list.capacity();
                if budget.reserve(&mut list, step).is_err() {
                    prop_assert!(2 * (list.len() + step) > 2500);
                    break;
                }
                list.extend(std::iter::repeat_n(0, step));
                growths += usize::from(list.capacity() > before);
                prop_assert_eq!(budget.left.get(), 5000 - 2 * list.capacity());
            }
            prop_assert!(growths < 13, "each at least doubles");
        }
    }
}
