//! Whether what the node says of its past is true.
//!
//! There are two times at which reth v2.5.1 answers from the past without an error, and wrong:
//! while its pipeline runs, and after an end in the middle of pruning. A wrong balance changes
//! neither gas nor receipts, so the check of a block's outcome would not find it.

use super::{
    fault::{chain_error, read_error},
    provider::NodeProvider,
};
use alloy_eips::BlockNumHash;
use bsp_replication::{ChainError, ProduceError};
use reth_provider::{ProviderResult, StateProvider};
use reth_prune_types::{PruneMode, PruneSegment};
use reth_stages_types::StageId;
use std::ops::RangeInclusive;

/// Nearer to the tip nothing is pruned, whatever is configured.
const NEVER_PRUNED: u64 = 32;
/// So many blocks are looked through for one that changes anything.
const LOOK_AHEAD: u64 = 16;
/// So many changes are compared. One is enough that never takes its old value again, as a sender's
/// nonce or the last block's hash.
const COMPARED: usize = 32;

/// Up to which blocks the node's stages have executed and finished, if the first is further than
/// the second.
pub(crate) fn is_syncing_in_stages<P: NodeProvider>(
    provider: &P,
) -> Result<Option<(u64, u64)>, ChainError> {
    let checkpoint = |stage| -> Result<u64, ChainError> {
        let checkpoint = provider.get_stage_checkpoint(stage).map_err(chain_error)?;
        Ok(checkpoint.map_or(0, |checkpoint| checkpoint.block_number))
    };
    // In this order, a save of both between the two questions looks harmless, as it is.
    let executed = checkpoint(StageId::Execution)?;
    let finished = checkpoint(StageId::Finish)?;
    Ok((executed > finished).then_some((executed, finished)))
}

/// While the pipeline runs, the state tables are ahead of the history tables
/// (paradigmxyz/reth#22873).
pub(crate) fn check_stages<P: NodeProvider>(provider: &P, number: u64) -> Result<(), ProduceError> {
    let Some((executed, finished)) = is_syncing_in_stages(provider)? else { return Ok(()) };
    let reason = format!(
        "the node is syncing in stages: executed up to block {executed}, finished up to {finished}; this passes on its own"
    );
    Err(ProduceError::NotReady { number, reason })
}

/// Compares the state before a block with what the next changes to it say that it was.
///
/// reth v2.5.1 deletes the index of old changes from RocksDB first and writes down in MDBX
/// afterwards up to where. Where it ended in between, the states above that note are made of values
/// from later blocks, until its pruner comes by again; and that waits for this extension.
pub(crate) fn check_history<P: NodeProvider>(
    provider: &P,
    state: &dyn StateProvider,
    block: BlockNumHash,
) -> Result<(), ProduceError> {
    let BlockNumHash { number, hash } = block;
    let tip = provider.last_block_number().map_err(chain_error)?;
    // What is in memory is not pruned either.
    if tip.saturating_sub(number) < NEVER_PRUNED
        || provider.block_hash(number).map_err(chain_error)? != Some(hash)
    {
        return Ok(());
    }
    let next = number..=tip.min(number.saturating_add(LOOK_AHEAD));
    let agree = accounts_agree(provider, state, next.clone())
        .and_then(|accounts| Ok(accounts && slots_agree(provider, state, next)?));
    if agree.map_err(|error| read_error(number, &error))? {
        return Ok(());
    }
    // The pipeline may have begun meanwhile.
    check_stages(provider, number)?;
    Err(if may_be_pruned(provider, number, tip)? {
        let reason = "the node ended while it was deleting this state".to_owned();
        ProduceError::Pruned { number, reason }
    } else {
        let reason = "the state before it is not what the node's own record of changes says";
        ProduceError::Mismatch { number, hash, reason: reason.to_owned() }
    })
}

fn accounts_agree<P: NodeProvider>(
    provider: &P,
    state: &dyn StateProvider,
    next: RangeInclusive<u64>,
) -> ProviderResult<bool> {
    let changes = first_changes(next, |number| provider.account_block_changeset(number))?;
    for change in changes.iter().take(COMPARED) {
        // An account that is not there is an empty one.
        let [before, now] = [change.info, state.basic_account(&change.address)?]
            .map(Option::unwrap_or_default)
            .map(|account| (account.nonce, account.balance, account.get_bytecode_hash()));
        if before != now {
            return Ok(false);
        }
    }
    Ok(true)
}

fn slots_agree<P: NodeProvider>(
    provider: &P,
    state: &dyn StateProvider,
    next: RangeInclusive<u64>,
) -> ProviderResult<bool> {
    let changes = first_changes(next, |number| provider.storage_changeset(number))?;
    for (place, before) in changes.iter().take(COMPARED) {
        if state.storage(place.address(), before.key)?.unwrap_or_default() != before.value {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The changes of the first block that has any.
fn first_changes<T>(
    blocks: RangeInclusive<u64>,
    changes_of: impl Fn(u64) -> ProviderResult<Vec<T>>,
) -> ProviderResult<Vec<T>> {
    for number in blocks {
        let changes = changes_of(number)?;
        if !changes.is_empty() {
            return Ok(changes);
        }
    }
    Ok(Vec::new())
}

/// Whether the node prunes history that far.
fn may_be_pruned<P: NodeProvider>(
    provider: &P,
    number: u64,
    tip: u64,
) -> Result<bool, ProduceError> {
    for segment in [PruneSegment::AccountHistory, PruneSegment::StorageHistory] {
        let checkpoint = provider.get_prune_checkpoint(segment).map_err(chain_error)?;
        if checkpoint.is_some_and(|checkpoint| prunes(checkpoint.prune_mode, number, tip)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Unlike [`PruneMode::should_prune`], which leaves out the last block that is pruned.
const fn prunes(mode: PruneMode, number: u64, tip: u64) -> bool {
    match mode {
        PruneMode::Full => true,
        PruneMode::Distance(distance) => number.saturating_add(distance) <= tip,
        PruneMode::Before(first_kept) => number < first_kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reth_provider::ProviderError;

    #[test]
    fn the_first_block_with_changes_tells() {
        let changes_of = |number| Ok(if number < 7 { vec![] } else { vec![number; 2] });
        assert_eq!(first_changes(5..=9, changes_of).unwrap(), [7, 7]);
        assert!(first_changes(3..=6, changes_of).unwrap().is_empty());
        let gone = |_| Err::<Vec<u64>, _>(ProviderError::StateAtBlockPruned(1));
        assert!(first_changes(1..=2, gone).is_err());
    }

    #[test]
    fn a_node_prunes_up_to_its_distance_from_the_tip() {
        for (mode, last) in [(PruneMode::Distance(64), 192), (PruneMode::Before(100), 99)] {
            assert!(prunes(mode, last, 256), "{mode:?}");
            assert!(!prunes(mode, last + 1, 256), "{mode:?}");
        }
        assert!(prunes(PruneMode::Full, 256, 256));
    }
}
