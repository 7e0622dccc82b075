//! Reading RLP strictly: the shortest form of every length and integer, and nothing left over.

use super::error::{RlpDecodeError, RlpErrorKind};
use crate::{limits::RecordBudget, path::FieldPath};
use alloy_primitives::{Address, B256, Bytes, U256};
use std::ops::Range;

pub(super) type Result<T> = std::result::Result<T, RlpDecodeError>;

/// A record whose form is a list.
pub(crate) trait Record: Sized {
    /// The least number of bytes such a list has, prefix included. It bounds how many there can be
    /// in what is left of the input.
    const MIN_BYTES: usize;

    /// Reads the list's items.
    fn read(items: &mut Items<'_>) -> Result<Self>;
}

/// The items of a list (or the one item of an input) that are still to be read, in order.
///
/// Each reading method takes the name of the field that comes next, which goes into the error's
/// path.
#[derive(Debug, Clone)]
pub(crate) struct Items<'a> {
    /// The whole input, so that positions are offsets from its start.
    input: &'a [u8],
    /// The owner of `input`, if byte strings may share its memory.
    owner: Option<&'a Bytes>,
    /// What is left for the elements of lists, shared by the whole input.
    budget: &'a RecordBudget,
    position: usize,
    end: usize,
}

/// Where an item is, and which of the two kinds it is of.
#[derive(Debug)]
struct Item {
    is_list: bool,
    /// Offset of the prefix.
    offset: usize,
    /// Where the payload is. Always inside of the input.
    payload: Range<usize>,
}

/// The two kinds of item and the lengths that their first byte can mean.
enum Prefix {
    /// The byte is the string.
    Bare,
    /// The byte holds the payload's length.
    Short { is_list: bool, len: usize },
    /// The byte holds the length of the payload's length.
    Long { is_list: bool, len_bytes: usize },
}

impl Prefix {
    const fn of(byte: u8) -> Self {
        match byte {
            0x00..=0x7f => Self::Bare,
            0x80..=0xb7 => Self::Short { is_list: false, len: (byte - 0x80) as usize },
            0xb8..=0xbf => Self::Long { is_list: false, len_bytes: (byte - 0xb7) as usize },
            0xc0..=0xf7 => Self::Short { is_list: true, len: (byte - 0xc0) as usize },
            0xf8..=0xff => Self::Long { is_list: true, len_bytes: (byte - 0xf7) as usize },
        }
    }
}

impl<'a> Items<'a> {
    /// The item that `input` consists of.
    pub(crate) fn of(input: &'a [u8], budget: &'a RecordBudget) -> Self {
        Self { input, owner: None, budget, position: 0, end: input.len() }
    }

    /// The same; byte strings will be slices of `input` that share its memory.
    pub(crate) fn of_shared(input: &'a Bytes, budget: &'a RecordBudget) -> Self {
        Self { owner: Some(input), ..Self::of(input, budget) }
    }

    /// Whether there are no more items.
    pub(crate) fn is_empty(&self) -> bool {
        self.position >= self.end
    }

    /// Takes the items that are left for read, whatever they are.
    pub(crate) const fn skip_rest(&mut self) {
        self.position = self.end;
    }

    /// Reads the input's only item, a list.
    pub(crate) fn only_list<T>(mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let value = self.read_list(read)?;
        match self.end - self.position {
            0 => Ok(value),
            rest => Err(RlpDecodeError::new(self.position, RlpErrorKind::TrailingBytes(rest))),
        }
    }

    /// A list of exactly the items that `read` takes.
    pub(crate) fn list<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.read_list(read).map_err(in_field(name))
    }

    /// A list of one kind of record.
    pub(crate) fn list_of<T: Record>(&mut self, name: &'static str) -> Result<Vec<T>> {
        self.list(name, |items| {
            let count = items.count_lists(T::MIN_BYTES);
            items.each(count, |items| items.read_list(T::read))
        })
    }

    /// A list of strings of `N` bytes each.
    pub(crate) fn list_of_fixed<const N: usize, T: From<[u8; N]>>(
        &mut self,
        name: &'static str,
    ) -> Result<Vec<T>> {
        self.list(name, |items| {
            let count = (items.end - items.position) / (1 + N);
            items.each(count, |items| items.read_fixed().map(T::from))
        })
    }

    /// A list of strings of `len` bytes each, too long for arrays.
    pub(crate) fn list_of_bytes(&mut self, name: &'static str, len: usize) -> Result<Vec<Bytes>> {
        self.list(name, |items| {
            let count = (items.end - items.position) / (1 + len);
            items.each(count, |items| {
                let string = items.next_string()?;
                check_len(&string, len)?;
                Ok(items.to_bytes(string.payload))
            })
        })
    }

    /// Whatever `read` takes, unless there are no more items.
    pub(crate) fn unless_empty<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.is_empty() { Ok(None) } else { read(self).map(Some) }
    }

    /// A byte string.
    pub(crate) fn bytes(&mut self, name: &'static str) -> Result<Bytes> {
        let string = self.next_string().map_err(in_field(name))?;
        Ok(self.to_bytes(string.payload))
    }

    /// Text, in UTF-8.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<&'a str> {
        self.text_as(name, Ok)
    }

    /// A value that `parse` makes of a text.
    pub(crate) fn text_as<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&'a str) -> std::result::Result<T, RlpErrorKind>,
    ) -> Result<T> {
        let string = self.next_string().map_err(in_field(name))?;
        std::str::from_utf8(self.payload(&string))
            .map_err(|_| RlpErrorKind::NotUtf8)
            .and_then(parse)
            .map_err(|kind| RlpDecodeError::new(string.offset, kind))
            .map_err(in_field(name))
    }

    /// A string of `N` bytes.
    pub(crate) fn fixed<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N]> {
        self.read_fixed().map_err(in_field(name))
    }

    /// A hash, or anything else of 32 bytes.
    pub(crate) fn hash(&mut self, name: &'static str) -> Result<B256> {
        self.fixed(name).map(B256::new)
    }

    /// A hash, `None` for an empty string.
    pub(crate) fn optional_hash(&mut self, name: &'static str) -> Result<Option<B256>> {
        self.optional_fixed(name).map(|hash| hash.map(B256::new))
    }

    /// An address.
    pub(crate) fn address(&mut self, name: &'static str) -> Result<Address> {
        self.fixed(name).map(Address::new)
    }

    /// An address, `None` for an empty string.
    pub(crate) fn optional_address(&mut self, name: &'static str) -> Result<Option<Address>> {
        self.optional_fixed(name).map(|address| address.map(Address::new))
    }

    /// An integer of at most 8 bits.
    pub(crate) fn uint8(&mut self, name: &'static str) -> Result<u8> {
        // At most one byte of the eight is in use.
        self.read_uint(1).map(|value| value.to_be_bytes()[7]).map_err(in_field(name))
    }

    /// An integer of at most 32 bits.
    pub(crate) fn uint32(&mut self, name: &'static str) -> Result<u32> {
        let value = self.read_uint(4).map_err(in_field(name))?;
        let [_, _, _, _, a, b, c, d] = value.to_be_bytes();
        Ok(u32::from_be_bytes([a, b, c, d]))
    }

    /// An integer of at most 64 bits.
    pub(crate) fn uint(&mut self, name: &'static str) -> Result<u64> {
        self.read_uint(8).map_err(in_field(name))
    }

    /// An integer of at most 256 bits.
    pub(crate) fn uint256(&mut self, name: &'static str) -> Result<U256> {
        self.read_uint256().map_err(in_field(name))
    }

    /// An integer of at most 256 bits, `None` for zero.
    pub(crate) fn nonzero_uint256(&mut self, name: &'static str) -> Result<Option<U256>> {
        self.uint256(name).map(|value| (!value.is_zero()).then_some(value))
    }

    /// A truth value.
    pub(crate) fn bool(&mut self, name: &'static str) -> Result<bool> {
        let offset = self.position;
        match self.read_uint(1).map_err(in_field(name))? {
            0 => Ok(false),
            1 => Ok(true),
            other => {
                let kind = RlpErrorKind::NotABool(other.to_be_bytes()[7]);
                Err(RlpDecodeError::new(offset, kind).inside(FieldPath::field(name)))
            }
        }
    }

    fn optional_fixed<const N: usize>(&mut self, name: &'static str) -> Result<Option<[u8; N]>> {
        let string = self.next_string().map_err(in_field(name))?;
        if string.payload.is_empty() {
            return Ok(None);
        }
        self.to_array(&string).map(Some).map_err(in_field(name))
    }

    fn read_list<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let list = self.next_list()?;
        let mut items = Self { position: list.payload.start, end: list.payload.end, ..*self };
        let value = read(&mut items)?;
        match items.end - items.position {
            0 => Ok(value),
            rest => Err(RlpDecodeError::new(items.position, RlpErrorKind::ExtraItems(rest))),
        }
    }

    fn read_fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let string = self.next_string()?;
        self.to_array(&string)
    }

    fn read_uint(&mut self, max: usize) -> Result<u64> {
        let bytes = self.read_integer_bytes(max)?;
        Ok(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn read_uint256(&mut self) -> Result<U256> {
        let offset = self.position;
        let bytes = self.read_integer_bytes(32)?;
        U256::try_from_be_slice(bytes).ok_or_else(|| too_large(offset, 32, bytes.len()))
    }

    /// An integer's bytes, at most `max` of them, in its only form.
    fn read_integer_bytes(&mut self, max: usize) -> Result<&'a [u8]> {
        let string = self.next_string()?;
        let bytes = self.payload(&string);
        if bytes.first() == Some(&0) {
            return Err(RlpDecodeError::new(string.offset, RlpErrorKind::LeadingZero));
        }
        if bytes.len() > max {
            return Err(too_large(string.offset, max, bytes.len()));
        }
        Ok(bytes)
    }

    /// All items, each as `read` takes it. If there are more than `count`, reading one of them
    /// fails.
    fn each<T>(&mut self, count: usize, read: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut values = Vec::new();
        self.reserve(&mut values, count)?;
        while !self.is_empty() {
            let value = read(self).map_err(|e| e.inside(FieldPath::element(values.len())))?;
            self.reserve(&mut values, 1)?;
            values.push(value);
        }
        Ok(values)
    }

    fn reserve<T>(&self, values: &mut Vec<T>, additional: usize) -> Result<()> {
        self.budget
            .reserve(values, additional)
            .map_err(|exceeded| RlpDecodeError::new(self.position, exceeded.into()))
    }

    /// How many of the next items can be records of at least `min_bytes`.
    ///
    /// Counting them costs one step each and makes their vector exactly large enough. It ends at
    /// the first item that can't be one: reading will too.
    fn count_lists(&self, min_bytes: usize) -> usize {
        let mut ahead = self.clone();
        let mut count = 0;
        while let Ok(list) = ahead.next_list()
            && list.payload.end - list.offset >= min_bytes
        {
            count += 1;
        }
        count
    }

    fn next_list(&mut self) -> Result<Item> {
        let item = self.next_item()?;
        if item.is_list {
            Ok(item)
        } else {
            Err(RlpDecodeError::new(item.offset, RlpErrorKind::ExpectedList))
        }
    }

    fn next_string(&mut self) -> Result<Item> {
        let item = self.next_item()?;
        if item.is_list {
            Err(RlpDecodeError::new(item.offset, RlpErrorKind::ExpectedString))
        } else {
            Ok(item)
        }
    }

    /// Steps over the next item, whatever it is.
    fn next_item(&mut self) -> Result<Item> {
        let offset = self.position;
        let item = self.locate_item().map_err(|kind| RlpDecodeError::new(offset, kind))?;
        self.position = item.payload.end;
        Ok(item)
    }

    fn locate_item(&self) -> std::result::Result<Item, RlpErrorKind> {
        let offset = self.position;
        let left = self.input.get(offset..self.end).unwrap_or_default();
        let Some((first, rest)) = left.split_first() else { return Err(RlpErrorKind::Missing) };
        let (is_list, prefix_len, len) = match Prefix::of(*first) {
            Prefix::Bare => (false, 0, 1),
            Prefix::Short { is_list, len } => {
                if !is_list && len == 1 && rest.first().is_some_and(|byte| *byte < 0x80) {
                    return Err(RlpErrorKind::NotCanonical);
                }
                (is_list, 1, len)
            }
            Prefix::Long { is_list, len_bytes } => {
                (is_list, 1 + len_bytes, long_len(rest, len_bytes)?)
            }
        };
        let available = left.len() - prefix_len;
        if len > available {
            return Err(RlpErrorKind::Truncated { needed: len as u64, available });
        }
        let start = offset + prefix_len;
        Ok(Item { is_list, offset, payload: start..start + len })
    }

    fn payload(&self, item: &Item) -> &'a [u8] {
        self.input.get(item.payload.clone()).unwrap_or_default()
    }

    fn to_array<const N: usize>(&self, string: &Item) -> Result<[u8; N]> {
        check_len(string, N)?;
        self.payload(string).try_into().map_err(|_| wrong_len(string, N))
    }

    fn to_bytes(&self, payload: Range<usize>) -> Bytes {
        match self.owner {
            Some(owner) => owner.slice(payload),
            None => Bytes::copy_from_slice(self.input.get(payload).unwrap_or_default()),
        }
    }
}

/// The payload length that the `len_bytes` bytes after a long prefix state.
fn long_len(rest: &[u8], len_bytes: usize) -> std::result::Result<usize, RlpErrorKind> {
    let Some(bytes) = rest.get(..len_bytes) else {
        return Err(RlpErrorKind::Truncated { needed: len_bytes as u64, available: rest.len() });
    };
    // At most 8 bytes: nothing is shifted out.
    let len = bytes.iter().fold(0, |len: u64, byte| len << 8 | u64::from(*byte));
    if bytes.first() == Some(&0) || len <= 55 {
        return Err(RlpErrorKind::NotCanonical);
    }
    let available = rest.len() - len_bytes;
    usize::try_from(len).map_err(|_| RlpErrorKind::Truncated { needed: len, available })
}

fn check_len(string: &Item, expected: usize) -> Result<()> {
    if string.payload.len() == expected { Ok(()) } else { Err(wrong_len(string, expected)) }
}

fn wrong_len(string: &Item, expected: usize) -> RlpDecodeError {
    let kind = RlpErrorKind::WrongLength { expected, found: string.payload.len() };
    RlpDecodeError::new(string.offset, kind)
}

fn too_large(offset: usize, max: usize, found: usize) -> RlpDecodeError {
    RlpDecodeError::new(offset, RlpErrorKind::IntegerTooLarge { max, found })
}

fn in_field(name: &'static str) -> impl FnOnce(RlpDecodeError) -> RlpDecodeError {
    move |error| error.inside(FieldPath::field(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lists_that_can_be_records_are_counted() {
        let input = [0xc2, 1, 2, 0xc3, 1, 2, 3, 0xc1, 1, 0xc2, 1, 2];
        let budget = RecordBudget::new(0);
        let items = Items::of(&input, &budget);
        assert_eq!(items.count_lists(3), 2, "up to the one of two bytes");
        assert_eq!(items.count_lists(2), 4, "up to the end");
        assert_eq!(Items::of(&[0xc0; 1000], &budget).count_lists(17), 0);
        assert_eq!(Items::of(&[0xc2, 1, 2, 7], &budget).count_lists(1), 1, "up to the string");
    }
}
