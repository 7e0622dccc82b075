//! The contract's live-sync window: which heights it takes the first submission of.

use super::contract::{getChainDataReturn, getMetadataReturn};
use alloy_primitives::U256;
use std::time::Duration;

/// How a height lies to the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// Too old: it only gets older.
    Past,
    /// Inside.
    Inside,
    /// Too new, for about so long.
    Future(Duration),
    /// The contract's figures make no sense.
    Unknown,
}

/// Where a height lies at a block of the proof chain. As the contract reckons: the target chain is
/// at `blockOnTargetChain + (head − blockOnCurrentChain) · secondsPerBlockCurrentChain /
/// secondsPerBlockTargetChain`, and half of `allowedThreshold` to either side is taken.
pub(super) fn position(
    height: u64,
    head: u64,
    chain: &getChainDataReturn,
    metadata: &getMetadataReturn,
) -> Position {
    let Some(current) = current_height(head, chain, metadata) else { return Position::Unknown };
    let half = U256::from(chain.allowedThreshold / 2);
    let height = U256::from(height);
    if height.saturating_add(half) < current {
        return Position::Past;
    }
    let Some(blocks) = height.checked_sub(current.saturating_add(half)).filter(|n| !n.is_zero())
    else {
        return Position::Inside;
    };
    let seconds = blocks.saturating_mul(chain.secondsPerBlockTargetChain);
    Position::Future(Duration::from_secs(seconds.saturating_to()))
}

fn current_height(
    head: u64,
    chain: &getChainDataReturn,
    metadata: &getMetadataReturn,
) -> Option<U256> {
    U256::from(head)
        .checked_sub(chain.blockOnCurrentChain)?
        .checked_mul(metadata.secondsPerBlockCurrentChain)?
        .checked_div(chain.secondsPerBlockTargetChain)?
        .checked_add(chain.blockOnTargetChain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use proptest::prelude::*;

    fn chain(target: u64, current: u64, seconds: u64, threshold: u128) -> getChainDataReturn {
        getChainDataReturn {
            blockOnTargetChain: U256::from(target),
            blockOnCurrentChain: U256::from(current),
            secondsPerBlockTargetChain: U256::from(seconds),
            allowedThreshold: threshold,
            maxSubmissionsPerBlockHeight: 3,
            nthBlock: 1,
        }
    }

    fn metadata(seconds: U256) -> getMetadataReturn {
        getMetadataReturn {
            stakingManager: Address::ZERO,
            reward: 0,
            sessionDuration: 240,
            minSubmissions: 2,
            quorum: U256::ZERO,
            secondsPerBlockCurrentChain: seconds,
        }
    }

    #[test]
    fn the_window_is_the_contracts() {
        // 50 blocks of 6 s later, the target with its 12 s is 25 higher.
        let chain = chain(1000, 100, 12, 20);
        let at = |height| position(height, 150, &chain, &metadata(U256::from(6)));
        assert_eq!(at(1014), Position::Past);
        assert_eq!(at(1015), Position::Inside);
        assert_eq!(at(1035), Position::Inside);
        assert_eq!(at(1036), Position::Future(Duration::from_secs(12)));
        assert_eq!(at(1040), Position::Future(Duration::from_secs(60)));
    }

    proptest! {
        #[test]
        fn any_figures_have_an_answer(
            height: u64, head: u64, target: [u64; 4], current: [u64; 4], seconds: [u64; 4],
            own: [u64; 4], threshold: u128,
        ) {
            let chain = getChainDataReturn {
                blockOnTargetChain: U256::from_limbs(target),
                blockOnCurrentChain: U256::from_limbs(current),
                secondsPerBlockTargetChain: U256::from_limbs(seconds),
                ..chain(0, 0, 0, threshold)
            };
            position(height, head, &chain, &metadata(U256::from_limbs(own)));
        }
    }

    #[test]
    fn no_seconds_make_no_window() {
        assert_eq!(position(1, 1, &chain(0, 0, 0, 0), &metadata(U256::ONE)), Position::Unknown);
    }
}
