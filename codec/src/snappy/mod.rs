//! Snappy's raw block format, which compresses the stream's payloads and the records of chunk
//! files.
//!
//! A block is the uncompressed length as a varint, then tags: literals and copies. It has no
//! checksum and doesn't state its own length. It is not the framed format of `.sz` files.

mod extent;

pub(crate) use extent::Extent;

/// A copy tag makes at most this many bytes…
const MAX_COPY_BYTES: u64 = 64;
/// …out of at least this many, where it makes that many. Shorter copies make fewer in proportion.
const MIN_COPY_TAG_BYTES: u64 = 3;

/// Bytes that can't be compressed, or are no block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnappyError {
    /// The format can't hold so much.
    #[error("{len} bytes are too many for one snappy block")]
    InputTooLong {
        /// Length of the input.
        len: usize,
    },
    /// The block doesn't start with a varint of at most 32 bits.
    #[error("the snappy block doesn't start with its length")]
    Header,
    /// The block announces more than the caller wants to have.
    #[error("the snappy block announces {announced} bytes, at most {max} are accepted")]
    TooLong {
        /// The announced length.
        announced: u64,
        /// The caller's limit.
        max: usize,
    },
    /// The block announces more than any block of its length can hold.
    #[error("the snappy block announces {announced} bytes, but can hold at most {possible}")]
    Implausible {
        /// The announced length.
        announced: u64,
        /// What the tags could make at most.
        possible: u64,
    },
    /// The tags make more than the block announces.
    #[error("the snappy block announces {announced} bytes, but makes at least {produced}")]
    Overrun {
        /// The announced length.
        announced: u64,
        /// What the tags make, up to the one that is too much.
        produced: u64,
    },
    /// The tags take more bytes than those of any encoder. Only looked for where a block's length
    /// is not known.
    #[error("the snappy block announces {announced} bytes, but takes at least {taken}")]
    Wasteful {
        /// The announced length.
        announced: u64,
        /// What the block takes, up to the tag that is too much.
        taken: usize,
    },
    /// The block's tags are broken.
    #[error("broken snappy block: {0}")]
    Corrupt(#[from] snap::Error),
}

/// Compresses `bytes` into one block.
///
/// # Errors
///
/// [`SnappyError::InputTooLong`] from 3.6 GiB on.
pub fn compress(bytes: &[u8]) -> Result<Vec<u8>, SnappyError> {
    snap::raw::Encoder::new()
        .compress_vec(bytes)
        .map_err(|_| SnappyError::InputTooLong { len: bytes.len() })
}

/// Decompresses one block, which has to end where `block` does.
///
/// Nothing is reserved before the announced length is known to be within `max_len` (usually
/// [`MAX_INPUT_BYTES`](crate::limits::MAX_INPUT_BYTES)) and within what this many bytes can hold.
///
/// # Errors
///
/// [`SnappyError::Header`], [`TooLong`](SnappyError::TooLong),
/// [`Implausible`](SnappyError::Implausible) for a bad announcement,
/// [`Corrupt`](SnappyError::Corrupt) for bad tags.
pub fn decompress(block: &[u8], max_len: usize) -> Result<Vec<u8>, SnappyError> {
    let (announced, header_len) = read_header(block).ok_or(SnappyError::Header)??;
    check_announced(announced, max_len)?;
    let tags = (block.len() - header_len) as u64;
    let possible = tags.saturating_mul(MAX_COPY_BYTES) / MIN_COPY_TAG_BYTES;
    if announced > possible {
        return Err(SnappyError::Implausible { announced, possible });
    }
    Ok(snap::raw::Decoder::new().decompress_vec(block)?)
}

/// The length in bytes that a block says it decompresses to. Nothing is decompressed, so it may be
/// a lie.
///
/// # Errors
///
/// [`SnappyError::Header`] if the block does not begin with a length of 32 bits.
pub fn announced_len(block: &[u8]) -> Result<u64, SnappyError> {
    let (announced, _) = read_header(block).ok_or(SnappyError::Header)??;
    Ok(announced)
}

fn check_announced(announced: u64, max: usize) -> Result<(), SnappyError> {
    if usize::try_from(announced).is_ok_and(|announced| announced <= max) {
        Ok(())
    } else {
        Err(SnappyError::TooLong { announced, max })
    }
}

/// The most bytes that the format's encoders take for `announced` bytes, if they are all one
/// literal after the other.
fn max_block_len(announced: u64) -> u64 {
    32 + announced + announced / 6
}

/// The announced length and the number of bytes that it is written in; `None` if `block` ends
/// inside of them.
fn read_header(block: &[u8]) -> Option<Result<(u64, usize), SnappyError>> {
    const MAX_HEADER_BYTES: usize = 5;
    let mut announced = 0;
    for (index, byte) in block.iter().take(MAX_HEADER_BYTES).enumerate() {
        announced |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            let fits = u32::try_from(announced).is_ok();
            return Some(if fits { Ok((announced, index + 1)) } else { Err(SnappyError::Header) });
        }
    }
    (block.len() >= MAX_HEADER_BYTES).then_some(Err(SnappyError::Header))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MAX_INPUT_BYTES;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(bytes in prop::collection::vec(0..4u8, 0..5000)) {
            let block = compress(&bytes).unwrap();
            prop_assert_eq!(decompress(&block, bytes.len()).unwrap(), bytes);
        }

        #[test]
        fn any_bytes_are_an_error_or_at_most_the_limit(block in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(bytes) = decompress(&block, 100) {
                prop_assert!(bytes.len() <= 100);
            }
        }
    }

    #[test]
    fn the_limit_is_inclusive() {
        let block = compress(&[7; 1000]).unwrap();
        assert_eq!(decompress(&block, 1000).unwrap(), [7; 1000]);
        assert_eq!(
            decompress(&block, 999),
            Err(SnappyError::TooLong { announced: 1000, max: 999 })
        );
    }

    #[test]
    fn the_most_compressible_input_is_plausible() {
        let zeros = vec![0; 1 << 20];
        let block = compress(&zeros).unwrap();
        assert_eq!(decompress(&block, zeros.len()).unwrap(), zeros);
    }

    #[test]
    fn a_short_block_that_announces_much_is_refused_unread() {
        // 32 MiB announced, three bytes of tags.
        let block = [0x80, 0x80, 0x80, 0x10, 0xfe, 0x01, 0x00];
        assert_eq!(
            decompress(&block, MAX_INPUT_BYTES),
            Err(SnappyError::Implausible { announced: 32 << 20, possible: 64 })
        );
    }

    #[test]
    fn headers_that_are_none() {
        for block in [&[][..], &[0x80], &[0xff; 4], &[0xff; 9], &[0xff, 0xff, 0xff, 0xff, 0x1f]] {
            assert_eq!(decompress(block, usize::MAX), Err(SnappyError::Header), "{block:02x?}");
        }
    }

    #[test]
    fn a_block_announces_its_length() {
        let block = compress(&[7; 300]).unwrap();
        assert_eq!(announced_len(&block).unwrap(), 300);
        assert!(matches!(announced_len(&[]), Err(SnappyError::Header)));
        assert!(matches!(announced_len(&[0xff; 5]), Err(SnappyError::Header)));
    }

    #[test]
    fn nothing_may_follow_or_lack() {
        let mut block = compress(b"block specimen").unwrap();
        block.push(0);
        assert!(matches!(decompress(&block, 100), Err(SnappyError::Corrupt(_))));
        block.truncate(block.len() - 2);
        assert!(matches!(decompress(&block, 100), Err(SnappyError::Corrupt(_))));
        assert!(matches!(decompress(&[0, 0], 100), Err(SnappyError::Corrupt(_))));
    }

    #[test]
    fn an_empty_input_is_one_zero_byte() {
        assert_eq!(compress(&[]).unwrap(), [0]);
        assert_eq!(decompress(&[0], 0).unwrap(), [0; 0]);
    }
}
