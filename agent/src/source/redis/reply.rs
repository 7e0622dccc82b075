//! The replies of the stream commands, as types. A reply of another form is an error, never a
//! panic.

use bsp_stream::StreamId;
use bytes::Bytes;
use redis::{ErrorKind, FromRedisValue, RedisError, RedisResult, Value, from_redis_value};
use std::{borrow::Cow, collections::HashMap};

/// A longer text can't be a block's hash, which has 66 characters; its end is cut off.
const MAX_HASH_TEXT: usize = 200;

/// An entry of the stream. Nothing in it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: StreamId,
    /// `None`: the entry is gone, and only the list of pending ones still names it.
    pub(super) fields: Option<EntryFields>,
}

/// An entry's fields, in whichever order. Others than these mean nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EntryFields {
    /// `hash`, with replacement characters for what is no UTF-8.
    pub(super) hash: Option<String>,
    /// `data`.
    pub(super) data: Option<Bytes>,
    /// `supplement`, which bsp-geth does not write.
    pub(super) supplement: Option<Bytes>,
}

/// One that is delivered and not acknowledged, from `XPENDING`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PendingEntry {
    pub(super) id: StreamId,
    pub(super) consumer: String,
    pub(super) idle_ms: u64,
    pub(super) deliveries: u64,
}

/// A consumer group, from `XINFO GROUPS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) consumers: u64,
    pub(super) pending: u64,
    pub(super) last_delivered: StreamId,
    /// How many of all the entries ever added were read; Redis 7.0 and later, where it knows.
    pub(super) entries_read: Option<u64>,
    /// How many are to be read; Redis 7.0 and later, where it knows.
    pub(super) lag: Option<u64>,
}

/// A stream, from `XINFO STREAM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) length: u64,
    /// The oldest entry there is.
    pub(super) first: Option<StreamId>,
    /// How many were ever added; Redis 7.0 and later.
    pub(super) entries_added: Option<u64>,
}

/// The entries of `XREADGROUP`, of one stream.
pub(super) fn read_entries(reply: Value) -> RedisResult<Vec<Entry>> {
    let streams = match reply {
        Value::Nil => return Ok(Vec::new()),
        reply => sequence(reply)?,
    };
    let mut entries = Vec::new();
    for stream in streams {
        let [_, found] = array(stream)?;
        entries.append(&mut range_entries(found)?);
    }
    Ok(entries)
}

/// The entries of `XRANGE`.
pub(super) fn range_entries(reply: Value) -> RedisResult<Vec<Entry>> {
    sequence(reply)?
        .into_iter()
        .map(|entry| {
            let [id, fields] = array(entry)?;
            Ok(Entry { id: stream_id(id)?, fields: entry_fields(fields)? })
        })
        .collect()
}

fn entry_fields(reply: Value) -> RedisResult<Option<EntryFields>> {
    if reply == Value::Nil {
        return Ok(None);
    }
    let mut fields = EntryFields::default();
    for (name, value) in pairs(reply)? {
        match bytes(name)?.as_slice() {
            b"hash" if fields.hash.is_none() => fields.hash = Some(short_text(&bytes(value)?)),
            b"data" if fields.data.is_none() => fields.data = Some(bytes(value)?.into()),
            b"supplement" if fields.supplement.is_none() => {
                fields.supplement = Some(bytes(value)?.into());
            }
            _ => {}
        }
    }
    Ok(Some(fields))
}

fn short_text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..MAX_HASH_TEXT).unwrap_or(bytes));
    if bytes.len() > MAX_HASH_TEXT { text.into_owned() + "…" } else { Cow::into_owned(text) }
}

/// The rows of `XPENDING key group start end count`.
pub(super) fn pending_entries(reply: Value) -> RedisResult<Vec<PendingEntry>> {
    sequence(reply)?
        .into_iter()
        .map(|row| {
            let [id, consumer, idle, deliveries] = array(row)?;
            Ok(PendingEntry {
                id: stream_id(id)?,
                consumer: text(consumer)?,
                idle_ms: unsigned(&idle)?,
                deliveries: unsigned(&deliveries)?,
            })
        })
        .collect()
}

/// `XINFO GROUPS`.
pub(super) fn groups(reply: Value) -> RedisResult<Vec<Group>> {
    sequence(reply)?
        .into_iter()
        .map(|group| {
            let mut facts = map(group)?;
            Ok(Group {
                name: text(need(&mut facts, "name")?)?,
                consumers: unsigned(&need(&mut facts, "consumers")?)?,
                pending: unsigned(&need(&mut facts, "pending")?)?,
                last_delivered: stream_id(need(&mut facts, "last-delivered-id")?)?,
                entries_read: facts.remove("entries-read").as_ref().and_then(known),
                lag: facts.remove("lag").as_ref().and_then(known),
            })
        })
        .collect()
}

/// `XINFO STREAM`.
pub(super) fn stream(reply: Value) -> RedisResult<Stream> {
    let mut facts = map(reply)?;
    let first = match facts.remove("first-entry") {
        None | Some(Value::Nil) => None,
        Some(entry) => {
            let [id, _] = array(entry)?;
            Some(stream_id(id)?)
        }
    };
    Ok(Stream {
        length: unsigned(&need(&mut facts, "length")?)?,
        first,
        entries_added: facts.remove("entries-added").as_ref().and_then(known),
    })
}

/// A list of ids.
pub(super) fn ids(reply: Value) -> RedisResult<Vec<StreamId>> {
    sequence(reply)?.into_iter().map(stream_id).collect()
}

/// The rows of `XINFO CONSUMERS`: name, pending entries, milliseconds since the last attempt to
/// read.
pub(super) fn consumers(reply: Value) -> RedisResult<Vec<(String, u64, u64)>> {
    sequence(reply)?
        .into_iter()
        .map(|consumer| {
            let mut facts = map(consumer)?;
            Ok((
                text(need(&mut facts, "name")?)?,
                unsigned(&need(&mut facts, "pending")?)?,
                unsigned(&need(&mut facts, "idle")?)?,
            ))
        })
        .collect()
}

/// The fields of an entry of another stream of ours, by name.
pub(super) fn named_fields(reply: Value) -> RedisResult<(StreamId, HashMap<String, Bytes>)> {
    let [id, fields] = array(reply)?;
    let fields = pairs(fields)?
        .into_iter()
        .map(|(name, value)| Ok((text(name)?, bytes(value)?.into())))
        .collect::<RedisResult<_>>()?;
    Ok((stream_id(id)?, fields))
}

/// The items of a list.
pub(super) fn sequence(reply: Value) -> RedisResult<Vec<Value>> {
    match reply {
        Value::ServerError(error) => Err(error.into()),
        reply => reply.into_sequence().map_err(|_| unexpected("a list")),
    }
}

fn array<const N: usize>(reply: Value) -> RedisResult<[Value; N]> {
    sequence(reply)?.try_into().map_err(|_| unexpected("a list of another length"))
}

fn pairs(reply: Value) -> RedisResult<Vec<(Value, Value)>> {
    reply.into_map_iter().map(Iterator::collect).map_err(|_| unexpected("names with values"))
}

fn map(reply: Value) -> RedisResult<HashMap<String, Value>> {
    pairs(reply)?.into_iter().map(|(name, value)| Ok((text(name)?, value))).collect()
}

fn need(facts: &mut HashMap<String, Value>, name: &'static str) -> RedisResult<Value> {
    facts.remove(name).ok_or_else(|| unexpected(name))
}

fn bytes(reply: Value) -> RedisResult<Vec<u8>> {
    match reply {
        Value::BulkString(bytes) => Ok(bytes),
        other => Ok(from_redis_value(other)?),
    }
}

fn text(reply: Value) -> RedisResult<String> {
    Ok(String::from_utf8_lossy(&bytes(reply)?).into_owned())
}

fn stream_id(reply: Value) -> RedisResult<StreamId> {
    text(reply)?.parse().map_err(|_| unexpected("an entry's id"))
}

fn known(reply: &Value) -> Option<u64> {
    unsigned(reply).ok()
}

fn unsigned(reply: &Value) -> RedisResult<u64> {
    Ok(u64::from_redis_value_ref(reply)?)
}

fn unexpected(expected: &'static str) -> RedisError {
    (ErrorKind::UnexpectedReturnType, "the reply has another form, expected", expected.to_owned())
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bulk(bytes: &[u8]) -> Value {
        Value::BulkString(bytes.to_vec())
    }

    fn fields_of(values: &[&[u8]]) -> EntryFields {
        let fields = Value::Array(values.iter().map(|value| bulk(value)).collect());
        let reply = Value::Array(vec![Value::Array(vec![bulk(b"5-1"), fields])]);
        range_entries(reply).unwrap().remove(0).fields.unwrap()
    }

    #[test]
    fn fields_are_found_in_any_order_and_among_others() {
        let (hash, data) = (Some("0x1".to_owned()), Some(Bytes::from_static(b"d")));
        let expected = EntryFields { hash, data, supplement: None };
        assert_eq!(fields_of(&[b"hash", b"0x1", b"data", b"d"]), expected);
        assert_eq!(fields_of(&[b"x", b"y", b"data", b"d", b"hash", b"0x1"]), expected);
        assert_eq!(fields_of(&[b"data", b"d", b"data", b"e", b"hash", b"0x1"]), expected);
        let supplement = Some(Bytes::from_static(b"s"));
        let third = [&b"supplement"[..], b"s", b"data", b"d", b"hash", b"0x1", b"supplement", b"t"];
        assert_eq!(fields_of(&third), EntryFields { supplement, ..expected });
        assert_eq!(fields_of(&[b"x", b"y"]), EntryFields::default());
        assert_eq!(fields_of(&[b"hash", b"\xff"]).hash.as_deref(), Some("\u{fffd}"));
        assert_eq!(fields_of(&[b"hash", &[b'a'; 1 << 20]]).hash.unwrap().chars().count(), 201);
    }

    #[test]
    fn a_trimmed_entry_has_no_fields() {
        let entry = Value::Array(vec![bulk(b"5-1"), Value::Nil]);
        let stream = Value::Array(vec![bulk(b"topic"), Value::Array(vec![entry])]);
        let entries = read_entries(Value::Array(vec![stream])).unwrap();
        assert_eq!(entries, [Entry { id: StreamId { ms: 5, seq: 1 }, fields: None }]);
        assert_eq!(read_entries(Value::Nil).unwrap(), []);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<i64>().prop_map(Value::Int),
            "[0-9]{1,3}-[0-9]{1,3}|name|pending|length".prop_map(|text| bulk(text.as_bytes())),
            proptest::collection::vec(any::<u8>(), 0..9).prop_map(Value::BulkString),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            proptest::collection::vec(inner, 0..6).prop_map(Value::Array)
        })
    }

    proptest! {
        #[test]
        fn no_reply_panics(reply in any_value()) {
            let _ = read_entries(reply.clone());
            let _ = range_entries(reply.clone());
            let _ = pending_entries(reply.clone());
            let _ = groups(reply.clone());
            let _ = stream(reply.clone());
            let _ = ids(reply.clone());
            let _ = consumers(reply.clone());
            let _ = named_fields(reply);
        }
    }
}
