//! What can be wrong with JSON to write or to read.

use crate::{
    limits::RecordBudgetExceeded, path::FieldPath, replica::UnknownReplicaKind, text::TextFault,
};
use std::{io, str::Utf8Error};

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
    /// Not UTF-8, as JSON is.
    #[error("not JSON: {0}")]
    Utf8(#[from] Utf8Error),
    /// Not JSON. Says the line and column.
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

impl JsonReadError {
    pub(super) const fn at(path: FieldPath, fault: JsonFault) -> Self {
        Self::Field { path, fault }
    }

    /// The same error as seen from the record that holds `outer`.
    pub(super) fn inside(self, outer: FieldPath) -> Self {
        match self {
            Self::Field { path, fault } => Self::at(path.inside(outer), fault),
            other => other,
        }
    }
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
    /// The record has two such fields.
    #[error("there twice")]
    Repeated,
    /// A record with far more fields than any has.
    #[error("more than {max} fields")]
    TooManyFields {
        /// The most fields that are checked.
        max: usize,
    },
    /// A value of another kind.
    #[error("{found}, expected {expected}")]
    Kind {
        /// The kind of the value.
        found: &'static str,
        /// The kind that the field has.
        expected: &'static str,
    },
    /// A number that no field can hold.
    #[error("expected a whole number from 0 to 2^64 - 1")]
    NotWhole,
    /// A text with an escape that stands for half a character.
    #[error("the text has an escaped surrogate without its other half")]
    Surrogate,
    /// A list that would take more memory than is left for records.
    #[error(transparent)]
    RecordBudget(#[from] RecordBudgetExceeded),
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
