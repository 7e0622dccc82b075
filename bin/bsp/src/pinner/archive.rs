//! `bsp pinner export` and `import`: CAR files.

use super::{
    PlaceArgs,
    pins::{Agent, Pins},
};
use crate::{output, stream::plain};
use bsp_codec::dag::Cid;
use bsp_pinner::store::{NewPin, Store};
use clap::Args;
use eyre::Context;
use reqwest::multipart::{Form, Part};
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Write a pinned DAG into a CAR file, for `ipfs dag import` and the like.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Its CID.
    cid: Cid,
    /// The file. [default: CID.car]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Pin what is in CAR files, and print the CIDs of their roots.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// CAR files (version 1).
    #[arg(required = true)]
    file: Vec<PathBuf>,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) fn export(args: &ExportArgs) -> eyre::Result<ExitCode> {
    let path = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{}.car", args.cid)));
    let pins = Pins::open(&args.place)?;
    let partial = path.with_extension("car.partial");
    let mut out = BufWriter::new(
        File::create(&partial).wrap_err_with(|| format!("cannot write {}", partial.display()))?,
    );
    let written = match &pins {
        Pins::Store(store) => export_pin(store, &args.cid, &mut out),
        Pins::Agent(agent) => {
            let request = agent.get(&format!("ipfs/{}?format=car", args.cid))?;
            agent.copy(request, &mut out)
        }
    };
    let written = written.and_then(|()| Ok(out.into_inner()?.sync_all()?));
    if let Err(error) = written {
        let _ = fs::remove_file(&partial);
        return Err(error);
    }
    fs::rename(&partial, &path).wrap_err_with(|| format!("cannot write {}", path.display()))?;
    output::print(format!("{}\n", path.display()).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a DAG depth first. One block at a time is held.
fn export_pin(store: &Store, root: &Cid, out: &mut impl Write) -> eyre::Result<()> {
    eyre::ensure!(store.pinned(root)?.is_some(), "{root} is not pinned");
    store.export_car(root, out)?;
    Ok(())
}

pub(super) fn import(args: &ImportArgs) -> eyre::Result<ExitCode> {
    let pins = Pins::open(&args.place)?;
    for path in &args.file {
        let roots = match &pins {
            Pins::Store(store) => pin_archive(store, path),
            Pins::Agent(agent) => send_archive(agent, path),
        };
        for root in roots.wrap_err_with(|| path.display().to_string())? {
            output::print(format!("{root}  {}\n", path.display()).as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn pin_archive(store: &Store, path: &Path) -> eyre::Result<Vec<Cid>> {
    let roots = store.import_car(File::open(path)?)?;
    for root in &roots {
        store.pin(root, NewPin::default())?;
    }
    Ok(roots)
}

fn send_archive(agent: &Agent, path: &Path) -> eyre::Result<Vec<Cid>> {
    let part = Part::bytes(fs::read(path)?).file_name("archive.car");
    let request = agent.post("api/v0/dag/import?pin-roots=true")?;
    let lines = agent.json_lines(request.multipart(Form::new().part("file", part)))?;
    let roots = lines.iter().filter_map(|line| {
        let error = line["Root"]["PinErrorMsg"].as_str().unwrap_or_default();
        let root = line["Root"]["Cid"]["/"].as_str()?;
        Some(if error.is_empty() {
            root.parse().wrap_err("the agent answers no CID")
        } else {
            Err(eyre::eyre!("{root} is not pinned: {}", plain(error)))
        })
    });
    roots.collect()
}
