//! How far all targets are: what the node may forget.
//!
//! Right after a reorg a lane may not have noticed it yet, and counts with the branch it is on. So
//! the height is exact only up to the finalized block, to which a node lowers it anyway: no lane
//! ever leaves that one.

use alloy_eips::BlockNumHash;
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// The lowest of what the lanes have confirmed. A lane that is not heard of yet holds it back; one
/// that has nothing to deliver yet is heard of all the same, with what it will never want.
#[derive(Debug)]
pub(super) struct Finished {
    lanes: Mutex<Vec<Option<BlockNumHash>>>,
    lowest: watch::Sender<Option<BlockNumHash>>,
}

impl Finished {
    pub(super) fn of_lanes(lanes: usize) -> Self {
        Self { lanes: Mutex::new(vec![None; lanes]), lowest: watch::Sender::new(None) }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<BlockNumHash>> {
        self.lowest.subscribe()
    }

    /// Sets the highest canonical block that a lane has confirmed, with all before it that it is to
    /// get. Returns the lowest of all lanes.
    pub(super) fn set(&self, lane: usize, confirmed: Option<BlockNumHash>) -> Option<BlockNumHash> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = lanes.get_mut(lane) {
            *place = confirmed;
        }
        // `None` is less than any block.
        let lowest = lanes.iter().copied().min_by_key(|block| block.map(|block| block.number));
        let lowest = lowest.flatten();
        self.lowest.send_if_modified(|sent| std::mem::replace(sent, lowest) != lowest);
        lowest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn the_slowest_lane_decides() {
        let block = |number| Some(BlockNumHash { number, hash: B256::with_last_byte(1) });
        let finished = Finished::of_lanes(2);
        let mut watch = finished.watch();
        assert_eq!(finished.set(0, block(9)), None);
        assert!(!watch.has_changed().unwrap());
        assert_eq!(finished.set(1, block(7)), block(7));
        assert_eq!(*watch.borrow_and_update(), block(7));
        assert_eq!(finished.set(1, block(12)), block(9));
        // A reorg.
        assert_eq!(finished.set(0, block(3)), block(3));
        assert_eq!(*watch.borrow_and_update(), block(3));
    }

    #[test]
    fn without_targets_nothing_is_finished() {
        assert_eq!(*Finished::of_lanes(0).watch().borrow(), None);
    }
}
