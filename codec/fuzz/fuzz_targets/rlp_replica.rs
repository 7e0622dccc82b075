//! Whatever decodes as a replica encodes again, to bytes that decode to the same.

#![no_main]

use bsp_codec::rlp::{decode_replica, decode_replica_bytes, encode_replica, encoded_replica_len};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let decoded = decode_replica(bytes);
    assert_eq!(decode_replica_bytes(&bytes.to_vec().into()), decoded);
    let Ok(replica) = decoded else { return };
    let encoded = encode_replica(&replica, replica.profile()).expect("decoded headers have room");
    assert_eq!(encoded_replica_len(&replica, replica.profile()), Ok(encoded.len()));
    assert_eq!(decode_replica(&encoded).as_ref(), Ok(&replica));
    // What is dropped are zeros and nils behind the last item that says something; nothing is
    // added.
    assert!(encoded.len() <= bytes.len());
    if encoded.len() == bytes.len() {
        assert_eq!(encoded, bytes);
    }
});
