//! Trees from anywhere. The input is a list of blocks, each with its length in front; every 36-byte window of
//! a block that starts with the marker `01 70 ff n` or `01 55 ff n` is replaced by the identifier of the n-th block
//! before it, as a hash cannot be guessed. The last block is the root.
#![no_main]

use bsp_codec::dag::{Cid, ExtractLimits, extract_file};
use libfuzzer_sys::fuzz_target;
use std::collections::HashMap;
