//! What a lane remembers: which blocks its target has, and which of them it took to be canonical.

use crate::target::StreamPosition;
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use std::collections::BTreeMap;

/// How many heights are remembered, counted from the cursor down. A reorg that goes deeper starts
/// over from the lowest of them. No reorg of more than 64 blocks survives finality; the rest is for
/// chains that have none.
pub(crate) const REMEMBERED: u64 = 8_192;

/// A block that a lane has handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HandledBlock {
    pub(crate) block: BlockNumHash,
    pub(crate) disposition: Disposition,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// The target has confirmed it.
    Delivered {
        parent: B256,
        /// The target's position after the batch that the block was in.
        position: StreamPosition,
    },
    /// The target had it from before.
    HadAlready,
    /// All blocks from a height to this one are left out.
    Skipped { from: u64, why: Skip },
}

/// Why blocks are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    /// The node has deleted the state.
    Pruned,
    /// No specimen is defined for them.
    BeforeDefinition,
}

impl Skip {
    /// As it is in metrics and in the file of cursors.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pruned => "pruned",
            Self::BeforeDefinition => "before_definition",
        }
    }
}

/// The blocks of the last [`REMEMBERED`] heights.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeliveryHistory {
    /// The height to go on at while there is no cursor.
    resume: u64,
    /// What was canonical when the lane passed it. Its last item is the cursor.
    canonical: BTreeMap<u64, B256>,
    /// What the target has, orphaned or not.
    delivered: BTreeMap<(u64, B256), Delivered>,
}

/// A block that a target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) parent: B256,
    pub(crate) position: StreamPosition,
}

impl DeliveryHistory {
    /// Of a target that has nothing yet.
    pub(crate) fn starting_at(number: u64) -> Self {
        Self { resume: number, ..Self::default() }
    }

    pub(crate) fn remember_canonical(&mut self, block: BlockNumHash) {
        self.canonical.insert(block.number, block.hash);
    }

    pub(crate) fn remember_delivered(&mut self, block: BlockNumHash, delivered: Delivered) {
        self.delivered.insert((block.number, block.hash), delivered);
    }

    /// The last block that was passed.
    pub(crate) fn cursor(&self) -> Option<BlockNumHash> {
        self.canonical.last_key_value().map(|(&number, &hash)| BlockNumHash { number, hash })
    }

    /// The lowest block that is remembered as canonical.
    pub(crate) fn lowest(&self) -> Option<BlockNumHash> {
        self.canonical.first_key_value().map(|(&number, &hash)| BlockNumHash { number, hash })
    }

    /// The height to go on at.
    pub(crate) fn next(&self) -> u64 {
        self.cursor().map_or(self.resume, |cursor| cursor.number.saturating_add(1))
    }

    /// What is remembered as canonical at a height and below, the highest first.
    pub(crate) fn down_from(&self, number: u64) -> impl Iterator<Item = BlockNumHash> {
        self.canonical.range(..=number).rev().map(|(&number, &hash)| BlockNumHash { number, hash })
    }

    /// The parent of a block that the target has; `None` if it does not have the block, as far as
    /// is remembered.
    pub(crate) fn delivered_parent(&self, block: BlockNumHash) -> Option<B256> {
        self.delivered.get(&(block.number, block.hash)).map(|delivered| delivered.parent)
    }

    /// The target's position after all that it has.
    pub(crate) fn position(&self) -> Option<StreamPosition> {
        self.delivered.values().map(|delivered| delivered.position).max()
    }

    /// Forgets the deliveries after a position, and moves the cursor back before the first of them.
    /// Returns how many they were.
    pub(crate) fn lose(&mut self, kept: StreamPosition) -> usize {
        let before = self.delivered.len();
        let first = self.delivered.iter().find(|(_, delivered)| delivered.position > kept);
        let first = first.map(|((number, _), _)| *number);
        self.delivered.retain(|_, delivered| delivered.position <= kept);
        if let Some(first) = first {
            self.resume = first;
            drop(self.canonical.split_off(&first));
        }
        before - self.delivered.len()
    }

    /// Moves the cursor over blocks, in their order.
    pub(crate) fn advance(&mut self, handled: &[HandledBlock]) {
        for HandledBlock { block, disposition } in handled {
            self.remember_canonical(*block);
            if let Disposition::Delivered { parent, position } = *disposition {
                self.remember_delivered(*block, Delivered { parent, position });
            }
        }
        let first_kept = self.first_kept();
        self.canonical = self.canonical.split_off(&first_kept);
        self.delivered = self.delivered.split_off(&(first_kept, B256::ZERO));
    }

    /// Moves the cursor back, to the height before all that is remembered if `to` is `None`. What
    /// the target has stays known.
    pub(crate) fn step_back(&mut self, to: Option<u64>) {
        match to {
            Some(to) => drop(self.canonical.split_off(&to.saturating_add(1))),
            None => {
                self.resume = self.lowest().map_or(self.resume, |lowest| lowest.number);
                self.canonical.clear();
            }
        }
    }

    /// Nothing below this height is remembered.
    pub(crate) fn first_kept(&self) -> u64 {
        self.next().saturating_sub(REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u64) -> BlockNumHash {
        BlockNumHash { number, hash: B256::with_last_byte(number as u8) }
    }

    fn delivered(number: u64) -> HandledBlock {
        let parent = block(number.wrapping_sub(1)).hash;
        let position = StreamPosition(number.into());
        HandledBlock {
            block: block(number),
            disposition: Disposition::Delivered { parent, position },
        }
    }

    #[test]
    fn what_was_lost_comes_again() {
        let mut history = DeliveryHistory::starting_at(5);
        history.advance(&[delivered(5), delivered(6), delivered(7)]);
        assert_eq!(history.position(), Some(StreamPosition(7)));
        assert_eq!(history.lose(StreamPosition(7)), 0);
        assert_eq!(history.cursor(), Some(block(7)));
        assert_eq!(history.lose(StreamPosition(5)), 2);
        assert_eq!(history.cursor(), Some(block(5)));
        assert_eq!(history.delivered_parent(block(6)), None);
        assert_eq!(history.lose(StreamPosition(0)), 1);
        assert_eq!((history.cursor(), history.next()), (None, 5));
    }

    #[test]
    fn the_cursor_follows_what_is_passed() {
        let mut history = DeliveryHistory::starting_at(5);
        assert_eq!((history.cursor(), history.next()), (None, 5));
        history.advance(&[delivered(5), delivered(6)]);
        assert_eq!((history.cursor(), history.next()), (Some(block(6)), 7));
        assert_eq!(history.delivered_parent(block(6)), Some(block(5).hash));
        assert_eq!(history.down_from(5).collect::<Vec<_>>(), [block(5)]);
    }

    #[test]
    fn stepping_back_forgets_no_delivery() {
        let mut history = DeliveryHistory::starting_at(5);
        history.advance(&[delivered(5), delivered(6), delivered(7)]);
        history.step_back(Some(5));
        assert_eq!(history.cursor(), Some(block(5)));
        assert!(history.delivered_parent(block(7)).is_some());
        history.step_back(None);
        assert_eq!((history.cursor(), history.next()), (None, 5));
        assert!(history.delivered_parent(block(5)).is_some());
    }

    #[test]
    fn old_heights_are_forgotten() {
        let mut history = DeliveryHistory::starting_at(1);
        let last = REMEMBERED + 10;
        for number in 1..=last {
            history.advance(&[delivered(number)]);
        }
        assert_eq!(history.lowest().unwrap().number, last - REMEMBERED + 1);
        assert_eq!(history.delivered.len() as u64, REMEMBERED);
        assert_eq!(history.delivered_parent(block(10)), None);
    }

    #[test]
    fn a_skipped_range_is_passed_at_its_last_block() {
        let mut history = DeliveryHistory::starting_at(1);
        let disposition = Disposition::Skipped { from: 1, why: Skip::Pruned };
        history.advance(&[HandledBlock { block: block(90), disposition }]);
        assert_eq!(history.next(), 91);
        assert_eq!(history.delivered_parent(block(90)), None);
    }
}
