//! The largest replicas there can be: a block that does nothing but load code.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256};
use bsp_codec::{
    CodeRead, Profile, Replica, ReplicaKind, Segment, StateSpecimen,
    avro::{decode_segment, encode_segment},
    chunk::{ChunkReader, encode_record},
    limits::MAX_INPUT_BYTES,
    rlp::{decode_replica_bytes, encode_replica},
    snappy::{compress, decompress},
};

/// A replica with one code of `len` bytes that compress little.
fn replica_with_code(len: usize) -> Replica {
    let words = (0..100_000u64).map(|word| word.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    // Snappy looks for repetitions within 64 KiB only.
    let pattern: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    let code = Bytes::from(pattern.repeat(len / pattern.len()));
    Replica {
        kind: ReplicaKind::Specimen,
        network_id: 1,
        hash: B256::repeat_byte(1),
        total_difficulty: U256::ZERO,
        header: Header { base_fee_per_gas: Some(7), ..Header::default() },
        transactions: Vec::new(),
        uncles: Vec::new(),
        receipts: Vec::new(),
        senders: Vec::new(),
        state: StateSpecimen {
            code_read: vec![CodeRead { hash: B256::repeat_byte(2), code }],
            ..StateSpecimen::default()
        },
        withdrawals: Some(Vec::new()),
        blob_sidecars: Some(Vec::new()),
    }
}

#[test]
fn a_hundred_megabytes_of_code_pass_every_form() {
    let replica = replica_with_code(100_000_000);
    let rlp = Bytes::from(encode_replica(&replica, Profile::Network).unwrap());
    assert!(decode_replica_bytes(&rlp).unwrap() == replica);
    {
        let block = compress(&rlp).unwrap();
        assert!(decompress(&block, MAX_INPUT_BYTES).unwrap() == rlp);
    }
    {
        let chunk = encode_record(replica.hash, &rlp).unwrap();
        let records: Vec<_> = ChunkReader::new(&chunk).collect::<Result<_, _>>().unwrap();
        assert_eq!(records.len(), 1);
        assert!(records[0].record.replica_rlp == rlp);
    }
    let segment = Segment::of(replica);
    let avro = encode_segment(&segment, Profile::Network).unwrap();
    assert!(decode_segment(&avro).unwrap() == segment);
}
