//! Sizes as people write them.

use std::{fmt, str::FromStr};

/// A number of bytes: `67108864`, or with a unit, `64MiB`. `MB` and `M` mean the same as `MiB`, in
/// either case: 1024 x 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Binary units, the largest first.
const UNITS: [(&str, u64); 4] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl ByteSize {
    /// Mebibytes.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }
}

/// A text that is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "give a number of bytes, or one with KiB, MiB, GiB or TiB, such as 64MiB; 64MB and 64M mean the same"
)]
pub struct InvalidByteSize;

impl FromStr for ByteSize {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, InvalidByteSize> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (count, unit) = text.split_at(digits);
        let count: u64 = count.parse().map_err(|_| InvalidByteSize)?;
        let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(InvalidByteSize),
        };
        count.checked_mul(1 << shift).map(Self).ok_or(InvalidByteSize)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        match unit {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_unit_is_a_power_of_1024() {
        assert_eq!("17".parse(), Ok(ByteSize(17)));
        assert_eq!("17B".parse(), Ok(ByteSize(17)));
        for text in ["64MiB", "64 MiB", "64MB", "64m", "64mib", "65536KB"] {
            assert_eq!(text.parse(), Ok(ByteSize::mib(64)), "{text}");
        }
        assert_eq!("8 GiB".parse(), Ok(ByteSize(8 << 30)));
        assert_eq!("1T".parse(), Ok(ByteSize(1 << 40)));
        assert_eq!(ByteSize(8 << 30).to_string(), "8GiB");
        assert_eq!(ByteSize(0).to_string(), "0");
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in [
            "",
            "MiB",
            "-1",
            "+1",
            "1.5MiB",
            "64 mega",
            "64Mi",
            "16777216TiB",
            "9".repeat(30).as_str(),
        ] {
            assert_eq!(text.parse::<ByteSize>(), Err(InvalidByteSize), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(bytes in any::<u64>(), shift in 0u32..64) {
            let size = ByteSize(bytes >> shift << shift);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn any_text_is_answered(text in ".*") {
            let _ = text.parse::<ByteSize>();
        }
    }
}
