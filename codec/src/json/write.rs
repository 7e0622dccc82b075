//! Fields as JSON.

use super::error::JsonWriteError;
use crate::{layout::FieldSink, path::FieldPath};
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde_json::ser::Formatter;
use std::io;

/// Writes fields as members of the current object.
pub(super) struct JsonSink<W, F> {
    out: W,
    formatter: F,
    /// Whether the next member is the first of its object.
    first: bool,
}

impl<W: io::Write, F: Formatter> JsonSink<W, F> {
    pub(super) const fn new(out: W, formatter: F) -> Self {
        Self { out, formatter, first: true }
    }

    /// An object with the members that `write` writes.
    pub(super) fn object(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), JsonWriteError>,
    ) -> Result<(), JsonWriteError> {
        let outer = std::mem::replace(&mut self.first, true);
        self.formatter.begin_object(&mut self.out)?;
        write(self)?;
        self.formatter.end_object(&mut self.out)?;
        self.first = outer;
        Ok(())
    }

    /// A member: its name, and the value that `write` writes.
    fn member(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Self) -> Result<(), JsonWriteError>,
    ) -> Result<(), JsonWriteError> {
        let first = std::mem::replace(&mut self.first, false);
        self.formatter.begin_object_key(&mut self.out, first)?;
        self.plain_text(name)?;
        self.formatter.end_object_key(&mut self.out)?;
        self.formatter.begin_object_value(&mut self.out)?;
        write(self)?;
        self.formatter.end_object_value(&mut self.out)?;
        Ok(())
    }

    /// A member that is a list; `write` is given each item and its index.
    fn list_member<T>(
        &mut self,
        name: &str,
        items: &[T],
        mut write: impl FnMut(&mut Self, usize, &T) -> Result<(), JsonWriteError>,
    ) -> Result<(), JsonWriteError> {
        self.member(name, |sink| {
            sink.formatter.begin_array(&mut sink.out)?;
            for (index, item) in items.iter().enumerate() {
                sink.formatter.begin_array_value(&mut sink.out, index == 0)?;
                write(sink, index, item)?;
                sink.formatter.end_array_value(&mut sink.out)?;
            }
            Ok(sink.formatter.end_array(&mut sink.out)?)
        })
    }

    /// A text that has nothing to escape.
    fn plain_text(&mut self, text: &str) -> Result<(), JsonWriteError> {
        self.formatter.begin_string(&mut self.out)?;
        self.formatter.write_string_fragment(&mut self.out, text)?;
        Ok(self.formatter.end_string(&mut self.out)?)
    }

    fn unsigned(&mut self, value: u64) -> Result<(), JsonWriteError> {
        Ok(self.formatter.write_u64(&mut self.out, value)?)
    }

    fn hex<const N: usize>(&mut self, bytes: &[u8; N]) -> Result<(), JsonWriteError> {
        self.plain_text(hex::Buffer::<N, true>::new().format(bytes))
    }
}

/// The same error as seen from the record that holds `outer`.
fn inside(error: JsonWriteError, outer: impl FnOnce() -> FieldPath) -> JsonWriteError {
    match error {
        JsonWriteError::NotInLayout { path } => {
            JsonWriteError::NotInLayout { path: path.inside(outer()) }
        }
        JsonWriteError::Io(error) => JsonWriteError::Io(error),
    }
}

impl<W: io::Write, F: Formatter> FieldSink for JsonSink<W, F> {
    type Error = JsonWriteError;

    fn hash(&mut self, name: &'static str, hash: &B256) -> Result<(), JsonWriteError> {
        self.member(name, |sink| sink.hex(&hash.0))
    }

    fn address(&mut self, name: &'static str, address: &Address) -> Result<(), JsonWriteError> {
        self.member(name, |sink| sink.hex(&address.0.0))
    }

    fn number(&mut self, name: &'static str, number: &U256) -> Result<(), JsonWriteError> {
        self.member(name, |sink| sink.plain_text(&format!("{number:#x}")))
    }

    fn int(&mut self, name: &'static str, value: u64) -> Result<(), JsonWriteError> {
        self.member(name, |sink| sink.unsigned(value))
    }

    fn long(&mut self, name: &'static str, value: u64) -> Result<(), JsonWriteError> {
        self.member(name, |sink| sink.unsigned(value))
    }

    fn blockhash_number(&mut self, name: &'static str, value: u64) -> Result<(), JsonWriteError> {
        self.member(name, |sink| sink.unsigned(value))
    }

    fn authorization_nonce(
        &mut self,
        name: &'static str,
        value: u64,
    ) -> Result<(), JsonWriteError> {
        self.member(name, |sink| sink.unsigned(value))
    }

    fn flag(&mut self, name: &'static str, value: bool) -> Result<(), JsonWriteError> {
        self.member(name, |sink| Ok(sink.formatter.write_bool(&mut sink.out, value)?))
    }

    fn text(&mut self, name: &'static str, text: &str) -> Result<(), JsonWriteError> {
        self.member(name, |sink| {
            serde_json::to_writer(&mut sink.out, text)
                .map_err(|error| JsonWriteError::Io(error.into()))
        })
    }

    fn base64(&mut self, name: &'static str, bytes: &[u8]) -> Result<(), JsonWriteError> {
        self.member(name, |sink| sink.plain_text(&base64_simd::STANDARD.encode_to_string(bytes)))
    }

    fn octets(&mut self, name: &'static str, bytes: &[u8]) -> Result<(), JsonWriteError> {
        self.list_member(name, bytes, |sink, _, byte| sink.unsigned((*byte).into()))
    }

    fn hashes(&mut self, name: &'static str, hashes: &[B256]) -> Result<(), JsonWriteError> {
        self.list_member(name, hashes, |sink, _, hash| sink.hex(&hash.0))
    }

    fn addresses(&mut self, name: &'static str, items: &[Address]) -> Result<(), JsonWriteError> {
        self.list_member(name, items, |sink, _, address| sink.hex(&address.0.0))
    }

    fn hex_list(&mut self, name: &'static str, items: &[Bytes]) -> Result<(), JsonWriteError> {
        self.list_member(name, items, |sink, _, bytes| {
            sink.plain_text(&hex::encode_prefixed(bytes))
        })
    }

    fn record(
        &mut self,
        name: &'static str,
        write: impl FnOnce(&mut Self) -> Result<(), JsonWriteError>,
    ) -> Result<(), JsonWriteError> {
        self.member(name, |sink| sink.object(write))
            .map_err(|error| inside(error, || FieldPath::field(name)))
    }

    fn list<T>(
        &mut self,
        name: &'static str,
        items: &[T],
        write: impl Fn(&mut Self, &T) -> Result<(), JsonWriteError>,
    ) -> Result<(), JsonWriteError> {
        self.list_member(name, items, |sink, index, item| {
            sink.object(|sink| write(sink, item))
                .map_err(|error| inside(error, || FieldPath::item(name, index)))
        })
    }

    /// `uncles`: left out when empty.
    fn list_unless_empty<T>(
        &mut self,
        name: &'static str,
        items: &[T],
        write: impl Fn(&mut Self, &T) -> Result<(), JsonWriteError>,
    ) -> Result<(), JsonWriteError> {
        if items.is_empty() { Ok(()) } else { self.list(name, items, write) }
    }

    fn null(&mut self, name: &'static str) -> Result<(), JsonWriteError> {
        self.member(name, |sink| Ok(sink.formatter.write_null(&mut sink.out)?))
    }

    fn present(&mut self) {}

    fn signature_number(
        &mut self,
        name: &'static str,
        value: Option<&U256>,
    ) -> Result<(), JsonWriteError> {
        self.optional(name, value, Self::number)
    }

    fn base_fee(&mut self, name: &'static str, value: Option<u64>) -> Result<(), JsonWriteError> {
        self.optional(name, value, |sink, name, fee| sink.number(name, &U256::from(fee)))
    }

    fn keeps_extensions(&self) -> bool {
        true
    }

    fn codec_version(&mut self, _: &'static str, _: f64) -> Result<(), JsonWriteError> {
        Ok(())
    }

    fn not_in_layout(&self, name: &'static str) -> JsonWriteError {
        JsonWriteError::NotInLayout { path: FieldPath::field(name) }
    }
}
