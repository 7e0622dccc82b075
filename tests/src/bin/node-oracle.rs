//! Read sets against reth's own tracers, over many blocks of mixed load.

use bsp_tests::{
    node::{
        oracle::{BlockTraces, ReadSet, Table, compare},
        scene::NodeScene,
    },
    servers::process::unless_interrupted,
};
use clap::Parser;
use std::{process::ExitCode, time::Duration};

/// Compare the read set of every block with what reth's prestateTracer, flatCallTracer and
/// debug_executionWitness say.
///
/// The node's program is taken from BSP_RETH_BIN. Exits with 1 if a difference has no known cause.
#[derive(Debug, Parser)]
#[command(name = "node-oracle")]
struct Args {
    /// How many blocks are compared.
    #[arg(long, default_value_t = 1_000)]
    blocks: u64,

    /// What the blocks are derived from.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How many scenarios a block has at most; a scenario is one to three transactions.
    #[arg(long, default_value_t = 6)]
    scenarios: usize,
}

/// How long the targets may take at the end.
const DEADLINE: Duration = Duration::from_secs(300);

#[tokio::main]
async fn main() -> eyre::Result<ExitCode> {
    unless_interrupted(run(Args::parse())).await
}

async fn run(args: Args) -> eyre::Result<ExitCode> {
    let mut scene = NodeScene::new(args.seed, args.scenarios).await?;
    scene.start().await?;
    let mut table = Table::default();
    for number in 1..=args.blocks {
        scene.extend(1).await?;
        let rpc = scene.node()?.rpc();
        let reads = ReadSet::of(rpc, number).await?;
        let traces = BlockTraces::of(rpc, number).await?;
        compare(rpc, number, &reads, &traces, &mut table).await?;
        if number % 100 == 0 {
            println!("{number} blocks, {} violations", table.violations.len());
        }
    }
    scene.settle(DEADLINE).await?;
    let mut good = table.violations.is_empty();
    println!("\n{table}\n");
    for report in scene.audit().await? {
        good &= report.violations.is_empty();
        println!("{report}");
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
