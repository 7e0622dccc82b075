//! AVRO segments in the layout of codec 0.38, the file that bsp-agent v1.9.2 stores and proves.
//!
//! A segment is a bare AVRO datum: no container header, no schema, no sync marker. Two consequences
//! of how the agent makes it shape everything here:
//!
//! * Big numbers are AVRO `bytes` that hold ASCII text (`0x2a`), because the agent's AVRO library
//!   drops the schema's `logicalType`. A reader that honours a decimal type misreads them, so
//!   [`SCHEMA`] has none.
//! * Other numbers pass through an IEEE double: a long loses precision above 2^53, to the nearest
//!   double, and ends at 2^63 − 512. An int ends at 2^31. Beyond that the agent stops working; the
//!   writer returns an [`EncodeFault`].
//!
//! Values that have no bytes of their own, and what is written for them:
//!
//! | value | written as |
//! | --- | --- |
//! | `v`, `r`, `s` of `None` or zero | null |
//! | no uncles | null; a block with uncles, which the agent fails on, gets the list the schema allows |
//! | `data`, `authorization_list` in the network profile | null |
//! | `BlockhashRead` numbers from 2^63 − 512 | 2^63 − 1; the agent fails on them |
//!
//! Reading is strict about what the agent would write, except that lists may come in several
//! blocks, with or without byte sizes, as AVRO allows, and that a long may be one that no double
//! holds. A file that was read is the agent's own to the last bit if writing it again yields the
//! same bytes.

mod error;
mod number;
mod read;
mod write;

#[cfg(test)]
pub(crate) mod oracle;
#[cfg(test)]
mod tests;

pub use error::{AvroDecodeError, AvroEncodeError, DecodeFault, EncodeFault};
pub use number::blockhash_number_as_written;

use crate::{
    layout,
    limits::{DecodeLimits, RecordBudget},
    replica::{CODEC_VERSION, Profile, Segment},
};
use read::AvroSource;
use write::{AvroSink, Length};

/// The AVRO schema of a segment, as a reader in any language needs it.
///
/// The `default` of `codecVersion` is the network's label; a segment of the complete profile
/// carries [`COMPLETE_CODEC_VERSION`] in the same place.
pub const SCHEMA: &str = include_str!("../../block-ethereum.avsc");

/// The label of a segment in [`Profile::Complete`].
///
/// The layout is that of 0.38, so only the label keeps such a file apart from the network's. The
/// network's labels count up from 0.2 by hundredths, one for each layout; it would take almost ten
/// thousand more to get here. A reader that ignores labels still reads the file, and its specimen
/// hash differs from the network's for every block, so that it can't pass for the network's by
/// chance.
pub const COMPLETE_CODEC_VERSION: f64 = 100.38;

/// Writes a segment: in [`Profile::Network`] byte for byte what bsp-agent v1.9.2 writes.
///
/// The label at the end follows from `profile`. The segment's own must be one of the two of this
/// layout, but need not be that of `profile`: writing a complete segment in the network profile is
/// how one gets the network's bytes of it.
///
/// # Errors
///
/// An [`AvroEncodeError`] names the first field whose value the layout has no room for.
pub fn encode_segment(segment: &Segment, profile: Profile) -> Result<Vec<u8>, AvroEncodeError> {
    let mut length = AvroSink { output: Length::default(), profile };
    layout::write::segment(&mut length, segment)?;
    let mut sink = AvroSink { output: Vec::with_capacity(length.output.0), profile };
    layout::write::segment(&mut sink, segment)?;
    Ok(sink.output)
}

/// Reads a segment in the layout of codec 0.38, of either profile.
///
/// A `v`, `r` or `s` of `0x0`, which no writer of this layout leaves, reads as `Some(0)`.
///
/// # Errors
///
/// An [`AvroDecodeError`] names the first field that is not as the layout requires, and where it
/// is. Bytes that end in the label of another layout are reported as such.
pub fn decode_segment(bytes: &[u8]) -> Result<Segment, AvroDecodeError> {
    decode_segment_within(bytes, DecodeLimits::default())
}

/// [`decode_segment`] with other limits than the default.
///
/// # Errors
///
/// As [`decode_segment`].
pub fn decode_segment_within(
    bytes: &[u8],
    limits: DecodeLimits,
) -> Result<Segment, AvroDecodeError> {
    let (len, limit) = (bytes.len(), limits.max_input_bytes);
    if len > limit {
        return Err(AvroDecodeError::TooLarge { len, limit });
    }
    let mut source = AvroSource::new(bytes, RecordBudget::new(limits.max_record_bytes));
    layout::read::segment(&mut source)
        .and_then(|segment| source.finish().map(|()| segment))
        .map_err(|error| other_layout(bytes).unwrap_or(error))
}

/// The profile that a label stands for, if it is one of this layout's two.
pub fn profile_of_label(label: f64) -> Option<Profile> {
    [Profile::Network, Profile::Complete]
        .into_iter()
        .find(|profile| label_of_profile(*profile).to_bits() == label.to_bits())
}

/// The label of the segments that a profile writes.
pub const fn label_of_profile(profile: Profile) -> f64 {
    match profile {
        Profile::Network => CODEC_VERSION,
        Profile::Complete => COMPLETE_CODEC_VERSION,
    }
}

/// The reason why bytes don't fit the layout, if they end in the label of a different one.
fn other_layout(bytes: &[u8]) -> Option<AvroDecodeError> {
    let label = f64::from_le_bytes(*bytes.last_chunk()?);
    let hundredths = (label * 100.0).round();
    // A label is a decimal fraction of at most two digits; eight arbitrary bytes hardly ever are.
    let plausible = (0.0..1000.0).contains(&label) && label > 0.0 && hundredths / 100.0 == label;
    (plausible && profile_of_label(label).is_none())
        .then_some(AvroDecodeError::UnsupportedCodec { label })
}
