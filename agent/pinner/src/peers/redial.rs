//! The peers to stay connected to, and when each is dialled next.

use bsp_common::Backoff;
use libp2p::{Multiaddr, PeerId};
use std::collections::HashMap;
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Redial {
    peers: HashMap<PeerId, Target>,
}

#[derive(Debug, Default)]
struct Target {
    addresses: Vec<Multiaddr>,
    /// `None` while a dial is under way.
    next: Option<Instant>,
    backoff: Backoff,
}

impl Redial {
    /// Peers with their addresses, all of them due at once.
    pub(crate) fn new(peers: impl IntoIterator<Item = (PeerId, Multiaddr)>) -> Self {
        let mut redial = Self::default();
        for (peer, address) in peers {
            let target = redial.peers.entry(peer).or_default();
            target.addresses.push(address);
            target.next = Some(Instant::now());
        }
        redial
    }

    /// The peers to dial now. They are not due again before it is known how that went.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        is_connected: impl Fn(&PeerId) -> bool,
    ) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let due = self.peers.iter_mut().filter(|(peer, target)| {
            target.next.is_some_and(|next| next <= now) && !is_connected(peer)
        });
        due.map(|(peer, target)| {
            target.next = None;
            (*peer, target.addresses.clone())
        })
        .collect()
    }

    /// Notes that a peer is connected: once it is not, it is dialled at once.
    pub(crate) fn reached(&mut self, peer: PeerId) {
        if let Some(target) = self.peers.get_mut(&peer) {
            target.backoff = Backoff::default();
            target.next = Some(Instant::now());
        }
    }

    /// Notes that a peer could not be reached; whether it is the first time in a row, and a peer to
    /// stay connected to.
    pub(crate) fn missed(&mut self, peer: PeerId, now: Instant) -> bool {
        let Some(target) = self.peers.get_mut(&peer) else { return false };
        target.next = Some(now + target.backoff.next_pause());
        target.backoff.failures() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_until_a_peer_is_reached() {
        let (peer, address) = (PeerId::random(), "/ip4/127.0.0.1/tcp/1".parse().unwrap());
        let mut redial = Redial::new([(peer, address)]);
        let mut now = Instant::now();
        for round in 0..10 {
            assert_eq!(redial.due(now, |_| false).len(), 1, "{round}");
            // Under way.
            assert_eq!(redial.due(now, |_| false), []);
            assert_eq!(redial.missed(peer, now), round == 0);
            assert_eq!(redial.due(now, |_| false), []);
            now += Duration::from_secs(30);
        }
        redial.reached(peer);
        assert_eq!(redial.due(now, |_| true), []);
        assert_eq!(redial.due(now, |_| false).len(), 1);
        assert!(redial.missed(peer, now));
        assert!(!redial.missed(PeerId::random(), now));
    }
}
