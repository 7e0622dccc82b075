//! Notices when the node is about to delete what a target still lacks.
//!
//! Before reth v2.5.1 prunes at the tip it asks its extensions. Its pipeline indexes and prunes
//! history by the configured distances and asks nobody, and it runs whenever the node was away for
//! more than 32 blocks. A producer that is not registered is never asked.

use alloy_eips::BlockNumHash;

/// Seconds from one block to the next, on Ethereum's networks.
const SLOT: u64 = 12;

/// How far back the node keeps its history, and whether that is enough.
#[derive(Debug)]
pub(crate) struct Horizon {
    kept: u64,
    asks: bool,
    is_too_near: bool,
}

/// The node's last block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) number: u64,
    /// Unix seconds.
    pub(crate) timestamp: u64,
}

/// What has changed, to be said once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HorizonChange {
    /// A target is too far behind. With this many blocks it would be safe.
    TooNear {
        /// How far the last target is behind, in blocks.
        behind: u64,
        /// The distance to prune at until it has caught up.
        safe: u64,
    },
    /// All targets are near enough.
    FarEnough,
}

impl Horizon {
    /// `kept` is the number of blocks below the tip whose history is kept; `asks` says whether the
    /// node asks before it deletes at the tip.
    pub(crate) const fn new(kept: u64, asks: bool) -> Self {
        Self { kept, asks, is_too_near: false }
    }

    /// Whether the node asks before it deletes at the tip.
    pub(crate) const fn asks(&self) -> bool {
        self.asks
    }

    /// How far behind a target may be. Where nobody asks, somebody has to read the warning and have
    /// the time to act.
    const fn limit(&self) -> u64 {
        if self.asks { self.kept } else { self.kept / 2 }
    }

    /// Compares it with where the network's tip must be by now; the node may have yet to get there.
    pub(crate) const fn look(
        &mut self,
        head: Head,
        now: u64,
        delivered: u64,
    ) -> Option<HorizonChange> {
        let missed = now.saturating_sub(head.timestamp) / SLOT;
        let behind = head.number.saturating_add(missed).saturating_sub(delivered);
        let is_too_near = behind >= self.limit();
        if is_too_near == self.is_too_near {
            return None;
        }
        self.is_too_near = is_too_near;
        if !is_too_near {
            return Some(HorizonChange::FarEnough);
        }
        // As much again for the time that it takes.
        Some(HorizonChange::TooNear { behind, safe: behind.saturating_add(self.kept) })
    }
}

/// The height up to which every target has what it wants, by how far each is behind the tip. One
/// that has nothing yet is behind from the block before its first on; one that has yet to begin
/// somewhere lacks nothing.
pub(crate) fn confirmed_by_all(
    tip: Option<BlockNumHash>,
    lags: impl Iterator<Item = u64>,
) -> Option<u64> {
    let (tip, most) = (tip?, lags.max()?);
    Some(tip.number.saturating_sub(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head { number: 50_000, timestamp: 1_000_000 };

    #[test]
    fn a_target_that_lags_is_told_of_once() {
        let mut horizon = Horizon::new(10_064, true);
        assert_eq!(horizon.look(HEAD, HEAD.timestamp, 49_999), None);
        assert_eq!(horizon.look(HEAD, HEAD.timestamp, 39_937), None);
        let too_near = HorizonChange::TooNear { behind: 10_064, safe: 20_128 };
        assert_eq!(horizon.look(HEAD, HEAD.timestamp, 39_936), Some(too_near));
        assert_eq!(horizon.look(HEAD, HEAD.timestamp, 39_936), None);
        assert_eq!(horizon.look(HEAD, HEAD.timestamp, 45_000), Some(HorizonChange::FarEnough));
    }

    #[test]
    fn a_target_that_has_nothing_yet_counts() {
        let tip = Some(BlockNumHash { number: 50_000, ..BlockNumHash::default() });
        let confirmed = |lags: &[u64]| confirmed_by_all(tip, lags.iter().copied());
        assert_eq!(confirmed(&[0, 3]), Some(49_997));
        // It begins with block 1, and its server was never there.
        assert_eq!(confirmed(&[3, 50_000]), Some(0));
        assert_eq!(confirmed(&[]), None);
        assert_eq!(confirmed_by_all(None, [0].into_iter()), None);
        let mut horizon = Horizon::new(10_064, true);
        let told = horizon.look(HEAD, HEAD.timestamp, confirmed(&[3, 50_000]).unwrap());
        assert!(matches!(told, Some(HorizonChange::TooNear { behind: 50_000, .. })), "{told:?}");
    }

    #[test]
    fn where_the_node_does_not_ask_there_is_time_to_act() {
        let mut horizon = Horizon::new(10_064, false);
        assert_eq!(horizon.look(HEAD, HEAD.timestamp, HEAD.number - 5_031), None);
        let too_near = HorizonChange::TooNear { behind: 5_032, safe: 15_096 };
        assert_eq!(horizon.look(HEAD, HEAD.timestamp, HEAD.number - 5_032), Some(too_near));
    }

    #[test]
    fn a_node_that_was_away_has_the_networks_blocks_to_come() {
        let mut horizon = Horizon::new(10_064, true);
        let away = |blocks: u64| HEAD.timestamp + blocks * SLOT;
        assert_eq!(horizon.look(HEAD, away(10_000), HEAD.number), None);
        let too_near = HorizonChange::TooNear { behind: 12_000, safe: 22_064 };
        assert_eq!(horizon.look(HEAD, away(12_000), HEAD.number), Some(too_near));
    }

    #[test]
    fn clocks_that_are_off_and_cursors_ahead_are_no_danger() {
        let mut horizon = Horizon::new(100, true);
        assert_eq!(horizon.look(HEAD, 0, HEAD.number), None);
        assert_eq!(horizon.look(HEAD, HEAD.timestamp, HEAD.number + 7), None);
    }
}
