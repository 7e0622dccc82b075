//! Where a cursor stands on the node's chain.
//!
//! Hashes are looked up by number, and above the tip such a lookup lies: after a reorg to a lower
//! tip reth v2.5.1 has the abandoned branch on disk for a while, and finds it. So nothing above the
//! tip is ever compared. A cursor above the tip is compared at the tip: if the node has the same
//! block there, it has lost its last blocks in a crash, or goes through a longer reorg, and will
//! come back.

use crate::{
    chain::{Chain, ChainError, DeliverAt},
    producer::cursors::history::DeliveryHistory,
};
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;

/// A step back is only believed if the tip was the same before and after the comparison. So many
/// times it is tried.
const ATTEMPTS: usize = 8;

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// There is no tip, or it is before the first block. `tip` is the highest block, below all that
    /// is wanted.
    NotBegun { tip: Option<BlockNumHash> },
    /// The cursor is the tip.
    UpToDate,
    /// The cursor is canonical, and below the tip. `before` is the cursor, or where there is none
    /// the block before the first that is wanted, if the node has its hash.
    Next { before: Option<BlockNumHash> },
    /// The node is below the cursor, on the same branch as far as that can be said. `at` is the
    /// highest block that both have; the tip, if that is below all that is remembered: nothing
    /// there will be wanted again.
    AheadOfNode { at: BlockNumHash },
    /// The cursor is on an abandoned branch. `to` is the highest block that is still canonical;
    /// `None` if none is that is remembered. `depth` counts the abandoned heights.
    StepBack { to: Option<BlockNumHash>, depth: u64 },
}

/// Compares what is remembered with the chain.
pub(crate) fn decide(
    history: &DeliveryHistory,
    tip: Option<BlockNumHash>,
    mut hash_at: impl FnMut(u64) -> Result<Option<B256>, ChainError>,
) -> Result<Decision, ChainError> {
    let Some(tip) = tip else { return Ok(Decision::NotBegun { tip }) };
    let Some(cursor) = history.cursor() else {
        if history.next() > tip.number {
            return Ok(Decision::NotBegun { tip: Some(tip) });
        }
        let before = match history.next().checked_sub(1) {
            Some(number) => hash_at(number)?.map(|hash| BlockNumHash { number, hash }),
            None => None,
        };
        return Ok(Decision::Next { before });
    };
    let mut is_canonical = |block: BlockNumHash| {
        if block.number == tip.number {
            return Ok(block.hash == tip.hash);
        }
        // No answer is not another block: it must not make the cursor go back.
        let hash = hash_at(block.number)?.ok_or_else(|| no_hash(block.number, tip.number))?;
        Ok::<_, ChainError>(block.hash == hash)
    };

    let mut known = history.down_from(tip.number);
    let Some(highest) = known.next() else { return Ok(Decision::AheadOfNode { at: tip }) };
    if is_canonical(highest)? {
        return Ok(if cursor.number > tip.number {
            Decision::AheadOfNode { at: highest }
        } else if cursor.number == tip.number {
            Decision::UpToDate
        } else {
            Decision::Next { before: Some(cursor) }
        });
    }
    for ancestor in known {
        if is_canonical(ancestor)? {
            let depth = cursor.number.saturating_sub(ancestor.number);
            return Ok(Decision::StepBack { to: Some(ancestor), depth });
        }
    }
    let lowest = history.lowest().map_or(cursor.number, |lowest| lowest.number);
    Ok(Decision::StepBack {
        to: None,
        depth: cursor.number.saturating_sub(lowest).saturating_add(1),
    })
}

/// Compares what is remembered with a node's chain, which may move meanwhile. Returns the tip as
/// well.
pub(crate) fn reconcile(
    chain: &dyn Chain,
    deliver: DeliverAt,
    history: &DeliveryHistory,
) -> Result<(Option<BlockNumHash>, Decision), ChainError> {
    for _ in 0..ATTEMPTS {
        let tip = chain.tip(deliver)?;
        let decision = decide(history, tip, |number| chain.hash_at(number))?;
        // What is wrongly taken for canonical is found by its parent; what is wrongly given up
        // would be lost work.
        if !matches!(decision, Decision::StepBack { .. }) || chain.tip(deliver)? == tip {
            return Ok((tip, decision));
        }
    }
    Err(ChainError("the tip moves faster than it can be read".to_owned()))
}

pub(crate) fn no_hash(number: u64, tip: u64) -> ChainError {
    ChainError(format!("there is no hash of block {number}, though the tip is {tip}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        producer::cursors::history::{Disposition, HandledBlock},
        target::StreamPosition,
    };

    fn block(number: u64, branch: u8) -> BlockNumHash {
        let mut hash = B256::with_last_byte(number as u8);
        hash.0[0] = branch;
        BlockNumHash { number, hash }
    }

    /// From 10 to a cursor on branch 1, which left branch 0 after `fork`.
    fn history(fork: u64, cursor: u64) -> DeliveryHistory {
        let mut history = DeliveryHistory::starting_at(10);
        let on = |number| block(number, u8::from(number > fork));
        let handled: Vec<_> = (10..=cursor)
            .map(|number| HandledBlock {
                block: on(number),
                disposition: Disposition::Delivered {
                    parent: on(number - 1).hash,
                    position: StreamPosition::default(),
                },
            })
            .collect();
        history.advance(&handled);
        history
    }

    /// Against a chain of branch 0. Above its tip it answers with branch 1, as reth does after a
    /// reorg.
    fn against_tip(history: &DeliveryHistory, tip: u64) -> Decision {
        let hash_at = |number| Ok(Some(block(number, u8::from(number > tip)).hash));
        decide(history, Some(block(tip, 0)), hash_at).unwrap()
    }

    #[test]
    fn nothing_is_done_before_the_first_block() {
        let history = DeliveryHistory::starting_at(10);
        let not_begun = |tip| Decision::NotBegun { tip };
        assert_eq!(decide(&history, None, |_| Ok(None)).unwrap(), not_begun(None));
        assert_eq!(against_tip(&history, 5), not_begun(Some(block(5, 0))));
        assert_eq!(against_tip(&history, 9), not_begun(Some(block(9, 0))));
        assert_eq!(against_tip(&history, 10), Decision::Next { before: Some(block(9, 0)) });
    }

    #[test]
    fn a_canonical_cursor_goes_on() {
        assert_eq!(against_tip(&history(99, 20), 20), Decision::UpToDate);
        assert_eq!(
            against_tip(&history(99, 20), 21),
            Decision::Next { before: Some(block(20, 0)) }
        );
    }

    #[test]
    fn a_cursor_above_the_tip_waits() {
        let at = block(17, 0);
        assert_eq!(against_tip(&history(99, 20), 17), Decision::AheadOfNode { at });
        assert_eq!(against_tip(&history(17, 20), 17), Decision::AheadOfNode { at });
        // Below all that is remembered nothing is wanted again.
        assert_eq!(against_tip(&history(99, 20), 3), Decision::AheadOfNode { at: block(3, 0) });
    }

    #[test]
    fn an_abandoned_cursor_steps_back_to_the_common_ancestor() {
        for tip in [14, 19, 20, 30] {
            let to = Some(block(13, 0));
            assert_eq!(against_tip(&history(13, 20), tip), Decision::StepBack { to, depth: 7 });
        }
    }

    #[test]
    fn hashes_above_the_tip_are_not_believed() {
        // The node still finds the abandoned branch at the cursor's height.
        let to = Some(block(12, 0));
        assert_eq!(against_tip(&history(12, 20), 15), Decision::StepBack { to, depth: 8 });
    }

    #[test]
    fn below_all_that_is_remembered_it_starts_over() {
        assert_eq!(against_tip(&history(9, 20), 30), Decision::StepBack { to: None, depth: 11 });
    }

    #[test]
    fn a_missing_hash_is_no_reorg() {
        let answer = decide(&history(99, 20), Some(block(30, 0)), |_| Ok(None));
        assert!(answer.unwrap_err().to_string().contains("no hash of block 20"));
    }
}
