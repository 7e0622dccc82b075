//! Several agents on one consumer group with one key, one of them killed at random; audited like
//! the crash campaign.

use bsp_tests::{
    agent::{AgentCommand, Build, Shipped},
    campaign::feeder::Feeder,
    scene::{Pinning, Proving, Scene, SceneConfig},
    servers::{
        anvil::Mining,
        process::{Process, unless_interrupted},
    },
};
use clap::Parser;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

/// Run several agents on one group with one key, kill one of them at random, and audit what is
/// left.
///
/// The agent is built, or taken from BSP_AGENT_BIN. Exits with 1 if anything was lost, proved
/// twice, proved without being there, or acknowledged early.
#[derive(Debug, Parser)]
#[command(name = "agent-group")]
struct Args {
    /// How many agents there are.
    #[arg(long, default_value_t = 3)]
    agents: usize,

    /// For how many seconds one of them is killed at random.
    #[arg(long, default_value_t = 60)]
    seconds: u64,

    /// What the times and the blocks are derived from.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How many entries wait in the stream at any time.
    #[arg(long, default_value_t = 48)]
    backlog: u64,

    /// Seconds after which an agent takes over what another one took and does not work on.
    #[arg(long, default_value_t = 5)]
    claim_idle: u64,
}

const SETTLE_DEADLINE: Duration = Duration::from_secs(180);

/// An agent, and its process.
struct Member {
    command: AgentCommand,
    process: Process,
}

#[tokio::main]
async fn main() -> eyre::Result<ExitCode> {
    unless_interrupted(run(Args::parse())).await
}

async fn run(args: Args) -> eyre::Result<ExitCode> {
    let mut scene = Scene::start(config()?).await?;
    let mut commands = Vec::new();
    for number in 1..=args.agents {
        let idle = args.claim_idle.to_string();
        commands.push(scene.agent(&format!("agent-{number}"))?.args(["--claim-idle", &idle]));
    }
    scene.watch()?;
    let period = Duration::from_millis(300);
    let _miner = scene.chain.as_ref().map(|chain| chain.anvil.keep_mining(period));
    let mut feeder = Feeder::new(args.seed, args.backlog, u64::MAX)?;
    let mut members = Vec::new();
    for command in commands {
        members.push(Member { process: command.start()?, command });
    }

    let kills = kill_one(&args, &mut scene, &mut feeder, &mut members).await?;
    scene.settle(SETTLE_DEADLINE).await?;
    end(&mut members).await?;

    let report = scene.audit().await?;
    println!(
        "| what | times |\n|---|---:|\n| kill -9 of one of {} agents | {kills} |",
        args.agents
    );
    for (kind, count) in feeder.fed() {
        println!("| fed: {kind} | {count} |");
    }
    println!("\n{report}");
    Ok(if report.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn config() -> eyre::Result<SceneConfig> {
    Ok(SceneConfig {
        proving: Proving::Chain { mining: Mining::OnDemand, confirmations: 1 },
        pinning: Pinning::Server,
        networks: vec![bsp_capture::DEV_CHAIN_ID],
        agent: Shipped::Agent.named_or_built(Build::default())?,
        tool: Shipped::Tool.named_or_built(Build::default())?,
    })
}

/// Kills the first agent at random times, and starts it again after random pauses.
async fn kill_one(
    args: &Args,
    scene: &mut Scene,
    feeder: &mut Feeder,
    members: &mut [Member],
) -> eyre::Result<u64> {
    let mut dice = ChaCha8Rng::seed_from_u64(args.seed);
    let begun = Instant::now();
    let mut kills = 0;
    while begun.elapsed() < Duration::from_secs(args.seconds) {
        work(scene, feeder, Duration::from_millis(dice.random_range(300..3000))).await?;
        if let Some(victim) = members.first_mut() {
            victim.process.kill().await?;
            kills += 1;
            work(scene, feeder, Duration::from_millis(dice.random_range(0..2000))).await?;
            victim.process = victim.command.start()?;
        }
        for member in members.iter_mut() {
            let running = member.process.is_running();
            eyre::ensure!(running, "an agent ended:\n{}", member.process.last_lines(40));
        }
    }
    Ok(kills)
}

/// Feeds for so long.
async fn work(scene: &mut Scene, feeder: &mut Feeder, time: Duration) -> eyre::Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < time {
        feeder.fill(scene).await?;
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Ok(())
}

async fn end(members: &mut [Member]) -> eyre::Result<()> {
    for member in members.iter() {
        member.process.signal(Signal::TERM)?;
    }
    for member in members.iter_mut() {
        let status = member.process.end_within(Duration::from_secs(60)).await?;
        eyre::ensure!(status.success(), "an agent ended with {status}");
    }
    Ok(())
}
