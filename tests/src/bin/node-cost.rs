//! What the Execution Extension costs a node, as a table.

use bsp_tests::{
    node::cost::{Cost, CostPlan, measure, percentile},
    servers::process::unless_interrupted,
};
use clap::Parser;
use std::time::Duration;

/// Measure what the Execution Extension costs a node: the same blocks for a node with it and one without, in turns.
///
/// The node's program is taken from BSP_RETH_BIN; published figures need one that was built for release, and an idle
/// machine. redis-server is taken from PATH or REDIS_SERVER.
#[derive(Debug, Parser)]
#[command(name = "node-cost")]
struct Args {
    /// What the blocks are derived from.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How many blocks each node imports.
    #[arg(long, default_value_t = 400)]
    blocks: usize,

    /// How many blocks a node imports before the other one's turn comes.
    #[arg(long, default_value_t = 20)]
    turn: usize,

    /// How many scenarios a block has at most; a scenario is one to three transactions.
    #[arg(long, default_value_t = 100)]
    scenarios: usize,

    /// Milliseconds from one block to the next, at least.
    #[arg(long, default_value_t = 250)]
    interval_ms: u64,
}

#[tokio::main]
async fn main() -> eyre::Result<()> {
    let Args { seed, blocks, turn, scenarios, interval_ms } = Args::parse();
    let interval = Duration::from_millis(interval_ms);
    let plan = CostPlan { seed, blocks, turn: turn.max(1), scenarios, interval };
    let cost = unless_interrupted(measure(plan)).await?;
    print(&cost);
    Ok(())
}

fn print(cost: &Cost) {
    let Cost { without, with, deliveries, backfill, blocks, gas, transactions } = cost;
    let count = *blocks as f64;
    println!(
        "{blocks} blocks, {:.1} transactions and {:.2} Mgas each\n",
        *transactions as f64 / count,
        *gas as f64 / count / 1e6
    );
    println!("| what | without | with | difference |\n|---|---:|---:|---:|");
    for percent in [50, 99] {
        let [a, b] = [without, with].map(|usage| millis(percentile(&usage.imports, percent)));
        println!(
            "| import, p{percent} | {a:.1} ms | {b:.1} ms | {:+.1} % |",
            (b / a - 1.0) * 100.0
        );
    }
    let [a, b] = [without, with].map(|usage| millis(usage.processor) / count);
    println!("| processor time a block | {a:.1} ms | {b:.1} ms | {:+.1} ms |", b - a);
    let [a, b] = [without, with].map(|usage| usage.memory as f64 / f64::from(1 << 20));
    println!("| memory | {a:.0} MiB | {b:.0} MiB | {:+.0} MiB |\n", b - a);
    println!("| what | value |\n|---|---:|");
    for percent in [50, 99] {
        println!(
            "| commit to entry in Redis, p{percent} | {:.1} ms |",
            millis(percentile(deliveries, percent))
        );
    }
    let seconds = backfill.as_secs_f64();
    println!("| backfill | {:.1} blocks/s |", count / seconds);
    println!("| backfill | {:.1} Mgas/s |", *gas as f64 / 1e6 / seconds);
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
