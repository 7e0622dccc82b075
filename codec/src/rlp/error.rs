//! Why a replica could not be read or written, and where.

use crate::{UnknownReplicaKind, limits::RecordBudgetExceeded, path::FieldPath};
use std::fmt;

/// Bytes that are not a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RlpDecodeError {
    /// Boxed, so that the results of the many small reads of a good input stay small.
    details: Box<Details>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Details {
    path: FieldPath,
    offset: usize,
    kind: RlpErrorKind,
}

impl RlpDecodeError {
    pub(crate) fn new(offset: usize, kind: RlpErrorKind) -> Self {
        Self { details: Box::new(Details { path: FieldPath::default(), offset, kind }) }
    }

    /// The same error as seen from the record or list that holds `outer`.
    pub(crate) fn inside(mut self, outer: FieldPath) -> Self {
        self.details.path = std::mem::take(&mut self.details.path).inside(outer);
        self
    }

    /// The field that could not be read.
    pub fn path(&self) -> &FieldPath {
        &self.details.path
    }

    /// Where that field starts, in bytes from the start of the input.
    pub fn offset(&self) -> usize {
        self.details.offset
    }

    /// What is wrong with it.
    pub fn kind(&self) -> &RlpErrorKind {
        &self.details.kind
    }
}

impl fmt::Display for RlpDecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { path, offset, kind } = &*self.details;
        write!(f, "{path} at byte {offset}: {kind}")
    }
}

impl std::error::Error for RlpDecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.details.kind {
            RlpErrorKind::UnknownKind(unknown) => Some(unknown),
            _ => None,
        }
    }
}

/// What can be wrong with an item of RLP. Lengths are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RlpErrorKind {
    /// The input is longer than the limit; nothing of it was read.
    #[error("the input has {len} bytes, at most {max} are read")]
    InputTooLong {
        /// Length of the input.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The list's records would take more memory than is left for them.
    #[error(transparent)]
    RecordBudget(#[from] RecordBudgetExceeded),
    /// The input or the enclosing list ends before the item does.
    #[error("the item needs {needed} bytes, {available} are left")]
    Truncated {
        /// What the item's first bytes announce, prefix excluded.
        needed: u64,
        /// What is left of the enclosing list or of the input.
        available: usize,
    },
    /// The enclosing list or the input ends where the item should start.
    #[error("missing, no bytes are left for it")]
    Missing,
    /// A string where the layout has a list.
    #[error("expected a list, found a string")]
    ExpectedList,
    /// A list where the layout has a string.
    #[error("expected a string, found a list")]
    ExpectedString,
    /// A string of another length than the layout's.
    #[error("expected {expected} bytes, found {found}")]
    WrongLength {
        /// The layout's length.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// The item's length or its single byte is not written in its shortest form.
    #[error("not in its shortest form")]
    NotCanonical,
    /// An integer with a leading zero byte.
    #[error("an integer starts with a zero byte")]
    LeadingZero,
    /// An integer that its field can't hold.
    #[error("expected an integer of at most {max} bytes, found {found} bytes")]
    IntegerTooLarge {
        /// What the field holds.
        max: usize,
        /// Length of the integer.
        found: usize,
    },
    /// A truth value that is neither `01` nor `80`.
    #[error("expected 01 or 80 for a truth value, found {0:02x}")]
    NotABool(
        /// The byte found.
        u8,
    ),
    /// Text that is not UTF-8.
    #[error("expected UTF-8 text")]
    NotUtf8,
    /// Text that is not a hash.
    #[error("expected 0x and 64 lower-case hexadecimal digits")]
    NotAHash,
    /// A `Type` that is none of the three.
    #[error(transparent)]
    UnknownKind(#[from] UnknownReplicaKind),
    /// A list continues after the last item of its layout.
    #[error("{0} bytes follow the last item of the layout")]
    ExtraItems(
        /// How many bytes of items there are too many.
        usize,
    ),
    /// The input continues after the replica.
    #[error("{0} bytes follow the end of the input's only item")]
    TrailingBytes(
        /// How many.
        usize,
    ),
}

/// A replica that the layout has no room for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RlpEncodeError {
    /// The layout's header ends with `requestsHash`; this one continues, and would no longer hash
    /// to the block's hash if it were cut there.
    #[error("{path}: has a value, but the layout's header ends with requestsHash")]
    NotInLayout {
        /// The field, from the root of the replica.
        path: FieldPath,
    },
}
