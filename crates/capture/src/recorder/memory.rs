//! When geth refuses a call's memory ranges before it looks at anything else.

use alloy_primitives::U256;

/// Whether geth's memory size function accepts a call's input and output ranges (offset, length).
///
/// The check comes before the gas function, hence before the reads in it. Ranges that are merely
/// too expensive pass here: their gas is only charged after those reads.
pub(super) fn ranges_fit(ranges: [(U256, U256); 2]) -> bool {
    // The size is rounded up to words of 32 bytes, which must not overflow 64 bits either.
    const MAX_BYTES: u64 = u64::MAX - 31;
    ranges.into_iter().all(|range| end_of(range).is_some_and(|end| end <= MAX_BYTES))
}

/// The end of a range; zero for an empty one, wherever it lies. `None` where it does not fit 64
/// bits.
fn end_of((offset, length): (U256, U256)) -> Option<u64> {
    let length = u64::try_from(length).ok()?;
    if length == 0 {
        return Some(0);
    }
    u64::try_from(offset).ok()?.checked_add(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(offset: U256, length: U256) -> bool {
        let empty = (U256::ZERO, U256::ZERO);
        let inside = ranges_fit([(offset, length), empty]);
        assert_eq!(inside, ranges_fit([empty, (offset, length)]));
        inside
    }

    #[test]
    fn empty_ranges_lie_anywhere() {
        assert!(fits(U256::MAX, U256::ZERO));
    }

    #[test]
    fn the_end_must_fit_after_rounding_to_words() {
        assert!(fits(U256::from(u64::MAX - 32), U256::from(1)));
        assert!(!fits(U256::from(u64::MAX - 31), U256::from(1)));
        assert!(!fits(U256::from(u64::MAX), U256::from(1)));
        assert!(!fits(U256::from(1), U256::from(u64::MAX)));
    }

    #[test]
    fn offsets_and_lengths_must_be_64_bit() {
        let wide = U256::from(1) << 64;
        assert!(!fits(wide, U256::from(1)));
        assert!(!fits(U256::ZERO, wide));
    }
}
