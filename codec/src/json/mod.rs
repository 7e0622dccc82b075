//! Segments and replicas as JSON: the form in which the network's tools print an AVRO segment.
//!
//! Keys, their order and the forms of values are those of the AVRO schema, with three differences:
//! a union is its value or `null`, `uncles` is left out when empty, and a segment has no
//! `codecVersion`. Bytes are base64, big numbers and hashes `0x…` text, all other numbers JSON
//! numbers.
//!
//! Unlike AVRO, JSON here says all that a replica can hold: numbers of 64 bits in full, a `v` of
//! zero, a header without base fee (`null`), and authorization lists whatever the profile. What is
//! written reads back equal.
//!
//! This is not the block result that the network's result producers derive by re-executing a
//! specimen: that object fills receipt and log positions, holds a state root in `Hash`, and comes
//! from another program.

mod error;
mod raw;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use error::{JsonFault, JsonReadError, JsonWriteError};

use crate::{
    layout,
    limits::{DecodeLimits, RecordBudget},
    replica::{Replica, Segment},
};
use raw::JsonValue;
use read::JsonSource;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use std::io;
use write::JsonSink;

/// Writes a replica as one JSON object without a line break at the end; `pretty` indents by one
/// blank.
///
/// Every field is a small write: give it a buffered writer.
///
/// # Errors
///
/// A [`JsonWriteError`] when the writer fails, or when the header has a field that the form lacks.
pub fn write_replica_json(
    replica: &Replica,
    out: impl io::Write,
    pretty: bool,
) -> Result<(), JsonWriteError> {
    if pretty {
        write(out, PrettyFormatter::with_indent(b" "), |sink| layout::write::replica(sink, replica))
    } else {
        write(out, CompactFormatter, |sink| layout::write::replica(sink, replica))
    }
}

/// Writes a segment as one JSON object, like [`write_replica_json`].
///
/// # Errors
///
/// As [`write_replica_json`].
pub fn write_segment_json(
    segment: &Segment,
    out: impl io::Write,
    pretty: bool,
) -> Result<(), JsonWriteError> {
    if pretty {
        write(out, PrettyFormatter::with_indent(b" "), |sink| layout::write::segment(sink, segment))
    } else {
        write(out, CompactFormatter, |sink| layout::write::segment(sink, segment))
    }
}

/// Reads what [`write_replica_json`] writes; keys may come in any order, blanks between tokens are
/// skipped.
///
/// # Errors
///
/// A [`JsonReadError`] for anything that is not JSON, and for the first field that is missing,
/// repeated, unknown or in the wrong form.
pub fn read_replica_json(json: &[u8]) -> Result<Replica, JsonReadError> {
    read_replica_json_within(json, DecodeLimits::default())
}

/// [`read_replica_json`] with other limits than the default.
///
/// # Errors
///
/// As [`read_replica_json`].
pub fn read_replica_json_within(
    json: &[u8],
    limits: DecodeLimits,
) -> Result<Replica, JsonReadError> {
    read(json, limits, |source| layout::read::replica(source))
}

/// Reads what [`write_segment_json`] writes. As the form has no label, the segment gets that of
/// its replica's [profile](Replica::profile).
///
/// # Errors
///
/// As [`read_replica_json`].
pub fn read_segment_json(json: &[u8]) -> Result<Segment, JsonReadError> {
    read_segment_json_within(json, DecodeLimits::default())
}

/// [`read_segment_json`] with other limits than the default.
///
/// # Errors
///
/// As [`read_replica_json`].
pub fn read_segment_json_within(
    json: &[u8],
    limits: DecodeLimits,
) -> Result<Segment, JsonReadError> {
    read(json, limits, |source| layout::read::segment(source))
}

fn write<W: io::Write, F: Formatter>(
    out: W,
    formatter: F,
    fields: impl FnOnce(&mut JsonSink<W, F>) -> Result<(), JsonWriteError>,
) -> Result<(), JsonWriteError> {
    JsonSink::new(out, formatter).object(fields)
}

fn read<T>(
    json: &[u8],
    limits: DecodeLimits,
    fields: impl FnOnce(&mut JsonSource<'_>) -> Result<T, JsonReadError>,
) -> Result<T, JsonReadError> {
    let (len, limit) = (json.len(), limits.max_input_bytes);
    if len > limit {
        return Err(JsonReadError::TooLarge { len, limit });
    }
    let budget = RecordBudget::new(limits.max_record_bytes);
    JsonSource::object(JsonValue::document(str::from_utf8(json)?), &budget, fields)
}
