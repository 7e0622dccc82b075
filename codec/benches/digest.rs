//! The digests of real segments beside plain SHA-256, their lower bound.
//!
//! `specimen_hash` hashes four thirds of the file, its base64 text, so its bound is SHA-256 over as
//! many bytes. Throughput is in bytes of the file in every line; the ratios of the times are what
//! counts.

use bsp_codec::{dag, digest};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_main};
use std::hint::black_box;
use test_data::{MainnetSegment, mainnet_segments};

#[path = "../src/test_data.rs"]
mod test_data;

fn digests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("digest");
    for MainnetSegment { block, avro, .. } in mainnet_segments() {
        // As long as the quoted base64 text; its content does not matter to SHA-256.
        let text = vec![b'A'; avro.len().div_ceil(3) * 4 + 2];
        group.throughput(Throughput::Bytes(avro.len() as u64));
        group.bench_function(BenchmarkId::new("sha256_of_base64_length", block), |bencher| {
            bencher.iter(|| digest::sha256(black_box(&text)));
        });
        group.bench_function(BenchmarkId::new("specimen_hash", block), |bencher| {
            bencher.iter(|| digest::specimen_hash(black_box(&avro)));
        });
        group.bench_function(BenchmarkId::new("sha256", block), |bencher| {
            bencher.iter(|| digest::sha256(black_box(&avro)));
        });
        group.bench_function(BenchmarkId::new("cid", block), |bencher| {
            bencher.iter(|| dag::cid_of(black_box(&avro)));
        });
    }
    group.finish();
}

mod harness {
    #![allow(missing_docs, reason = "criterion's macro makes a public function without any")]
    criterion::criterion_group!(benches, super::digests);
}

criterion_main!(harness::benches);
