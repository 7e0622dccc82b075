//! `bsp proof-chain deploy`.

use super::{
    abi::{self, Settings, WHOLE},
    answer,
    connection::{self, Connection},
    network::NetworkArgs,
    sending::{Done, Sender, SpendArgs, Step, To},
};
use crate::output::EXIT_FAILED;
use alloy_primitives::U256;
use clap::Args;
use eyre::{OptionExt, bail};
use serde_json::json;
use std::process::ExitCode;

/// The gas of configuring a chain: docs/PROOF_CHAIN.md has the figure that is measured.
const CONFIGURATION_GAS: u64 = 140_000;

/// Deploy a proof chain, which whoever signs owns.
///
/// With --network it takes blocks of that chain at once; `bsp proof-chain network` does that later.
/// Operators are added with `bsp proof-chain operators add`.
#[derive(Debug, Args)]
pub(super) struct DeployArgs {
    /// How long a session takes submissions, in blocks of the proof chain.
    #[arg(long, value_name = "BLOCKS", default_value_t = 240, value_parser = clap::value_parser!(u64).range(1..=1 << 40))]
    session_blocks: u64,

    /// The fewest validators that a quorum needs.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    min_submissions: u8,

    /// The share of a session's validators that a quorum needs, in percent. With more than 50, two
    /// halves that disagree have none.
    #[arg(long, value_name = "PERCENT", default_value_t = 51, value_parser = clap::value_parser!(u8).range(0..=100))]
    quorum: u8,

    /// The proof chain's block time in seconds; without it, what its last blocks took, and 1 at the
    /// least.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    block_time: Option<u64>,

    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    spend: SpendArgs,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &DeployArgs) -> eyre::Result<ExitCode> {
    let key = connection::key()?;
    let chain = Connection::open().await?;
    let Some(done) = deploy(args, &chain, &key).await? else {
        return Ok(ExitCode::from(EXIT_FAILED));
    };
    let created = done.first().and_then(|done| done.receipt.created);
    let address = created.ok_or_eyre("the deployment created no contract")?;
    if chain.rpc.code(address).await? != abi::deployed()? {
        bail!(
            "the code at {address} is not what was deployed: is {} to be trusted?",
            chain.rpc.endpoint()
        );
    }
    let object = json!({
        "contract": address,
        "chain_id": chain.chain_id,
        "owner": key.address(),
        "transactions": done.iter().map(Done::json).collect::<Vec<_>>(),
    });
    let text = format!(
        "The proof chain is at {address}, and {} owns it. Agents take it as --proof-chain-address {address}\n",
        key.address()
    );
    answer::print(args.json, &object, &text)?;
    Ok(ExitCode::SUCCESS)
}

async fn deploy(
    args: &DeployArgs,
    chain: &Connection,
    key: &connection::Key,
) -> eyre::Result<Option<Vec<Done>>> {
    let seconds = match args.block_time {
        Some(seconds) => seconds,
        None => chain.rpc.seconds_per_block().await?.max(1),
    };
    let settings = Settings {
        sessionDuration: args.session_blocks,
        minSubmissions: args.min_submissions.into(),
        secondsPerBlock: seconds,
        quorum: U256::from(WHOLE / 100) * U256::from(args.quorum),
    };
    let what = format!(
        "deploy a proof chain with sessions of {} blocks of {seconds} s and a quorum of {} % and {} validators",
        args.session_blocks, args.quorum, args.min_submissions
    );
    let mut steps = vec![Step { what, to: To::Creation, input: abi::creation(&settings)? }];
    if let Some(network) = args.network.network {
        let to = To::Created { typical_gas: CONFIGURATION_GAS };
        steps.push(args.network.step(network, chain, to).await?);
    }
    Sender { chain, key, spend: &args.spend, is_silent: false }.run(steps).await
}
