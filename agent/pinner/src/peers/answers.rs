//! What a peer wants of us, in the order in which it asked, and the answers to it.

use crate::bitswap::{Block, Entry, Message, Presence, PresenceType, WantType, Wantlist};
use crate::{
    dag,
    store::{Store, StoreError},
};
use bsp_codec::dag::Cid;
use std::collections::{HashMap, VecDeque};
use tracing::warn;

/// The most wants of a peer that are remembered; further ones are ignored.
pub(crate) const WANTS_PER_PEER: usize = 4096;

/// An answer holds blocks of so many bytes, and at most one more block.
const ANSWER_BYTES: usize = 512 << 10;

/// The most wants that are answered in one message.
const ANSWERS_PER_MESSAGE: usize = 256;

/// What is wanted of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Want {
    block: bool,
    send_dont_have: bool,
}

/// The wants of one peer.
#[derive(Debug, Default)]
pub(crate) struct WantQueue {
    /// All of them: those to answer, and those for blocks that were not here.
    wants: HashMap<Cid, Want>,
    /// Those to answer next. A CID without a want is passed over.
    due: VecDeque<Cid>,
    /// Those for blocks that were not here when they were answered.
    unmet: VecDeque<Cid>,
}

impl WantQueue {
    /// Takes the changes that a peer sends. Whether there is something to answer.
    pub(crate) fn update(&mut self, list: &Wantlist) -> bool {
        if list.full {
            *self = Self::default();
        }
        for entry in &list.entries {
            // Nobody can have what is not a CID.
            if let Ok(cid) = Cid::try_from(entry.cid.as_ref()) {
                self.change(cid, entry);
            }
        }
        !self.due.is_empty()
    }

    fn change(&mut self, cid: Cid, entry: &Entry) {
        if entry.cancel {
            self.wants.remove(&cid);
            return;
        }
        let block = match WantType::try_from(entry.want_type) {
            Ok(want_type) => want_type == WantType::Block,
            Err(_) => return,
        };
        let want = Want { block, send_dont_have: entry.send_dont_have };
        // What was cancelled leaves its place in the queues, which hold as many as there may be.
        let full = self.due.len() + self.unmet.len() >= WANTS_PER_PEER;
        match self.wants.get_mut(&cid) {
            Some(known) => {
                *known = Want { block: known.block || block, ..want };
                if !full {
                    self.due.push_back(cid);
                }
            }
            None if full => {}
            None => {
                self.wants.insert(cid, want);
                self.due.push_back(cid);
            }
        }
    }

    /// The next wants to answer, which leave the queue.
    fn take(&mut self) -> Vec<(Cid, Want)> {
        let mut taken = Vec::new();
        while taken.len() < ANSWERS_PER_MESSAGE {
            let Some(cid) = self.due.pop_front() else { break };
            taken.extend(self.wants.remove(&cid).map(|want| (cid, want)));
        }
        taken
    }

    /// Puts back what did not fit the answer, to be first again, and what was not here.
    fn put_back(&mut self, not_fitting: Vec<(Cid, Want)>, unmet: Vec<(Cid, Want)>) {
        for (cid, want) in not_fitting.into_iter().rev() {
            self.wants.entry(cid).or_insert(want);
            self.due.push_front(cid);
        }
        for (cid, want) in unmet {
            if self.due.len() + self.unmet.len() < WANTS_PER_PEER {
                // It was told that the block is not here, and need not be told again.
                self.wants.entry(cid).or_insert(Want { send_dont_have: false, ..want });
                self.unmet.push_back(cid);
            }
        }
    }

    /// Lets the wants for blocks that were not here be answered again, now that they may be.
    pub(crate) fn retry_unmet(&mut self) -> bool {
        self.due.append(&mut self.unmet);
        !self.due.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.wants.len()
    }

    pub(crate) fn has_unmet(&self) -> bool {
        !self.unmet.is_empty()
    }
}

/// Answers the next wants of a peer from the store; `None` where there is no want left, an empty
/// message where there is nothing to say. Waits for the disk.
pub(crate) fn next_answer(
    store: &Store,
    mut queue: impl FnMut(&mut dyn FnMut(&mut WantQueue)),
) -> Option<Message> {
    let mut wants = Vec::new();
    queue(&mut |queue| wants = queue.take());
    if wants.is_empty() {
        return None;
    }
    let mut answer = Message::default();
    let mut bytes = 0;
    let mut unmet = Vec::new();
    let mut wants = wants.into_iter();
    for (cid, want) in wants.by_ref() {
        match look_up(store, &cid, want) {
            Found::Block(block) => {
                bytes += block.data.len();
                answer.payload.push(block);
            }
            Found::Here => answer.presences.push(Presence::new(&cid, PresenceType::Have)),
            Found::Absent => {
                if want.send_dont_have {
                    answer.presences.push(Presence::new(&cid, PresenceType::DontHave));
                }
                unmet.push((cid, want));
            }
        }
        if bytes >= ANSWER_BYTES {
            break;
        }
    }
    let not_fitting: Vec<_> = wants.collect();
    let mut parts = Some((not_fitting, unmet));
    queue(&mut |queue| {
        if let Some((not_fitting, unmet)) = parts.take() {
            queue.put_back(not_fitting, unmet);
        }
    });
    Some(answer)
}

enum Found {
    Block(Block),
    Here,
    Absent,
}

fn look_up(store: &Store, cid: &Cid, want: Want) -> Found {
    if !dag::is_supported(cid) {
        return Found::Absent;
    }
    let found = if want.block {
        store.block(cid).map(|block| block.map(|block| Found::Block(Block::new(cid, block))))
    } else {
        store.block_len(cid).map(|len| len.map(|_| Found::Here))
    };
    match found {
        Ok(found) => found.unwrap_or(Found::Absent),
        Err(error) => {
            report(cid, &error);
            Found::Absent
        }
    }
}

fn report(cid: &Cid, error: &StoreError) {
    warn!(target: "bsp::pinner", %cid, %error, "A block can't be read; the peer is told that it is not here");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;
    use bsp_codec::dag::cid_of;
    use bytes::Bytes;

    fn block(number: u32, len: usize) -> (Cid, Bytes) {
        let mut bytes = vec![0; len];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        (cid_of(&bytes), bytes.into())
    }

    fn list(entries: Vec<Entry>) -> Wantlist {
        Wantlist { entries, full: false }
    }

    fn next(store: &Store, queue: &mut WantQueue) -> Option<Message> {
        next_answer(store, |with| with(queue))
    }

    fn store_with(blocks: &[(Cid, Bytes)]) -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        store.put_blocks(blocks).unwrap();
        (folder, store)
    }

    #[test]
    fn blocks_and_presences_are_answered() {
        let (here, absent) = (block(1, 100), block(2, 100));
        let (_folder, store) = store_with(std::slice::from_ref(&here));
        let mut queue = WantQueue::default();
        assert!(queue.update(&list(vec![
            Entry::want(&here.0, WantType::Have),
            Entry::want(&absent.0, WantType::Have),
            Entry { cid: Bytes::from_static(b"no CID"), ..Entry::default() },
        ])));
        let answer = next(&store, &mut queue).unwrap();
        let told = [
            Presence::new(&here.0, PresenceType::Have),
            Presence::new(&absent.0, PresenceType::DontHave),
        ];
        assert_eq!(answer, Message { presences: told.to_vec(), ..Message::default() });
        assert_eq!(next(&store, &mut queue), None);

        queue.update(&list(vec![Entry::want(&here.0, WantType::Block)]));
        let answer = next(&store, &mut queue).unwrap();
        assert_eq!(answer.payload, [Block::new(&here.0, here.1.clone())]);
    }

    #[test]
    fn a_block_that_comes_later_is_sent_unless_cancelled() {
        let (later, cancelled) = (block(1, 100), block(2, 100));
        let (_folder, store) = store_with(&[]);
        let mut queue = WantQueue::default();
        queue.update(&list(vec![
            Entry::want(&later.0, WantType::Block),
            Entry::want(&cancelled.0, WantType::Block),
        ]));
        assert_eq!(next(&store, &mut queue).unwrap().presences.len(), 2);
        assert!(queue.has_unmet());
        // Still not there: nothing is said again.
        assert!(queue.retry_unmet());
        assert!(next(&store, &mut queue).unwrap().is_empty());
        store.put_blocks(&[later.clone(), cancelled.clone()]).unwrap();
        queue.update(&list(vec![Entry::cancel(&cancelled.0)]));
        assert!(queue.retry_unmet());
        assert_eq!(next(&store, &mut queue).unwrap().payload, [Block::new(&later.0, later.1)]);
        assert_eq!(next(&store, &mut queue), None);
    }

    #[test]
    fn a_full_list_replaces_the_one_before() {
        let (_folder, store) = store_with(&[]);
        let mut queue = WantQueue::default();
        queue.update(&list(vec![Entry::want(&block(1, 10).0, WantType::Block)]));
        assert!(!queue.update(&Wantlist { entries: vec![], full: true }));
        assert_eq!(next(&store, &mut queue), None);
    }

    #[test]
    fn answers_are_bounded_in_bytes() {
        let blocks: Vec<_> = (0..40).map(|number| block(number, 100_000)).collect();
        let (_folder, store) = store_with(&blocks);
        let mut queue = WantQueue::default();
        queue.update(&list(
            blocks.iter().map(|(cid, _)| Entry::want(cid, WantType::Block)).collect(),
        ));
        let mut sent = Vec::new();
        while let Some(answer) = next(&store, &mut queue) {
            assert!(answer.payload.len() <= 6);
            sent.extend(answer.payload.into_iter().map(|block| block.data));
        }
        let expected: Vec<_> = blocks.into_iter().map(|(_, block)| block).collect();
        assert!(sent == expected);
    }

    #[test]
    fn wants_are_bounded_whatever_a_peer_sends() {
        let (_folder, store) = store_with(&[]);
        let mut queue = WantQueue::default();
        for round in 0..100u32 {
            let cids: Vec<_> = (0..1000).map(|number| block(round * 1000 + number, 8).0).collect();
            let wants = cids.iter().map(|cid| Entry::want(cid, WantType::Have)).collect();
            queue.update(&list(wants));
            // Again, and cancelled.
            queue.update(&list(cids.iter().map(|cid| Entry::want(cid, WantType::Have)).collect()));
            queue.update(&list(cids.iter().take(500).map(Entry::cancel).collect()));
            if round % 3 == 0 {
                while next(&store, &mut queue).is_some() {}
                queue.retry_unmet();
            }
            assert!(queue.wants.len() <= WANTS_PER_PEER);
            assert!(queue.due.len() + queue.unmet.len() <= WANTS_PER_PEER);
        }
    }
}
