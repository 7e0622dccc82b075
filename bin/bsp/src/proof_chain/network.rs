//! `bsp proof-chain network`: which chain's blocks are taken.

use super::{
    abi::{ChainData, configureChainCall},
    answer,
    connection::{self, Connection, ContractArgs},
    sending::{Sender, SpendArgs, Step, To},
};
use crate::output::EXIT_FAILED;
use alloy_primitives::U256;
use clap::Args;
use eyre::bail;
use serde_json::json;
use std::process::ExitCode;

/// So far apart that no height is out of the window.
const ANY_HEIGHT: u128 = 1 << 64;

/// Take blocks of a chain, or take others of it than before.
///
/// Run it again with --height when the contract's reckoning of the chain's height has drifted,
/// which `bsp proof-chain status` shows.
#[derive(Debug, Args)]
pub(super) struct SetNetworkArgs {
    #[command(flatten)]
    contract: ContractArgs,
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    spend: SpendArgs,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// What is taken of a chain.
#[derive(Debug, Clone, Args)]
pub(super) struct NetworkArgs {
    /// Chain id of the blocks that are proved, 1 for Ethereum.
    #[arg(long, value_name = "CHAIN ID")]
    pub(super) network: Option<u64>,

    /// Take blocks whose number is divisible by this, as the agent's --block-divisor.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    nth_block: u64,

    /// The most blocks that an operator may prove of a height, which has several after a
    /// reorganisation.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=3))]
    max_submissions: u8,

    /// The chain's block time in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..))]
    network_block_time: u64,

    /// The chain's height now; without it every height is taken.
    #[arg(long, value_name = "HEIGHT")]
    height: Option<u64>,

    /// How many heights around the reckoned one are taken, half of them above it.
    #[arg(long, value_name = "HEIGHTS", default_value_t = 2000, requires = "height", value_parser = clap::value_parser!(u64).range(2..))]
    window: u64,
}

/// Every height is taken, and three blocks of each.
pub(super) fn any_height() -> ChainData {
    ChainData {
        blockOnTargetChain: U256::ZERO,
        blockOnCurrentChain: U256::ZERO,
        secondsPerBlockTargetChain: U256::from(12),
        allowedThreshold: ANY_HEIGHT,
        maxSubmissionsPerBlockHeight: 3,
        nthBlock: 1,
    }
}

impl NetworkArgs {
    /// The call that configures it.
    pub(super) async fn step(
        &self,
        network: u64,
        chain: &Connection,
        to: To,
    ) -> eyre::Result<Step> {
        let head = chain.rpc.head().await?.number;
        let (height, threshold) = match self.height {
            Some(height) => (height, u128::from(self.window)),
            None => (0, ANY_HEIGHT),
        };
        let chain = ChainData {
            blockOnTargetChain: U256::from(height),
            blockOnCurrentChain: U256::from(head),
            secondsPerBlockTargetChain: U256::from(self.network_block_time),
            allowedThreshold: threshold,
            maxSubmissionsPerBlockHeight: self.max_submissions.into(),
            nthBlock: self.nth_block,
        };
        let window = match self.height {
            Some(height) => format!("{} heights around {height}, which move on", self.window),
            None => "every height".to_owned(),
        };
        let what = format!(
            "take every block of network {network} divisible by {}, of {window}",
            self.nth_block
        );
        Ok(Step::call(what, to, &configureChainCall { chainId: network, chain }))
    }
}

pub(super) async fn run(args: &SetNetworkArgs) -> eyre::Result<ExitCode> {
    let Some(network) = args.network.network else { bail!("name the network with --network") };
    let contract = args.contract.open().await?;
    if !contract.kind.is_ours() {
        bail!("{} is configured by other functions than ours: {}", contract.address, contract.kind);
    }
    let key = connection::key()?;
    let step = args.network.step(network, &contract.chain, To::Contract(contract.address)).await?;
    let sender = Sender { chain: &contract.chain, key: &key, spend: &args.spend, is_silent: false };
    let Some(done) = sender.run(vec![step]).await? else { return Ok(ExitCode::from(EXIT_FAILED)) };
    let object = json!({
        "network": network,
        "transactions": done.iter().map(super::sending::Done::json).collect::<Vec<_>>(),
    });
    answer::print(args.json, &object, "")?;
    Ok(ExitCode::SUCCESS)
}
