//! The id of a stream's entry.

use std::{fmt, str::FromStr};

/// `<milliseconds>-<number>`, in the order of the stream. Redis gives the time at which the entry
/// was added, on its own clock, unless the producer names another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// Tells those of one millisecond apart.
    pub seq: u64,
}

impl StreamId {
    /// Before every entry.
    pub const ZERO: Self = Self { ms: 0, seq: 0 };

    /// The id just before, or zero.
    pub const fn before(self) -> Self {
        match (self.ms, self.seq) {
            (0, 0) => Self::ZERO,
            (ms, 0) => Self { ms: ms - 1, seq: u64::MAX },
            (ms, seq) => Self { ms, seq: seq - 1 },
        }
    }

    /// The id just after, or the last there is.
    pub const fn after(self) -> Self {
        match (self.ms, self.seq) {
            (u64::MAX, u64::MAX) => self,
            (ms, u64::MAX) => Self { ms: ms + 1, seq: 0 },
            (ms, seq) => Self { ms, seq: seq + 1 },
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// Not an id: two decimal numbers joined by a hyphen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry's id is two numbers joined by a hyphen, as in 1700000000000-0")]
pub struct NotAStreamId;

impl FromStr for StreamId {
    type Err = NotAStreamId;

    fn from_str(text: &str) -> Result<Self, NotAStreamId> {
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse().map_err(|_| NotAStreamId),
            false => Err(NotAStreamId),
        };
        let (ms, seq) = text.split_once('-').ok_or(NotAStreamId)?;
        Ok(Self { ms: number(ms)?, seq: number(seq)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_stop_at_the_ends() {
        assert_eq!(StreamId::ZERO.before(), StreamId::ZERO);
        let last = StreamId { ms: u64::MAX, seq: u64::MAX };
        assert_eq!(last.after(), last);
        assert_eq!(StreamId { ms: 2, seq: 0 }.before().to_string(), format!("1-{}", u64::MAX));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "-", "1", "1-", "-1", "+1-0", "1-0-0", "1-x", "18446744073709551616-0"] {
            assert_eq!(text.parse::<StreamId>(), Err(NotAStreamId), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_is_read_as_it_is_shown(ms: u64, seq: u64) {
            let id = StreamId { ms, seq };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert!(id.before() <= id && id <= id.after());
            if id < id.after() {
                prop_assert_eq!(id.after().before(), id);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,50}") {
            let _ = text.parse::<StreamId>();
        }
    }
}
