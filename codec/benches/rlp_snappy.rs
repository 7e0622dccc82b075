//! The stream payload's two layers, on a real mainnet block.
//!
//! Throughput counts the bytes of the uncompressed RLP in all benchmarks.

#![allow(missing_docs)] // Criterion's macros generate a public function.

use alloy_primitives::{B256, Bytes};
use bsp_codec::{
    Profile,
    chunk::{ChunkReader, encode_record},
    limits::MAX_INPUT_BYTES,
    rlp::{decode_replica, decode_replica_bytes, encode_replica, encoded_replica_len},
    snappy::{compress, decompress},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

#[path = "../src/test_data.rs"]
mod test_data;

fn rlp_snappy(criterion: &mut Criterion) {
    let Some(rlp) = test_data::mainnet_rlp().map(Bytes::from) else { return };
    let replica = decode_replica(&rlp).expect("a real block decodes");
    let block = compress(&rlp).expect("a real block fits snappy");
    let record = encode_record(B256::ZERO, &rlp).expect("a real block fits snappy");

    let mut group = criterion.benchmark_group("rlp");
    group.throughput(Throughput::Bytes(rlp.len() as u64));
    group.bench_function("measure", |b| {
        b.iter(|| encoded_replica_len(black_box(&replica), Profile::Network));
    });
    group.bench_function("encode", |b| {
        b.iter(|| encode_replica(black_box(&replica), Profile::Network));
    });
    group.bench_function("decode_copying", |b| b.iter(|| decode_replica(black_box(&rlp))));
    group.bench_function("decode_shared", |b| b.iter(|| decode_replica_bytes(black_box(&rlp))));
    group.finish();

    let mut group = criterion.benchmark_group("snappy");
    group.throughput(Throughput::Bytes(rlp.len() as u64));
    group.bench_function("compress", |b| b.iter(|| compress(black_box(&rlp))));
    group.bench_function("decompress", |b| {
        b.iter(|| decompress(black_box(&block), MAX_INPUT_BYTES));
    });
    group.finish();

    let mut group = criterion.benchmark_group("chunk");
    group.throughput(Throughput::Bytes(rlp.len() as u64));
    group.bench_function("read", |b| b.iter(|| ChunkReader::new(black_box(&record)).count()));
    group.finish();
}

criterion_group!(benches, rlp_snappy);
criterion_main!(benches);
