//! The forms in which a replica lies in a file, and how to tell them apart.

use bsp_codec::foreign::begins_as_rlp;
use clap::ValueEnum;
use std::fmt;

/// The forms of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// AVRO segment, as pinned and as in the agent's folder.
    Avro,
    /// RLP, as in a stream entry after decompression.
    Rlp,
    /// Snappy block, as in a stream entry's `data` field.
    Snappy,
    /// JSON segment, as `bsp inspect --json` writes it.
    Json,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avro => "AVRO",
            Self::Rlp => "RLP",
            Self::Snappy => "snappy",
            Self::Json => "JSON",
        })
    }
}

impl Format {
    /// Tells the form by the first bytes. Snappy has no mark of its own: it is what nothing else
    /// is.
    pub(crate) fn detect(bytes: &[u8]) -> Self {
        match bytes {
            // One replicaEvent, whose first field is a hash of 66 characters.
            [0x02, 0x84, 0x01, b'0', b'x', ..] => Self::Avro,
            _ if begins_as_rlp(bytes) => Self::Rlp,
            _ if bytes.trim_ascii_start().starts_with(b"{") => Self::Json,
            _ => Self::Snappy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_told_by_its_beginning() {
        assert_eq!(Format::detect(b"\x02\x84\x010x4512"), Format::Avro);
        assert_eq!(Format::detect(b"\xfa\x1c\x00\x00\x8dblock-replica\x01"), Format::Rlp);
        assert_eq!(Format::detect(b"\xf9\x1c\x00\x8cblock-result\x01"), Format::Rlp);
        assert_eq!(Format::detect(b"{\"replicaEvent\": []}"), Format::Json);
        assert_eq!(Format::detect(b"\n  {}"), Format::Json);
    }

    #[test]
    fn a_snappy_block_whose_length_looks_like_a_list_is_snappy() {
        // 0xfa opens an RLP list, and is also the low byte of many a snappy block's length.
        let block = b"\xfa\xa1\xd8\x01\xf0\x40\xfa\x1c\x00\x00\x8dblock-replica\x01";
        assert_eq!(Format::detect(block), Format::Snappy);
    }

    #[test]
    fn what_is_nothing_else_is_taken_for_snappy() {
        for bytes in [&b""[..], b"\xf8", b"\xfb\xff\xff\xff\xff", b"hello"] {
            assert_eq!(Format::detect(bytes), Format::Snappy);
        }
    }
}
