//! Segments per second from Redis to acknowledged, on mainnet's blocks.

use bsp_tests::{
    agent::{Build, Shipped},
    messages::{
        Message,
        mainnet::{self, MainnetBlock},
        variant,
    },
    scene::{Pinning, Proving, Scene, SceneConfig},
    servers::{
        anvil::Mining,
        process::{Process, unless_interrupted},
    },
    wait::wait_for,
};
use clap::Parser;
use eyre::{Context, OptionExt};
use rustix::process::Signal;
use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

/// Measure how fast the agent works off a stream of mainnet's blocks, and print a Markdown table.
///
/// The agent is built in the release profile, or taken from BSP_AGENT_BIN. The blocks of the folder
/// shared/mainnet are fed several times, each time under another hash: a header differs in its
/// extra data alone. The stream is filled before the agent starts; time runs from its start to the
/// last acknowledgement.
#[derive(Debug, Parser)]
#[command(name = "agent-throughput")]
struct Args {
    /// How many times the set is fed.
    #[arg(long, default_value_t = 20)]
    rounds: u64,

    /// Where the blocks are; shared/mainnet beside the repository if not given.
    #[arg(long)]
    mainnet: Option<PathBuf>,
}

const DEADLINE: Duration = Duration::from_secs(900);

/// One row of the table.
#[derive(Debug, Clone, Copy)]
struct Setup {
    title: &'static str,
    with_chain: bool,
    verify: &'static str,
}

const SETUPS: [Setup; 4] = [
    Setup { title: "ledger, local pins, roots", with_chain: false, verify: "roots" },
    Setup { title: "ledger, local pins, execute", with_chain: false, verify: "execute" },
    Setup {
        title: "anvil 1 s, 16 in flight, local pins, roots",
        with_chain: true,
        verify: "roots",
    },
    Setup {
        title: "anvil 1 s, 16 in flight, local pins, execute",
        with_chain: true,
        verify: "execute",
    },
];

/// What one setup took.
#[derive(Debug, Clone, Copy)]
struct Measured {
    segments: u64,
    wall: Duration,
    cpu: Duration,
    peak_memory_kib: u64,
    /// Blocks that the proof chain made meanwhile.
    chain_blocks: Option<u64>,
}

#[tokio::main]
async fn main() -> eyre::Result<ExitCode> {
    unless_interrupted(run(Args::parse())).await
}

async fn run(args: Args) -> eyre::Result<ExitCode> {
    let Some(folder) = args.mainnet.clone().or_else(mainnet::folder) else {
        return Ok(ExitCode::FAILURE);
    };
    let blocks = mainnet::blocks(&folder)?;
    let build = Build { failpoints: false, release: true };
    let agent = Shipped::Agent.named_or_built(build)?;
    println!(
        "| proof, pins, verification | segments | wall s | segments/s | CPU ms/segment | segments/s per core | \
         peak MiB | chain blocks |\n|---|---:|---:|---:|---:|---:|---:|---:|"
    );
    for setup in SETUPS {
        let measured = measure(&args, setup, &blocks, agent.clone()).await?;
        print_row(setup, measured);
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(
    args: &Args,
    setup: Setup,
    blocks: &[MainnetBlock],
    agent: PathBuf,
) -> eyre::Result<Measured> {
    let proving = if setup.with_chain {
        Proving::Chain { mining: Mining::EachSeconds(1), confirmations: 1 }
    } else {
        Proving::Ledger
    };
    let config = SceneConfig {
        proving,
        pinning: Pinning::Local,
        networks: vec![1],
        agent,
        tool: PathBuf::new(),
    };
    let mut scene = Scene::start(config).await?;
    for round in 0..args.rounds {
        for block in blocks {
            scene.push(&Message::of(&variant(&block.replica, round))?).await?;
        }
    }
    let command = scene.agent("agent")?.args(["--verify", setup.verify]);
    let chain_begun = chain_height(&scene).await?;
    let begun = Instant::now();
    let mut process = command.start()?;
    wait_for("the stream is empty", DEADLINE, async || {
        (scene.remaining().await.ok()? == 0).then_some(())
    })
    .await
    .wrap_err_with(|| process.last_lines(20))?;
    let wall = begun.elapsed();
    let measured = Measured {
        segments: args.rounds * blocks.len() as u64,
        wall,
        cpu: cpu_time(&process)?,
        peak_memory_kib: peak_memory_kib(&process)?,
        chain_blocks: match (chain_begun, chain_height(&scene).await?) {
            (Some(begun), Some(ended)) => Some(ended - begun),
            _ => None,
        },
    };
    process.signal(Signal::TERM)?;
    process.end_within(Duration::from_secs(60)).await?;
    Ok(measured)
}

async fn chain_height(scene: &Scene) -> eyre::Result<Option<u64>> {
    match &scene.chain {
        Some(chain) => chain.anvil.rpc().block_number().await.map(Some),
        None => Ok(None),
    }
}

fn print_row(setup: Setup, measured: Measured) {
    let segments = measured.segments as f64;
    let cpu_each = measured.cpu.as_secs_f64() / segments;
    println!(
        "| {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {} |",
        setup.title,
        measured.segments,
        measured.wall.as_secs_f64(),
        segments / measured.wall.as_secs_f64(),
        cpu_each * 1000.0,
        1.0 / cpu_each,
        measured.peak_memory_kib / 1024,
        measured.chain_blocks.map_or_else(|| "–".to_owned(), |blocks| blocks.to_string()),
    );
}

/// The unit of times in `/proc/<id>/stat`: `USER_HZ`, which is 100 on x86-64 and arm64.
const TICKS_PER_SECOND: u64 = 100;

/// User and system time of a process that runs.
fn cpu_time(process: &Process) -> eyre::Result<Duration> {
    let stat = proc_file(process, "stat")?;
    // The second field is the program's name in parentheses, and may hold anything; the third is
    // the first behind.
    let (_, fields) = stat.rsplit_once(')').ok_or_eyre("stat has no program name")?;
    let field = |number: usize| -> eyre::Result<u64> {
        let text = fields.split_whitespace().nth(number - 3).ok_or_eyre("stat is short")?;
        Ok(text.parse()?)
    };
    let ticks = field(14)? + field(15)?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

fn peak_memory_kib(process: &Process) -> eyre::Result<u64> {
    let status = proc_file(process, "status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let line = line.ok_or_eyre("status has no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

fn proc_file(process: &Process, name: &str) -> eyre::Result<String> {
    let id = process.id().ok_or_eyre("the agent has ended")?;
    Ok(fs::read_to_string(format!("/proc/{id}/{name}"))?)
}
