//! Messages from any peer: what is read stays the same when it is written and read again, and its
//! size in memory is bounded by the items that are allowed.
#![no_main]

use bsp_pinner::bitswap::{MAX_ITEMS, Message};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use prost::Message as _;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::read(Bytes::copy_from_slice(bytes)) else { return };
    let entries = message.wantlist.as_ref().map_or(0, |list| list.entries.len());
    assert!(entries + message.payload.len() + message.presences.len() <= MAX_ITEMS);
    let again = message.encode_to_vec();
    assert_eq!(Message::read(again.into()).expect("it was read before"), message);
});
