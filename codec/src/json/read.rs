//! Fields from JSON.

use super::{
    error::{JsonFault, JsonReadError},
    raw::{JsonFields, JsonValue},
};
use crate::{
    avro::label_of_profile,
    layout::FieldSource,
    limits::RecordBudget,
    path::FieldPath,
    replica::{Replica, ReplicaKind},
    text::{TextFault, parse_base64, parse_fixed, parse_hex, parse_number},
};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use std::borrow::Cow;

/// Takes fields out of an object until nothing is left.
#[derive(Debug)]
pub(super) struct JsonSource<'a> {
    fields: JsonFields<'a>,
    /// What is left for the elements of lists, shared by the whole document.
    budget: &'a RecordBudget,
}

impl<'a> JsonSource<'a> {
    /// Reads the fields of an object, of which none may be left over. Errors are as seen from the
    /// object.
    pub(super) fn object<T>(
        value: JsonValue<'a>,
        budget: &'a RecordBudget,
        read: impl FnOnce(&mut Self) -> Result<T, JsonReadError>,
    ) -> Result<T, JsonReadError> {
        let object = value.object().map_err(|fault| at(FieldPath::default(), fault))?;
        let mut source = Self { fields: object.fields()?, budget };
        let value = read(&mut source)?;
        match source.fields.first() {
            Some((name, _)) => Err(at(FieldPath::from_input(name), JsonFault::Unknown)),
            None => Ok(value),
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|(field, _)| field == name)
    }

    fn take(&mut self, name: &str) -> Result<JsonValue<'a>, JsonReadError> {
        let position = self.position(name);
        let position = position.ok_or_else(|| at(FieldPath::field(name), JsonFault::Missing))?;
        Ok(self.fields.swap_remove(position).1)
    }

    /// Reads a field that is not a record.
    fn value<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(JsonValue<'a>) -> Result<T, JsonFault>,
    ) -> Result<T, JsonReadError> {
        read(self.take(name)?).map_err(|fault| at(FieldPath::field(name), fault))
    }

    /// Reads a list, whose items `read` reports errors about as seen from the item.
    fn items<T>(
        &mut self,
        name: &str,
        read: impl Fn(JsonValue<'a>) -> Result<T, JsonReadError>,
    ) -> Result<Vec<T>, JsonReadError> {
        let list = self.value(name, JsonValue::list)?;
        let mut items = Vec::new();
        list.for_each(|item| {
            self.budget
                .reserve(&mut items, 1)
                .map_err(|exceeded| at(FieldPath::field(name), exceeded.into()))?;
            let index = items.len();
            items.push(read(item).map_err(|error| error.inside(FieldPath::item(name, index)))?);
            Ok(())
        })?;
        Ok(items)
    }

    /// Reads a list of values that are not records.
    fn values<T>(
        &mut self,
        name: &str,
        read: impl Fn(JsonValue<'a>) -> Result<T, JsonFault>,
    ) -> Result<Vec<T>, JsonReadError> {
        self.items(name, |item| read(item).map_err(|fault| at(FieldPath::default(), fault)))
    }
}

fn at(path: FieldPath, fault: JsonFault) -> JsonReadError {
    JsonReadError::at(path, fault)
}

fn octet(value: JsonValue<'_>) -> Result<u8, JsonFault> {
    let found = value.number()?;
    u8::try_from(found).map_err(|_| JsonFault::Range { found, max: u8::MAX.into() })
}

fn fixed_hex<const N: usize>(value: JsonValue<'_>) -> Result<FixedBytes<N>, JsonFault> {
    Ok(parse_fixed(value.text()?.as_bytes())?)
}

fn narrow_number(value: JsonValue<'_>) -> Result<u64, JsonFault> {
    let number = parse_number(value.text()?.as_bytes())?;
    Ok(u64::try_from(number).map_err(|_| TextFault::NumberTooWide)?)
}

impl FieldSource for JsonSource<'_> {
    type Error = JsonReadError;

    fn hash(&mut self, name: &'static str) -> Result<B256, JsonReadError> {
        self.value(name, fixed_hex)
    }

    fn address(&mut self, name: &'static str) -> Result<Address, JsonReadError> {
        self.value(name, fixed_hex).map(Address)
    }

    fn number(&mut self, name: &'static str) -> Result<U256, JsonReadError> {
        self.value(name, |value| Ok(parse_number(value.text()?.as_bytes())?))
    }

    fn number_u64(&mut self, name: &'static str) -> Result<u64, JsonReadError> {
        self.value(name, narrow_number)
    }

    fn byte(&mut self, name: &'static str) -> Result<u8, JsonReadError> {
        self.value(name, octet)
    }

    fn int(&mut self, name: &'static str) -> Result<u64, JsonReadError> {
        self.value(name, JsonValue::number)
    }

    fn long(&mut self, name: &'static str) -> Result<u64, JsonReadError> {
        self.value(name, JsonValue::number)
    }

    fn authorization_nonce(&mut self, name: &'static str) -> Result<u64, JsonReadError> {
        self.value(name, JsonValue::number)
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, JsonReadError> {
        self.value(name, JsonValue::flag)
    }

    fn text(&mut self, name: &'static str) -> Result<String, JsonReadError> {
        self.value(name, |value| value.text().map(Cow::into_owned))
    }

    fn kind(&mut self, name: &'static str) -> Result<ReplicaKind, JsonReadError> {
        self.value(name, |value| Ok(value.text()?.parse()?))
    }

    fn base64(&mut self, name: &'static str) -> Result<Bytes, JsonReadError> {
        self.value(name, |value| Ok(parse_base64(value.text()?.as_bytes())?.into()))
    }

    fn octets<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], JsonReadError> {
        let items = self.values(name, octet)?;
        let fault = JsonFault::ItemCount { found: items.len(), expected: N };
        items.try_into().map_err(|_| at(FieldPath::field(name), fault))
    }

    fn hashes(&mut self, name: &'static str) -> Result<Vec<B256>, JsonReadError> {
        self.values(name, fixed_hex)
    }

    fn addresses(&mut self, name: &'static str) -> Result<Vec<Address>, JsonReadError> {
        self.values(name, |value| fixed_hex(value).map(Address))
    }

    fn hex_list(&mut self, name: &'static str) -> Result<Vec<Bytes>, JsonReadError> {
        self.values(name, |value| Ok(parse_hex(value.text()?.as_bytes())?.into()))
    }

    fn record<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, JsonReadError>,
    ) -> Result<T, JsonReadError> {
        Self::object(self.take(name)?, self.budget, read)
            .map_err(|error| error.inside(FieldPath::field(name)))
    }

    fn list<T>(
        &mut self,
        name: &'static str,
        _: usize,
        read: impl Fn(&mut Self) -> Result<T, JsonReadError>,
    ) -> Result<Vec<T>, JsonReadError> {
        let budget = self.budget;
        self.items(name, |item| Self::object(item, budget, &read))
    }

    /// `uncles`: a missing list is an empty one.
    fn list_unless_empty<T>(
        &mut self,
        name: &'static str,
        min_len: usize,
        read: impl Fn(&mut Self) -> Result<T, JsonReadError>,
    ) -> Result<Vec<T>, JsonReadError> {
        if self.position(name).is_some() { self.list(name, min_len, read) } else { Ok(vec![]) }
    }

    fn only_item<T>(
        &mut self,
        name: &'static str,
        min_len: usize,
        read: impl Fn(&mut Self) -> Result<T, JsonReadError>,
    ) -> Result<T, JsonReadError> {
        let items = self.list(name, min_len, read)?;
        let fault = JsonFault::ItemCount { found: items.len(), expected: 1 };
        let [item] = <[T; 1]>::try_from(items).map_err(|_| at(FieldPath::field(name), fault))?;
        Ok(item)
    }

    fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self, &'static str) -> Result<T, JsonReadError>,
    ) -> Result<Option<T>, JsonReadError> {
        let position = self.position(name);
        let value = position.and_then(|position| self.fields.get(position));
        if value.is_some_and(|(_, value)| value.is_null()) {
            self.take(name)?;
            return Ok(None);
        }
        read(self, name).map(Some)
    }

    fn base_fee(&mut self, name: &'static str) -> Result<Option<u64>, JsonReadError> {
        self.optional(name, Self::number_u64)
    }

    fn codec_version(&mut self, _: &'static str, replica: &Replica) -> Result<f64, JsonReadError> {
        Ok(label_of_profile(replica.profile()))
    }
}
