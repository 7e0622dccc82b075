//! `bsp proof-chain finalize`.

use super::{
    abi::finalizeSpecimenSessionCall,
    answer,
    connection::{self, Contract, ContractArgs},
    logs::{self, Height},
    sending::{Done, Sender, SpendArgs, Step, To},
    sessions::validators_of,
};
use crate::output::EXIT_FAILED;
use alloy_primitives::Address;
use alloy_sol_types::SolEvent;
use bsp_agent::proof::contract::BlockSpecimenQuorum;
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

/// End sessions whose deadline is over, with a quorum or without.
///
/// Anyone may, with any key that has funds. Without --height it ends all sessions that it finds. A
/// session that nobody ends stays as it is: nothing in it is lost, but readers wait for its quorum.
#[derive(Debug, Args)]
pub(super) struct FinalizeArgs {
    #[command(flatten)]
    contract: ContractArgs,

    /// Chain id of the blocks.
    #[arg(long, value_name = "CHAIN ID", default_value_t = 1)]
    network: u64,

    /// The session's height; several times for several.
    #[arg(long, value_name = "HEIGHT")]
    height: Vec<u64>,

    /// How many blocks of the proof chain to look back for sessions.
    #[arg(long, value_name = "BLOCKS", default_value_t = 5000, conflicts_with = "height")]
    blocks: u64,

    /// The most sessions to end.
    #[arg(long, value_name = "N", default_value_t = 100)]
    at_most: usize,

    #[command(flatten)]
    spend: SpendArgs,

    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &FinalizeArgs) -> eyre::Result<ExitCode> {
    let contract = args.contract.open().await?;
    let mut heights = due(args, &contract).await?;
    heights.truncate(args.at_most);
    if heights.is_empty() {
        let text = "no session is over and not finalized\n";
        answer::print(args.json, &json!({ "finalized": [] }), text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let key = connection::key()?;
    let to = To::Contract(contract.address);
    let steps = heights.iter().map(|(network, height)| {
        let call = finalizeSpecimenSessionCall { chainId: *network, blockHeight: *height };
        Step::call(format!("finalize the session of {network}-{height}"), to, &call)
    });
    let sender = Sender { chain: &contract.chain, key: &key, spend: &args.spend, is_silent: false };
    let Some(done) = sender.run(steps.collect()).await? else {
        return Ok(ExitCode::from(EXIT_FAILED));
    };
    let (mut text, mut objects) = (String::new(), Vec::new());
    for (height, done) in heights.iter().zip(&done) {
        let (said, object) = outcome(contract.address, *height, done);
        text += &said;
        objects.push(object);
    }
    answer::print(args.json, &json!({ "finalized": objects }), &text)?;
    Ok(ExitCode::SUCCESS)
}

async fn due(args: &FinalizeArgs, contract: &Contract) -> eyre::Result<Vec<Height>> {
    if !args.height.is_empty() {
        return Ok(args.height.iter().map(|height| (args.network, *height)).collect());
    }
    let head = contract.chain.rpc.head().await?.number;
    let sessions = logs::sessions(contract, head, args.blocks).await?;
    let due = sessions
        .into_iter()
        .filter(|(height, session)| height.0 == args.network && session.is_due(head));
    Ok(due.map(|(height, _)| height).collect())
}

fn outcome(contract: Address, (network, height): Height, done: &Done) -> (String, Value) {
    let logs = done.receipt.logs.iter().filter(|(emitter, _)| *emitter == contract);
    let mut logs =
        logs.filter_map(|(_, log)| BlockSpecimenQuorum::decode_log_data_validate(log).ok());
    let mut object = done.json();
    object["network"] = json!(network);
    object["height"] = json!(height);
    match logs.next() {
        Some(quorum) => {
            object["specimen_hash"] = json!(quorum.specimenHash);
            object["block_hash"] = json!(quorum.blockHash);
            let by = validators_of(quorum.validatorBitMap);
            let specimen = quorum.specimenHash;
            (format!("{network}-{height}  quorum  {specimen} by validators {by}\n"), object)
        }
        None => (format!("{network}-{height}  no quorum\n"), object),
    }
}
