//! The names of files of blocks that are not selected.

use crate::block::BlockId;
use bsp_codec::ReplicaKind;
use std::{fmt, str::FromStr};

const EXTENSION: &str = ".rlp.snappy";

const SUPPLEMENT: &str = ".supplement";

/// A file's name, `1-22433671-replica-0x6d1f….rlp.snappy`. Names sort by network and number.
/// Another message about the same block has a number before the extension, from 2 on:
/// `….2.rlp.snappy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileName {
    pub(super) block: BlockId,
    /// `specimen`, `result` or `replica`.
    kind: &'static str,
    /// From 0 on.
    copy: u32,
}

impl FileName {
    pub(super) const fn new(block: BlockId, kind: ReplicaKind) -> Self {
        Self { block, kind: kind.file_suffix(), copy: 0 }
    }

    /// The name of the file beside it with what the format leaves out of the block.
    pub(super) fn supplement(self) -> String {
        format!("{self}{SUPPLEMENT}")
    }

    /// The file that a supplement's file lies beside; `None` for any other name.
    pub(super) fn of_supplement(name: &str) -> Option<Self> {
        name.strip_suffix(SUPPLEMENT)?.parse().ok()
    }

    /// The name of another message about the same block.
    pub(super) const fn with_copy(self, copy: u32) -> Self {
        Self { copy, ..self }
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BlockId { network_id, number, hash } = self.block;
        write!(f, "{network_id}-{number}-{}-{hash:#x}", self.kind)?;
        if self.copy > 0 {
            write!(f, ".{}", u64::from(self.copy) + 1)?;
        }
        f.write_str(EXTENSION)
    }
}

impl FromStr for FileName {
    type Err = ();

    /// Accepts exactly what [`Display`](fmt::Display) prints.
    fn from_str(text: &str) -> Result<Self, ()> {
        let parse = || {
            let mut parts = text.strip_suffix(EXTENSION)?.splitn(4, '-');
            let network_id = parts.next()?.parse().ok()?;
            let number = parts.next()?.parse().ok()?;
            let kind: ReplicaKind = format!("block-{}", parts.next()?).parse().ok()?;
            let last = parts.next()?;
            let (hash, copy) = match last.split_once('.') {
                Some((hash, copy)) => (hash, copy.parse::<u32>().ok()?.checked_sub(1)?),
                None => (last, 0),
            };
            let block = BlockId { network_id, number, hash: hash.parse().ok()? };
            Some(Self::new(block, kind).with_copy(copy)).filter(|name| name.to_string() == text)
        };
        parse().ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn a_name_says_all_about_its_block() {
        let block = BlockId { network_id: 1, number: 22_433_671, hash: B256::repeat_byte(0xab) };
        let name = FileName::new(block, ReplicaKind::Replica);
        let text = format!("1-22433671-replica-0x{}.rlp.snappy", "ab".repeat(32));
        assert_eq!(name.to_string(), text);
        assert_eq!(text.parse(), Ok(name));
        assert_eq!(name.supplement(), format!("{text}.supplement"));
        assert_eq!(FileName::of_supplement(&name.supplement()), Some(name));
        assert_eq!(FileName::of_supplement(&text), None);
        let second = text.replace(".rlp", ".2.rlp");
        assert_eq!(name.with_copy(1).to_string(), second);
        assert_eq!(second.parse(), Ok(name.with_copy(1)));
        for other in [
            text.replace(".rlp", ".1.rlp"),
            text.replace(".rlp", ".02.rlp"),
            text.replace(".rlp", ".x.rlp"),
            format!("{text}.partial"),
            format!("{text}.supplement"),
            text.replace("1-", "01-"),
            text.replace("0x", ""),
            text.replace("ab", "AB"),
            text.replace("replica", "replicas"),
            String::new(),
        ] {
            assert_eq!(other.parse::<FileName>(), Err(()), "{other}");
        }
    }
}
