//! Unsigned LEB128 integers: the length prefixes of a CAR file and the numbers of protobuf.

/// The most bytes that a 64-bit number takes.
pub(crate) const MAX_LEN: usize = 10;

/// Appends `value`, seven bits a byte, lowest first, in as few bytes as it takes.
pub(crate) fn write(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number off the front of `input`.
///
/// `None`, with `input` left alone, where it ends in the middle of a number, the number has more
/// than 64 bits, or is longer than it needs to be (with two encodings of a number a file would have
/// two hashes).
pub(crate) fn read(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (&byte, shift) in input.iter().zip((0u32..64).step_by(7)) {
        let bits = u64::from(byte & 0x7f);
        if bits.leading_zeros() < shift {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            let padded = byte == 0 && shift > 0;
            let rest = input.get(shift as usize / 7 + 1..)?;
            return (!padded).then(|| {
                *input = rest;
                value
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        write(value, &mut out);
        out
    }

    #[test]
    fn known_encodings() {
        assert_eq!(encoded(0), [0]);
        assert_eq!(encoded(127), [0x7f]);
        assert_eq!(encoded(128), [0x80, 0x01]);
        assert_eq!(encoded(300), [0xac, 0x02]);
        assert_eq!(encoded(u64::MAX), [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    }

    #[test]
    fn refuses_what_has_another_or_no_value() {
        for bad in [
            &[][..],
            &[0x80],
            &[0x80, 0x00],
            &[255, 255, 255, 255, 255, 255, 255, 255, 255, 2],
            &[0x80; 11],
        ] {
            let mut input = bad;
            assert_eq!(read(&mut input), None, "{bad:?}");
            assert_eq!(input, bad);
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(value: u64, rest: Vec<u8>) {
            let mut bytes = encoded(value);
            bytes.extend_from_slice(&rest);
            let mut input = bytes.as_slice();
            prop_assert_eq!(read(&mut input), Some(value));
            prop_assert_eq!(input, rest.as_slice());
        }
    }
}
