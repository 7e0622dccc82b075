//! A target in memory, which can be told to misbehave.

use crate::target::{Entry, StreamPosition, Target, TargetError};
use alloy_primitives::B256;
use async_trait::async_trait;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What a delivery does, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trick {
    /// Takes this many entries, then fails.
    RefuseAfter(usize),
    /// Takes all, and does not say so before it is released.
    TakeAndHang,
    /// Takes all, but not before it is released.
    Hang,
    Panic,
    /// Blocks its thread until it is released, then refuses.
    Block,
    /// Loses all that it has but this many entries, the first ones.
    LoseAllBut(usize),
}

/// What a test sees of a target.
#[derive(Debug, Clone, Default)]
pub(super) struct Inbox(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    taken: Vec<(u64, B256)>,
    /// Where in `taken` each batch begins.
    batches: Vec<usize>,
    /// Whose delivery was not confirmed, though they were taken, or came in a batch of which some
    /// were lost.
    ambiguous: HashSet<B256>,
    tricks: VecDeque<Trick>,
    waiting: bool,
    largest_batch: usize,
    /// What the target says that its consumers have acknowledged, and what it was told of that at a
    /// start.
    acknowledged: Option<StreamPosition>,
    told_acknowledged: Option<StreamPosition>,
}

impl Content {
    fn take(&mut self, entries: &[Entry], ambiguous: bool) {
        self.batches.push(self.taken.len());
        for entry in entries {
            self.taken.push((entry.number, entry.hash));
            if ambiguous {
                self.ambiguous.insert(entry.hash);
            }
        }
    }
}

impl Content {
    /// Loses what came last. A position is that of a batch: the one that the first lost entry came
    /// in comes again whole.
    fn lose_all_but(&mut self, count: usize) {
        let first = self.batches.iter().rfind(|first| **first <= count).copied();
        let kept = self.taken.iter().take(count).skip(first.unwrap_or_default());
        self.ambiguous.extend(kept.map(|(_, hash)| *hash));
        self.taken.truncate(count);
        self.batches.retain(|first| *first < count);
    }
}

impl Inbox {
    pub(super) fn target(&self, name: &str) -> Box<dyn Target> {
        Box::new(MemoryTarget { name: name.to_owned(), inbox: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // A failed assertion is to be read, and not to end in another.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn play(&self, trick: Trick) {
        self.lock().tricks.push_back(trick);
    }

    pub(super) fn behave(&self) {
        self.lock().tricks.clear();
    }

    pub(super) fn taken(&self) -> Vec<(u64, B256)> {
        self.lock().taken.clone()
    }

    pub(super) fn numbers(&self) -> Vec<u64> {
        self.lock().taken.iter().map(|(number, _)| *number).collect()
    }

    pub(super) fn has(&self, hash: B256) -> bool {
        self.lock().taken.iter().any(|(_, taken)| *taken == hash)
    }

    /// Ends a delivery that hangs.
    pub(super) fn let_go(&self) {
        self.lock().waiting = false;
    }

    /// Whether a delivery hangs.
    pub(super) fn is_waiting(&self) -> bool {
        self.lock().waiting
    }

    pub(super) fn acknowledge(&self, position: StreamPosition) {
        self.lock().acknowledged = Some(position);
    }

    pub(super) fn told_acknowledged(&self) -> Option<StreamPosition> {
        self.lock().told_acknowledged
    }

    pub(super) fn largest_batch(&self) -> usize {
        self.lock().largest_batch
    }

    /// Nothing came twice, but for what the target did not confirm.
    pub(super) fn assert_no_repetition(&self) {
        let content = self.lock();
        let mut times: HashMap<B256, usize> = HashMap::new();
        for (number, hash) in &content.taken {
            let times = times.entry(*hash).or_default();
            *times += 1;
            assert!(*times == 1 || content.ambiguous.contains(hash), "block {number} came twice");
        }
    }
}

#[derive(Debug)]
struct MemoryTarget {
    name: String,
    inbox: Inbox,
}

#[async_trait]
impl Target for MemoryTarget {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn position(&self) -> Option<StreamPosition> {
        Some(StreamPosition(self.inbox.lock().taken.len() as u128))
    }

    fn acknowledged(&self) -> Option<StreamPosition> {
        self.inbox.lock().acknowledged
    }

    fn resume_acknowledged(&mut self, position: StreamPosition) {
        self.inbox.lock().told_acknowledged = Some(position);
    }

    async fn deliver(&mut self, batch: &[Entry]) -> Result<(), TargetError> {
        let trick = {
            let mut content = self.inbox.lock();
            content.largest_batch = content.largest_batch.max(batch.len());
            let trick = content.tricks.pop_front();
            let taken = match trick {
                None | Some(Trick::TakeAndHang) => batch.len(),
                Some(Trick::RefuseAfter(count)) => count.min(batch.len()),
                Some(Trick::Hang | Trick::Panic | Trick::Block) => 0,
                Some(Trick::LoseAllBut(count)) => {
                    content.lose_all_but(count);
                    0
                }
            };
            content.take(&batch[..taken], trick.is_some());
            content.waiting =
                matches!(trick, Some(Trick::TakeAndHang | Trick::Hang | Trick::Block));
            trick
        };
        match trick {
            None => Ok(()),
            Some(Trick::RefuseAfter(_)) => Err(TargetError::Refused {
                target: self.name.clone(),
                reason: "made to refuse".to_owned(),
            }),
            Some(Trick::Block) => {
                while self.inbox.is_waiting() {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                let (target, reason) = (self.name.clone(), "made to block".to_owned());
                Err(TargetError::Refused { target, reason })
            }
            Some(Trick::LoseAllBut(count)) => Err(TargetError::Lost {
                target: self.name.clone(),
                kept: StreamPosition(count as u128),
            }),
            Some(Trick::Panic) => std::panic::resume_unwind(Box::new("made to panic")),
            Some(Trick::Hang | Trick::TakeAndHang) => {
                while self.inbox.is_waiting() {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                }
                if trick == Some(Trick::Hang) {
                    self.inbox.lock().take(batch, false);
                }
                Ok(())
            }
        }
    }
}
