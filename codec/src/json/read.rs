//! Fields from JSON.

use super::{
    error::{JsonFault, JsonReadError},
    tree::Tree,
};
use crate::{
    avro::label_of_profile,
    layout::FieldSource,
    path::FieldPath,
    replica::{Replica, ReplicaKind},
    text::{TextFault, parse_base64, parse_fixed, parse_hex, parse_number},
};
use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256};
use std::borrow::Cow;

/// Takes fields out of an object until nothing is left.
#[derive(Debug)]
pub(super) struct JsonSource<'a> {
    fields: Vec<(Cow<'a, str>, Tree<'a>)>,
}

impl<'a> JsonSource<'a> {
    /// Reads the fields of the document's outermost object.
    pub(super) fn root<T>(
        tree: Tree<'a>,
        read: impl FnOnce(&mut Self) -> Result<T, JsonReadError>,
    ) -> Result<T, JsonReadError> {
        Self::object(tree, FieldPath::default, read)
    }

    /// Reads the fields of an object, of which none may be left over.
    fn object<T>(
        tree: Tree<'a>,
        path: impl Fn() -> FieldPath,
        read: impl FnOnce(&mut Self) -> Result<T, JsonReadError>,
    ) -> Result<T, JsonReadError> {
        let fields = match tree {
            Tree::Record(fields) => fields,
            other => return Err(at(path(), wrong_kind(&other, "an object"))),
        };
        let mut source = JsonSource { fields };
        let value = read(&mut source).map_err(|error| inside(error, path()))?;
        match source.fields.first() {
            Some((name, _)) => Err(at(unknown(name).inside(path()), JsonFault::Unknown)),
            None => Ok(value),
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|(field, _)| field == name)
    }

    fn take(&mut self, name: &str) -> Result<Tree<'a>, JsonReadError> {
        let position = self.position(name);
        let position = position.ok_or_else(|| at(FieldPath::field(name), JsonFault::Missing))?;
        Ok(self.fields.swap_remove(position).1)
    }

    /// Reads a field that is not a record.
    fn value<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Tree<'a>) -> Result<T, JsonFault>,
    ) -> Result<T, JsonReadError> {
        read(self.take(name)?).map_err(|fault| at(FieldPath::field(name), fault))
    }

    /// Reads a list of values that are not records.
    fn values<T>(
        &mut self,
        name: &str,
        read: impl Fn(Tree<'a>) -> Result<T, JsonFault>,
    ) -> Result<Vec<T>, JsonReadError> {
        let items = self.value(name, list)?.into_iter().enumerate();
        items
            .map(|(index, item)| {
                read(item).map_err(|fault| at(FieldPath::item(name, index), fault))
            })
            .collect()
    }
}

fn at(path: FieldPath, fault: JsonFault) -> JsonReadError {
    JsonReadError::Field { path, fault }
}

/// The same error as seen from the record that holds `outer`.
fn inside(error: JsonReadError, outer: FieldPath) -> JsonReadError {
    match error {
        JsonReadError::Field { path, fault } => at(path.inside(outer), fault),
        other => other,
    }
}

/// The path of a field that the input named, cut to 64 characters.
fn unknown(name: &str) -> FieldPath {
    FieldPath::field(&name.chars().take(64).collect::<String>())
}

const fn wrong_kind(tree: &Tree<'_>, expected: &'static str) -> JsonFault {
    JsonFault::Kind { found: tree.kind(), expected }
}

fn list(tree: Tree<'_>) -> Result<Vec<Tree<'_>>, JsonFault> {
    match tree {
        Tree::List(items) => Ok(items),
        other => Err(wrong_kind(&other, "a list")),
    }
}

fn text(tree: Tree<'_>) -> Result<Cow<'_, str>, JsonFault> {
    match tree {
        Tree::Text(text) => Ok(text),
        other => Err(wrong_kind(&other, "a text")),
    }
}

fn at_most(tree: &Tree<'_>, max: u64) -> Result<u64, JsonFault> {
    match tree {
        Tree::Number(found) if *found <= max => Ok(*found),
        Tree::Number(found) => Err(JsonFault::Range { found: *found, max }),
        other => Err(wrong_kind(other, "a number")),
    }
}

fn octet(tree: &Tree<'_>) -> Result<u8, JsonFault> {
    let max = u8::MAX.into();
    let found = at_most(tree, max)?;
    u8::try_from(found).map_err(|_| JsonFault::Range { found, max })
}

fn fixed_hex<const N: usize>(tree: Tree<'_>) -> Result<FixedBytes<N>, JsonFault> {
    Ok(parse_fixed(text(tree)?.as_bytes())?)
}

fn narrow_number(tree: Tree<'_>) -> Result<u64, JsonFault> {
    let number = parse_number(text(tree)?.as_bytes())?;
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
        self.value(name, |tree| Ok(parse_number(text(tree)?.as_bytes())?))
    }

    fn number_u64(&mut self, name: &'static str) -> Result<u64, JsonReadError> {
        self.value(name, narrow_number)
    }

    fn byte(&mut self, name: &'static str) -> Result<u8, JsonReadError> {
        self.value(name, |tree| octet(&tree))
    }

    fn int(&mut self, name: &'static str) -> Result<u64, JsonReadError> {
        self.value(name, |tree| at_most(&tree, u64::MAX))
    }

    fn long(&mut self, name: &'static str) -> Result<u64, JsonReadError> {
        self.value(name, |tree| at_most(&tree, u64::MAX))
    }

    fn authorization_nonce(&mut self, name: &'static str) -> Result<u64, JsonReadError> {
        self.value(name, |tree| at_most(&tree, u64::MAX))
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, JsonReadError> {
        self.value(name, |tree| match tree {
            Tree::Flag(flag) => Ok(flag),
            other => Err(wrong_kind(&other, "a boolean")),
        })
    }

    fn text(&mut self, name: &'static str) -> Result<String, JsonReadError> {
        self.value(name, text).map(Cow::into_owned)
    }

    fn kind(&mut self, name: &'static str) -> Result<ReplicaKind, JsonReadError> {
        self.value(name, |tree| Ok(text(tree)?.parse()?))
    }

    fn base64(&mut self, name: &'static str) -> Result<Bytes, JsonReadError> {
        self.value(name, |tree| Ok(parse_base64(text(tree)?.as_bytes())?.into()))
    }

    fn octets<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], JsonReadError> {
        let items = self.values(name, |tree| octet(&tree))?;
        let fault = JsonFault::ItemCount { found: items.len(), expected: N };
        items.try_into().map_err(|_| at(FieldPath::field(name), fault))
    }

    fn hashes(&mut self, name: &'static str) -> Result<Vec<B256>, JsonReadError> {
        self.values(name, fixed_hex)
    }

    fn addresses(&mut self, name: &'static str) -> Result<Vec<Address>, JsonReadError> {
        self.values(name, |tree| fixed_hex(tree).map(Address))
    }

    fn hex_list(&mut self, name: &'static str) -> Result<Vec<Bytes>, JsonReadError> {
        self.values(name, |tree| Ok(parse_hex(text(tree)?.as_bytes())?.into()))
    }

    fn record<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, JsonReadError>,
    ) -> Result<T, JsonReadError> {
        Self::object(self.take(name)?, || FieldPath::field(name), read)
    }

    fn list<T>(
        &mut self,
        name: &'static str,
        _: usize,
        read: impl Fn(&mut Self) -> Result<T, JsonReadError>,
    ) -> Result<Vec<T>, JsonReadError> {
        let items = self.value(name, list)?.into_iter().enumerate();
        items
            .map(|(index, item)| Self::object(item, || FieldPath::item(name, index), &read))
            .collect()
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
        if let Some((_, Tree::Null)) = position.and_then(|position| self.fields.get(position)) {
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
