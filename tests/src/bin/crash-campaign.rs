//! Kills the agent some hundred times, at every step of its work, amid trouble of every kind, and
//! audits what is left.

use bsp_tests::{
    agent::{Build, Shipped},
    campaign::{feeder::Feeder, kill::KillCampaign, plan},
    scene::{Pinning, Proving, Scene, SceneConfig},
    servers::{anvil::Mining, process::unless_interrupted},
};
use clap::{Parser, ValueEnum};
use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

/// Kill the agent again and again while it works, break what is around it, and audit what is left.
///
/// The agent is built with failpoints, or taken from BSP_AGENT_BIN. redis-server and anvil are
/// taken from PATH, from tests/node_modules/.bin, or from REDIS_SERVER and ANVIL. The same seed
/// gives the same plan. Exits with 1 if anything was lost, proved twice, proved without being
/// there, or acknowledged early.
#[derive(Debug, Parser)]
#[command(name = "crash-campaign")]
struct Args {
    /// How often the agent is killed.
    #[arg(long, default_value_t = 300)]
    kills: usize,

    /// What the plan and the blocks are derived from.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How many entries are fed at most.
    #[arg(long, default_value_t = 3000)]
    blocks: u64,

    /// How many entries wait in the stream at any time.
    #[arg(long, default_value_t = 24)]
    backlog: u64,

    /// Where proofs go.
    #[arg(long, value_enum, default_value_t = Proof::Chain)]
    proof: Proof,

    /// What the agent verifies before it proves.
    #[arg(long, default_value = "execute")]
    verify: String,

    /// Seconds that the work left over after the last kill may take.
    #[arg(long, default_value_t = 180)]
    settle_seconds: u64,

    /// Bad entries that stand in front of all others.
    #[arg(long, default_value_t = 64)]
    poison_first: usize,

    /// Blocks of a fork that the agent does not know, which arrive at the end and have to be held.
    #[arg(long, default_value_t = 24)]
    unknown_fork: usize,

    /// Milliseconds between two blocks of the proof chain.
    #[arg(long, default_value_t = 300)]
    block_time_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Proof {
    Chain,
    Ledger,
}

/// How deep a proof has to be; reorganisations are one block shallower.
const CONFIRMATIONS: u64 = 3;

#[tokio::main]
async fn main() -> eyre::Result<ExitCode> {
    unless_interrupted(run(Args::parse())).await
}

async fn run(args: Args) -> eyre::Result<ExitCode> {
    let with_chain = args.proof == Proof::Chain;
    let scene = Scene::start(config(with_chain)?).await?;
    let (mut campaign, _miner) = prepare(scene, &args).await?;

    let begun = Instant::now();
    for (number, life) in plan::plan(args.seed, args.kills, with_chain).iter().enumerate() {
        campaign.live(life).await?;
        if (number + 1) % 25 == 0 {
            println!("{} kills, {} s", number + 1, begun.elapsed().as_secs());
        }
    }
    let time = Duration::from_secs(args.settle_seconds);
    let mut settled = campaign.settle(time).await;
    if settled.is_ok() {
        settled = campaign.meet_unknown_fork(args.unknown_fork, time).await;
    }
    conclude(campaign, settled, with_chain, begun).await
}

fn config(with_chain: bool) -> eyre::Result<SceneConfig> {
    let build = Build { failpoints: true, release: false };
    Ok(SceneConfig {
        proving: if with_chain {
            Proving::Chain { mining: Mining::OnDemand, confirmations: CONFIRMATIONS }
        } else {
            Proving::Ledger
        },
        pinning: Pinning::Server,
        networks: vec![bsp_capture::DEV_CHAIN_ID],
        agent: Shipped::Agent.named_or_built(build)?,
        tool: Shipped::Tool.named_or_built(Build::default())?,
    })
}

async fn prepare(
    mut scene: Scene,
    args: &Args,
) -> eyre::Result<(KillCampaign, Option<bsp_tests::servers::anvil::Miner>)> {
    let command = scene.agent("agent")?.args(["--verify", &args.verify]);
    scene.watch()?;
    let miner = match &scene.chain {
        None => None,
        Some(chain) => {
            // The contract's own settings are too deep for a reorganisation then.
            for _ in 0..CONFIRMATIONS {
                chain.anvil.mine().await?;
            }
            Some(chain.anvil.keep_mining(Duration::from_millis(args.block_time_ms)))
        }
    };
    let mut feeder = Feeder::new(args.seed, args.backlog, args.blocks)?;
    feeder.feed_poison(&mut scene, args.poison_first).await?;
    Ok((KillCampaign::new(scene, feeder, command), miner))
}

async fn conclude(
    mut campaign: KillCampaign,
    settled: eyre::Result<()>,
    with_chain: bool,
    begun: Instant,
) -> eyre::Result<ExitCode> {
    campaign.table.fed = campaign.feeder.fed().clone();
    let panics = campaign.panics();
    let report = campaign.scene.audit().await?;
    println!("\n{}\n", campaign.table);
    println!("{} s; {report}", begun.elapsed().as_secs());
    let missed = campaign.table.missed(&plan::failpoints(with_chain));
    if !missed.is_empty() {
        println!("failpoints that were never reached: {missed:?}");
    }
    for panic in &panics {
        println!("PANIC {panic}");
    }
    if let Err(error) = &settled {
        println!("NOT SETTLED {error:#}");
    }
    let good = report.violations.is_empty() && panics.is_empty() && settled.is_ok();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
