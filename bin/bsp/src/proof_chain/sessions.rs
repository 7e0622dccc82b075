//! `bsp proof-chain sessions`.

use super::{
    abi::getSessionCall,
    answer,
    connection::{Contract, ContractArgs},
    logs::{self, End, Height, Session, validators},
};
use alloy_primitives::U256;
use bsp_common::text::counted;
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

/// List sessions, and which specimens have a quorum.
#[derive(Debug, Args)]
pub(super) struct SessionsArgs {
    #[command(flatten)]
    contract: ContractArgs,

    /// How many blocks of the proof chain to look back.
    #[arg(long, value_name = "BLOCKS", default_value_t = 5000)]
    blocks: u64,

    /// Sessions of this network alone, by its chain id.
    #[arg(long, value_name = "CHAIN ID")]
    network: Option<u64>,

    /// Print a JSON object for each, one a line.
    #[arg(long)]
    json: bool,
}

/// How many validators stand behind the most and took part so far.
struct Tally {
    most: usize,
    everyone: usize,
}

pub(super) async fn run(args: &SessionsArgs) -> eyre::Result<ExitCode> {
    let contract = args.contract.open().await?;
    let head = contract.chain.rpc.head().await?.number;
    let all = logs::sessions(&contract, head, args.blocks).await?;
    let (mut text, mut count, mut due) = (String::new(), 0, 0);
    for (height, session) in &all {
        if args.network.is_some_and(|network| network != height.0) {
            continue;
        }
        count += 1;
        due += u64::from(session.is_due(head));
        let tally = match session.end {
            None => tally(&contract, *height).await?,
            Some(_) => None,
        };
        text += &if args.json {
            format!("{}\n", object(*height, session, tally.as_ref(), head))
        } else {
            line(*height, session, tally.as_ref(), head)
        };
    }
    if !args.json {
        let last = counted(args.blocks.min(head), "block");
        text += &format!("{} in the last {last}, {due} to finalize\n", counted(count, "session"));
    }
    answer::print(false, &Value::Null, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// What was submitted so far, where the contract tells.
async fn tally(contract: &Contract, height: Height) -> eyre::Result<Option<Tally>> {
    if !contract.kind.is_ours() {
        return Ok(None);
    }
    let call = getSessionCall { chainId: height.0, blockHeight: height.1 };
    let session = contract.view(&call).await?;
    let everyone = session.votes.iter().fold(U256::ZERO, |all, votes| all | *votes);
    let most = session.votes.iter().map(U256::count_ones).max().unwrap_or(0);
    Ok(Some(Tally { most, everyone: everyone.count_ones() }))
}

fn state(session: &Session, head: u64) -> &'static str {
    match &session.end {
        Some(End::Quorum { .. }) => "quorum",
        Some(End::None) => "no quorum",
        None if session.is_due(head) => "to finalize",
        None => "open",
    }
}

fn line(height: Height, session: &Session, tally: Option<&Tally>, head: u64) -> String {
    let rest = match (&session.end, session.deadline, tally) {
        (Some(End::Quorum { specimen_hash, validators, .. }), ..) => {
            format!("{specimen_hash} by validators {}", listed(validators))
        }
        (Some(End::None), ..) => String::new(),
        (None, deadline, tally) => {
            let until =
                deadline.map_or_else(String::new, |deadline| format!("until block {deadline}"));
            let tally = tally.map_or_else(String::new, |tally| {
                format!(
                    ", {} of {} agree so far",
                    tally.most,
                    counted(tally.everyone as u64, "validator")
                )
            });
            until + &tally
        }
    };
    let line = format!("{}-{:<10}  {:<11}  {rest}", height.0, height.1, state(session, head));
    format!("{}\n", line.trim_end())
}

fn listed(validators: &[u8]) -> String {
    validators.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")
}

fn object(height: Height, session: &Session, tally: Option<&Tally>, head: u64) -> Value {
    let mut object = json!({
        "network": height.0,
        "height": height.1,
        "state": state(session, head),
        "deadline": session.deadline,
    });
    if let Some(End::Quorum { block_hash, specimen_hash, validators }) = &session.end {
        object["block_hash"] = json!(block_hash);
        object["specimen_hash"] = json!(specimen_hash);
        object["validators"] = json!(validators);
    }
    if let Some(tally) = tally {
        object["agree"] = json!(tally.most);
        object["took_part"] = json!(tally.everyone);
    }
    object
}

/// What a quorum's map says, for who reads it elsewhere.
pub(super) fn validators_of(map: U256) -> String {
    listed(&validators(map))
}
