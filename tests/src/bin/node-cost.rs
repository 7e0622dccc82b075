//! What the producer costs a node, as a table.

use bsp_tests::{
    node::cost::{Cost, CostPlan, Usage, measure, percentile},
    servers::process::unless_interrupted,
};
use clap::Parser;
use std::time::Duration;

/// Measure what the producer costs a node: the same blocks for a node without it, one with it, and
/// one where it is registered with the node's manager of Execution Extensions too, as on a node
/// that prunes, in turns.
///
/// The node's program is taken from BSP_RETH_BIN; published figures need one that was built for
/// release, and an idle machine. redis-server is taken from PATH or REDIS_SERVER.
#[derive(Debug, Parser)]
#[command(name = "node-cost")]
struct Args {
    /// What the blocks are derived from.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How many blocks each node imports, after a first turn that is not counted.
    #[arg(long, default_value_t = 400)]
    blocks: usize,

    /// How many blocks a node imports before the other one's turn comes.
    #[arg(long, default_value_t = 20)]
    turn: usize,

    /// How many scenarios a block has at most; a scenario is one to three transactions.
    #[arg(long, default_value_t = 130)]
    scenarios: usize,

    /// The blocks' gas limit, in millions. A transaction takes its own limit of it, and uses less.
    #[arg(long, default_value_t = 100)]
    gas_limit: u64,

    /// Milliseconds from one block to the next, at least.
    #[arg(long, default_value_t = 250)]
    interval_ms: u64,
}

#[tokio::main]
async fn main() -> eyre::Result<()> {
    let Args { seed, blocks, turn, scenarios, gas_limit, interval_ms } = Args::parse();
    let interval = Duration::from_millis(interval_ms);
    let gas_limit = gas_limit * 1_000_000;
    let plan = CostPlan { seed, blocks, turn: turn.max(1), scenarios, gas_limit, interval };
    let cost = unless_interrupted(measure(plan)).await?;
    print(&cost);
    Ok(())
}

fn print(cost: &Cost) {
    let Cost { usage, load, backfill, imports_meanwhile, chain } = cost;
    let count = load.blocks as f64;
    println!(
        "{count} blocks, {:.1} transactions and {:.2} Mgas each\n",
        load.transactions as f64 / count,
        load.gas as f64 / count / 1e6
    );
    println!(
        "| what | without | with | registered | with | registered |\n|---|---:|---:|---:|---:|---:|"
    );
    for percent in [50, 99] {
        row(&format!("import, p{percent}"), usage, |it| percentile(&it.imports, percent));
    }
    for percent in [50, 99] {
        row(&format!("`newPayload`, p{percent}"), usage, |it| percentile(&it.payloads, percent));
    }
    row("fork choice in the engine, mean", usage, |it| it.fork_choice);
    row("processor time a block", usage, |it| it.processor.div_f64(count));
    let [without, with, registered] =
        usage.each_ref().map(|usage| usage.memory as f64 / f64::from(1 << 20));
    println!("| memory | {without:.0} MiB | {with:.0} MiB | {registered:.0} MiB | | |");
    for percent in [50, 99] {
        let [_, with, registered] =
            usage.each_ref().map(|usage| millis(percentile(&usage.deliveries, percent)));
        println!(
            "| commit to entry in Redis, p{percent} | | {with:.1} ms | {registered:.1} ms | | |"
        );
    }
    println!("\n| what | value |\n|---|---:|");
    let seconds = backfill.as_secs_f64();
    println!("| backfill | {:.1} blocks/s |", chain.blocks as f64 / seconds);
    println!("| backfill | {:.1} Mgas/s |", chain.gas as f64 / 1e6 / seconds);
    println!(
        "| {} imports meanwhile, p50 | {:.1} ms |",
        imports_meanwhile.len(),
        millis(percentile(imports_meanwhile, 50))
    );
}

/// The last two columns are the differences to the first.
fn row(what: &str, usage: &[Usage; 3], value: impl Fn(&Usage) -> Duration) {
    let [without, with, registered] = usage.each_ref().map(|usage| millis(value(usage)));
    let change = |other: f64| (other / without - 1.0) * 100.0;
    println!(
        "| {what} | {without:.2} ms | {with:.2} ms | {registered:.2} ms | {:+.1} % | {:+.1} % |",
        change(with),
        change(registered)
    );
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
