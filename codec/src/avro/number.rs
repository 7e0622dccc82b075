//! What becomes of a number on its way into an AVRO `int` or `long`.
//!
//! bsp-agent v1.9.2 passes every record through Go's generic JSON values, where each number is an
//! IEEE double, and then through goavro, which checks the range. This module does the same up to
//! the point where the agent would stop working:
//!
//! | field | value | bsp-agent v1.9.2 | here |
//! | --- | --- | --- | --- |
//! | int | below 2^31 | exact | exact |
//! | int | 2^31 and above | panics | [`EncodeFault::IntOverflow`] |
//! | long | up to 2^53 | exact | exact |
//! | long | up to 2^63 − 513 | nearest double, ties to even: 2^53 + 1 becomes 2^53 | the same |
//! | long | 2^63 − 512 and above, which rounds to at least 2^63 | panics | [`EncodeFault::LongOverflow`] |
//! | `BlockhashRead.BlockNumber` | 2^63 − 512 and above | panics | 2^63 − 1 |
//! | `AuthList[].nonce` | any | never written | exact; from 2^63 on as a negative number |
//!
//! Any transaction can put any number into `BlockhashRead.BlockNumber`, by calling `BLOCKHASH` with
//! it. An error there would let a stranger stop the exporter, and such a number is never that of a
//! block: its hash is zero and no reader asks for it. So it saturates.
//!
//! An int is not rounded: every value below 2^31 is exact as a double.

use super::error::EncodeFault;

/// The first value that an int cannot hold: 2^31.
const INT_LIMIT: u64 = 1 << 31;

/// The first double that a long cannot hold: 2^63.
const LONG_LIMIT: f64 = 9_223_372_036_854_775_808.0;

/// The value of an `int` field.
pub(super) fn int(value: u64) -> Result<i64, EncodeFault> {
    match i64::try_from(value) {
        Ok(small) if value < INT_LIMIT => Ok(small),
        _ => Err(EncodeFault::IntOverflow { value }),
    }
}

/// The value of a `long` field.
pub(super) fn long(value: u64) -> Result<i64, EncodeFault> {
    // Both conversions round or saturate by design: see the table above.
    let rounded = value as f64;
    if rounded < LONG_LIMIT { Ok(rounded as i64) } else { Err(EncodeFault::LongOverflow { value }) }
}

/// The value of `BlockhashRead.BlockNumber`.
pub(super) fn blockhash_number(value: u64) -> i64 {
    long(value).unwrap_or(i64::MAX)
}

/// What a reader finds for a `BlockhashRead.BlockNumber` that was written: the number itself up to
/// 2^53, above that the nearest double, at most 2^63 − 1.
pub fn blockhash_number_as_written(value: u64) -> u64 {
    blockhash_number(value).unsigned_abs()
}

/// The value of an authorization's nonce: all 64 bits, so that those from 2^63 on are negative.
/// Anybody can put any nonce into an authorization, and it is signed, so it must neither fail nor
/// change. The network never writes this field.
pub(super) const fn all_bits(value: u64) -> i64 {
    value.cast_signed()
}

/// A value as AVRO writes it: small magnitudes of either sign become small numbers.
pub(super) const fn zig_zag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The inverse of [`zig_zag`].
pub(super) const fn zag_zig(code: u64) -> i64 {
    (code >> 1).cast_signed() ^ -(code & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ints_end_at_31_bits() {
        assert_eq!(int(0), Ok(0));
        assert_eq!(int((1 << 31) - 1), Ok(i64::from(i32::MAX)));
        for value in [1 << 31, 1 << 32, u64::MAX] {
            assert_eq!(int(value), Err(EncodeFault::IntOverflow { value }));
        }
    }

    #[test]
    fn longs_are_rounded_like_doubles() {
        for exact in [0, 1, (1 << 53) - 1, 1 << 53, (1 << 53) + 2, 1 << 62] {
            assert_eq!(long(exact), Ok(exact.cast_signed()));
        }
        // Halfway between two doubles: the even one.
        assert_eq!(long((1 << 53) + 1), Ok(1 << 53));
        assert_eq!(long((1 << 53) + 3), Ok((1 << 53) + 4));
        assert_eq!(long((1 << 63) - 513), Ok(i64::MAX - 1023));
    }

    #[test]
    fn authorization_nonces_keep_all_bits() {
        for value in [0, (1 << 53) + 1, 1 << 63, u64::MAX] {
            assert_eq!(all_bits(value).cast_unsigned(), value);
        }
    }

    #[test]
    fn longs_end_where_doubles_round_to_2_pow_63() {
        for value in [(1 << 63) - 512, 1 << 63, u64::MAX] {
            assert_eq!(long(value), Err(EncodeFault::LongOverflow { value }));
            assert_eq!(blockhash_number(value), i64::MAX);
        }
        assert_eq!(blockhash_number((1 << 53) + 1), 1 << 53);
        assert_eq!(blockhash_number((1 << 63) - 513), i64::MAX - 1023);
    }

    #[test]
    fn zig_zag_of_the_avro_specification() {
        for (value, code) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MAX, u64::MAX - 1)] {
            assert_eq!(zig_zag(value), code);
        }
        assert_eq!(zig_zag(i64::MIN), u64::MAX);
    }

    proptest! {
        #[test]
        fn zig_zag_round_trips(value: i64) {
            prop_assert_eq!(zag_zig(zig_zag(value)), value);
        }

        #[test]
        fn rounding_is_idempotent(value in 0u64..1 << 63) {
            if let Ok(rounded) = long(value) {
                prop_assert_eq!(long(rounded.cast_unsigned()), Ok(rounded));
            }
        }
    }
}
