//! Formats that are not a replica's, told by their first bytes: what a tool, a gateway or another
//! producer may have put where a replica is expected.

use crate::snappy;
use std::fmt;

/// A format that is not one of a replica's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignFormat {
    /// A segment as the agent writes it, where an entry of the stream is expected.
    Segment,
    /// A replica in RLP that is not compressed, where an entry of the stream is expected.
    Rlp,
    /// AVRO with its schema in the file.
    AvroContainer,
    /// AVRO with a fingerprint of its schema in front.
    AvroSingleObject,
    /// AVRO with the number of a schema registry in front.
    Confluent,
    /// An archive of IPFS blocks.
    Car,
    /// Snappy in frames with checksums.
    FramedSnappy,
    /// Snappy in blocks as snappy-java writes them.
    XerialSnappy,
    /// Snappy in blocks as Hadoop writes them.
    HadoopSnappy,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstandard,
    /// LZ4 in frames.
    Lz4,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// A ZIP archive.
    Zip,
    /// JSON.
    Json,
    /// HTML or XML.
    Markup,
    /// Hexadecimal digits.
    Hex,
    /// Base64.
    Base64,
}

/// A segment's beginning: one replicaEvent, whose first field is a hash of 66 characters.
const SEGMENT: &[u8] = b"\x02\x84\x010x";

/// Marks at the beginning. What has none is told by [`by_form`].
const MARKS: [(&[u8], ForeignFormat); 12] = [
    (SEGMENT, ForeignFormat::Segment),
    (b"Obj\x01", ForeignFormat::AvroContainer),
    (b"\xc3\x01", ForeignFormat::AvroSingleObject),
    (b"\xff\x06\x00\x00sNaPpY", ForeignFormat::FramedSnappy),
    (b"\x82SNAPPY\x00", ForeignFormat::XerialSnappy),
    (b"\x1f\x8b", ForeignFormat::Gzip),
    (b"\x28\xb5\x2f\xfd", ForeignFormat::Zstandard),
    (b"\x04\x22\x4d\x18", ForeignFormat::Lz4),
    (b"BZh", ForeignFormat::Bzip2),
    (b"\xfd7zXZ\x00", ForeignFormat::Xz),
    (b"PK\x03\x04", ForeignFormat::Zip),
    (b"<", ForeignFormat::Markup),
];

impl ForeignFormat {
    /// Tells the format of bytes that are not what was expected; `None` if it is not known.
    ///
    /// A raw snappy block can begin with any bytes, so ask only about what could not be read.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let marked = MARKS.into_iter().find(|(mark, _)| bytes.starts_with(mark));
        marked.map(|(_, format)| format).or_else(|| by_form(bytes)).or_else(|| by_text(bytes))
    }

    /// What to do with such bytes, where anything can be done.
    pub const fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::Segment | Self::Rlp | Self::Json | Self::Markup => return None,
            Self::AvroContainer => "a segment is one record alone, without schema and header",
            Self::AvroSingleObject => "a segment begins after its first 10 bytes",
            Self::Confluent => "a segment begins after its first 5 bytes",
            Self::Car => {
                "extract the file of its root, for example with `ipfs dag import` and `ipfs cat`"
            }
            Self::FramedSnappy | Self::XerialSnappy | Self::HadoopSnappy => {
                "the stream's entries are one raw snappy block"
            }
            Self::Gzip => "decompress it with gunzip",
            Self::Zstandard => "decompress it with zstd -d",
            Self::Lz4 => "decompress it with lz4 -d",
            Self::Bzip2 => "decompress it with bunzip2",
            Self::Xz => "decompress it with unxz",
            Self::Zip => "unpack it with unzip",
            Self::Hex => "turn it into bytes with xxd -r -p",
            Self::Base64 => "turn it into bytes with base64 -d",
        })
    }
}

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Segment => "an AVRO segment",
            Self::Rlp => "RLP that is not compressed",
            Self::AvroContainer => "an AVRO object container file",
            Self::AvroSingleObject => "AVRO in the single-object encoding",
            Self::Confluent => "AVRO in Confluent's wire format",
            Self::Car => "a CAR archive of IPFS",
            Self::FramedSnappy => "snappy in frames",
            Self::XerialSnappy => "snappy as snappy-java frames it",
            Self::HadoopSnappy => "snappy as Hadoop frames it",
            Self::Gzip => "gzip",
            Self::Zstandard => "Zstandard",
            Self::Lz4 => "LZ4",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Zip => "a ZIP archive",
            Self::Json => "JSON",
            Self::Markup => "HTML or XML",
            Self::Hex => "text of hexadecimal digits",
            Self::Base64 => "base64 text",
        })
    }
}

fn by_form(bytes: &[u8]) -> Option<ForeignFormat> {
    let after = |count: usize| bytes.get(count..).unwrap_or_default();
    if bytes.first() == Some(&0) && after(5).starts_with(SEGMENT) {
        return Some(ForeignFormat::Confluent);
    }
    if after(1).starts_with(b"\xa2\x65roots") {
        return Some(ForeignFormat::Car);
    }
    if begins_as_rlp(bytes) {
        return Some(ForeignFormat::Rlp);
    }
    // Two lengths in four bytes each, and snappy that announces the first of them.
    let length = |at: usize| {
        let four = bytes.get(at..)?.first_chunk::<4>()?;
        Some(u64::from(u32::from_be_bytes(*four)))
    };
    let announced = snappy::announced_len(after(8)).ok();
    let fits = length(4).is_some_and(|length| length <= after(8).len() as u64);
    (fits && announced.is_some() && announced == length(0)).then_some(ForeignFormat::HadoopSnappy)
}

/// Whether the bytes begin as a list whose length takes one to four bytes and whose first item is
/// one of the kinds of replica. The list's mark alone would not do: a snappy block begins with its
/// length, which can look the same.
pub fn begins_as_rlp(bytes: &[u8]) -> bool {
    let Some((mark @ 0xf8..=0xfb, rest)) = bytes.split_first() else { return false };
    let first_item = rest.get(usize::from(mark - 0xf7)..);
    matches!(first_item, Some([0x8c..=0x8e, b'b', b'l', b'o', b'c', b'k', b'-', ..]))
}

fn by_text(bytes: &[u8]) -> Option<ForeignFormat> {
    const SHORTEST: usize = 16;

    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
    if matches!(text.first(), Some(b'{' | b'[' | b'"')) {
        return Some(ForeignFormat::Json);
    }
    if text.first() == Some(&b'<') {
        return Some(ForeignFormat::Markup);
    }
    if text.len() < SHORTEST {
        return None;
    }
    let all = |is_one: fn(&u8) -> bool, text: &[u8]| {
        text.iter().all(|byte| byte.is_ascii_whitespace() || is_one(byte))
    };
    if all(u8::is_ascii_hexdigit, text.strip_prefix(b"0x").unwrap_or(text)) {
        return Some(ForeignFormat::Hex);
    }
    let in_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte);
    all(in_base64, text).then_some(ForeignFormat::Base64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_other_tools_write_is_told_by_its_name() {
        for (bytes, format) in [
            (&b"\x02\x84\x010x4512"[..], ForeignFormat::Segment),
            (b"\xf9\x02\x1a\x8dblock-replica\x01", ForeignFormat::Rlp),
            (b"Obj\x01\x04\x14avro.codec\x08null", ForeignFormat::AvroContainer),
            (b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08\x02", ForeignFormat::AvroSingleObject),
            (b"\x00\x00\x00\x00\x07\x02\x84\x010x45", ForeignFormat::Confluent),
            (b"\x3a\xa2\x65roots\x81\xd8", ForeignFormat::Car),
            (b"\xff\x06\x00\x00sNaPpY\x01", ForeignFormat::FramedSnappy),
            (b"\x82SNAPPY\x00\x00\x00\x00\x01", ForeignFormat::XerialSnappy),
            (b"\x00\x00\x00\x05\x00\x00\x00\x07\x05\x10hello", ForeignFormat::HadoopSnappy),
            (b"\x1f\x8b\x08\x00", ForeignFormat::Gzip),
            (b"\x28\xb5\x2f\xfd\x04", ForeignFormat::Zstandard),
            (b"\x04\x22\x4d\x18\x64", ForeignFormat::Lz4),
            (b"BZh91AY", ForeignFormat::Bzip2),
            (b"\xfd7zXZ\x00\x00", ForeignFormat::Xz),
            (b"PK\x03\x04\x14", ForeignFormat::Zip),
            (b"{\"error\":{\"code\":-32000}}", ForeignFormat::Json),
            (b"\xef\xbb\xbf [1]", ForeignFormat::Json),
            (b"<!DOCTYPE html>", ForeignFormat::Markup),
            (b"0xf9021a8d626c6f636b2d7265706c696361\n", ForeignFormat::Hex),
            (b"f9021a8d626c6f63\n6b2d7265706c6963", ForeignFormat::Hex),
            (b"+QIajWJsb2NrLXJlcGxpY2E=\n", ForeignFormat::Base64),
        ] {
            assert_eq!(ForeignFormat::of(bytes), Some(format), "{}", bytes.escape_ascii());
        }
        for bytes in [&b""[..], b"\x00", b"no segment", b"\x05\x10hello", b"\xf9\x02\x1a\xa0"] {
            assert_eq!(ForeignFormat::of(bytes), None, "{}", bytes.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(format) = ForeignFormat::of(&bytes) {
                prop_assert!(!format.to_string().is_empty());
            }
        }
    }
}
