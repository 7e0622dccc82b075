//! The fields of a protobuf message, one after the other, without decoding what is in them.

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) number: u64,
    pub(crate) value: Value<'a>,
}

/// What a field holds, by its wire type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// A number of 4 or 8 bytes.
    Fixed,
}

/// The message is broken off, or has a wire type that is out of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed protobuf")]
pub(crate) struct Malformed;

/// Walks over the fields of a message; ends after the first that is malformed.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn take(&mut self) -> Option<Field<'a>> {
        let key = self.number()?;
        let value = match key & 7 {
            0 => Value::Number(self.number()?),
            1 => self.bytes(8).map(|_| Value::Fixed)?,
            2 => {
                let len = usize::try_from(self.number()?).ok()?;
                Value::Bytes(self.bytes(len)?)
            }
            5 => self.bytes(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some(Field { number: key >> 3, value })
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.take();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tells_the_wire_types_apart() {
        let message =
            [0x08, 0xac, 0x02, 0x11, 1, 2, 3, 4, 5, 6, 7, 8, 0x1a, 1, b'x', 0x25, 1, 2, 3, 4];
        let fields: Vec<_> = Fields::new(&message).map(Result::unwrap).collect();
        let numbered = |number, value| Field { number, value };
        assert_eq!(
            fields,
            [
                numbered(1, Value::Number(300)),
                numbered(2, Value::Fixed),
                numbered(3, Value::Bytes(b"x")),
                numbered(4, Value::Fixed),
            ]
        );
    }

    #[test]
    fn ends_at_what_is_malformed() {
        for message in [&[0x0a, 2, 1][..], &[0x08], &[0x0b], &[0x11, 1], &[0xff; 11]] {
            let last = Fields::new(message).take(20).last();
            assert_eq!(last, Some(Err(Malformed)), "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn takes_any_bytes(message: Vec<u8>) {
            prop_assert!(Fields::new(&message).count() <= message.len());
        }
    }
}
