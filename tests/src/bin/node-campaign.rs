//! What goes wrong with a node that runs the Execution Extension, scenario by scenario, and the
//! table of it.

use bsp_tests::{
    node::faults::{FaultPlan, Scenario, print_table},
    servers::process::unless_interrupted,
};
use clap::Parser;
use std::{process::ExitCode, time::Instant};

/// Break a node with the Execution Extension, its targets and its chain in every way, and audit
/// what is left.
///
/// The node's program is taken from BSP_RETH_BIN, built with failpoints for all of it; redis-server
/// from PATH or REDIS_SERVER. The same seed gives the same chain and plan. Exits with 1 if a block
/// is missing, changed or in the wrong place, or the node stood still.
#[derive(Debug, Parser)]
#[command(name = "node-campaign")]
struct Args {
    /// What the chain and the plan are derived from.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How often a fault that can be repeated is.
    #[arg(long, default_value_t = 3)]
    rounds: u64,

    /// Register the extension with the node's manager also where nothing is pruned.
    #[arg(long)]
    registered: bool,

    /// Only these scenarios, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

#[tokio::main]
async fn main() -> eyre::Result<ExitCode> {
    unless_interrupted(run(Args::parse())).await
}

async fn run(args: Args) -> eyre::Result<ExitCode> {
    let Args { seed, rounds, registered, only } = args;
    let plan = FaultPlan { seed, rounds, registered };
    let chosen = |it: &&Scenario| only.is_empty() || only.iter().any(|name| name == it.name);
    let scenarios: Vec<_> = Scenario::ALL.iter().filter(chosen).collect();
    eyre::ensure!(!scenarios.is_empty(), "no such scenario; there are {:?}", Scenario::ALL);
    let mut outcomes = Vec::new();
    for scenario in scenarios {
        let begun = Instant::now();
        let outcome = scenario.run(plan).await;
        let verdict = match &outcome {
            Ok(outcome) => format!("{} violations", outcome.violations()),
            Err(error) => format!("FAILED {error:#}"),
        };
        println!("{}: {verdict}, {} s", scenario.name, begun.elapsed().as_secs());
        outcomes.push((scenario.name, outcome));
    }
    println!();
    print_table(&outcomes);
    let good = |outcome: &eyre::Result<_>| {
        outcome.as_ref().is_ok_and(|it: &bsp_tests::node::faults::Outcome| it.violations() == 0)
    };
    let all_good = outcomes.iter().all(|(_, outcome)| good(outcome));
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
