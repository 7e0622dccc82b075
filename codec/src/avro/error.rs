//! What can be wrong with a segment to write or with bytes to read.

use crate::{
    limits::RecordBudgetExceeded, path::FieldPath, replica::UnknownReplicaKind, text::TextFault,
};

/// A segment that the layout cannot carry.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct AvroEncodeError {
    /// The field, from the segment's root.
    pub path: FieldPath,
    /// What is wrong with its value.
    pub fault: EncodeFault,
}

/// What is wrong with a value to write.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum EncodeFault {
    /// The field is an AVRO `int`.
    #[error(
        "{value} can't be carried: the network's format has an AVRO int there, which holds numbers below 2^31. No agent \
         can take blocks of a chain like this"
    )]
    IntOverflow {
        /// The value.
        value: u64,
    },
    /// The field is an AVRO `long` that passes through a double.
    #[error("{value} is too large, expected a number below 2^63 - 512")]
    LongOverflow {
        /// The value.
        value: u64,
    },
    /// A header from before London.
    #[error("missing, expected a base fee as every header has since London (EIP-1559)")]
    MissingBaseFee,
    /// A header field from after Prague.
    #[error("has a value, but codec 0.38 has no such field")]
    NotInLayout,
    /// A segment that says it is in another layout.
    #[error("{found} is not a label of the layout that is written, expected 0.38 or 100.38")]
    CodecVersion {
        /// The label.
        found: f64,
    },
}

/// Bytes that are not a segment in the layout of codec 0.38.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AvroDecodeError {
    /// More bytes than the reader takes.
    #[error("{len} bytes, expected at most {limit}")]
    TooLarge {
        /// Length of the input in bytes.
        len: usize,
        /// The limit, [`DecodeLimits::max_input_bytes`](crate::limits::DecodeLimits).
        limit: usize,
    },
    /// A field is not what the layout requires.
    #[error("{path} at byte {offset}: {fault}")]
    Field {
        /// The field, from the segment's root.
        path: FieldPath,
        /// Where the field begins, in bytes from the start of the input.
        offset: usize,
        /// What is wrong with it.
        fault: DecodeFault,
    },
    /// Bytes after the end of the segment.
    #[error("{count} bytes from byte {offset} on, expected the end after codecVersion")]
    TrailingBytes {
        /// Where the segment ended.
        offset: usize,
        /// How many bytes follow.
        count: usize,
    },
    /// The bytes end in the label of another layout.
    #[error("codec version {label}, expected 0.38 or 100.38")]
    UnsupportedCodec {
        /// The label. Where the layout did not fit, taken from the last 8 bytes.
        label: f64,
    },
}

/// What is wrong with a field that is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// The input ends within the field.
    #[error("expected {needed} more bytes, {remaining} remain")]
    UnexpectedEnd {
        /// Bytes that the field takes.
        needed: usize,
        /// Bytes that there are.
        remaining: usize,
    },
    /// Not a variable-length integer.
    #[error("expected a 64-bit integer of 1 to 10 bytes in its shortest form")]
    Varint,
    /// A number outside of the field's range.
    #[error("{found}, expected 0 to {max}")]
    Range {
        /// The number.
        found: i64,
        /// The largest number allowed.
        max: i64,
    },
    /// Not the index of one of a union's branches.
    #[error("union index {found}, expected 0 (null) or 1")]
    UnionIndex {
        /// The index.
        found: i64,
    },
    /// Not a boolean.
    #[error("byte {found}, expected 0 or 1")]
    Boolean {
        /// The byte.
        found: u8,
    },
    /// A list that promises more than there is.
    #[error("{count} items of at least {min_len} bytes each, {remaining} bytes remain")]
    Count {
        /// The items promised; 2^64 − 1 for a count that cannot be negated.
        count: u64,
        /// The fewest bytes that one of them takes.
        min_len: usize,
        /// Bytes that there are.
        remaining: usize,
    },
    /// A list whose records would take more memory than is left for them.
    #[error(transparent)]
    RecordBudget(#[from] RecordBudgetExceeded),
    /// A list's block that gives its size in bytes, but ends elsewhere.
    #[error("a block of {declared} bytes that ends after {used}")]
    BlockSize {
        /// The size given.
        declared: i64,
        /// The size found.
        used: usize,
    },
    /// A list whose length is fixed.
    #[error("{found} items, expected {expected}")]
    ItemCount {
        /// The items found.
        found: usize,
        /// The items expected.
        expected: usize,
    },
    /// A text in the wrong form.
    #[error(transparent)]
    Text(#[from] TextFault),
    /// A text that is not UTF-8.
    #[error("expected UTF-8")]
    Utf8,
    /// An unknown kind of replica.
    #[error(transparent)]
    Kind(#[from] UnknownReplicaKind),
}
