//! Whatever decodes as a supplement encodes to the same bytes.

#![no_main]

use bsp_codec::supplement::Supplement;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(supplement) = Supplement::decode(bytes) {
        assert_eq!(supplement.encode(), bytes);
    }
});
