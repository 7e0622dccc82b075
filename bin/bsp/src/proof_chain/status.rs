//! `bsp proof-chain status`.

use super::{
    abi::*,
    answer::{self, line},
    connection::{self, Contract, ContractArgs},
    operators::operators,
};
use crate::output::EXIT_FAILED;
use alloy_primitives::{Address, U256};
use bsp_agent::proof::{
    amount::Amount,
    contract::{getChainDataCall, getChainDataReturn, getMetadataCall, getMetadataReturn},
};
use bsp_common::text::counted;
use clap::Args;
use serde_json::{Value, json};
use std::{collections::BTreeSet, process::ExitCode};

/// Show what the contract is, who owns it, what it takes, and what is wrong.
///
/// Exits with 1 if no proof could be taken or no quorum reached as things are.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    contract: ContractArgs,

    /// The networks to ask about, by their chain ids.
    #[arg(long, value_name = "CHAIN ID", default_values_t = [1])]
    network: Vec<u64>,

    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// What there is to say, as text and as JSON, and what is wrong.
struct Report {
    text: String,
    object: Value,
    wrong: Vec<String>,
}

pub(super) async fn run(args: &StatusArgs) -> eyre::Result<ExitCode> {
    let contract = args.contract.open().await?;
    let mut report = Report { text: String::new(), object: json!({}), wrong: Vec::new() };
    let head = contract.chain.rpc.head().await?.number;
    let settings = contract.view(&getMetadataCall {}).await?;
    report.contract(&contract, head).await?;
    report.settings(&settings);
    report.people(&contract, settings.minSubmissions).await?;
    for network in &args.network {
        let chain = contract.view(&getChainDataCall { chainId: *network }).await?;
        report.network(*network, &chain, &settings, head);
    }
    report.key(&contract).await?;
    for wrong in &report.wrong {
        report.text += &line("WRONG", wrong);
    }
    report.object["wrong"] = json!(report.wrong);
    answer::print(args.json, &report.object, &report.text)?;
    Ok(if report.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

impl Report {
    async fn contract(&mut self, contract: &Contract, head: u64) -> eyre::Result<()> {
        let (id, endpoint) = (contract.chain.chain_id, contract.chain.rpc.endpoint());
        self.text = format!("proof chain {} on chain {id}\n", contract.address);
        self.text += &line("is", &contract.kind);
        self.text += &line("rpc", format!("{endpoint}, at block {head}"));
        self.object["contract"] = json!(contract.address);
        self.object["chain_id"] = json!(id);
        self.object["kind"] = json!(contract.kind.to_string());
        self.object["block"] = json!(head);
        if let Ok(owner) = contract.view(&ownerCall {}).await {
            self.text += &line("owner", owner);
            self.object["owner"] = json!(owner);
        }
        if contract.kind.is_ours() {
            let pending = contract.view(&pendingOwnerCall {}).await?;
            if !pending.is_zero() {
                self.text += &line("offered to", pending);
                self.object["pending_owner"] = json!(pending);
            }
        }
        Ok(())
    }

    fn settings(&mut self, settings: &getMetadataReturn) {
        let percent = settings.quorum / U256::from(WHOLE / 100);
        self.text += &line(
            "sessions",
            format!(
                "{} of {} s",
                counted(settings.sessionDuration, "block"),
                settings.secondsPerBlockCurrentChain
            ),
        );
        self.text += &line(
            "quorum",
            format!(
                "{percent} %, and {} at the least",
                counted(settings.minSubmissions, "validator")
            ),
        );
        self.object["session_blocks"] = json!(settings.sessionDuration);
        self.object["min_submissions"] = json!(settings.minSubmissions);
        self.object["quorum"] = json!(settings.quorum.to_string());
        self.object["block_time"] = json!(settings.secondsPerBlockCurrentChain.to_string());
    }

    async fn people(&mut self, contract: &Contract, least: u64) -> eyre::Result<()> {
        let all = contract.view(&getAllOperatorsCall {}).await?;
        let operators = operators(contract, &all.producers).await?;
        let enabled: BTreeSet<u128> = operators
            .iter()
            .filter(|operator| operator.is_enabled)
            .map(|operator| operator.validator)
            .collect();
        self.text += &line(
            "operators",
            format!(
                "{}, of {} that {} enabled",
                operators.len(),
                counted(enabled.len() as u64, "validator"),
                if enabled.len() == 1 { "is" } else { "are" }
            ),
        );
        self.text += &line("governors", all.governors.len());
        self.object["operators"] = json!(operators.len());
        self.object["enabled_validators"] = json!(enabled);
        self.object["governors"] = json!(all.governors);
        if (enabled.len() as u64) < least {
            self.wrong.push(format!(
                "no quorum can be reached: it needs {}, and {} enabled; add operators with `bsp proof-chain operators add`",
                counted(least, "validator"),
                enabled.len()
            ));
        }
        Ok(())
    }

    fn network(
        &mut self,
        network: u64,
        chain: &getChainDataReturn,
        settings: &getMetadataReturn,
        head: u64,
    ) {
        if chain.nthBlock == 0 {
            self.wrong.push(format!(
                "network {network} is not taken: `bsp proof-chain network --network {network}` changes that"
            ));
            return;
        }
        let window = match window(chain, settings, head) {
            Some((low, high)) if high >= U256::from(u64::MAX / 4) && low.is_zero() => {
                "of every height".to_owned()
            }
            Some((low, high)) => format!("of heights from {low} to {high}"),
            None => {
                self.wrong.push(format!("the height of network {network} can't be reckoned"));
                "of no height".to_owned()
            }
        };
        let text = format!(
            "blocks divisible by {}, {window}, {} of a height",
            chain.nthBlock, chain.maxSubmissionsPerBlockHeight
        );
        self.text += &line(&format!("network {network}"), &text);
        self.object[format!("network_{network}")] = json!({
            "nth_block": chain.nthBlock,
            "max_submissions": chain.maxSubmissionsPerBlockHeight.to_string(),
            "threshold": chain.allowedThreshold.to_string(),
            "takes": text,
        });
    }

    async fn key(&mut self, contract: &Contract) -> eyre::Result<()> {
        let Some(key) = connection::key_if_there()? else { return Ok(()) };
        let account: Address = key.address();
        let wei = contract.chain.rpc.balance(account).await?;
        let balance = Amount { wei, chain_id: contract.chain.chain_id };
        self.text += &line("your key", format!("{account}, with {balance}"));
        self.object["key"] = json!(account);
        self.object["balance_wei"] = json!(wei.to_string());
        Ok(())
    }
}

/// The lowest and the highest height whose session may begin in the next block.
fn window(
    chain: &getChainDataReturn,
    settings: &getMetadataReturn,
    head: u64,
) -> Option<(U256, U256)> {
    let current = U256::from(head + 1)
        .checked_sub(chain.blockOnCurrentChain)?
        .checked_mul(settings.secondsPerBlockCurrentChain)?
        .checked_div(chain.secondsPerBlockTargetChain)?
        .checked_add(chain.blockOnTargetChain)?;
    let half = U256::from(chain.allowedThreshold / 2);
    Some((current.saturating_sub(half), current.saturating_add(half)))
}
