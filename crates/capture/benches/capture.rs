//! What recording costs: capture beside plain execution of the same mainnet blocks on the same
//! database.
//!
//! The blocks are read from `../shared/mainnet` beside the checkout; without them nothing is
//! measured.

#![allow(missing_docs)]

use alloy_consensus::transaction::Recovered;
use alloy_evm::{
    EvmFactory,
    block::{BlockExecutor, SystemCaller},
    eth::{EthBlockExecutor, EthEvmFactory},
};
use bsp_capture::{
    BlockParts, ChainSpec, ReceiptMaker, SignedTransaction, SpecimenState, capture, evm_env,
    execution_context,
};
use bsp_codec::{Replica, avro, convert::rebuild_transactions};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use revm::{database::State, database_interface::WrapDatabaseRef, inspector::NoOpInspector};
use std::{fs, hint::black_box, path::Path};

const MAINNET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/mainnet");

/// A block that can be replayed from its file alone.
struct Replayable {
    replica: Replica,
    transactions: Vec<Recovered<SignedTransaction>>,
    state: SpecimenState,
}

impl Replayable {
    fn read(path: &Path) -> Option<Self> {
        let segment = avro::decode_segment(&fs::read(path).ok()?).ok()?;
        let replica = segment.replica;
        let transactions = rebuild_transactions(&replica)
            .ok()?
            .iter()
            .zip(&replica.senders)
            .map(|(tx, sender)| Some(Recovered::new_unchecked(tx.signed()?.clone(), *sender)))
            .collect::<Option<_>>()?;
        let state = SpecimenState::new(&replica.state).ok()?;
        Some(Self { replica, transactions, state })
    }

    fn parts(&self) -> BlockParts<'_> {
        BlockParts {
            header: &self.replica.header,
            ommers: &self.replica.uncles,
            withdrawals: self.replica.withdrawals.as_deref(),
        }
    }

    fn recovered(&self) -> impl Iterator<Item = Recovered<&SignedTransaction>> {
        self.transactions.iter().map(|tx| Recovered::new_unchecked(tx.inner(), tx.signer()))
    }

    fn capture(&self, spec: &ChainSpec) -> usize {
        let captured = capture(spec, self.parts(), self.recovered(), &self.state).unwrap();
        captured.receipts.len() + captured.reads.lists.account_read.len()
    }
}

/// Executes as a node does, with or without an inspector that does nothing.
macro_rules! execute {
    ($block:expr, $spec:expr, $make_evm:expr) => {{
        let mut state = State::builder().with_database(WrapDatabaseRef(&$block.state)).build();
        let env = evm_env($spec, &$block.replica.header);
        let evm = $make_evm(&mut state, env);
        let context = execution_context($block.parts());
        let receipts = ReceiptMaker;
        let mut executor = EthBlockExecutor::new(evm, context, $spec, receipts);
        let header = &$block.replica.header;
        let mut system = SystemCaller::new($spec);
        let evm = executor.evm_mut();
        system.apply_beacon_root_contract_call(header.parent_beacon_block_root, evm).unwrap();
        system.apply_blockhashes_contract_call(header.parent_hash, evm).unwrap();
        for tx in &$block.transactions {
            executor.execute_transaction(tx).unwrap();
        }
        executor.finish().unwrap().1.receipts.len()
    }};
}

fn benches(criterion: &mut Criterion) {
    let mut paths: Vec<_> = fs::read_dir(MAINNET)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    paths.retain(|path: &std::path::PathBuf| path.extension().is_some_and(|kind| kind == "avro"));
    paths.sort();
    let blocks: Vec<_> = paths.iter().filter_map(|path| Replayable::read(path)).collect();
    if blocks.is_empty() {
        eprintln!("NOTHING MEASURED: no replayable segments in {MAINNET}");
        return;
    }
    let spec = ChainSpec::mainnet();
    let mut group = criterion.benchmark_group("block");
    for block in &blocks {
        group.throughput(Throughput::Elements(block.replica.header.gas_used));
        let number = block.replica.header.number;
        group.bench_function(BenchmarkId::new("plain", number), |bencher| {
            bencher.iter(|| {
                black_box(execute!(block, &spec, |state, env| {
                    EthEvmFactory::default().create_evm(state, env)
                }))
            });
        });
        group.bench_function(BenchmarkId::new("idle_inspector", number), |bencher| {
            bencher.iter(|| {
                black_box(execute!(block, &spec, |state, env| {
                    EthEvmFactory::default().create_evm_with_inspector(state, env, NoOpInspector)
                }))
            });
        });
        group.bench_function(BenchmarkId::new("capture", number), |bencher| {
            bencher.iter(|| black_box(block.capture(&spec)));
        });
    }
    group.finish();
}

criterion_group!(capture_cost, benches);
criterion_main!(capture_cost);
