//! Which blocks we want, and who is told when one comes.

use crate::bitswap::{Message, PresenceType};
use crate::dag::SHA2_256;
use bsp_codec::dag::Cid;
use bytes::Bytes;
use libp2p::PeerId;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::{mpsc, oneshot};

/// What peers may say of one want before it is looked at; the rest is dropped.
const PENDING_NEWS: usize = 256;

type Digest = [u8; 32];

/// What a peer says of a block that we want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    /// It has it.
    Has(PeerId),
    /// It has it not, or can't be asked any more.
    Lacks(PeerId),
}

/// All that we want.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wants {
    waiting: Arc<Mutex<HashMap<Digest, Vec<Waiting>>>>,
    numbers: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    block: oneshot::Sender<(PeerId, Bytes)>,
    news: mpsc::Sender<News>,
}

/// One block that is waited for, until this is dropped.
#[derive(Debug)]
pub(crate) struct Wanted {
    wants: Wants,
    digest: Digest,
    number: u64,
    pub(crate) block: oneshot::Receiver<(PeerId, Bytes)>,
    pub(crate) news: mpsc::Receiver<News>,
}

impl Wants {
    /// Waits for a block; `None` where its hash is not SHA-256.
    pub(crate) fn add(&self, cid: &Cid) -> Option<Wanted> {
        let digest = digest_of(cid)?;
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (block, coming) = oneshot::channel();
        let (news, told) = mpsc::channel(PENDING_NEWS);
        self.waiting().entry(digest).or_default().push(Waiting { number, block, news });
        Some(Wanted { wants: self.clone(), digest, number, block: coming, news: told })
    }

    /// Whether anything is wanted.
    pub(crate) fn any(&self) -> bool {
        !self.waiting().is_empty()
    }

    /// Hands out the blocks and news of a peer's message. Returns the bytes of blocks that nobody
    /// wanted. Hashes the blocks, which takes time.
    pub(crate) fn receive(&self, from: PeerId, message: &Message) -> u64 {
        for presence in &message.presences {
            let Ok(cid) = Cid::try_from(presence.cid.as_ref()) else { continue };
            match PresenceType::try_from(presence.presence_type) {
                Ok(PresenceType::Have) => self.tell(&cid, News::Has(from)),
                Ok(PresenceType::DontHave) => self.tell(&cid, News::Lacks(from)),
                Err(_) => {}
            }
        }
        let mut unwanted = 0;
        for block in &message.payload {
            // The digest says what it is, whatever the prefix says.
            if !self.any() || !self.hand_out(from, &block.data) {
                unwanted += block.data.len() as u64;
            }
        }
        unwanted
    }

    fn hand_out(&self, from: PeerId, data: &Bytes) -> bool {
        let digest: Digest = Sha256::digest(data).into();
        let Some(waiting) = self.waiting().remove(&digest) else { return false };
        // A copy, so that the block does not keep the whole message in memory.
        let data = Bytes::copy_from_slice(data);
        for waiting in waiting {
            // Who waits no longer does not mind.
            let _ = waiting.block.send((from, data.clone()));
        }
        true
    }

    fn tell(&self, cid: &Cid, news: News) {
        let Some(digest) = digest_of(cid) else { return };
        for waiting in self.waiting().get(&digest).into_iter().flatten() {
            let _ = waiting.news.try_send(news);
        }
    }

    /// Notes that a peer can't be asked any more.
    pub(crate) fn lose(&self, peer: PeerId) {
        for waiting in self.waiting().values().flatten() {
            let _ = waiting.news.try_send(News::Lacks(peer));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Digest, Vec<Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wanted {
    /// Whether someone else waits for the same block.
    pub(crate) fn is_shared(&self) -> bool {
        let waiting = self.wants.waiting();
        let others = waiting.get(&self.digest).into_iter().flatten();
        others.into_iter().any(|other| other.number != self.number)
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        let mut waiting = self.wants.waiting();
        if let Some(same) = waiting.get_mut(&self.digest) {
            same.retain(|other| other.number != self.number);
            if same.is_empty() {
                waiting.remove(&self.digest);
            }
        }
    }
}

fn digest_of(cid: &Cid) -> Option<Digest> {
    (cid.hash().code() == SHA2_256).then(|| cid.hash().digest().try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bitswap::{Block, Presence};
    use bsp_codec::dag::cid_of;
    use cid::multihash::Multihash;

    fn blocks(blocks: &[&'static [u8]]) -> Message {
        let block = |block: &&'static [u8]| Block::new(&cid_of(block), Bytes::from_static(block));
        Message { payload: blocks.iter().map(block).collect(), ..Message::default() }
    }

    #[tokio::test]
    async fn a_block_goes_to_all_who_wait_and_to_nobody_else() {
        let (wants, peer) = (Wants::default(), PeerId::random());
        let first = wants.add(&cid_of(b"x")).unwrap();
        let second = wants.add(&cid_of(b"x")).unwrap();
        let other = wants.add(&cid_of(b"y")).unwrap();
        assert!(first.is_shared() && !other.is_shared());
        assert_eq!(wants.receive(peer, &blocks(&[b"wrong", b"x", b"x"])), 6);
        for wanted in [first, second] {
            let mut wanted = wanted;
            let block = (&mut wanted.block).await.unwrap();
            assert_eq!(block, (peer, Bytes::from_static(b"x")));
        }
        assert!(wants.any());
        drop(other);
        assert!(!wants.any());
        assert_eq!(wants.receive(peer, &blocks(&[b"y"])), 1);
    }

    #[tokio::test]
    async fn news_go_to_those_whom_they_concern() {
        let (wants, peer) = (Wants::default(), PeerId::random());
        let mut wanted = wants.add(&cid_of(b"x")).unwrap();
        let say = |content: &[u8], presence| Message {
            presences: vec![Presence::new(&cid_of(content), presence)],
            ..Message::default()
        };
        wants.receive(peer, &say(b"y", PresenceType::Have));
        wants.receive(peer, &say(b"x", PresenceType::Have));
        wants.receive(peer, &say(b"x", PresenceType::DontHave));
        wants.lose(peer);
        assert_eq!(wanted.news.recv().await, Some(News::Has(peer)));
        assert_eq!(wanted.news.recv().await, Some(News::Lacks(peer)));
        assert_eq!(wanted.news.recv().await, Some(News::Lacks(peer)));
        // A flood is dropped.
        for _ in 0..10_000 {
            wants.receive(peer, &say(b"x", PresenceType::Have));
        }
        assert_eq!(wanted.news.len(), PENDING_NEWS);
    }

    #[test]
    fn other_hashes_are_not_waited_for() {
        let identity = Cid::new_v1(0x55, Multihash::wrap(0, &[7; 32]).unwrap());
        assert!(Wants::default().add(&identity).is_none());
    }
}
