//! Writing RLP into a buffer of exactly the right size.
//!
//! Every record states its layout once, as a walk over its fields ([`Fields`]) that is generic in
//! what happens to them ([`Sink`]): [`Measure`] adds up lengths, [`Writer`] writes. A list's prefix
//! holds its length, so the writer measures each list before it writes it. That repeats the
//! measuring of a field once for each list around it (five at most), which costs far less than
//! moving payloads that were written too early.

use alloy_primitives::U256;

/// The prefix of an empty string, which is also zero and nil.
const EMPTY_STRING: u8 = 0x80;
/// The prefix of an empty list.
const EMPTY_LIST: u8 = 0xc0;
/// The longest string or list whose length fits the prefix byte itself.
const MAX_SHORT_LEN: usize = 55;

/// A record whose form is a list: the walk over its items.
pub(crate) trait Fields {
    /// Hands every item to `out`, in order.
    fn walk(&self, out: &mut impl Sink);
}

/// What a walk over a record's fields feeds.
pub(crate) trait Sink {
    /// A string.
    fn string(&mut self, bytes: &[u8]);
    /// An integer: big-endian without leading zeros.
    fn uint(&mut self, value: u64);
    /// A big integer, in the same form.
    fn uint256(&mut self, value: &U256);
    /// A list.
    fn list(&mut self, fields: &impl Fields);

    /// A list of records.
    fn list_of<T: Fields>(&mut self, records: &[T]) {
        self.list(&Elements(records));
    }

    /// A truth value, in the form of the integers 0 and 1.
    fn bool(&mut self, value: bool) {
        self.uint(u64::from(value));
    }

    /// A string, empty for nil.
    fn optional_string(&mut self, bytes: Option<&[u8]>) {
        self.string(bytes.unwrap_or_default());
    }

    /// A big integer, zero for nil.
    fn optional_uint256(&mut self, value: Option<&U256>) {
        self.uint256(value.unwrap_or(&U256::ZERO));
    }
}

/// `fields` as a list, in a buffer of exactly its length.
pub(crate) fn encode_list(fields: &impl Fields) -> Vec<u8> {
    let payload = measure(fields);
    let mut writer = Writer { out: Vec::with_capacity(list_len(payload)) };
    writer.prefix(EMPTY_LIST, payload);
    fields.walk(&mut writer);
    writer.out
}

/// Length of `fields` as a list.
pub(crate) fn encoded_list_len(fields: &impl Fields) -> usize {
    list_len(measure(fields))
}

/// Length of the items of `fields`, without the prefix of the list they make up.
fn measure(fields: &impl Fields) -> usize {
    let mut measure = Measure { len: 0 };
    fields.walk(&mut measure);
    measure.len
}

/// Length of a list, or of a string that is no single byte, with its prefix.
const fn list_len(payload: usize) -> usize {
    let prefix = if payload <= MAX_SHORT_LEN { 1 } else { 1 + significant_bytes(payload as u64) };
    prefix + payload
}

/// Bytes of `value` without leading zeros, none for zero.
const fn significant_bytes(value: u64) -> usize {
    8 - (value.leading_zeros() / 8) as usize
}

/// Whether `bytes` are their own encoding.
const fn is_bare(bytes: &[u8]) -> bool {
    matches!(bytes, [byte] if *byte < EMPTY_STRING)
}

/// Adds up the encoded length of a record's items.
struct Measure {
    len: usize,
}

impl Sink for Measure {
    fn string(&mut self, bytes: &[u8]) {
        self.len += if is_bare(bytes) { 1 } else { list_len(bytes.len()) };
    }

    fn uint(&mut self, value: u64) {
        self.len += if value < u64::from(EMPTY_STRING) { 1 } else { 1 + significant_bytes(value) };
    }

    fn uint256(&mut self, value: &U256) {
        let bits = value.bit_len();
        self.len += if bits < 8 { 1 } else { 1 + bits.div_ceil(8) };
    }

    fn list(&mut self, fields: &impl Fields) {
        self.len += list_len(measure(fields));
    }
}

/// Appends a record's items.
struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// The prefix of a string or list (told apart by `empty`, the prefix of an empty one).
    fn prefix(&mut self, empty: u8, len: usize) {
        match u8::try_from(len) {
            Ok(short) if len <= MAX_SHORT_LEN => self.out.push(empty + short),
            _ => {
                let bytes = (len as u64).to_be_bytes();
                let significant = significant_bytes(len as u64);
                // At most 8: the prefix stays in its range.
                self.out.push(empty + MAX_SHORT_LEN as u8 + significant as u8);
                self.out.extend_from_slice(&bytes[bytes.len() - significant..]);
            }
        }
    }
}

impl Sink for Writer {
    fn string(&mut self, bytes: &[u8]) {
        if !is_bare(bytes) {
            self.prefix(EMPTY_STRING, bytes.len());
        }
        self.out.extend_from_slice(bytes);
    }

    fn uint(&mut self, value: u64) {
        let bytes = value.to_be_bytes();
        self.string(&bytes[bytes.len() - significant_bytes(value)..]);
    }

    fn uint256(&mut self, value: &U256) {
        let bytes = value.to_be_bytes::<32>();
        self.string(&bytes[bytes.len() - value.bit_len().div_ceil(8)..]);
    }

    fn list(&mut self, fields: &impl Fields) {
        self.prefix(EMPTY_LIST, measure(fields));
        fields.walk(self);
    }
}

/// A list whose items are lists.
struct Elements<'a, T>(&'a [T]);

impl<T: Fields> Fields for Elements<'_, T> {
    fn walk(&self, out: &mut impl Sink) {
        for record in self.0 {
            out.list(record);
        }
    }
}

/// A list whose items are strings.
pub(crate) struct Strings<'a, T>(pub(crate) &'a [T]);

impl<T: AsRef<[u8]>> Fields for Strings<'_, T> {
    fn walk(&self, out: &mut impl Sink) {
        for string in self.0 {
            out.string(string.as_ref());
        }
    }
}
