//! The blocks that wait for the operator, and the alarms that name them.

use crate::{
    alarm::{AlarmKind, Alarms},
    block::BlockId,
    journal::BlockKey,
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Held blocks that are remembered for each alarm: more are counted in the metrics, and not named.
const MOST_REMEMBERED: usize = 10_000;

/// The blocks that this process could not finish, by the alarm that tells of them. A block is one
/// of them until it is finished after all; an alarm ends with its last block.
#[derive(Debug)]
pub(super) struct HeldBlocks {
    alarms: Alarms,
    blocks: Mutex<BTreeMap<AlarmKind, BTreeMap<BlockKey, BlockId>>>,
}

impl HeldBlocks {
    pub(super) fn new(alarms: Alarms) -> Self {
        Self { alarms, blocks: Mutex::default() }
    }

    /// A block waits for the operator.
    pub(super) fn hold(&self, key: BlockKey, block: BlockId, alarm: AlarmKind, reason: &str) {
        let mut held = self.lock();
        for (other, blocks) in held.iter_mut().filter(|(other, _)| **other != alarm) {
            if blocks.remove(&key).is_some() {
                self.raise_alarm(*other, blocks);
            }
        }
        let blocks = held.entry(alarm).or_default();
        if blocks.len() < MOST_REMEMBERED {
            blocks.insert(key, block);
        }
        let message = match blocks.len() {
            0 | 1 => format!("{block} is held: {reason}"),
            count => format!("{count} blocks are held, the latest is {block}: {reason}"),
        };
        self.alarms.raise(alarm, message);
    }

    /// A block is finished: it is held no longer, if it was.
    pub(super) fn finished(&self, key: &BlockKey) {
        let mut held = self.lock();
        for (alarm, blocks) in &mut *held {
            if blocks.remove(key).is_some() {
                self.raise_alarm(*alarm, blocks);
            }
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.lock().values().map(BTreeMap::len).sum()
    }

    /// Says what is still held after a block no longer is. The reasons are in the log.
    fn raise_alarm(&self, alarm: AlarmKind, blocks: &BTreeMap<BlockKey, BlockId>) {
        match blocks.values().min_by_key(|block| block.number) {
            None => self.alarms.clear(alarm),
            Some(first) => {
                let message = match blocks.len() {
                    1 => format!("{first} is held; the log has the reason"),
                    count => format!(
                        "{count} blocks are held, the lowest is {first}; the log has the reasons"
                    ),
                };
                self.alarms.raise(alarm, message);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AlarmKind, BTreeMap<BlockKey, BlockId>>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use bsp_codec::ReplicaKind;

    fn block(number: u8) -> (BlockKey, BlockId) {
        let hash = B256::repeat_byte(number);
        let id = BlockId { network_id: 1, number: number.into(), hash };
        (BlockKey { hash, kind: ReplicaKind::Replica }, id)
    }

    #[test]
    fn the_alarm_counts_held_blocks_and_ends_with_the_last() {
        let alarms = Alarms::default();
        let held = HeldBlocks::new(alarms.clone());
        let message = || alarms.raised().remove(&AlarmKind::BlockHeld).map(|alarm| alarm.message);
        let (first, second) = (block(1), block(2));
        held.hold(first.0, first.1, AlarmKind::BlockHeld, "no network");
        assert_eq!(message().unwrap(), format!("{} is held: no network", first.1));
        held.hold(second.0, second.1, AlarmKind::BlockHeld, "a panic");
        let two = format!("2 blocks are held, the latest is {}: a panic", second.1);
        assert_eq!(message().unwrap(), two);
        held.hold(second.0, second.1, AlarmKind::BlockHeld, "a panic");
        assert_eq!((message().unwrap(), held.count()), (two, 2));

        held.finished(&second.0);
        assert_eq!(message().unwrap(), format!("{} is held; the log has the reason", first.1));
        held.finished(&second.0);
        assert_eq!(held.count(), 1);
        held.finished(&first.0);
        assert_eq!((message(), held.count()), (None, 0));
    }

    #[test]
    fn a_block_is_held_for_one_reason_at_a_time() {
        let alarms = Alarms::default();
        let held = HeldBlocks::new(alarms.clone());
        let (key, id) = block(1);
        held.hold(key, id, AlarmKind::PinnerOtherCid, "another CID");
        held.hold(key, id, AlarmKind::BlockHeld, "no network");
        assert_eq!(alarms.raised().into_keys().collect::<Vec<_>>(), [AlarmKind::BlockHeld]);
        assert_eq!(held.count(), 1);
    }
}
