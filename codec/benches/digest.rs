//! The digests of real segments beside plain SHA-256, their lower bound.
//!
//! `specimen_hash` hashes four thirds of the file, its base64 text, so its bound is SHA-256 over as many bytes.
//! Throughput is in bytes of the file in every line; the ratios of the times are what counts.

use bsp_codec::{dag, digest};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_main};
use std::{hint::black_box, path::Path};

/// Names and bytes of the mainnet segments, none and a line on stderr where they are absent.
fn segments() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/mainnet"));
    let Ok(entries) = std::fs::read_dir(folder) else {
        eprintln!("SKIPPED: no mainnet segments in {}", folder.display());
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "avro"))
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("a readable file"))
        })
        .collect()
}

fn digests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("digest");
    for (name, avro) in segments() {
        // As long as the quoted base64 text; its content does not matter to SHA-256.
        let text = vec![b'A'; avro.len().div_ceil(3) * 4 + 2];
        group.throughput(Throughput::Bytes(avro.len() as u64));
        group.bench_function(BenchmarkId::new("sha256_of_base64_length", &name), |bencher| {
            bencher.iter(|| digest::sha256(black_box(&text)));
        });
        group.bench_function(BenchmarkId::new("specimen_hash", &name), |bencher| {
            bencher.iter(|| digest::specimen_hash(black_box(&avro)));
        });
        group.bench_function(BenchmarkId::new("sha256", &name), |bencher| {
            bencher.iter(|| digest::sha256(black_box(&avro)));
        });
        group.bench_function(BenchmarkId::new("cid", &name), |bencher| {
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
