//! Which fields a segment has, under which names and in which order: codec 0.38 of bsp-agent
//! v1.9.2.
//!
//! The order is stated once for each direction ([`write`], [`read`]) and shared by every form that
//! has this layout. A form (AVRO, JSON) only says how a single field looks, by implementing
//! [`FieldSink`] and [`FieldSource`].
//!
//! The order of a transaction's fields is not that of the RLP on the stream.

pub(crate) mod read;
pub(crate) mod write;

pub(crate) use read::FieldSource;
pub(crate) use write::FieldSink;
