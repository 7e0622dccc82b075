//! The names of chunk files.

use std::{fmt, str::FromStr};

/// The name of a chunk file, `sess-6634a1b0-chunk-00000000.rlp`. Names sort as their chunks were
/// written, which their texts don't once a number has more than eight digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkName {
    /// When the producer was started, in seconds since the Unix epoch.
    pub session: u64,
    /// The chunk's number in its session, from 0.
    pub chunk: u64,
}

impl ChunkName {
    /// The name of the file beside the chunk that has the [supplements](crate::supplement) of its
    /// blocks, `sess-6634a1b0-chunk-00000000.rlp.supplements`. A chunk whose blocks lack nothing
    /// has no such file.
    pub fn supplements(&self) -> String {
        format!("{self}.supplements")
    }
}

/// The least number of digits of either number.
const MIN_DIGITS: usize = 8;

impl fmt::Display for ChunkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, chunk } = self;
        write!(f, "sess-{session:0MIN_DIGITS$x}-chunk-{chunk:0MIN_DIGITS$x}.rlp")
    }
}

/// A file name that is no chunk's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a chunk's name such as sess-6634a1b0-chunk-00000000.rlp")]
pub struct ParseChunkNameError;

impl FromStr for ChunkName {
    type Err = ParseChunkNameError;

    /// Accepts exactly what [`Display`](fmt::Display) prints.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        name.strip_prefix("sess-")
            .and_then(|rest| rest.strip_suffix(".rlp"))
            .and_then(|rest| rest.split_once("-chunk-"))
            .and_then(|(session, chunk)| {
                Some(Self { session: parse_number(session)?, chunk: parse_number(chunk)? })
            })
            .ok_or(ParseChunkNameError)
    }
}

fn parse_number(text: &str) -> Option<u64> {
    let padded = text.len() == MIN_DIGITS || (text.len() > MIN_DIGITS && !text.starts_with('0'));
    let lower_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if padded && lower_hex { u64::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(session: u64, chunk: u64, shift in 0..64u32) {
            let name = ChunkName { session: session >> shift, chunk: chunk >> (63 - shift) };
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }
    }

    #[test]
    fn the_producers_format() {
        let name = ChunkName { session: 0x6634_a1b0, chunk: 10 };
        assert_eq!(name.to_string(), "sess-6634a1b0-chunk-0000000a.rlp");
        assert_eq!(name.supplements(), "sess-6634a1b0-chunk-0000000a.rlp.supplements");
        let far = ChunkName { session: 0x1_6634_a1b0, chunk: u64::MAX };
        assert_eq!(far.to_string(), "sess-16634a1b0-chunk-ffffffffffffffff.rlp");
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "",
            "sess-6634a1b0-chunk-00000000",
            "sess-6634a1b0-chunk-00000000.rlp.tmp",
            "sess-6634a1b0-chunk-00000000.rlp.supplements",
            "sess-6634A1b0-chunk-00000000.rlp",
            "sess-6634a1b-chunk-00000000.rlp",
            "sess-06634a1b0-chunk-00000000.rlp",
            "sess-+634a1b0-chunk-00000000.rlp",
            "sess-6634a1b0-chunk-10000000000000000.rlp",
            "sess-6634a1b0-chunk-é0000000.rlp",
        ] {
            assert_eq!(name.parse::<ChunkName>(), Err(ParseChunkNameError), "{name}");
        }
    }
}
