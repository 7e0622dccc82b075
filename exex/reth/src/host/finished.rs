//! Up to where the node may forget.

use alloy_eips::BlockNumHash;

/// What was last sent as `FinishedHeight`. reth v2.5.1 remembers it in memory only, so it begins
/// with nothing.
#[derive(Debug, Default)]
pub(crate) struct FinishedHeight {
    sent: Option<BlockNumHash>,
}

impl FinishedHeight {
    /// What to send now, if it is something new: the lower of the finalized block and the block up
    /// to which every target has everything. Without one of them there is nothing that may be
    /// forgotten.
    pub(crate) fn next(
        &mut self,
        finalized: Option<BlockNumHash>,
        delivered: Option<BlockNumHash>,
    ) -> Option<BlockNumHash> {
        let (finalized, delivered) = (finalized?, delivered?);
        let height = if finalized.number < delivered.number { finalized } else { delivered };
        if self.sent == Some(height) {
            return None;
        }
        self.sent = Some(height);
        Some(height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    fn block(number: u64, branch: u8) -> Option<BlockNumHash> {
        Some(BlockNumHash::new(number, B256::repeat_byte(branch)))
    }

    #[test]
    fn it_is_the_lower_of_the_two() {
        let mut height = FinishedHeight::default();
        assert_eq!(height.next(block(64, 1), block(90, 2)), block(64, 1));
        assert_eq!(height.next(block(96, 3), block(90, 2)), block(90, 2));
    }

    #[test]
    fn it_is_sent_when_it_changes_and_may_go_down() {
        let mut height = FinishedHeight::default();
        assert_eq!(height.next(block(64, 1), block(64, 1)), block(64, 1));
        assert_eq!(height.next(block(64, 1), block(70, 1)), None);
        assert_eq!(height.next(block(64, 1), block(60, 1)), block(60, 1));
        assert_eq!(height.next(block(64, 1), block(60, 9)), block(60, 9));
    }

    #[test]
    fn nothing_is_forgotten_before_both_are_known() {
        let mut height = FinishedHeight::default();
        assert_eq!(height.next(None, block(5, 1)), None);
        assert_eq!(height.next(block(5, 1), None), None);
        assert_eq!(height.next(block(5, 1), block(5, 1)), block(5, 1));
    }
}
