//! How one block is got from peers.
//!
//! One peer is asked for the block, and the others whether they have it: so it comes once, and
//! there is somebody to turn to if that peer has it not, or is slow.

use super::{
    connected::{Connected, Peer},
    wants::{News, Wanted},
};
use crate::bitswap::{Entry, WantType};
use bsp_codec::dag::Cid;
use bytes::Bytes;
use libp2p::PeerId;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// How long a peer may take for a block before another one is asked for it too.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most peers that are asked for a block.
const PEERS_ASKED: usize = 32;

/// What we know of a peer and one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It was asked whether it has it.
    Asked,
    /// It says that it has it.
    Has,
    /// It was asked for it.
    Giving,
    /// It was asked for it, and takes long.
    Slow,
    /// It has it not.
    Lacks,
}

/// A block that peers are asked for, until this is dropped.
#[derive(Debug)]
pub(crate) struct Ask {
    cid: Cid,
    wanted: Wanted,
    peers: HashMap<PeerId, (Arc<Peer>, Standing)>,
    deadline: Instant,
}

impl Ask {
    /// Begins to wait for a block; nobody is asked yet. `None` where its hash is not SHA-256.
    pub(crate) fn new(connected: &Connected, cid: &Cid) -> Option<Self> {
        let wanted = connected.wants.add(cid)?;
        let deadline = Instant::now() + PATIENCE;
        Some(Self { cid: *cid, wanted, peers: HashMap::new(), deadline })
    }

    /// Asks peers that were not asked yet: the first for the block unless another is giving it, the
    /// rest whether they have it. Whether there were any.
    pub(crate) fn ask(&mut self, peers: Vec<Arc<Peer>>) -> bool {
        let before = self.peers.len();
        for peer in peers {
            if self.peers.len() >= PEERS_ASKED {
                break;
            }
            if self.peers.contains_key(&peer.id) {
                continue;
            }
            let giving = self.is_coming();
            let (want_type, standing) = if giving {
                (WantType::Have, Standing::Asked)
            } else {
                (WantType::Block, Standing::Giving)
            };
            if peer.ask(Entry::want(&self.cid, want_type)) {
                self.peers.insert(peer.id, (peer, standing));
            }
        }
        self.deadline = Instant::now() + PATIENCE;
        self.peers.len() > before
    }

    /// Waits for the block; `None` as soon as all peers that were asked have it not.
    pub(crate) async fn wait(&mut self) -> Option<(PeerId, Bytes)> {
        while self.is_open() {
            tokio::select! {
                biased;
                // It is never dropped without a block while `wanted` is there.
                block = &mut self.wanted.block => return self.got(block.ok()?),
                Some(news) = self.wanted.news.recv() => self.hear(news),
                () = sleep_until(self.deadline) => self.grow_impatient(),
            }
        }
        None
    }

    /// Whether a peer was asked and may have it.
    pub(crate) fn is_open(&self) -> bool {
        self.peers.values().any(|(_, standing)| *standing != Standing::Lacks)
    }

    fn got(&mut self, (from, block): (PeerId, Bytes)) -> Option<(PeerId, Bytes)> {
        // It forgets the want itself.
        self.peers.remove(&from);
        Some((from, block))
    }

    fn hear(&mut self, news: News) {
        let (id, standing) = match news {
            News::Has(id) => (id, Standing::Has),
            News::Lacks(id) => (id, Standing::Lacks),
        };
        match self.peers.get_mut(&id) {
            // Who is asked for the block says so when there was an earlier question.
            Some((_, Standing::Giving | Standing::Slow)) if standing == Standing::Has => {}
            Some((_, known)) => *known = standing,
            None => {}
        }
        self.turn_to_another();
    }

    fn grow_impatient(&mut self) {
        self.deadline = Instant::now() + PATIENCE;
        for (_, standing) in self.peers.values_mut() {
            if *standing == Standing::Giving {
                *standing = Standing::Slow;
            }
        }
        self.turn_to_another();
    }

    /// Asks a peer that has the block for it, unless one is giving it.
    fn turn_to_another(&mut self) {
        if self.is_coming() {
            return;
        }
        for (peer, standing) in self.peers.values_mut() {
            if *standing == Standing::Has {
                if peer.ask(Entry::want(&self.cid, WantType::Block)) {
                    *standing = Standing::Giving;
                    self.deadline = Instant::now() + PATIENCE;
                    return;
                }
                *standing = Standing::Lacks;
            }
        }
    }

    fn is_coming(&self) -> bool {
        self.peers.values().any(|(_, standing)| *standing == Standing::Giving)
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        if self.wanted.is_shared() {
            return;
        }
        // Also who lacks it: it would send it once it has it.
        for (peer, _) in self.peers.values() {
            peer.ask(Entry::cancel(&self.cid));
        }
    }
}
