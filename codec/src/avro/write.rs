//! Fields as AVRO bytes.
//!
//! A segment is written twice: first into a [`Length`], which only counts, then into a vector of
//! exactly that capacity. Counting costs little, as most of a segment is hex and base64 of known
//! length, and it saves the copies that a growing vector makes. It also finds every error before
//! anything is allocated.

use super::{
    error::{AvroEncodeError, EncodeFault},
    number,
};
use crate::{
    layout::FieldSink,
    path::FieldPath,
    replica::Profile,
    text::{NumberText, base64_len, number_digits},
};
use alloy_primitives::{Address, B256, Bytes, U256, hex};

/// Where AVRO bytes go.
pub(super) trait Output {
    /// Takes bytes as they are.
    fn put(&mut self, bytes: &[u8]);
    /// Takes one byte.
    fn put_byte(&mut self, byte: u8);
    /// Takes `0x` and the hex of `bytes`.
    fn put_hex<const N: usize>(&mut self, bytes: &[u8; N]);
    /// Takes the hex of `bytes` without `0x`.
    fn put_hex_digits(&mut self, bytes: &[u8]);
    /// Takes `0x` and the shortest hex of `number`.
    fn put_number(&mut self, number: &U256);
    /// Takes the base64 of `bytes`.
    fn put_base64(&mut self, bytes: &[u8]);
}

impl Output for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn put_byte(&mut self, byte: u8) {
        self.push(byte);
    }

    fn put_hex<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.put(hex::Buffer::<N, true>::new().format(bytes).as_bytes());
    }

    fn put_hex_digits(&mut self, bytes: &[u8]) {
        let (chunks, rest) = bytes.as_chunks::<32>();
        for chunk in chunks {
            self.put(hex::Buffer::<32>::new().format(chunk).as_bytes());
        }
        for byte in rest {
            self.put(hex::Buffer::<1>::new().format(&[*byte]).as_bytes());
        }
    }

    fn put_number(&mut self, number: &U256) {
        self.put(b"0x");
        self.put(NumberText::new(number).digits());
    }

    fn put_base64(&mut self, bytes: &[u8]) {
        base64_simd::STANDARD.encode_append(bytes, self);
    }
}

/// Counts bytes instead of keeping them.
#[derive(Debug, Default)]
pub(super) struct Length(pub(super) usize);

impl Output for Length {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn put_byte(&mut self, _: u8) {
        self.0 += 1;
    }

    fn put_hex<const N: usize>(&mut self, _: &[u8; N]) {
        self.0 += 2 + 2 * N;
    }

    fn put_hex_digits(&mut self, bytes: &[u8]) {
        self.0 += 2 * bytes.len();
    }

    fn put_number(&mut self, number: &U256) {
        self.0 += 2 + number_digits(number);
    }

    fn put_base64(&mut self, bytes: &[u8]) {
        self.0 += base64_len(bytes.len());
    }
}

/// Writes fields as AVRO in the layout of codec 0.38.
#[derive(Debug)]
pub(super) struct AvroSink<O> {
    pub(super) output: O,
    pub(super) profile: Profile,
}

impl<O: Output> AvroSink<O> {
    fn varint(&mut self, value: i64) {
        let mut rest = number::zig_zag(value);
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                return self.output.put_byte(low);
            }
            self.output.put_byte(low | 0x80);
        }
    }

    /// The length of a string or the count of a list: below 2^63, as nothing larger fits into
    /// memory.
    fn length(&mut self, length: usize) {
        self.varint(i64::try_from(length).unwrap_or(i64::MAX));
    }

    /// `0x` and hex behind its length, as an AVRO string.
    fn hex_string<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.length(2 + 2 * N);
        self.output.put_hex(bytes);
    }

    /// A list in one block: the count, the items, a zero. An empty list is the zero alone.
    fn array<T>(
        &mut self,
        items: &[T],
        mut write: impl FnMut(&mut Self, usize, &T) -> Result<(), AvroEncodeError>,
    ) -> Result<(), AvroEncodeError> {
        if !items.is_empty() {
            self.length(items.len());
            for (index, item) in items.iter().enumerate() {
                write(self, index, item)?;
            }
        }
        self.output.put_byte(0);
        Ok(())
    }
}

/// An error at a field of the record at hand.
fn at(name: &str, fault: EncodeFault) -> AvroEncodeError {
    AvroEncodeError { path: FieldPath::field(name), fault }
}

/// The same error as seen from the record that holds `outer`.
fn inside(error: AvroEncodeError, outer: FieldPath) -> AvroEncodeError {
    AvroEncodeError { path: error.path.inside(outer), ..error }
}

impl<O: Output> FieldSink for AvroSink<O> {
    type Error = AvroEncodeError;

    fn hash(&mut self, _: &'static str, hash: &B256) -> Result<(), AvroEncodeError> {
        self.hex_string(&hash.0);
        Ok(())
    }

    fn address(&mut self, _: &'static str, address: &Address) -> Result<(), AvroEncodeError> {
        self.hex_string(&address.0.0);
        Ok(())
    }

    fn number(&mut self, _: &'static str, number: &U256) -> Result<(), AvroEncodeError> {
        self.length(2 + number_digits(number));
        self.output.put_number(number);
        Ok(())
    }

    fn int(&mut self, name: &'static str, value: u64) -> Result<(), AvroEncodeError> {
        self.varint(number::int(value).map_err(|fault| at(name, fault))?);
        Ok(())
    }

    fn long(&mut self, name: &'static str, value: u64) -> Result<(), AvroEncodeError> {
        self.varint(number::long(value).map_err(|fault| at(name, fault))?);
        Ok(())
    }

    fn blockhash_number(&mut self, _: &'static str, value: u64) -> Result<(), AvroEncodeError> {
        self.varint(number::blockhash_number(value));
        Ok(())
    }

    fn authorization_nonce(&mut self, _: &'static str, value: u64) -> Result<(), AvroEncodeError> {
        self.varint(number::all_bits(value));
        Ok(())
    }

    fn flag(&mut self, _: &'static str, value: bool) -> Result<(), AvroEncodeError> {
        self.output.put_byte(value.into());
        Ok(())
    }

    fn text(&mut self, _: &'static str, text: &str) -> Result<(), AvroEncodeError> {
        self.length(text.len());
        self.output.put(text.as_bytes());
        Ok(())
    }

    fn base64(&mut self, _: &'static str, bytes: &[u8]) -> Result<(), AvroEncodeError> {
        self.length(base64_len(bytes.len()));
        self.output.put_base64(bytes);
        Ok(())
    }

    fn octets(&mut self, _: &'static str, bytes: &[u8]) -> Result<(), AvroEncodeError> {
        self.array(bytes, |sink, _, byte| {
            sink.varint((*byte).into());
            Ok(())
        })
    }

    fn hashes(&mut self, _: &'static str, hashes: &[B256]) -> Result<(), AvroEncodeError> {
        self.array(hashes, |sink, _, hash| {
            sink.hex_string(&hash.0);
            Ok(())
        })
    }

    fn addresses(&mut self, _: &'static str, items: &[Address]) -> Result<(), AvroEncodeError> {
        self.array(items, |sink, _, address| {
            sink.hex_string(&address.0.0);
            Ok(())
        })
    }

    fn hex_list(&mut self, _: &'static str, items: &[Bytes]) -> Result<(), AvroEncodeError> {
        self.array(items, |sink, _, bytes| {
            sink.length(2 + 2 * bytes.len());
            sink.output.put(b"0x");
            sink.output.put_hex_digits(bytes);
            Ok(())
        })
    }

    fn record(
        &mut self,
        name: &'static str,
        write: impl FnOnce(&mut Self) -> Result<(), AvroEncodeError>,
    ) -> Result<(), AvroEncodeError> {
        write(self).map_err(|error| inside(error, FieldPath::field(name)))
    }

    fn list<T>(
        &mut self,
        name: &'static str,
        items: &[T],
        write: impl Fn(&mut Self, &T) -> Result<(), AvroEncodeError>,
    ) -> Result<(), AvroEncodeError> {
        self.array(items, |sink, index, item| {
            write(sink, item).map_err(|error| inside(error, FieldPath::item(name, index)))
        })
    }

    /// `uncles`: null when empty, as the field then misses from the agent's record. The agent fails
    /// on any other, because it looks for the list under a different name; the schema allows it.
    fn list_unless_empty<T>(
        &mut self,
        name: &'static str,
        items: &[T],
        write: impl Fn(&mut Self, &T) -> Result<(), AvroEncodeError>,
    ) -> Result<(), AvroEncodeError> {
        let items = Some(items).filter(|items| !items.is_empty());
        self.optional(name, items, |sink, name, items| sink.list(name, items, write))
    }

    fn null(&mut self, _: &'static str) -> Result<(), AvroEncodeError> {
        self.varint(0);
        Ok(())
    }

    fn present(&mut self) {
        self.varint(1);
    }

    /// Zero is written as null, because the agent cannot tell the two apart.
    fn signature_number(
        &mut self,
        name: &'static str,
        value: Option<&U256>,
    ) -> Result<(), AvroEncodeError> {
        self.optional(name, value.filter(|value| !value.is_zero()), Self::number)
    }

    fn base_fee(&mut self, name: &'static str, value: Option<u64>) -> Result<(), AvroEncodeError> {
        let value = value.ok_or_else(|| at(name, EncodeFault::MissingBaseFee))?;
        self.number(name, &U256::from(value))
    }

    fn keeps_extensions(&self) -> bool {
        self.profile == Profile::Complete
    }

    fn codec_version(&mut self, name: &'static str, label: f64) -> Result<(), AvroEncodeError> {
        if super::profile_of_label(label).is_none() {
            return Err(at(name, EncodeFault::CodecVersion { found: label }));
        }
        self.output.put(&super::label_of_profile(self.profile).to_le_bytes());
        Ok(())
    }

    fn not_in_layout(&self, name: &'static str) -> AvroEncodeError {
        at(name, EncodeFault::NotInLayout)
    }
}
