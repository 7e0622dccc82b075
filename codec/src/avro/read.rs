//! Fields from AVRO bytes.
//!
//! Nothing is reserved because a length says so: a length is first held against the bytes that
//! remain, and a list's against the record budget too.

use super::{
    error::{AvroDecodeError, DecodeFault},
    number,
};
use crate::{
    layout::{FieldSource, read::min_len},
    limits::RecordBudget,
    path::FieldPath,
    replica::{Replica, ReplicaKind},
    text::{TextFault, parse_base64, parse_fixed, parse_hex, parse_number},
};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};

/// Reads fields of the layout of codec 0.38 from AVRO.
#[derive(Debug)]
pub(super) struct AvroSource<'a> {
    /// What has not been read yet.
    rest: &'a [u8],
    /// How much has been read.
    offset: usize,
    /// What is left for the elements of lists.
    budget: RecordBudget,
}

impl<'a> AvroSource<'a> {
    pub(super) const fn new(bytes: &'a [u8], budget: RecordBudget) -> Self {
        Self { rest: bytes, offset: 0, budget }
    }

    /// An error unless everything has been read.
    pub(super) const fn finish(&self) -> Result<(), AvroDecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(AvroDecodeError::TrailingBytes { offset: self.offset, count: self.rest.len() })
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeFault> {
        let remaining = self.rest.len();
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(DecodeFault::UnexpectedEnd { needed: len, remaining })?;
        self.rest = rest;
        self.offset += len;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeFault> {
        let taken = self.take(N)?;
        taken
            .first_chunk()
            .copied()
            .ok_or(DecodeFault::UnexpectedEnd { needed: N, remaining: taken.len() })
    }

    /// A variable-length integer in its shortest form.
    fn varint(&mut self) -> Result<i64, DecodeFault> {
        let mut code = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take_array()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits << shift;
            let needless = shift > 0 && byte == 0;
            if needless || shifted >> shift != bits {
                return Err(DecodeFault::Varint);
            }
            code |= shifted;
            if byte & 0x80 == 0 {
                return Ok(number::zag_zig(code));
            }
        }
        Err(DecodeFault::Varint)
    }

    /// A number from 0 to `max`.
    fn at_most(&mut self, max: i64) -> Result<u64, DecodeFault> {
        let found = self.varint()?;
        u64::try_from(found).ok().filter(|_| found <= max).ok_or(DecodeFault::Range { found, max })
    }

    /// A string or bytes.
    fn string(&mut self) -> Result<&'a [u8], DecodeFault> {
        let length = self.at_most(i64::MAX)?;
        // On a 32-bit machine a length can be more than a usize, and is then more than what
        // remains.
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn fixed_hex<const N: usize>(&mut self) -> Result<FixedBytes<N>, DecodeFault> {
        Ok(parse_fixed(self.string()?)?)
    }

    fn utf8(&mut self) -> Result<&'a str, DecodeFault> {
        str::from_utf8(self.string()?).map_err(|_| DecodeFault::Utf8)
    }

    /// Whether a union of null and a value holds the value.
    fn is_present(&mut self) -> Result<bool, DecodeFault> {
        match self.varint()? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(DecodeFault::UnionIndex { found }),
        }
    }

    /// The head of a list's next block: its count and, where the block gives it, its size in bytes.
    /// A count of zero ends the list.
    fn block_head(&mut self, min_len: usize) -> Result<(usize, Option<i64>), DecodeFault> {
        let signed = self.varint()?;
        let size = if signed < 0 { Some(self.varint()?) } else { None };
        let remaining = self.rest.len();
        let count = usize::try_from(signed.unsigned_abs()).unwrap_or(usize::MAX);
        if count > remaining / min_len.max(1) {
            let count = signed.unsigned_abs();
            return Err(DecodeFault::Count { count, min_len, remaining });
        }
        Ok((count, size))
    }

    /// Marks what `read` finds wrong with the field `name` and where the field begins.
    fn named<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeFault>,
    ) -> Result<T, AvroDecodeError> {
        let offset = self.offset;
        read(self).map_err(|fault| at(FieldPath::field(name), offset, fault))
    }

    /// The blocks of a list, each item through `read`, which is given the item's index.
    fn blocks<T>(
        &mut self,
        name: &str,
        min_len: usize,
        read: impl Fn(&mut Self, usize) -> Result<T, AvroDecodeError>,
    ) -> Result<Vec<T>, AvroDecodeError> {
        let mut items = Vec::new();
        loop {
            let (count, size) = self.named(name, |source| {
                let (count, size) = source.block_head(min_len)?;
                source.budget.reserve(&mut items, count)?;
                Ok((count, size))
            })?;
            if count == 0 {
                return Ok(items);
            }
            let start = self.offset;
            for _ in 0..count {
                items.push(read(self, items.len())?);
            }
            let used = self.offset - start;
            if let Some(declared) = size.filter(|size| usize::try_from(*size) != Ok(used)) {
                let fault = DecodeFault::BlockSize { declared, used };
                return Err(at(FieldPath::field(name), start, fault));
            }
        }
    }

    /// A list of values that are not records.
    fn values<T>(
        &mut self,
        name: &str,
        min_len: usize,
        read: impl Fn(&mut Self) -> Result<T, DecodeFault>,
    ) -> Result<Vec<T>, AvroDecodeError> {
        self.blocks(name, min_len, |source, index| {
            let offset = source.offset;
            read(source).map_err(|fault| at(FieldPath::item(name, index), offset, fault))
        })
    }
}

fn at(path: FieldPath, offset: usize, fault: DecodeFault) -> AvroDecodeError {
    AvroDecodeError::Field { path, offset, fault }
}

/// The same error as seen from the record that holds `outer`.
fn inside(error: AvroDecodeError, outer: FieldPath) -> AvroDecodeError {
    match error {
        AvroDecodeError::Field { path, offset, fault } => at(path.inside(outer), offset, fault),
        other => other,
    }
}

impl FieldSource for AvroSource<'_> {
    type Error = AvroDecodeError;

    fn hash(&mut self, name: &'static str) -> Result<B256, AvroDecodeError> {
        self.named(name, Self::fixed_hex)
    }

    fn address(&mut self, name: &'static str) -> Result<Address, AvroDecodeError> {
        self.named(name, Self::fixed_hex).map(Address)
    }

    fn number(&mut self, name: &'static str) -> Result<U256, AvroDecodeError> {
        self.named(name, |source| Ok(parse_number(source.string()?)?))
    }

    fn number_u64(&mut self, name: &'static str) -> Result<u64, AvroDecodeError> {
        self.named(name, |source| {
            let number = parse_number(source.string()?)?;
            Ok(u64::try_from(number).map_err(|_| TextFault::NumberTooWide)?)
        })
    }

    fn byte(&mut self, name: &'static str) -> Result<u8, AvroDecodeError> {
        self.named(name, small_byte)
    }

    fn int(&mut self, name: &'static str) -> Result<u64, AvroDecodeError> {
        self.named(name, |source| source.at_most(i32::MAX.into()))
    }

    fn long(&mut self, name: &'static str) -> Result<u64, AvroDecodeError> {
        self.named(name, |source| source.at_most(i64::MAX))
    }

    fn authorization_nonce(&mut self, name: &'static str) -> Result<u64, AvroDecodeError> {
        self.named(name, |source| Ok(source.varint()?.cast_unsigned()))
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, AvroDecodeError> {
        self.named(name, |source| match source.take_array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [found] => Err(DecodeFault::Boolean { found }),
        })
    }

    fn text(&mut self, name: &'static str) -> Result<String, AvroDecodeError> {
        self.named(name, |source| source.utf8().map(ToOwned::to_owned))
    }

    fn kind(&mut self, name: &'static str) -> Result<ReplicaKind, AvroDecodeError> {
        self.named(name, |source| Ok(source.utf8()?.parse()?))
    }

    fn base64(&mut self, name: &'static str) -> Result<Bytes, AvroDecodeError> {
        self.named(name, |source| Ok(parse_base64(source.string()?)?.into()))
    }

    fn octets<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], AvroDecodeError> {
        let offset = self.offset;
        let items = self.values(name, 1, small_byte)?;
        let fault = DecodeFault::ItemCount { found: items.len(), expected: N };
        items.try_into().map_err(|_| at(FieldPath::field(name), offset, fault))
    }

    fn hashes(&mut self, name: &'static str) -> Result<Vec<B256>, AvroDecodeError> {
        self.values(name, min_len::HASH, Self::fixed_hex)
    }

    fn addresses(&mut self, name: &'static str) -> Result<Vec<Address>, AvroDecodeError> {
        self.values(name, min_len::ADDRESS, |source| source.fixed_hex().map(Address))
    }

    fn hex_list(&mut self, name: &'static str) -> Result<Vec<Bytes>, AvroDecodeError> {
        self.values(name, min_len::HEX, |source| Ok(parse_hex(source.string()?)?.into()))
    }

    fn record<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, AvroDecodeError>,
    ) -> Result<T, AvroDecodeError> {
        read(self).map_err(|error| inside(error, FieldPath::field(name)))
    }

    fn list<T>(
        &mut self,
        name: &'static str,
        min_len: usize,
        read: impl Fn(&mut Self) -> Result<T, AvroDecodeError>,
    ) -> Result<Vec<T>, AvroDecodeError> {
        self.blocks(name, min_len, |source, index| {
            read(source).map_err(|error| inside(error, FieldPath::item(name, index)))
        })
    }

    /// Null and an empty list both read as empty; only null is ever written.
    fn list_unless_empty<T>(
        &mut self,
        name: &'static str,
        min_len: usize,
        read: impl Fn(&mut Self) -> Result<T, AvroDecodeError>,
    ) -> Result<Vec<T>, AvroDecodeError> {
        let items = self.optional(name, |source, name| source.list(name, min_len, read))?;
        Ok(items.unwrap_or_default())
    }

    fn only_item<T>(
        &mut self,
        name: &'static str,
        min_len: usize,
        read: impl Fn(&mut Self) -> Result<T, AvroDecodeError>,
    ) -> Result<T, AvroDecodeError> {
        let offset = self.offset;
        let items = self.list(name, min_len, read)?;
        let fault = DecodeFault::ItemCount { found: items.len(), expected: 1 };
        let [item] =
            <[T; 1]>::try_from(items).map_err(|_| at(FieldPath::field(name), offset, fault))?;
        Ok(item)
    }

    fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Result<T, AvroDecodeError>,
    ) -> Result<Option<T>, AvroDecodeError> {
        if self.named(name, Self::is_present)? { read(self, name).map(Some) } else { Ok(None) }
    }

    fn base_fee(&mut self, name: &'static str) -> Result<Option<u64>, AvroDecodeError> {
        self.number_u64(name).map(Some)
    }

    fn codec_version(&mut self, name: &'static str, _: &Replica) -> Result<f64, AvroDecodeError> {
        let label = f64::from_le_bytes(self.named(name, Self::take_array)?);
        match super::profile_of_label(label) {
            Some(_) => Ok(label),
            None => Err(AvroDecodeError::UnsupportedCodec { label }),
        }
    }
}

/// A number from 0 to 255.
fn small_byte(source: &mut AvroSource<'_>) -> Result<u8, DecodeFault> {
    let found = source.varint()?;
    u8::try_from(found).map_err(|_| DecodeFault::Range { found, max: u8::MAX.into() })
}
