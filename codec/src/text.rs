//! The text forms that AVRO and JSON segments share: hashes, big numbers and base64.
//!
//! They come from bsp-agent v1.9.2, which passes every record through Go's JSON encoder before it
//! becomes AVRO.
//!
//! | form | text | example |
//! | --- | --- | --- |
//! | hash, address | `0x` and lower-case hex, full width | `0x00…2a` |
//! | big number | `0x` and lower-case hex without leading zeros, up to 256 bits | `0x0`, `0x2a` |
//! | bytes | standard base64 with padding | `AQ==` |
//!
//! Reading accepts exactly what writing yields: a text that reads is written back unchanged.

use alloy_primitives::{B256, FixedBytes, U256, hex};

/// A text that is not in the form its field requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// Not a hash or address.
    #[error("expected 0x and {digits} lower-case hex digits")]
    FixedHex {
        /// Hex digits expected after the prefix.
        digits: usize,
    },
    /// Not bytes in hex.
    #[error("expected 0x and an even number of lower-case hex digits")]
    Hex,
    /// Not a big number.
    #[error("expected 0x and 1 to 64 lower-case hex digits without leading zeros")]
    Number,
    /// A big number where the field holds at most 64 bits.
    #[error("expected a number below 2^64")]
    NumberTooWide,
    /// Not base64.
    #[error("expected standard base64 with padding")]
    Base64,
}

/// A big number as text, held on the stack.
pub(crate) struct NumberText {
    /// `0x` and 64 digits.
    padded: hex::Buffer<32, true>,
    /// Digits after leading zeros.
    digits: usize,
}

impl NumberText {
    pub(crate) fn new(number: &U256) -> Self {
        let mut padded = hex::Buffer::new();
        padded.format(&number.to_be_bytes());
        Self { padded, digits: number_digits(number) }
    }

    /// The digits without the prefix.
    pub(crate) fn digits(&self) -> &[u8] {
        let text = self.padded.as_bytes();
        text.get(text.len() - self.digits..).unwrap_or(text)
    }
}

/// How many hex digits a number takes, 1 to 64.
pub(crate) const fn number_digits(number: &U256) -> usize {
    let digits = number.bit_len().div_ceil(4);
    if digits == 0 { 1 } else { digits }
}

/// How many characters base64 takes for `len` bytes.
pub(crate) const fn base64_len(len: usize) -> usize {
    len.div_ceil(3) * 4
}

/// Reads a hash or an address.
pub(crate) fn parse_fixed<const N: usize>(text: &[u8]) -> Result<FixedBytes<N>, TextFault> {
    let fault = TextFault::FixedHex { digits: 2 * N };
    let digits = text.strip_prefix(b"0x").filter(|digits| digits.len() == 2 * N).ok_or(fault)?;
    let mut bytes = [0; N];
    decode_lower_hex(digits, &mut bytes).ok_or(fault)?;
    Ok(FixedBytes(bytes))
}

/// Reads bytes of any length in hex.
pub(crate) fn parse_hex(text: &[u8]) -> Result<Vec<u8>, TextFault> {
    let digits = text.strip_prefix(b"0x").filter(|d| d.len() % 2 == 0).ok_or(TextFault::Hex)?;
    let mut bytes = vec![0; digits.len() / 2];
    decode_lower_hex(digits, &mut bytes).ok_or(TextFault::Hex)?;
    Ok(bytes)
}

/// Reads a big number.
pub(crate) fn parse_number(text: &[u8]) -> Result<U256, TextFault> {
    let digits = text.strip_prefix(b"0x").ok_or(TextFault::Number)?;
    let leading_zero = digits.len() > 1 && digits.first() == Some(&b'0');
    if digits.is_empty() || leading_zero {
        return Err(TextFault::Number);
    }
    let mut padded = [b'0'; 64];
    let start = padded.len().checked_sub(digits.len()).ok_or(TextFault::Number)?;
    padded.get_mut(start..).ok_or(TextFault::Number)?.copy_from_slice(digits);
    let mut bytes = B256::ZERO;
    decode_lower_hex(&padded, bytes.as_mut_slice()).ok_or(TextFault::Number)?;
    Ok(U256::from_be_bytes(bytes.0))
}

/// Reads base64.
pub(crate) fn parse_base64(text: &[u8]) -> Result<Vec<u8>, TextFault> {
    base64_simd::STANDARD.decode_to_vec(text).map_err(|_| TextFault::Base64)
}

/// Decodes hex that has no upper-case digit into `bytes`, which it must fill.
fn decode_lower_hex(digits: &[u8], bytes: &mut [u8]) -> Option<()> {
    // No early exit, so that the compiler can look at many digits at once.
    let upper = digits.iter().fold(false, |found, digit| found | digit.is_ascii_uppercase());
    // The decoder would skip a second prefix.
    let prefixed = digits.get(1) == Some(&b'x');
    if upper || prefixed {
        return None;
    }
    hex::decode_to_slice(digits, bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::BASE64;
    use proptest::prelude::*;

    fn number_text(number: U256) -> String {
        format!("0x{}", String::from_utf8_lossy(NumberText::new(&number).digits()))
    }

    #[test]
    fn number_edges() {
        for (number, text) in [
            (U256::ZERO, "0x0".to_owned()),
            (U256::from(15), "0xf".to_owned()),
            (U256::from(16), "0x10".to_owned()),
            (U256::MAX, format!("0x{}", "f".repeat(64))),
        ] {
            assert_eq!(number_text(number), text);
            assert_eq!(parse_number(text.as_bytes()), Ok(number));
        }
        let too_long = format!("0x1{}", "0".repeat(64));
        let wrong =
            ["", "0", "0x", "0X0", "0x00", "0x01", "0xA", "0xg", "0x0x1", " 0x1", "0x1 ", "-0x1"];
        for text in wrong.into_iter().chain([too_long.as_str()]) {
            assert_eq!(parse_number(text.as_bytes()), Err(TextFault::Number), "{text}");
        }
    }

    #[test]
    fn fixed_hex_is_exact() {
        assert_eq!(parse_fixed(b"0x00ff"), Ok(FixedBytes([0, 255])));
        for text in
            ["", "0x", "00ff", "0x00f", "0x00FF", "0X00ff", "0x00fff", "0x0xff", "0x00f\u{e9}"]
        {
            let fault = Err(TextFault::FixedHex { digits: 4 });
            assert_eq!(parse_fixed::<2>(text.as_bytes()), fault, "{text}");
        }
    }

    #[test]
    fn hex_is_exact() {
        assert_eq!(parse_hex(b"0x"), Ok(vec![]));
        assert_eq!(parse_hex(b"0x0aff"), Ok(vec![10, 255]));
        for text in ["", "0a", "0xa", "0x0A", "0x0x", "0x0x0a"] {
            assert_eq!(parse_hex(text.as_bytes()), Err(TextFault::Hex), "{text}");
        }
    }

    #[test]
    fn base64_is_exact() {
        assert_eq!(parse_base64(b""), Ok(vec![]));
        assert_eq!(parse_base64(b"AQ=="), Ok(vec![1]));
        // Missing padding, stray bits, other alphabet, blanks, padding alone.
        for text in
            ["AQ", "AQ=", "AR==", "AAB=", "-_-_", "AQ==\n", " AQ==", "=", "====", "AQ==AQ=="]
        {
            assert_eq!(parse_base64(text.as_bytes()), Err(TextFault::Base64), "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_round_trip(limbs: [u64; 4], shift in 0usize..256) {
            let number = U256::from_limbs(limbs) >> shift;
            prop_assert_eq!(number_text(number), format!("{number:#x}"));
            prop_assert_eq!(number_digits(&number) + 2, format!("{number:#x}").len());
            prop_assert_eq!(parse_number(format!("{number:#x}").as_bytes()), Ok(number));
        }

        #[test]
        fn hex_that_reads_is_canonical(text in "(0x)?[0-9a-fA-Fx]{0,9}") {
            if let Ok(bytes) = parse_hex(text.as_bytes()) {
                prop_assert_eq!(hex::encode_prefixed(bytes), text);
            }
        }

        #[test]
        fn base64_agrees_with_another_decoder(text in "[A-D+/=_]{0,12}") {
            prop_assert_eq!(parse_base64(text.as_bytes()).ok(), BASE64.decode(text.as_bytes()).ok());
        }

        #[test]
        fn base64_agrees_with_another_encoder(bytes: Vec<u8>) {
            let text = BASE64.encode(&bytes);
            prop_assert_eq!(base64_len(bytes.len()), text.len());
            prop_assert_eq!(parse_base64(text.as_bytes()), Ok(bytes));
        }
    }
}
