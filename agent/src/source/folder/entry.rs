//! How a record of a chunk is named permanently.

use crate::source::EntryId;
use bsp_codec::chunk::ChunkName;

/// A record: its chunk, and where it starts in it. As text `sess-6634a1b0-chunk-00000000.rlp:1234`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    pub(super) chunk: ChunkName,
    /// In bytes.
    pub(super) offset: u64,
}

impl Record {
    pub(super) fn id(self) -> EntryId {
        EntryId(format!("{}:{}", self.chunk, self.offset))
    }

    /// `None` for the names of other sources' entries.
    pub(super) fn of(entry: &EntryId) -> Option<Self> {
        let (chunk, offset) = entry.0.split_once(':')?;
        Some(Self { chunk: chunk.parse().ok()?, offset: offset.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_named_by_its_place() {
        let text = "sess-6634a1b0-chunk-0000000a.rlp:1234";
        let record = Record::of(&EntryId(text.to_owned())).unwrap();
        let chunk = ChunkName { session: 0x6634_a1b0, chunk: 10 };
        assert_eq!(record, Record { chunk, offset: 1234 });
        assert_eq!(record.id().0, text);
        for other in ["1700000000000-0", "unselected:x", "sess-6634a1b0-chunk-0000000a.rlp:-1", ""]
        {
            assert_eq!(Record::of(&EntryId(other.to_owned())), None, "{other}");
        }
    }
}
