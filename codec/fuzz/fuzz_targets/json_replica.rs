//! Arbitrary bytes as a replica in JSON: no panic, and what reads is written and reads back equal.

#![no_main]

use bsp_codec::json::{read_replica_json, read_segment_json, write_replica_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = read_segment_json(bytes);
    let Ok(replica) = read_replica_json(bytes) else { return };
    for pretty in [false, true] {
        let mut json = Vec::new();
        write_replica_json(&replica, &mut json, pretty).expect("what reads is written");
        assert_eq!(read_replica_json(&json).expect("what is written reads"), replica);
    }
});
