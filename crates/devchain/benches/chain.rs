//! How long a block takes to propose, execute and seal, on a chain that has grown for a while.
#![expect(missing_docs, reason = "criterion's macros make an undocumented function")]

#[path = "../tests/support/mod.rs"]
mod support;

use bsp_devchain::{DevChain, DevConfig, Executor};
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use support::PlainExecutor;

/// Blocks before the first measurement.
const GROWN: u64 = 1_000;

fn chain(c: &mut Criterion) {
    let mut chain = DevChain::new(1, DevConfig::default()).expect("genesis");
    let executor = PlainExecutor::new(chain.config());
    for _ in 0..GROWN {
        chain.advance(&executor).expect("a block");
    }
    let mut group = c.benchmark_group("devchain at block 1000");
    group.bench_function("propose", |b| b.iter(|| chain.next_candidate().expect("a candidate")));
    let candidate = chain.next_candidate().expect("a candidate");
    group.bench_function("execute", |b| {
        b.iter(|| executor.execute(black_box(&candidate), chain.state()).expect("execution"));
    });
    group.bench_function("state root", |b| b.iter(|| chain.state().state_root()));
    group.sample_size(50);
    group.bench_function("advance", |b| b.iter(|| chain.advance(&executor).expect("a block")));
    group.finish();
}

criterion_group!(benches, chain);
criterion_main!(benches);
