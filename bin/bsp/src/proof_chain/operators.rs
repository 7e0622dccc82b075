//! `bsp proof-chain operators`: who may submit, and who administers.

use super::{
    abi::*,
    answer,
    connection::{self, Contract, ContractArgs},
    sending::{Done, Sender, SpendArgs, Step, To},
};
use crate::output::EXIT_FAILED;
use alloy_primitives::{Address, keccak256};
use bsp_agent::proof::{
    amount::Amount,
    contract::{isValidatorEnabledCall, operatorRolesCall, validatorIDsCall},
};
use clap::{Args, Subcommand, ValueEnum};
use eyre::{OptionExt, bail};
use serde_json::{Value, json};
use std::process::ExitCode;

/// List, add, enable, disable or remove operators, governors and auditors.
///
/// An operator works for a validator, a number from 0 to 255. A quorum counts validators, so
/// operators of one party have one number. Enabling and disabling is of the validator, with all of
/// its operators. A governor may do what is done here, and configure networks; only the owner
/// appoints governors.
#[derive(Debug, Args)]
pub(super) struct OperatorsArgs {
    #[command(subcommand)]
    command: OperatorsCommand,
}

#[derive(Debug, Subcommand)]
enum OperatorsCommand {
    /// List all accounts that have a role.
    List {
        #[command(flatten)]
        contract: ContractArgs,
        /// Print a JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Give an account a role. The validator of an operator is enabled as well.
    Add {
        /// The account.
        account: Address,
        /// The operator's validator; without it, the lowest number from 1 on that no operator has.
        #[arg(long, value_name = "0-255")]
        validator: Option<u8>,
        /// The role.
        #[arg(long, value_enum, default_value_t = Role::Operator)]
        role: Role,
        #[command(flatten)]
        rest: Rest,
    },
    /// Let an operator's validator submit again.
    Enable {
        /// The operator.
        account: Address,
        #[command(flatten)]
        rest: Rest,
    },
    /// Take nothing of an operator's validator. What it has submitted stays.
    Disable {
        /// The operator.
        account: Address,
        #[command(flatten)]
        rest: Rest,
    },
    /// Take an account's role away. What it has submitted stays.
    Remove {
        /// The account.
        account: Address,
        #[command(flatten)]
        rest: Rest,
    },
}

#[derive(Debug, Args)]
struct Rest {
    #[command(flatten)]
    contract: ContractArgs,
    #[command(flatten)]
    spend: SpendArgs,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

/// What an account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Submits proofs.
    Operator,
    /// Administers the contract.
    Governor,
    /// Is known as one whose audits count; the contract gives it nothing to do.
    Auditor,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Governor => "governor",
            Self::Auditor => "auditor",
        }
    }

    /// The role of an account.
    async fn of(contract: &Contract, account: Address) -> eyre::Result<Self> {
        let role = contract.view(&operatorRolesCall { operator: account }).await?;
        let known = [
            (Self::Operator, "BLOCK_SPECIMEN_PRODUCER_ROLE"),
            (Self::Governor, "GOVERNANCE_ROLE"),
            (Self::Auditor, "AUDITOR_ROLE"),
        ];
        let found = known.into_iter().find(|(_, name)| keccak256(name) == role);
        found.map(|(role, _)| role).ok_or_else(|| eyre::eyre!("{account} has no role"))
    }
}

/// An operator, as it is listed.
#[derive(Debug)]
pub(super) struct Operator {
    pub(super) account: Address,
    pub(super) validator: u128,
    pub(super) is_enabled: bool,
}

/// All operators of a contract.
pub(super) async fn operators(
    contract: &Contract,
    accounts: &[Address],
) -> eyre::Result<Vec<Operator>> {
    let mut operators = Vec::with_capacity(accounts.len());
    for account in accounts {
        let validator = contract.view(&validatorIDsCall { operator: *account }).await?;
        let is_enabled = contract.view(&isValidatorEnabledCall { validator }).await?;
        operators.push(Operator { account: *account, validator, is_enabled });
    }
    Ok(operators)
}

pub(super) async fn run(args: &OperatorsArgs) -> eyre::Result<ExitCode> {
    match &args.command {
        OperatorsCommand::List { contract, json } => list(&contract.open().await?, *json).await,
        OperatorsCommand::Add { account, validator, role, rest } => {
            let contract = rest.contract.open().await?;
            let steps = addition(&contract, *account, *validator, *role).await?;
            send(&contract, steps, rest).await
        }
        OperatorsCommand::Enable { account, rest } => switch(*account, true, rest).await,
        OperatorsCommand::Disable { account, rest } => switch(*account, false, rest).await,
        OperatorsCommand::Remove { account, rest } => {
            let contract = rest.contract.open().await?;
            let (to, operator) = (To::Contract(contract.address), *account);
            let role = Role::of(&contract, operator).await?;
            let what = format!("take the role of {} from {operator}", role.name());
            let step = match role {
                Role::Operator => Step::call(what, to, &removeBSPOperatorCall { operator }),
                Role::Governor => Step::call(what, to, &removeGovernorCall { governor: operator }),
                Role::Auditor => Step::call(what, to, &removeAuditorCall { auditor: operator }),
            };
            send(&contract, vec![step], rest).await
        }
    }
}

async fn list(contract: &Contract, json: bool) -> eyre::Result<ExitCode> {
    let all = contract.view(&getAllOperatorsCall {}).await?;
    let (mut text, mut objects) = (String::new(), Vec::new());
    for Operator { account, validator, is_enabled } in operators(contract, &all.producers).await? {
        let wei = contract.chain.rpc.balance(account).await?;
        let state = if is_enabled { "enabled" } else { "DISABLED" };
        let balance = Amount { wei, chain_id: contract.chain.chain_id };
        text += &format!("{account}  validator {validator:<3}  {state:<8}  {balance}\n");
        objects.push(json!({
            "account": account,
            "validator": validator,
            "enabled": is_enabled,
            "balance_wei": wei.to_string(),
        }));
    }
    for (name, accounts) in [("governor", &all.governors), ("auditor", &all.auditors)] {
        for account in accounts {
            text += &format!("{account}  {name}\n");
        }
    }
    if text.is_empty() {
        text = "nobody has a role: `bsp proof-chain operators add` gives one\n".to_owned();
    }
    let object =
        json!({ "operators": objects, "governors": all.governors, "auditors": all.auditors });
    answer::print(json, &object, &text)?;
    Ok(ExitCode::SUCCESS)
}

async fn addition(
    contract: &Contract,
    account: Address,
    validator: Option<u8>,
    role: Role,
) -> eyre::Result<Vec<Step>> {
    let to = To::Contract(contract.address);
    let what = format!(
        "make {account} {} {}",
        if role == Role::Operator { "an" } else { "a" },
        role.name()
    );
    let what = what.replace("a auditor", "an auditor");
    if role != Role::Operator && validator.is_some() {
        bail!("only operators have a validator: leave --validator out");
    }
    Ok(match role {
        Role::Governor => vec![Step::call(what, to, &addGovernorCall { governor: account })],
        Role::Auditor => vec![Step::call(what, to, &addAuditorCall { auditor: account })],
        Role::Operator => {
            let validator = match validator {
                Some(validator) => validator.into(),
                None => free_validator(contract).await?,
            };
            let add = addBSPOperatorCall { operator: account, validatorId: validator };
            let mut steps = vec![Step::call(format!("{what} of validator {validator}"), to, &add)];
            if !contract.view(&isValidatorEnabledCall { validator }).await? {
                let enable = enableValidatorCall { validatorId: validator };
                steps.push(Step::call(format!("enable validator {validator}"), to, &enable));
            }
            steps
        }
    })
}

/// The lowest number from 1 on that no operator has.
async fn free_validator(contract: &Contract) -> eyre::Result<u128> {
    let all = contract.view(&getAllOperatorsCall {}).await?;
    let taken = operators(contract, &all.producers).await?;
    let is_free = |id: &u128| taken.iter().all(|operator| operator.validator != *id);
    (1..=255).find(is_free).ok_or_eyre("all validators have operators: name one with --validator")
}

async fn switch(account: Address, on: bool, rest: &Rest) -> eyre::Result<ExitCode> {
    let contract = rest.contract.open().await?;
    if Role::of(&contract, account).await? != Role::Operator {
        bail!("{account} is no operator");
    }
    let validator = contract.view(&validatorIDsCall { operator: account }).await?;
    let all = contract.view(&getAllOperatorsCall {}).await?;
    let others = operators(&contract, &all.producers).await?;
    let others =
        others.iter().filter(|other| other.validator == validator && other.account != account);
    let others: Vec<_> = others.map(|other| other.account.to_string()).collect();
    let word = if on { "enable" } else { "disable" };
    let mut what = format!("{word} validator {validator}, of {account}");
    if !others.is_empty() {
        what += &format!(" and of {}", others.join(", "));
    }
    let to = To::Contract(contract.address);
    let step = match on {
        true => Step::call(what, to, &enableValidatorCall { validatorId: validator }),
        false => Step::call(what, to, &disableValidatorCall { validatorId: validator }),
    };
    send(&contract, vec![step], rest).await
}

async fn send(contract: &Contract, steps: Vec<Step>, rest: &Rest) -> eyre::Result<ExitCode> {
    let key = connection::key()?;
    let sender = Sender { chain: &contract.chain, key: &key, spend: &rest.spend, is_silent: false };
    let Some(done) = sender.run(steps).await? else { return Ok(ExitCode::from(EXIT_FAILED)) };
    let transactions: Vec<Value> = done.iter().map(Done::json).collect();
    answer::print(rest.json, &json!({ "transactions": transactions }), "")?;
    Ok(ExitCode::SUCCESS)
}
