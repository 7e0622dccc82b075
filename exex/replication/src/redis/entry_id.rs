//! The id of a stream's entry.

use crate::Mark;
use std::fmt;

/// A stream's entry: milliseconds and a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct EntryId(pub(super) u64, pub(super) u64);

impl EntryId {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (milliseconds, counter) = text.split_once('-')?;
        Some(Self(milliseconds.parse().ok()?, counter.parse().ok()?))
    }

    /// The smallest id after this one.
    pub(super) const fn next(self) -> Self {
        match self.1.checked_add(1) {
            Some(counter) => Self(self.0, counter),
            None => Self(self.0.saturating_add(1), 0),
        }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl From<EntryId> for Mark {
    fn from(EntryId(milliseconds, counter): EntryId) -> Self {
        Self(u128::from(milliseconds) << 64 | u128::from(counter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_are_read_as_they_are_written_and_their_order_is_the_streams(a: (u64, u64), b: (u64, u64)) {
            let [one, other] = [a, b].map(|(milliseconds, counter)| EntryId(milliseconds, counter));
            prop_assert_eq!(EntryId::parse(&one.to_string()), Some(one));
            prop_assert_eq!(one < other, a < b);
            prop_assert_eq!(Mark::from(one) < Mark::from(other), a < b);
            prop_assert!(one < one.next() || one == EntryId(u64::MAX, u64::MAX));
        }

        #[test]
        fn no_text_is_too_odd_for_an_id(text in any::<String>()) {
            let _ = EntryId::parse(&text);
        }
    }
}
