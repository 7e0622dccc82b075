//! Writing and reading real AVRO segments, beside `apache-avro`.

#![allow(missing_docs)]

use apache_avro::{Schema, reader::datum::GenericDatumReader, writer::datum::GenericDatumWriter};
use bsp_codec::{
    Profile,
    avro::{SCHEMA, decode_segment, encode_segment},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use test_data::{MainnetSegment, mainnet_segments};

#[path = "../src/test_data.rs"]
mod test_data;

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("avro/encode");
    for MainnetSegment { block, avro: bytes, .. } in mainnet_segments() {
        let segment = decode_segment(&bytes).expect("a real segment");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(block), &segment, |b, segment| {
            b.iter(|| encode_segment(black_box(segment), Profile::Network));
        });
    }
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("avro/decode");
    for MainnetSegment { block, avro: bytes, .. } in mainnet_segments() {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(block), &bytes, |b, bytes| {
            b.iter(|| decode_segment(black_box(bytes)));
        });
    }
}

/// The generic library on one segment, its value tree made beforehand: AVRO alone, without any text
/// form.
fn apache(c: &mut Criterion) {
    let Some(MainnetSegment { block, avro: bytes, .. }) = mainnet_segments().pop() else { return };
    let schema = Schema::parse_str(SCHEMA).expect("the schema");
    let reader = GenericDatumReader::builder(&schema).build().expect("a reader");
    let writer = GenericDatumWriter::builder(&schema).build().expect("a writer");
    let value = reader.read_value(&mut bytes.as_slice()).expect("a real segment");
    let mut group = c.benchmark_group("apache-avro");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function(BenchmarkId::new("encode", block), |b| {
        b.iter(|| {
            let mut out = Vec::with_capacity(bytes.len());
            writer.write_value_ref(&mut out, black_box(&value)).map(|_| out)
        });
    });
    group.bench_function(BenchmarkId::new("decode", block), |b| {
        b.iter(|| reader.read_value(&mut black_box(bytes.as_slice())));
    });
}

criterion_group!(benches, encode, decode, apache);
criterion_main!(benches);
