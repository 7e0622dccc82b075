//! How the agent fares after a year.

use bsp_tests::{
    agent::{Build, Shipped},
    messages::{Message, dev::DevBlocks, variant},
    scene::{Pinning, Proving, Scene, SceneConfig},
    servers::process::{Process, unless_interrupted},
    wait::wait_for,
    year::{self, YearConfig, YearFolders},
};
use clap::Parser;
use eyre::Context;
use rustix::process::Signal;
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    ops::Range,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

/// Fill an agent's folders with what a year of work leaves behind, and a stream with what waits;
/// then measure start, memory and disk, and `bsp prune` while the agent works.
///
/// The blocks are small: it is their number that counts here. The programs are built in the release
/// profile, or taken from BSP_AGENT_BIN and BSP_BIN. Needs about 8 KiB of disk for each block.
#[derive(Debug, Parser)]
#[command(name = "simulated-year")]
struct Args {
    /// Blocks that are done with.
    #[arg(long, default_value_t = 1_000_000)]
    blocks: u64,

    /// Days over which they are spread, up to today.
    #[arg(long, default_value_t = 365)]
    days: u32,

    /// Bytes of each segment.
    #[arg(long, default_value_t = 2048)]
    segment_bytes: usize,

    /// Blocks that wait in the stream.
    #[arg(long, default_value_t = 50_000)]
    waiting: u64,

    /// Days whose segments `bsp prune` leaves.
    #[arg(long, default_value_t = 30)]
    keep_days: u32,

    /// Flags for the agent besides its own, separated by blanks.
    #[arg(long, default_value = "")]
    agent_flags: String,
}

const DEADLINE: Duration = Duration::from_secs(3600);
/// Entries that the agent works off before and after the pruning, to compare.
const SAMPLE: u64 = 500;

#[tokio::main]
async fn main() -> eyre::Result<ExitCode> {
    unless_interrupted(run(Args::parse())).await
}

async fn run(args: Args) -> eyre::Result<ExitCode> {
    let build = Build { failpoints: false, release: true };
    let agent = Shipped::Agent.named_or_built(build)?;
    let tool = Shipped::Tool.named_or_built(build)?;
    let config = SceneConfig {
        proving: Proving::Ledger,
        pinning: Pinning::Local,
        networks: vec![1],
        agent,
        tool: tool.clone(),
    };
    let mut scene = Scene::start(config).await?;
    // While an agent has its store open, others ask it for what is pinned.
    let pins = unused_address()?;
    let served = format!("--pinner-addr={pins}");
    let command = scene.agent("agent")?.arg(served).args(args.agent_flags.split_whitespace());
    let folders = scene.folders_of("agent");
    let (data, segments) = (folders.data.as_path(), folders.segments.as_path());
    println!("| what | figure |\n|---|---:|");
    let filling = Instant::now();
    let year =
        YearConfig { blocks: args.blocks, days: args.days, segment_bytes: args.segment_bytes };
    year::fill(year, YearFolders { data, segments }).await.wrap_err("filling the folders")?;
    row("filling", seconds(filling.elapsed()));
    show_disk(data, segments)?;
    fill_stream(&mut scene, 0..args.waiting).await?;

    let started = Instant::now();
    let mut process = command.start()?;
    worked_off(&mut scene, &process, args.waiting, 1).await?;
    row("start to the first acknowledgement", seconds(started.elapsed()));
    row("memory then", mib(memory_kib(&process, "VmRSS:")?));
    row("500 blocks before the pruning", seconds(sample(&mut scene, &process).await?));

    let pruning = Instant::now();
    let prune = Command::new(&tool)
        .args(["prune", "--keep-days", &args.keep_days.to_string(), "--data-dir"])
        .arg(data)
        .arg("--binary-file-path")
        .arg(segments)
        .arg(format!("--ipfs-pinner-server=http://{pins}/"))
        .spawn()?;
    let during = sample(&mut scene, &process).await?;
    let pruned = tokio::task::spawn_blocking(move || prune.wait_with_output()).await??;
    eyre::ensure!(pruned.status.success(), "bsp prune ends with {}", pruned.status);
    row("500 blocks during it", seconds(during));
    row("`bsp prune`", seconds(pruning.elapsed()));
    show_disk(data, segments)?;
    row("the agent's peak memory", mib(memory_kib(&process, "VmHWM:")?));
    process.signal(Signal::TERM)?;
    process.end_within(Duration::from_secs(60)).await?;

    // By now all that waited may be done.
    fill_stream(&mut scene, args.waiting..args.waiting + SAMPLE).await?;
    let restarted = Instant::now();
    let before = scene.remaining().await?;
    let mut process = command.start()?;
    worked_off(&mut scene, &process, before, 1).await?;
    row("second start to the first acknowledgement", seconds(restarted.elapsed()));
    process.signal(Signal::TERM)?;
    process.end_within(Duration::from_secs(60)).await?;
    Ok(ExitCode::SUCCESS)
}

/// An address of this machine that is free now.
fn unused_address() -> eyre::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Variants of one block: each another hash, and the same work.
async fn fill_stream(scene: &mut Scene, numbers: Range<u64>) -> eyre::Result<()> {
    let block = DevBlocks::new(1)?.next_replica()?;
    for number in numbers {
        scene.push(&Message::of(&variant(&block, number))?).await?;
    }
    Ok(())
}

/// Waits until so many of the entries that were there are gone.
async fn worked_off(
    scene: &mut Scene,
    process: &Process,
    before: u64,
    count: u64,
) -> eyre::Result<()> {
    wait_for("the agent works the stream off", DEADLINE, async || {
        (scene.remaining().await.ok()? + count <= before).then_some(())
    })
    .await
    .wrap_err_with(|| process.last_lines(20))
}

async fn sample(scene: &mut Scene, process: &Process) -> eyre::Result<Duration> {
    let (begun, before) = (Instant::now(), scene.remaining().await?);
    worked_off(scene, process, before, SAMPLE.min(before)).await?;
    Ok(begun.elapsed())
}

fn show_disk(data: &Path, segments: &Path) -> eyre::Result<()> {
    let parts: [(&str, PathBuf); 5] = [
        ("segments", segments.to_owned()),
        ("pins", data.join("pins")),
        ("journal", data.join("journal.redb")),
        ("ledger", data.join("ledger.jsonl")),
        ("the ledger's index", data.join("ledger.index.redb")),
    ];
    for (name, path) in parts {
        let (files, bytes) = on_disk(&path)?;
        row(&format!("disk: {name}"), format!("{} in {files} files", mib(bytes / 1024)));
    }
    Ok(())
}

/// Files below a path, and the bytes that their contents take on disk.
fn on_disk(path: &Path) -> eyre::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(path)?;
    if !metadata.is_dir() {
        return Ok((1, metadata.blocks() * 512));
    }
    let mut sum = (0, 0);
    for entry in fs::read_dir(path)? {
        // One that goes meanwhile counts for nothing.
        let (files, bytes) = on_disk(&entry?.path()).unwrap_or_default();
        sum = (sum.0 + files, sum.1 + bytes);
    }
    Ok(sum)
}

fn memory_kib(process: &Process, field: &str) -> eyre::Result<u64> {
    let id = process.id().ok_or_else(|| eyre::eyre!("the agent has ended"))?;
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(field));
    let value = value.ok_or_else(|| eyre::eyre!("status has no {field}"))?;
    Ok(value.trim().trim_end_matches("kB").trim().parse()?)
}

fn row(what: &str, figure: impl std::fmt::Display) {
    println!("| {what} | {figure} |");
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}
