//! What it costs to store a file, beside plain SHA-256 of the same bytes, and to read it.
//!
//! Before the benchmarks a table of bytes written and syncs a segment is printed, as the system
//! counts them for this process.

use bsp_codec::digest::sha256;
use bsp_pinner::store::{NewPin, Store, StoreOptions};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_main};
use std::{
    fs,
    hint::black_box,
    io::Read,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Real segments, and noise, which does not compress.
fn files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/mainnet"));
    let mut files: Vec<(String, Vec<u8>)> = ["17090940", "19434520", "22433670"]
        .iter()
        .filter_map(|block| {
            let bytes = fs::read(folder.join(format!("{block}.replica.avro"))).ok();
            bytes.map(|bytes| ((*block).to_owned(), bytes))
        })
        .collect();
    if files.is_empty() {
        eprintln!("SKIPPED: no mainnet data at {}", folder.display());
    }
    files.push(("noise of 16 MiB".to_owned(), noise(16 << 20)));
    files
}

fn noise(len: usize) -> Vec<u8> {
    use rand::{RngCore, SeedableRng};
    let mut bytes = vec![0; len];
    rand::rngs::StdRng::seed_from_u64(1).fill_bytes(&mut bytes);
    bytes
}

fn open(folder: &Path, uncompressed: bool) -> Store {
    let mut options = StoreOptions::default();
    options.uncompressed = uncompressed;
    Store::open(folder, options).expect("a folder of this process")
}

/// A file that no earlier one shares a block with.
fn fresh(file: &[u8]) -> Vec<u8> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut fresh = file.to_vec();
    for chunk in fresh.chunks_mut(262_144) {
        let count = COUNT.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        let len = chunk.len().min(8);
        chunk[..len].copy_from_slice(&count[..len]);
    }
    fresh
}

fn import(store: &Store, file: &[u8]) -> bsp_pinner::Cid {
    let mut import = store.import();
    import.update(file).expect("room on the disk");
    import.finish(NewPin::default()).expect("room on the disk").root
}

/// Processor time of this thread so far, that of the kernel on its behalf included.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = stat.split(' ').next().and_then(|spent| spent.parse().ok());
    Duration::from_nanos(spent.unwrap_or(0))
}

fn imports(criterion: &mut Criterion) {
    for (name, file) in files() {
        let mut group = criterion.benchmark_group(format!("import/{name}"));
        group.throughput(Throughput::Bytes(file.len() as u64)).sample_size(20);
        group.bench_function("sha256/processor", |bencher| {
            bencher.iter_custom(|rounds| {
                let from = processor_time();
                for _ in 0..rounds {
                    black_box(sha256(black_box(&file)));
                }
                processor_time() - from
            });
        });
        for (kind, uncompressed) in [("stored", true), ("compressed", false)] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let store = open(&folder.path().join("store"), uncompressed);
            group.bench_function(BenchmarkId::new(kind, "wall"), |bencher| {
                bencher.iter_custom(|rounds| {
                    timed(&store, &file, rounds, Instant::now, Instant::elapsed)
                });
            });
            group.bench_function(BenchmarkId::new(kind, "processor"), |bencher| {
                bencher.iter_custom(|rounds| {
                    timed(&store, &file, rounds, processor_time, |from| processor_time() - *from)
                });
            });
            let root = import(&store, &file);
            group.bench_function(BenchmarkId::new(kind, "read"), |bencher| {
                let mut out = Vec::with_capacity(file.len());
                bencher.iter(|| {
                    out.clear();
                    let mut stored = store.file(&root).expect("whole").expect("here");
                    stored.read_to_end(&mut out).expect("whole")
                });
            });
        }
        group.finish();
    }
}

/// The time of imports alone: each file is another, and goes afterwards.
fn timed<T>(
    store: &Store,
    file: &[u8],
    rounds: u64,
    start: impl Fn() -> T,
    elapsed: impl Fn(&T) -> Duration,
) -> Duration {
    let mut total = Duration::ZERO;
    for _ in 0..rounds {
        let file = fresh(file);
        let from = start();
        let root = import(store, &file);
        total += elapsed(&from);
        store.unpin(&root).expect("room on the disk");
        store.collect_garbage(Duration::ZERO).expect("room on the disk");
    }
    total
}

/// Bytes that this process has sent to the disk so far, as the system counts them.
fn written() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

fn table(_: &mut Criterion) {
    const ROUNDS: u64 = 50;
    for (name, file) in files() {
        for (kind, uncompressed) in [("stored", true), ("compressed", false)] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let store = open(&folder.path().join("store"), uncompressed);
            import(&store, b"the first");
            let used = |store: &Store| store.usage().expect("a disk").disk_bytes;
            let (before, disk) = (written(), used(&store));
            for _ in 0..ROUNDS {
                import(&store, &fresh(&file));
            }
            println!(
                "{name}, {kind}: {} bytes, {} bytes written an import, {} kept",
                file.len(),
                (written() - before) / ROUNDS,
                (used(&store) - disk) / ROUNDS,
            );
        }
    }
}

mod harness {
    #![allow(missing_docs, reason = "criterion's macro makes a public function without any")]
    criterion::criterion_group!(benches, super::table, super::imports);
}
criterion_main!(harness::benches);
