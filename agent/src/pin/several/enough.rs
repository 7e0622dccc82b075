//! How many pinners have to hold a content before its proof.

use std::{fmt, str::FromStr};

/// A number of them, or all, whatever their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Enough {
    /// Each of them.
    #[default]
    All,
    /// So many, at least one.
    AtLeast(usize),
}

/// A text that is no such rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give all, any, or the number of pinners that have to hold a segment before its proof")]
pub struct InvalidEnough;

impl Enough {
    /// The number of a total.
    pub const fn of(self, total: usize) -> usize {
        match self {
            Self::All => total,
            Self::AtLeast(count) => count,
        }
    }
}

impl FromStr for Enough {
    type Err = InvalidEnough;

    fn from_str(text: &str) -> Result<Self, InvalidEnough> {
        match text {
            "all" => Ok(Self::All),
            "any" => Ok(Self::AtLeast(1)),
            count => match count.parse() {
                Ok(0) | Err(_) => Err(InvalidEnough),
                Ok(count) => Ok(Self::AtLeast(count)),
            },
        }
    }
}

impl fmt::Display for Enough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::AtLeast(1) => f.write_str("any"),
            Self::AtLeast(count) => write!(f, "{count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_all_any_or_a_number() {
        for (text, of_three) in [("all", 3), ("any", 1), ("1", 1), ("2", 2)] {
            let rule: Enough = text.parse().unwrap();
            assert_eq!(rule.of(3), of_three);
            assert_eq!(rule.to_string().parse(), Ok(rule));
        }
        for text in ["", "0", "-1", "most", "1.5", "All"] {
            assert_eq!(text.parse::<Enough>(), Err(InvalidEnough), "{text}");
        }
    }
}
