//! `bsp pinner fsck` and `gc`.

use super::{PlaceArgs, pins, write_out};
use crate::{output, stream::plain};
use bsp_common::text::counted;
use bsp_pinner::store::{BrokenPin, Store};
use clap::Args;
use eyre::ContextCompat;
use std::{process::ExitCode, time::Duration};

/// Read every block, and compare it with its hash. The agent has to be stopped.
///
/// Exits with 1 if a pin is not whole, and names each. Pinning the same content again mends it.
#[derive(Debug, Args)]
pub(super) struct FsckArgs {
    /// First make the store's index again from what is stored.
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Give back the disk space of blocks that no pin holds. The agent has to be stopped; while it
/// runs, it does this once an hour.
#[derive(Debug, Args)]
pub(super) struct GcArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) fn fsck(args: &FsckArgs) -> eyre::Result<ExitCode> {
    let report = alone(&args.place)?.check(args.repair)?;
    for pin in &report.broken {
        write_out(line(pin).as_bytes())?;
    }
    let (pins, blocks) = (counted(report.pins, "pin"), counted(report.blocks, "block"));
    let summary = format!(
        "{pins}, {} not whole; {blocks} read, {} damaged\n",
        report.broken.len(),
        report.damaged.len()
    );
    write_out(summary.as_bytes())?;
    Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(output::EXIT_FAILED) })
}

fn line(pin: &BrokenPin) -> String {
    let missing = match pin.missing.len() {
        0 => "the list of its blocks can't be read".to_owned(),
        count => format!("{} missing or damaged", counted(count as u64, "block")),
    };
    format!("{}  {}: {missing}\n", pin.root, plain(&pin.name))
}

pub(super) fn gc(args: &GcArgs) -> eyre::Result<ExitCode> {
    let store = alone(&args.place)?;
    let collected = store.collect_garbage(Duration::ZERO)?;
    let usage = store.usage()?;
    let summary = format!(
        "{} removed, {} given back; {} bytes on disk for {}\n",
        counted(collected.blocks, "block"),
        counted(collected.packs, "pack"),
        usage.disk_bytes,
        counted(usage.pins, "pin"),
    );
    write_out(summary.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn alone(place: &PlaceArgs) -> eyre::Result<Store> {
    pins::open_store(place)?.wrap_err("the store is in use by an agent: stop that one first")
}
