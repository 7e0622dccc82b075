//! `bsp pinner serve`: the store and its HTTP interface without an agent.

use super::{PlaceArgs, pins};
use crate::{output, stream};
use bsp_agent::{args::PinnerAddress, config::PINNER_ADDRESS, pin::token_of_file};
use bsp_pinner::http::{Access, Face, HttpOptions, PinnerApi, PinnerServer};
use clap::Args;
use eyre::{Context, ContextCompat};
use std::{net::SocketAddr, process::ExitCode};
use tokio_util::sync::CancellationToken;

/// Serve the store of a data folder until Ctrl-C, in the place of ipfs-pinner's server.
///
/// Whoever reaches --addr can pin and unpin, so any other address than one of this machine alone
/// needs --token-file. At --public-addr everybody may fetch, and nothing else.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Address for programs that may pin; `off` for none. [default: 127.0.0.1:3001]
    #[arg(long, value_name = "IP:PORT|off")]
    addr: Option<PinnerAddress>,
    /// Address for everybody who wants to fetch.
    #[arg(long, value_name = "IP:PORT")]
    public_addr: Option<SocketAddr>,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(super) fn run(args: &ServeArgs) -> eyre::Result<ExitCode> {
    std::fs::create_dir_all(&args.place.data_dir)
        .wrap_err_with(|| format!("cannot make {}", args.place.data_dir.display()))?;
    let store = pins::open_store(&args.place)?;
    let store = store.wrap_err("the store is in use by an agent, which serves it already")?;
    let access = match &args.place.token_file {
        Some(path) => Access::Token(token_of_file(path)?),
        None => Access::ThisMachine,
    };
    let requests = Some(args.place.data_dir.join("pin-requests.redb"));
    let api = PinnerApi::new(store, HttpOptions { access, requests, ..HttpOptions::default() })?;
    let private = match args.addr {
        Some(PinnerAddress::Off) => None,
        Some(PinnerAddress::At(address)) => Some(address),
        None => Some(PINNER_ADDRESS),
    };
    stream::run(serve(api, private, args.public_addr))??;
    Ok(ExitCode::SUCCESS)
}

async fn serve(
    api: PinnerApi,
    private: Option<SocketAddr>,
    public: Option<SocketAddr>,
) -> eyre::Result<()> {
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    ctrlc::set_handler(move || cancelled.cancel()).wrap_err("cannot watch for Ctrl-C")?;
    let mut servers = Vec::new();
    for (face, address) in [(Face::Private, private), (Face::Public, public)] {
        let Some(address) = address else { continue };
        let server = PinnerServer::bind(api.clone(), face, address).await?;
        let address = server.local_addr()?;
        output::print(format!("http://{address}\n").as_bytes())?;
        servers.push(tokio::spawn(server.serve(stop.clone())));
    }
    eyre::ensure!(!servers.is_empty(), "nothing is to be served: give --addr or --public-addr");
    for server in servers {
        server.await?;
    }
    Ok(())
}
