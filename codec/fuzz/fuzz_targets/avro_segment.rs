//! Arbitrary bytes as an AVRO segment: no panic, and what is written reads and is written again the
//! same.

#![no_main]

use bsp_codec::avro::{decode_segment, encode_segment, profile_of_label};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(segment) = decode_segment(bytes) else { return };
    let profile = profile_of_label(segment.codec_version).expect("a label of this layout");
    // The reader takes longs up to 2^63, the writer stops where a double would round up to it.
    let Ok(written) = encode_segment(&segment, profile) else { return };
    let read = decode_segment(&written).expect("what was written reads");
    // The first writing settles what has several forms (a zero `v`, longs that no double holds).
    let again = encode_segment(&read, profile).expect("what was written is written again");
    assert_eq!(again, written);
    assert_eq!(decode_segment(&again).as_ref(), Ok(&read));
});
