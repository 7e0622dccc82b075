//! Whatever decodes as a segment gets a verdict, and the quick verdict never fails what the full
//! one passes.

#![no_main]

use bsp_capture::{Outcome, VerifyOptions, verify_roots, verify_segment};
use bsp_codec::avro::decode_segment;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(segment) = decode_segment(bytes) else { return };
    let verdict = verify_segment(&segment, bytes, VerifyOptions::default());
    if verdict.outcome() == Outcome::Ok {
        assert_eq!(verify_roots(&segment.replica).outcome(), Outcome::Ok);
    }
});
