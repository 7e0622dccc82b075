//! Writing and reading real AVRO segments, beside `apache-avro`.

#![allow(missing_docs)]

use apache_avro::{Schema, reader::datum::GenericDatumReader, writer::datum::GenericDatumWriter};
use bsp_codec::{
    Profile,
    avro::{SCHEMA, decode_segment, encode_segment},
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::{fs, hint::black_box, path::Path};

/// The real segments by name, or nothing and a warning if they are not there.
fn mainnet() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/mainnet"));
    let Ok(entries) = fs::read_dir(folder) else {
        eprintln!("SKIPPED: no real segments in {}", folder.display());
        return vec![];
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.strip_suffix(".replica.avro")?.to_owned();
            Some((name, fs::read(path).ok()?))
        })
        .collect();
    files.sort();
    files
}

fn encode(c: &mut Criterion) {
    let mut group = c.benchmark_group("avro/encode");
    for (name, bytes) in mainnet() {
        let segment = decode_segment(&bytes).expect("a real segment");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), &segment, |b, segment| {
            b.iter(|| encode_segment(black_box(segment), Profile::Network));
        });
    }
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("avro/decode");
    for (name, bytes) in mainnet() {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(name), &bytes, |b, bytes| {
            b.iter(|| decode_segment(black_box(bytes)));
        });
    }
}

/// The generic library on one segment, its value tree made beforehand: AVRO alone, without any text form.
fn apache(c: &mut Criterion) {
    let Some((name, bytes)) = mainnet().pop() else { return };
    let schema = Schema::parse_str(SCHEMA).expect("the schema");
    let reader = GenericDatumReader::builder(&schema).build().expect("a reader");
    let writer = GenericDatumWriter::builder(&schema).build().expect("a writer");
    let value = reader.read_value(&mut bytes.as_slice()).expect("a real segment");
    let mut group = c.benchmark_group("apache-avro");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function(BenchmarkId::new("encode", &name), |b| {
        b.iter(|| {
            let mut out = Vec::with_capacity(bytes.len());
            writer.write_value_ref(&mut out, black_box(&value)).map(|_| out)
        });
    });
    group.bench_function(BenchmarkId::new("decode", &name), |b| {
        b.iter(|| reader.read_value(&mut black_box(bytes.as_slice())));
    });
}

criterion_group!(benches, encode, decode, apache);
criterion_main!(benches);
