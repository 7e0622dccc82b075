//! The workload's source of chance: the same seed and block number always give the same throws.

use alloy_primitives::{Address, B256};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

/// A deterministic generator for one block.
///
/// Ranges are drawn by an own rule rather than a library's, whose rule may change between releases:
/// the chain of a seed must not.
#[derive(Debug, Clone)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The dice of block `number` on the chain of `seed`; blocks draw from streams that never meet.
    pub fn for_block(seed: u64, number: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number);
        Self(rng)
    }

    /// A number below `end`, or zero where `end` is zero.
    pub fn below(&mut self, end: usize) -> usize {
        let product = u128::from(self.0.next_u64()) * end as u128;
        usize::try_from(product >> 64).unwrap_or_default()
    }

    /// A number from `low` up to and including `high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below((high + 1).saturating_sub(low))
    }

    /// Whether an event of `chances` in `of` happens.
    pub fn happens(&mut self, chances: usize, of: usize) -> bool {
        self.below(of) < chances
    }

    /// One of `items`, or `None` where there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(items.len());
        items.get(index)
    }

    /// A word that nothing else on the chain knows.
    pub fn word(&mut self) -> B256 {
        let mut bytes = B256::ZERO;
        self.0.fill_bytes(bytes.as_mut_slice());
        bytes
    }

    /// An address that nothing else on the chain knows.
    pub fn address(&mut self) -> Address {
        Address::from_word(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throws_repeat_for_the_same_block_and_differ_between_blocks() {
        let words = |number| {
            let mut dice = Dice::for_block(7, number);
            [dice.word(), dice.word()]
        };
        assert_eq!(words(1), words(1));
        assert_ne!(words(1), words(2));
    }

    #[test]
    fn below_stays_below_and_reaches_every_number() {
        let mut dice = Dice::for_block(1, 1);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[dice.below(5)] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(dice.below(0), 0);
        assert_eq!(dice.pick::<u8>(&[]), None);
        assert!((3..=4).contains(&dice.between(3, 4)));
    }
}
