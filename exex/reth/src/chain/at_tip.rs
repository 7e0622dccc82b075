//! Whether the node's head is that of its network.
//!
//! Until a node has synced, its head is wherever its database ends: the genesis block on a new
//! machine, a block of last month where a snapshot was unpacked. A producer that took that for the
//! tip would begin there.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// A head that is no older than this many seconds is the network's, or some blocks behind it: 50
/// slots.
const FRESH: u64 = 600;

/// Whether the node follows its chain block by block, as `eth_syncing` tells it.
#[derive(Clone)]
pub(crate) struct Follows(Arc<dyn Fn() -> bool + Send + Sync>);

impl Follows {
    pub(crate) fn new(follows: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(follows))
    }
}

impl fmt::Debug for Follows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Follows")
    }
}

/// Whether a head of this time (Unix seconds) is the tip of its network, where the node is in the
/// middle of no sync.
///
/// A fresh head is. An old one is not on a public network, whose blocks come by the clock. Any
/// other chain may stand still, or have a clock of its own: there the node's word counts, which is
/// that it follows once it has taken a block from its consensus client, or from its own miner
/// (`--dev`), and has not been told to sync since. Where nobody can say, as without a running node,
/// such a head is the tip.
pub(crate) fn is_tip(timestamp: u64, now: u64, is_public: bool, follows: Option<&Follows>) -> bool {
    let is_fresh = now.saturating_sub(timestamp) <= FRESH;
    is_fresh || (!is_public && follows.is_none_or(|follows| (follows.0)()))
}

/// Unix seconds now.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn says(follows: bool) -> Option<Follows> {
        Some(Follows::new(move || follows))
    }

    #[test]
    fn a_fresh_head_is_the_tip_on_any_chain() {
        for (is_public, follows) in
            [(true, None), (true, says(false)), (false, None), (false, says(false))]
        {
            for time in [NOW - FRESH, NOW, NOW + 5] {
                assert!(is_tip(time, NOW, is_public, follows.as_ref()), "{time} {is_public}");
            }
        }
    }

    #[test]
    fn an_old_head_of_a_public_network_is_not() {
        // The genesis block, a snapshot's head, and what a consensus client feeds that syncs from
        // genesis itself.
        for follows in [None, says(false), says(true)] {
            for time in [0, NOW - 30 * 24 * 3_600, NOW - FRESH - 1] {
                assert!(!is_tip(time, NOW, true, follows.as_ref()), "{time}");
            }
        }
    }

    #[test]
    fn a_chain_that_stands_still_does_not_wait_for_ever() {
        assert!(is_tip(0, NOW, false, says(true).as_ref()));
        assert!(!is_tip(0, NOW, false, says(false).as_ref()));
        assert!(is_tip(0, NOW, false, None));
    }
}
