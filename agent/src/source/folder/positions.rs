//! Which records of which chunks are acknowledged.

use super::{entry::Record, finished_chunks::FinishedChunks};
use bsp_codec::chunk::ChunkName;
use std::collections::{BTreeMap, BTreeSet};

/// All that is known about a folder's records: of each chunk in flight, and of the others that they
/// are done with.
///
/// Chunks are begun in order, but for those that appear late, so those that are done with are
/// mostly all up to one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Positions {
    /// This chunk and all before it are done with, unless they are listed.
    pub(super) done_through: Option<ChunkName>,
    /// Chunks that are done with and come after one that is not.
    pub(super) finished: FinishedChunks,
    /// Chunks that were begun and are not done with.
    pub(super) chunks: BTreeMap<ChunkName, Progress>,
    /// Chunks that became done, until they are taken. Not kept across restarts.
    newly_done: Vec<ChunkName>,
}

/// How far one chunk is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// All records before this offset are acknowledged, in bytes.
    pub(super) acknowledged: u64,
    /// Where further records start that are acknowledged as well.
    pub(super) beyond: BTreeSet<u64>,
    /// All records are acknowledged, and no further ones will come.
    pub(super) done: bool,
    /// The chunk's length, once it is known to be final. Not kept across restarts.
    length: Option<u64>,
    /// Records that were read and are not before `acknowledged`: where they start and end. Not
    /// kept.
    ends: BTreeMap<u64, u64>,
}

impl Positions {
    /// As they were kept.
    pub(super) fn restored(
        done_through: Option<ChunkName>,
        finished: FinishedChunks,
        chunks: BTreeMap<ChunkName, Progress>,
    ) -> Self {
        Self { done_through, finished, chunks, newly_done: Vec::new() }
    }

    /// Whether the chunk holds nothing to be delivered.
    pub(super) fn is_done(&self, chunk: ChunkName) -> bool {
        match self.chunks.get(&chunk) {
            Some(progress) => progress.done,
            None => Some(chunk) <= self.done_through || self.finished.contains(chunk),
        }
    }

    /// Where to begin to read a chunk.
    pub(super) fn begin(&mut self, chunk: ChunkName) -> u64 {
        self.chunks.entry(chunk).or_default().acknowledged
    }

    /// Whether the record is acknowledged.
    pub(super) fn is_acknowledged(&self, record: Record) -> bool {
        let acknowledged = |progress: &Progress| {
            record.offset < progress.acknowledged || progress.beyond.contains(&record.offset)
        };
        self.is_done(record.chunk) || self.chunks.get(&record.chunk).is_some_and(acknowledged)
    }

    /// Notes a record that was read, and answers whether it is to be delivered.
    pub(super) fn read(&mut self, record: Record, end: u64) -> bool {
        let deliver = !self.is_acknowledged(record);
        self.update(record.chunk, |progress| {
            if record.offset >= progress.acknowledged {
                progress.ends.insert(record.offset, end);
            }
        });
        deliver
    }

    /// Acknowledges a record, whether it was read in this run or not.
    pub(super) fn acknowledge(&mut self, record: Record) {
        if !self.is_acknowledged(record) {
            self.update(record.chunk, |progress| {
                progress.beyond.insert(record.offset);
            });
        }
    }

    /// Notes that a chunk ends there and has no unread records.
    pub(super) fn close(&mut self, chunk: ChunkName, length: u64) {
        self.update(chunk, |progress| progress.length = Some(length));
    }

    /// Forgets what was acknowledged of a chunk, which is not the one it was.
    pub(super) fn restart(&mut self, chunk: ChunkName) {
        self.finished.remove(chunk);
        self.chunks.insert(chunk, Progress::default());
    }

    /// Gives up a chunk that is not there any more.
    pub(super) fn give_up(&mut self, chunk: ChunkName) {
        self.update(chunk, Progress::finish);
    }

    fn update(&mut self, chunk: ChunkName, change: impl FnOnce(&mut Progress)) {
        if !self.chunks.contains_key(&chunk) && self.finished.contains(chunk) {
            return;
        }
        let progress = self.chunks.entry(chunk).or_default();
        let was_done = progress.done;
        change(progress);
        progress.advance();
        if progress.done && !was_done {
            self.newly_done.push(chunk);
        }
    }

    /// The chunks that became done since this was last asked.
    pub(super) fn take_newly_done(&mut self) -> Vec<ChunkName> {
        std::mem::take(&mut self.newly_done)
    }

    /// Takes out the chunks that are done with. Those before all others need no place at all.
    pub(super) fn compact(&mut self) {
        let done: Vec<ChunkName> = self
            .chunks
            .extract_if(.., |_, progress| progress.done)
            .map(|(chunk, _)| chunk)
            .collect();
        done.into_iter().for_each(|chunk| self.finished.insert(chunk));
        while let Some((first, last)) = self.finished.first()
            && self.chunks.keys().next().is_none_or(|&unfinished| first < unfinished)
        {
            self.done_through = self.done_through.max(Some(last));
            self.finished.pop_first();
        }
    }

    /// How many records were read and not acknowledged.
    pub(super) fn in_flight(&self) -> usize {
        self.chunks.values().map(|progress| progress.ends.len() - progress.settled_early()).sum()
    }
}

impl Progress {
    /// As it was kept.
    pub(super) fn restored(acknowledged: u64, beyond: BTreeSet<u64>, done: bool) -> Self {
        Self { acknowledged, beyond, done, ..Self::default() }
    }

    fn advance(&mut self) {
        while self.beyond.contains(&self.acknowledged)
            && let Some(end) = self.ends.remove(&self.acknowledged)
        {
            self.beyond.remove(&self.acknowledged);
            self.acknowledged = end;
        }
        if self.length == Some(self.acknowledged) {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.done = true;
        self.beyond.clear();
        self.ends.clear();
    }

    /// Records that wait in `beyond` for others before them.
    fn settled_early(&self) -> usize {
        self.ends.keys().filter(|offset| self.beyond.contains(offset)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHUNK: ChunkName = ChunkName { session: 1, chunk: 0 };

    const fn at(offset: u64) -> Record {
        Record { chunk: CHUNK, offset }
    }

    /// What a restart leaves of the positions.
    fn restarted(positions: &Positions) -> Positions {
        let mut kept = positions.clone();
        for progress in kept.chunks.values_mut() {
            progress.length = None;
            progress.ends.clear();
        }
        kept
    }

    proptest! {
        /// Records of 10 bytes, acknowledged in any order, with restarts at any time in between.
        #[test]
        fn exactly_what_was_not_acknowledged_is_delivered_again(
            order in Just((0..12_u64).collect::<Vec<_>>()).prop_shuffle(),
            restarts in prop::collection::vec(any::<bool>(), 12),
        ) {
            let mut positions = Positions::default();
            let read_all = |positions: &mut Positions| -> Vec<u64> {
                let begin = positions.begin(CHUNK);
                let delivered = (begin / 10..12).filter(|i| positions.read(at(i * 10), i * 10 + 10)).collect();
                positions.close(CHUNK, 120);
                delivered
            };
            prop_assert_eq!(read_all(&mut positions), (0..12).collect::<Vec<_>>());
            for (settled, (next, restart)) in order.iter().zip(restarts).enumerate() {
                if restart {
                    positions = restarted(&positions);
                    let mut waiting = order[settled..].to_vec();
                    waiting.sort_unstable();
                    prop_assert_eq!(read_all(&mut positions), waiting);
                }
                prop_assert_eq!(positions.in_flight(), 12 - settled);
                prop_assert!(!positions.is_done(CHUNK));
                positions.acknowledge(at(next * 10));
                positions.acknowledge(at(next * 10));
            }
            prop_assert!(positions.is_done(CHUNK));
            positions.compact();
            prop_assert_eq!(positions.take_newly_done(), [CHUNK]);
            prop_assert_eq!(positions, Positions { done_through: Some(CHUNK), ..Positions::default() });
        }
    }

    #[test]
    fn a_chunk_is_not_done_before_it_is_closed() {
        let mut positions = Positions::default();
        positions.begin(CHUNK);
        assert!(positions.read(at(0), 10));
        positions.acknowledge(at(0));
        assert!(!positions.is_done(CHUNK));
        positions.close(CHUNK, 10);
        assert!(positions.is_done(CHUNK));
    }

    #[test]
    fn a_chunk_that_waits_makes_nothing_grow() {
        let later = |chunk| ChunkName { session: 1, chunk };
        let mut positions = Positions::default();
        positions.begin(CHUNK);
        for chunk in 1..1000 {
            positions.begin(later(chunk));
            positions.close(later(chunk), 0);
            positions.compact();
        }
        assert!(positions.is_done(later(999)) && !positions.is_done(CHUNK));
        assert_eq!((positions.chunks.len(), positions.finished.iter().count()), (1, 1));
        assert!(!positions.read(Record { chunk: later(500), offset: 0 }, 10));
        positions.close(CHUNK, 0);
        positions.compact();
        assert_eq!(
            positions,
            Positions {
                done_through: Some(later(999)),
                newly_done: positions.newly_done.clone(),
                ..Positions::default()
            }
        );
    }

    #[test]
    fn a_chunk_that_is_another_one_now_begins_again() {
        let later = ChunkName { session: 1, chunk: 1 };
        let mut positions = Positions::default();
        positions.begin(CHUNK);
        positions.close(later, 0);
        positions.compact();
        positions.restart(later);
        assert!(!positions.is_done(later));
        assert!(positions.read(Record { chunk: later, offset: 0 }, 10));
    }

    #[test]
    fn an_acknowledgement_may_come_before_its_record_is_read() {
        let mut positions = Positions::default();
        positions.acknowledge(at(10));
        assert_eq!(positions.begin(CHUNK), 0);
        assert!(positions.read(at(0), 10));
        assert!(!positions.read(at(10), 20));
        assert!(positions.read(at(20), 30));
        positions.acknowledge(at(0));
        assert_eq!(positions.begin(CHUNK), 20);
    }
}
