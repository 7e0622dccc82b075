//! Frames of a pack, with a checksum that is right: what is accepted reads back, and a body never
//! becomes more than its header says.
#![no_main]

use bsp_pinner::store::{
    MAX_BLOCK_LEN,
    frame::{HEADER_LEN, Header, Kind, Place},
    record::{PinNote, decode_pin, encode_pin},
};
use libfuzzer_sys::fuzz_target;

const AT: Place = Place { pack: 1, offset: 16 };

fuzz_target!(|input: &[u8]| {
    records(input);
    let Some((header, body)) = input.split_at_checked(HEADER_LEN - 4) else { return };
    let mut crc = crc32fast::Hasher::new();
    crc.update(&AT.pack.to_le_bytes());
    crc.update(&AT.offset.to_le_bytes());
    crc.update(header);
    let bytes = [header, &crc.finalize().to_le_bytes()].concat();
    let Some(header) = Header::decode(&bytes, AT) else { return };
    assert_eq!(Header::decode(&header.encode(AT), AT), Some(header));
    header.fits(body);
    if header.kind == Kind::Block {
        // Its digest is never right, and the length is bounded before that is found.
        assert!(header.raw_len as usize <= MAX_BLOCK_LEN);
        header.block(body.to_vec().into());
    }
    records(body);
});

fn records(body: &[u8]) {
    if let Some((record, blocks)) = decode_pin(body) {
        assert_eq!(decode_pin(&encode_pin(&record, &blocks)), Some((record, blocks)));
    }
    if let Some(note) = PinNote::decode(body) {
        assert_eq!(PinNote::decode(&note.encode()), Some(note));
    }
}
