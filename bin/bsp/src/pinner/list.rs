//! `bsp pinner ls`.

use super::{PlaceArgs, pins::Pins, write_out};
use bsp_codec::dag::Cid;
use bsp_pinner::store::{Pin, PinState, Store};
use clap::Args;
use serde_json::json;
use std::{process::ExitCode, time::UNIX_EPOCH};

/// Pins that are read at once.
const PAGE: usize = 1000;

/// List what is pinned: CID, bytes, whether its proof is confirmed, name.
///
/// Of a running agent the CIDs alone.
#[derive(Debug, Args)]
pub(super) struct LsArgs {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) fn run(args: &LsArgs) -> eyre::Result<ExitCode> {
    match Pins::open(&args.place)? {
        Pins::Store(store) => each(&store, |pin| write_out(line(pin, args.json).as_bytes()))?,
        Pins::Agent(agent) => {
            let answer = agent.json(agent.post("api/v0/pin/ls?type=recursive")?)?;
            for cid in answer["Keys"].as_object().into_iter().flat_map(|keys| keys.keys()) {
                let cid: Cid = cid.parse()?;
                let line = if args.json {
                    format!("{}\n", json!({ "cid": cid.to_string() }))
                } else {
                    format!("{cid}\n")
                };
                write_out(line.as_bytes())?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Does something with each pin, in the order of their roots.
pub(super) fn each(
    store: &Store,
    mut work: impl FnMut(&Pin) -> eyre::Result<()>,
) -> eyre::Result<()> {
    let mut last = None;
    loop {
        let page = store.pins(last.as_ref(), PAGE)?;
        let Some(end) = page.last() else { return Ok(()) };
        last = Some(end.root);
        page.iter().try_for_each(&mut work)?;
    }
}

fn line(pin: &Pin, as_json: bool) -> String {
    let state = match pin.state {
        PinState::Confirmed => "confirmed",
        PinState::Unconfirmed => "unconfirmed",
    };
    if !as_json {
        let name = crate::stream::plain(&pin.name);
        return format!("{}  {:>10}  {state:11}  {name}\n", pin.root, pin.size);
    }
    let since = pin.created.duration_since(UNIX_EPOCH).unwrap_or_default();
    let created_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let pin = json!({
        "cid": pin.root.to_string(), "name": pin.name, "size": pin.size, "blocks": pin.blocks,
        "created_ms": created_ms, "state": state,
    });
    format!("{pin}\n")
}
