//! Decompression never makes more than it may, and gives back what was compressed.

#![no_main]

use bsp_codec::snappy::{compress, decompress};
use libfuzzer_sys::fuzz_target;

const MAX_LEN: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(decompressed) = decompress(bytes, MAX_LEN) {
        assert!(decompressed.len() <= MAX_LEN);
    }
    let block = compress(bytes).expect("fuzz inputs are short");
    assert_eq!(decompress(&block, bytes.len()).as_deref(), Ok(bytes));
});
