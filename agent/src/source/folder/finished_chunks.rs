//! Sets of chunks that are done with, as spans.

use bsp_codec::chunk::ChunkName;
use std::collections::BTreeMap;

/// A set of chunks in which those of one session that follow each other take one place, so that a
/// chunk that waits for weeks makes nothing grow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FinishedChunks {
    /// The first chunk of each span, and the number of its last one. No two spans touch.
    spans: BTreeMap<ChunkName, u64>,
}

impl FinishedChunks {
    pub(super) fn contains(&self, chunk: ChunkName) -> bool {
        self.span_of(chunk).is_some()
    }

    /// Adds a chunk.
    pub(super) fn insert(&mut self, chunk: ChunkName) {
        self.insert_span(chunk, chunk.chunk);
    }

    /// Adds the chunks of a session from this one up to that number.
    pub(super) fn insert_span(&mut self, mut first: ChunkName, mut last: u64) {
        if let Some(before) = first.chunk.checked_sub(1)
            && let Some((start, end)) = self.span_of(ChunkName { chunk: before, ..first })
        {
            (first, last) = (start, last.max(end));
        }
        if let Some((start, end)) = self.span_of(first) {
            (first, last) = (start, last.max(end));
        }
        // Spans that begin inside of this one, or right behind it.
        let reach = ChunkName { chunk: last.saturating_add(1), ..first };
        while let Some((&start, &end)) = self.spans.range(first..=reach).next() {
            self.spans.remove(&start);
            last = last.max(end);
        }
        self.spans.insert(first, last);
    }

    /// Takes out a chunk.
    pub(super) fn remove(&mut self, chunk: ChunkName) {
        let Some((first, last)) = self.span_of(chunk) else { return };
        self.spans.remove(&first);
        if first < chunk {
            self.spans.insert(first, chunk.chunk - 1);
        }
        if chunk.chunk < last {
            self.spans.insert(ChunkName { chunk: chunk.chunk + 1, ..chunk }, last);
        }
    }

    /// The first span: its first and last chunk.
    pub(super) fn first(&self) -> Option<(ChunkName, ChunkName)> {
        self.iter().next()
    }

    /// All spans in order: the first and the last chunk of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ChunkName, ChunkName)> {
        self.spans.iter().map(|(&first, &chunk)| (first, ChunkName { chunk, ..first }))
    }

    /// Takes out the first span.
    pub(super) fn pop_first(&mut self) {
        self.spans.pop_first();
    }

    /// The span in which a chunk is: its first chunk, and the number of its last one.
    fn span_of(&self, chunk: ChunkName) -> Option<(ChunkName, u64)> {
        let (&first, &last) = self.spans.range(..=chunk).next_back()?;
        (first.session == chunk.session && chunk.chunk <= last).then_some((first, last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const fn name(session: u64, chunk: u64) -> ChunkName {
        ChunkName { session, chunk }
    }

    #[test]
    fn chunks_that_follow_each_other_take_one_place() {
        let mut finished = FinishedChunks::default();
        for chunk in (1..100).rev() {
            finished.insert(name(7, chunk));
        }
        finished.insert(name(8, 100));
        let spans = [(name(7, 1), name(7, 99)), (name(8, 100), name(8, 100))];
        assert_eq!(finished.iter().collect::<Vec<_>>(), spans);
    }

    proptest! {
        #[test]
        fn it_is_a_set(changes in prop::collection::vec((any::<bool>(), 0..3_u64, 0..12_u64, 0..4_u64), 0..60)) {
            let (mut finished, mut model) = (FinishedChunks::default(), BTreeSet::new());
            for (insert, session, chunk, more) in changes {
                if insert {
                    finished.insert_span(name(session, chunk), chunk + more);
                    model.extend((chunk..=chunk + more).map(|chunk| name(session, chunk)));
                } else {
                    finished.remove(name(session, chunk));
                    model.remove(&name(session, chunk));
                }
            }
            for session in 0..3 {
                for chunk in 0..17 {
                    let chunk = name(session, chunk);
                    prop_assert_eq!(finished.contains(chunk), model.contains(&chunk));
                }
            }
            let spans: Vec<_> = finished.iter().collect();
            for pair in spans.windows(2) {
                let touch = pair[0].1.session == pair[1].0.session && pair[0].1.chunk + 1 >= pair[1].0.chunk;
                prop_assert!(!touch, "{:?}", pair);
            }
        }
    }
}
