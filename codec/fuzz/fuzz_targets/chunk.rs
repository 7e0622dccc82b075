//! A chunk reads the same from memory and in pieces, and a good record reads the same in front of
//! anything.

#![no_main]

use bsp_codec::chunk::{ChunkError, ChunkReader, ChunkStream, LocatedRecord, encode_record};
use libfuzzer_sys::fuzz_target;

// The first byte says how long the pieces are.
fuzz_target!(|input: &[u8]| {
    let Some((step, bytes)) = input.split_first() else { return };
    let (records, end) = read_at_once(bytes);
    if let Err(error) = &end {
        let good = usize::try_from(error.offset).expect("within the input");
        assert_eq!(read_at_once(&bytes[..good]), (records.clone(), Ok(())));
    }
    assert_eq!(read_in_pieces(bytes, usize::from(*step) + 1), (records, end));

    let record = encode_record(Default::default(), bytes).expect("fuzz inputs are short");
    let followed = [&record[..], bytes].concat();
    let first = ChunkReader::new(&followed).next().expect("a record").expect("a good record");
    assert_eq!(&first.record.replica_rlp[..], bytes);
    assert_eq!(first.len, record.len() as u64);
});

fn read_at_once(chunk: &[u8]) -> (Vec<LocatedRecord>, Result<(), ChunkError>) {
    let mut records = Vec::new();
    for record in ChunkReader::new(chunk) {
        match record {
            Ok(record) => records.push(record),
            Err(error) => return (records, Err(error)),
        }
    }
    (records, Ok(()))
}

fn read_in_pieces(chunk: &[u8], step: usize) -> (Vec<LocatedRecord>, Result<(), ChunkError>) {
    let mut stream = ChunkStream::new();
    let mut records = Vec::new();
    for piece in chunk.chunks(step) {
        stream.feed(piece);
        while let Ok(Some(record)) = stream.next_record() {
            records.push(record);
        }
    }
    (records, stream.finish())
}
