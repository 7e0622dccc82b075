//! The values of a JSON document as the text that they are, looked into when a field asks for them.
//!
//! So a document is never in memory as a tree, which would take many times its length. Looking into
//! an object or a list takes it apart into its values only. The look at the outermost object finds
//! all errors of syntax, however deep they are, without recursion.

use super::error::{JsonFault, JsonReadError};
use crate::path::FieldPath;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// The most fields that a record may have before they are checked: three times those of the
/// longest.
///
/// It keeps the search for a name short.
const MAX_FIELDS: usize = 64;

/// The text of one value, without blanks around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct JsonValue<'a>(&'a str);

impl<'a> JsonValue<'a> {
    /// The value that a whole document consists of, its syntax not checked yet.
    pub(super) fn document(json: &'a str) -> Self {
        Self(json.trim_ascii())
    }

    pub(super) fn is_null(self) -> bool {
        self.0 == "null"
    }

    pub(super) fn flag(self) -> Result<bool, JsonFault> {
        match self.0 {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong_kind("a boolean")),
        }
    }

    /// A number from 0 to 2^64 − 1; no field has fractions or negative numbers.
    pub(super) fn number(self) -> Result<u64, JsonFault> {
        match self.0.as_bytes() {
            [b'-' | b'0'..=b'9', ..] => self.0.parse().map_err(|_| JsonFault::NotWhole),
            _ => Err(self.wrong_kind("a number")),
        }
    }

    /// A text, left where it is unless it has escapes.
    pub(super) fn text(self) -> Result<Cow<'a, str>, JsonFault> {
        let quoted = self.0.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match quoted.ok_or_else(|| self.wrong_kind("a text"))? {
            escaped if escaped.contains('\\') => {
                serde_json::from_str(self.0).map(Cow::Owned).map_err(|_| JsonFault::Surrogate)
            }
            plain => Ok(Cow::Borrowed(plain)),
        }
    }

    pub(super) fn list(self) -> Result<List<'a>, JsonFault> {
        if self.0.starts_with('[') { Ok(List(self.0)) } else { Err(self.wrong_kind("a list")) }
    }

    pub(super) fn object(self) -> Result<Object<'a>, JsonFault> {
        if self.0.starts_with('{') { Ok(Object(self.0)) } else { Err(self.wrong_kind("an object")) }
    }

    fn wrong_kind(self, expected: &'static str) -> JsonFault {
        let found = match self.0.as_bytes().first() {
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b'"') => "a text",
            Some(b't' | b'f') => "a boolean",
            Some(b'n') => "null",
            Some(b'-' | b'0'..=b'9') => "a number",
            _ => "no JSON",
        };
        JsonFault::Kind { found, expected }
    }
}

impl<'a> From<&'a RawValue> for JsonValue<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Self(raw.get())
    }
}

/// The text of an array.
#[derive(Debug, Clone, Copy)]
pub(super) struct List<'a>(&'a str);

impl<'a> List<'a> {
    /// Hands each item to `each`, up to the first that it refuses.
    pub(super) fn for_each(
        self,
        each: impl FnMut(JsonValue<'a>) -> Result<(), JsonReadError>,
    ) -> Result<(), JsonReadError> {
        serde_json::Deserializer::from_str(self.0).deserialize_seq(ItemVisitor(each))?
    }
}

struct ItemVisitor<F>(F);

impl<'de, F: FnMut(JsonValue<'de>) -> Result<(), JsonReadError>> Visitor<'de> for ItemVisitor<F> {
    /// The refusal of an item is no error of the parser, which has no room for one of ours.
    type Value = Result<(), JsonReadError>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Self::Value, A::Error> {
        while let Some(item) = access.next_element::<&RawValue>()? {
            if let Err(error) = (self.0)(item.into()) {
                // The parser complains if items are left.
                while access.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
    }
}

/// The text of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object<'a>(&'a str);

/// The names and values of an object's fields.
pub(super) type JsonFields<'a> = Vec<(Cow<'a, str>, JsonValue<'a>)>;

impl<'a> Object<'a> {
    /// The fields, each of which is there once.
    pub(super) fn fields(self) -> Result<JsonFields<'a>, JsonReadError> {
        let mut parser = serde_json::Deserializer::from_str(self.0);
        let members = parser.deserialize_map(MemberVisitor)?;
        parser.end()?;
        if members.len() > MAX_FIELDS {
            let fault = JsonFault::TooManyFields { max: MAX_FIELDS };
            return Err(JsonReadError::at(FieldPath::default(), fault));
        }
        let mut fields = JsonFields::with_capacity(members.len());
        for (name, value) in members {
            let name =
                name.text().map_err(|fault| JsonReadError::at(FieldPath::default(), fault))?;
            if fields.iter().any(|(other, _)| *other == name) {
                return Err(JsonReadError::at(FieldPath::from_input(&name), JsonFault::Repeated));
            }
            fields.push((name, value));
        }
        Ok(fields)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    /// Names and values, as many as there may be and one more.
    type Value = Vec<(JsonValue<'de>, JsonValue<'de>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while members.len() <= MAX_FIELDS
            && let Some((name, value)) = access.next_entry::<&RawValue, &RawValue>()?
        {
            members.push((name.into(), value.into()));
        }
        // The parser complains if members are left.
        while access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(members)
    }
}
