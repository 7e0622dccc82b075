//! Whether proofs can be sent: asked at the start, and by `--check`.

use super::{
    ChainProverConfig,
    amount::{Amount, GasPrice},
    contract::{
        getChainDataCall, getMetadataCall, isEnabledCall, isValidatorEnabledCall,
        operatorRolesCall, validatorIDsCall,
    },
    divisor::{Selection, difference},
    fees::Fees,
    rpc::{Call, Rpc, RpcError, RpcLimits, answers},
    sender::proofs_in,
};
use alloy_primitives::Address;
use alloy_sol_types::SolCall;
use bsp_common::text::counted;
use std::{num::NonZeroU64, time::Duration};

/// What a proof needs, roughly: the sender estimates each.
const TYPICAL_GAS: u64 = 300_000;

/// The name of the check that the RPC answers.
pub const RPC: &str = "proof chain RPC";
/// The name of the check that the contract is one.
pub const CONTRACT: &str = "proof-chain contract";
/// The name of the check that the selected blocks are those that the contract takes.
pub const DIVISOR: &str = "block divisor";

/// Time for a turn on an RPC that limits the rate of requests: a start does not wait for that.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was asked, and the answer in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreflightCheck {
    /// What was asked, for a table's first column.
    pub name: &'static str,
    /// Whether proofs can be sent, as far as this is concerned.
    pub ok: bool,
    /// What was found, and what to do if it is not right.
    pub message: String,
}

impl PreflightCheck {
    fn new(name: &'static str, answer: Result<String, String>) -> Self {
        let ok = answer.is_ok();
        let (Ok(message) | Err(message)) = answer;
        Self { name, ok, message }
    }
}

/// Asks everything, in the order in which things depend on each other. Ends at what makes the rest
/// pointless.
pub async fn check(config: &ChainProverConfig, operator: Address) -> Vec<PreflightCheck> {
    let limits = RpcLimits { patience: PATIENCE, ..config.limits };
    let rpc = match Rpc::new(config.endpoint.clone(), limits) {
        Ok(rpc) => rpc,
        Err(error) => return vec![PreflightCheck::new(RPC, Err(error.to_string()))],
    };
    let reachable = PreflightCheck::new(RPC, reachable(&rpc).await);
    if !reachable.ok {
        return vec![reachable];
    }
    let contract = PreflightCheck::new(CONTRACT, contract(&rpc, config, operator).await);
    let mut checks = vec![reachable];
    if contract.ok {
        checks.push(contract);
        if let Some(selection) = &config.selection {
            checks.push(PreflightCheck::new(
                DIVISOR,
                selected(&rpc, config, operator, selection).await,
            ));
        }
        checks.push(PreflightCheck::new("operator", enabled(&rpc, config, operator).await));
    } else {
        checks.push(contract);
    }
    checks.push(PreflightCheck::new("balance", balance(&rpc, config, operator).await));
    checks
}

async fn reachable(rpc: &Rpc) -> Result<String, String> {
    let endpoint = rpc.endpoint();
    let told = |error: RpcError| format!("{endpoint} can't be used: {error}; check MB_RPC_URL");
    let id = rpc.chain_id().await.map_err(told)?;
    let head = rpc.head().await.map_err(told)?.number;
    Ok(format!("{endpoint} has chain id {id}, at block {head}"))
}

async fn contract(
    rpc: &Rpc,
    config: &ChainProverConfig,
    operator: Address,
) -> Result<String, String> {
    let address = config.contract;
    let endpoint = rpc.endpoint();
    let told = |error: RpcError| format!("{endpoint} can't be used: {error}");
    let code = rpc.code(address).await.map_err(told)?;
    if code.is_empty() {
        return Err(format!(
            "there is no contract at {address}: check --proof-chain-address and MB_RPC_URL"
        ));
    }
    let metadata = rpc.view(operator, address, &getMetadataCall {}).await.map_err(|error| {
        match error {
            // Whatever is at the address, this says nothing of it.
            RpcError::Node { .. } | RpcError::Malformed { .. } => format!(
                "the contract at {address} is not the proof chain's: {error}; check --proof-chain-address"
            ),
            error => told(error),
        }
    })?;
    Ok(format!("{address}, sessions of {} blocks", metadata.sessionDuration))
}

/// Which network's blocks will come is known from the settings at best. If it is not, one network
/// for which all is right is enough: the first block tells.
async fn selected(
    rpc: &Rpc,
    config: &ChainProverConfig,
    operator: Address,
    selection: &Selection,
) -> Result<String, String> {
    let told = |error: RpcError| format!("{}: {error}", rpc.endpoint());
    let call = |network: &u64| {
        let view = getChainDataCall { chainId: *network };
        Call::execute(operator, config.contract, &view.abi_encode().into())
    };
    let calls: Vec<_> = selection.networks.iter().map(call).collect();
    let answers = rpc.batch(&calls).await.map_err(told)?;
    let mut wrong = None;
    let mut is_known = false;
    for ((call, answer), network) in calls.iter().zip(&answers).zip(&selection.networks) {
        let chain = answers::view::<getChainDataCall>(call, answer).map_err(told)?;
        let Some(nth) = NonZeroU64::new(chain.nthBlock) else { continue };
        is_known = true;
        match difference(selection.divisor, nth, *network) {
            None => {
                return Ok(format!(
                    "{nth}, of network {network} the contract takes just those blocks"
                ));
            }
            Some(difference) => wrong = wrong.or(Some(difference)),
        }
    }
    let contract = config.contract;
    match (wrong, selection.networks.as_slice()) {
        (Some(wrong), _) => Err(wrong),
        (None, [network]) if selection.is_certain && !is_known => Err(format!(
            "the contract {contract} does not know network {network}, which --genesis names: its proofs would be held"
        )),
        (None, networks) => Ok(format!(
            "{}, the contract {contract} knows none of the networks {networks:?}: compared when a block is there",
            selection.divisor
        )),
    }
}

async fn enabled(
    rpc: &Rpc,
    config: &ChainProverConfig,
    operator: Address,
) -> Result<String, String> {
    let told = |error: RpcError| format!("{operator}: {error}");
    let address = config.contract;
    let enabled = rpc.view(operator, address, &isEnabledCall { operator }).await.map_err(told)?;
    let role = rpc.view(operator, address, &operatorRolesCall { operator }).await.map_err(told)?;
    if !enabled {
        let role = if role.is_zero() { "no role" } else { "a role" };
        return Err(format!(
            "{operator} has {role} and is not enabled: have it added as a block specimen producer"
        ));
    }
    let validator =
        rpc.view(operator, address, &validatorIDsCall { operator }).await.map_err(told)?;
    let active =
        rpc.view(operator, address, &isValidatorEnabledCall { validator }).await.map_err(told)?;
    match active {
        true => Ok(format!("{operator} is enabled, of validator {validator}")),
        false => Err(format!("the validator {validator} of {operator} is not enabled")),
    }
}

async fn balance(
    rpc: &Rpc,
    config: &ChainProverConfig,
    operator: Address,
) -> Result<String, String> {
    let told = |error: RpcError| format!("{operator}: {error}");
    let balance = rpc.balance(operator).await.map_err(told)?;
    let market = rpc.market().await.map_err(told)?;
    let chain_id = rpc.chain_id().await.map_err(told)?;
    let price = Fees::suggest(market, config.max_fee_per_gas).max_fee;
    let proofs = proofs_in(balance, TYPICAL_GAS, price);
    let message = format!(
        "{operator} has {}, enough for about {} at {}",
        Amount { wei: balance, chain_id },
        counted(proofs, "proof"),
        GasPrice(price)
    );
    match proofs {
        0 => Err(format!("{message}: send funds to it")),
        _ => Ok(message),
    }
}
