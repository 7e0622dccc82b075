//! Where a block ends, when other bytes follow it.

use super::{SnappyError, check_announced, max_block_len, read_header};

/// Walks the tags of one block, adding up what they make, until that is what the block announced.
///
/// It reads lengths only: whether the copies point anywhere is for the decompression to find out. A
/// block that takes more bytes than it has to is refused, so that what is held of it stays in
/// proportion to what was announced.
#[derive(Debug, Clone)]
pub(crate) struct Extent {
    max_len: usize,
    /// `None` until the header is complete.
    announced: Option<u64>,
    /// What the tags before `position` make.
    produced: u64,
    /// Where the next tag is; beyond the bytes there are, while the tag before it isn't complete.
    position: usize,
}

/// One tag: the bytes that it takes (its literal or offset included) and makes.
#[derive(Clone, Copy)]
struct Tag {
    takes: usize,
    makes: u64,
}

impl Extent {
    /// Of a block that may announce up to `max_len` bytes.
    pub(crate) const fn new(max_len: usize) -> Self {
        Self { max_len, announced: None, produced: 0, position: 0 }
    }

    /// Walks on, as far as `bytes` go, which are all that are known from the block's start on.
    /// Returns the block's length as soon as all of it is there.
    ///
    /// # Errors
    ///
    /// [`SnappyError::Header`] and [`SnappyError::TooLong`] for a bad announcement,
    /// [`SnappyError::Overrun`] if no tag ends where it should, and [`SnappyError::Wasteful`].
    pub(crate) fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, SnappyError> {
        let Some(announced) = self.announced(bytes)? else { return Ok(None) };
        let max_taken = usize::try_from(max_block_len(announced)).unwrap_or(usize::MAX);
        while self.produced < announced && self.position <= max_taken {
            let Some(tag) = bytes.get(self.position..).and_then(Tag::read) else { break };
            self.position = self.position.saturating_add(tag.takes);
            self.produced = self.produced.saturating_add(tag.makes);
        }
        if self.produced > announced {
            return Err(SnappyError::Overrun { announced, produced: self.produced });
        }
        if self.position > max_taken {
            return Err(SnappyError::Wasteful { announced, taken: self.position });
        }
        let complete = self.produced == announced && self.position <= bytes.len();
        Ok(complete.then_some(self.position))
    }

    fn announced(&mut self, bytes: &[u8]) -> Result<Option<u64>, SnappyError> {
        if self.announced.is_none() {
            let Some(header) = read_header(bytes) else { return Ok(None) };
            let (announced, header_len) = header?;
            check_announced(announced, self.max_len)?;
            self.announced = Some(announced);
            self.position = header_len;
        }
        Ok(self.announced)
    }
}

/// What each first byte means, short of a long literal's. Looking it up is twice as quick as four
/// branches that no processor can predict.
const TAGS: [Tag; 256] = {
    let mut tags = [Tag { takes: 0, makes: 0 }; 256];
    let mut first = 0;
    while first < tags.len() {
        let upper = first >> 2;
        let (takes, makes) = match first & 0b11 {
            0 => (2 + upper, 1 + upper),
            1 => (2, 4 + (upper & 0b111)),
            2 => (3, 1 + upper),
            _ => (5, 1 + upper),
        };
        tags[first] = Tag { takes, makes: makes as u64 };
        first += 1;
    }
    tags
};

/// From this first byte on, literals have their length written behind it.
const LONG_LITERAL: u8 = 60 << 2;

impl Tag {
    /// The tag at the start of `bytes`; `None` if they end before they say what it takes.
    #[inline]
    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first()?;
        if *first >= LONG_LITERAL && first & 0b11 == 0 {
            let len_bytes = usize::from((first - LONG_LITERAL) >> 2) + 1;
            return Self::long_literal(rest.get(..len_bytes)?);
        }
        TAGS.get(usize::from(*first)).copied()
    }

    /// A literal whose length less one is written in `len_bytes`, little-endian.
    fn long_literal(len_bytes: &[u8]) -> Option<Self> {
        let makes = 1 + len_bytes.iter().rev().fold(0, |len, byte| len << 8 | u64::from(*byte));
        let literal = usize::try_from(makes).ok()?;
        Some(Self { takes: literal.saturating_add(1 + len_bytes.len()), makes })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{compress, decompress},
        *,
    };
    use proptest::prelude::*;

    fn extent(bytes: &[u8]) -> Result<Option<usize>, SnappyError> {
        Extent::new(usize::MAX).advance(bytes)
    }

    /// Input with literals of all sizes and copies near and far.
    fn input() -> impl Strategy<Value = Vec<u8>> {
        let run = prop_oneof![
            (any::<u8>(), 1..300usize).prop_map(|(byte, len)| vec![byte; len]),
            prop::collection::vec(any::<u8>(), 0..400),
            Just((0..70_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()),
        ];
        prop::collection::vec(run, 0..8).prop_map(|runs| runs.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_block_ends_where_its_encoder_stopped(
            input in input(),
            tail in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let block = compress(&input).unwrap();
            let followed = [&block[..], &tail].concat();
            prop_assert_eq!(extent(&followed), Ok(Some(block.len())));
        }

        #[test]
        fn it_may_come_in_pieces(input in input(), step in 1..5000usize) {
            let block = compress(&input).unwrap();
            let mut extent = Extent::new(usize::MAX);
            for end in (0..block.len()).step_by(step) {
                prop_assert_eq!(extent.advance(&block[..end]), Ok(None));
            }
            prop_assert_eq!(extent.advance(&block), Ok(Some(block.len())));
        }
    }

    #[test]
    fn every_kind_of_tag() {
        // 1 literal byte, then 4 + 1 + 1 by copies of each kind, then 2 literal bytes with a
        // written length.
        let block =
            [9, 0x00, b'a', 0x01, 1, 0x02, 1, 0, 0x03, 1, 0, 0, 0, 0xf0, 1, b'b', b'c', b'?'];
        assert_eq!(extent(&block), Ok(Some(block.len() - 1)));
    }

    #[test]
    fn a_tag_that_makes_too_much() {
        assert_eq!(
            extent(&[2, 0x08, b'a', b'b', b'c']),
            Err(SnappyError::Overrun { announced: 2, produced: 3 })
        );
    }

    #[test]
    fn tags_that_take_more_than_they_have_to() {
        // 1000 bytes by copies that make one byte and take five.
        let block = [&[0xe8, 0x07, 0x00, b'a'][..], &[0x03, 1, 0, 0, 0].repeat(999)].concat();
        let mut extent = Extent::new(usize::MAX);
        assert_eq!(extent.advance(&block[..1100]), Ok(None));
        // 32 + 1000 + 166 is the most.
        let wasteful = SnappyError::Wasteful { announced: 1000, taken: 4 + 5 * 239 };
        assert_eq!(extent.advance(&block), Err(wasteful));
        assert_eq!(decompress(&block, 1000).unwrap(), [b'a'; 1000], "it is a block nevertheless");
    }

    #[test]
    fn an_announcement_above_the_limit() {
        assert_eq!(
            Extent::new(3).advance(&[4]),
            Err(SnappyError::TooLong { announced: 4, max: 3 })
        );
    }
}
