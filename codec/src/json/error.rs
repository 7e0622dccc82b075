//! What can be wrong with JSON to write or to read.

use crate::{path::FieldPath, replica::UnknownReplicaKind, text::TextFault};
use std::io;

/// A segment or replica that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum JsonWriteError {
    /// The writer failed.
    #[error("cannot write JSON")]
    Io(#[from] io::Error),
    /// A header field from after Prague.
    #[error("{path}: has a value, but codec 0.38 has no such field")]
    NotInLayout {
        /// The field, from the root of what is written.
        path: FieldPath,
    },
}

/// Bytes that are not the JSON of a segment or replica.
#[derive(Debug, thiserror::Error)]
pub enum JsonReadError {
    /// More bytes than the reader takes.
    #[error("{len} bytes, expected at most {limit}")]
    TooLarge {
        /// Length of the input in bytes.
        len: usize,
        /// The limit, [`DecodeLimits::max_input_bytes`](crate::limits::DecodeLimits).
        limit: usize,
    },
    /// Not JSON, or JSON that no field has room for. Says the line and column.
    #[error(transparent)]
    Syntax(#[from] serde_json::Error),
    /// A field is not what the form requires.
    #[error("{path}: {fault}")]
    Field {
        /// The field, from the root of what is read.
        path: FieldPath,
        /// What is wrong with it.
        fault: JsonFault,
    },
}

/// What is wrong with a field that is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// The field is not there.
    #[error("missing")]
    Missing,
    /// The record has no such field.
    #[error("unknown field")]
    Unknown,
    /// A value of another kind.
    #[error("{found}, expected {expected}")]
    Kind {
        /// The kind of the value.
        found: &'static str,
        /// The kind that the field has.
        expected: &'static str,
    },
    /// A number outside of the field's range.
    #[error("{found}, expected 0 to {max}")]
    Range {
        /// The number.
        found: u64,
        /// The largest number allowed.
        max: u64,
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
    /// An unknown kind of replica.
    #[error(transparent)]
    ReplicaKind(#[from] UnknownReplicaKind),
}
