//! The settings of proofs.

use super::{ConfigError, Env, at_least, http_url};
use crate::{
    args::{ProofArgs, ProofTarget},
    proof::Confirmations,
};
use alloy_primitives::Address;
use bsp_common::Secret;
use std::{path::PathBuf, time::Duration};
use url::Url;

/// Where proofs go.
#[derive(Debug, Clone)]
pub enum ProofConfig {
    /// The proof-chain contract.
    Chain(Box<ChainConfig>),
    /// A local file.
    Ledger,
}

/// A proof-chain contract, and how proofs are sent to it.
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// The contract.
    pub contract: Address,
    /// The chain's RPC. It may hold a token.
    pub rpc_url: Secret<Url>,
    /// The operator's key.
    pub key: KeyConfig,
    /// Most proofs under way.
    pub max_in_flight: usize,
    /// When a proof counts.
    pub confirmations: Confirmations,
    /// Ceiling of the fee, in wei for each gas.
    pub max_fee_per_gas: u128,
    /// When a transaction that is not mined is sent again.
    pub resubmit_after: Duration,
    /// When a proof that is not mined raises an alarm.
    pub deadline: Duration,
    /// For how many proofs the balance has to be enough.
    pub balance_alarm: u64,
}

/// Where the operator's key is. Whether it is one is the prover's to check.
#[derive(Debug, Clone)]
pub enum KeyConfig {
    /// `MB_PRIVATE_KEY`.
    Private(Secret<String>),
    /// `MB_KEYSTORE_PATH` and `MB_KEYSTORE_PWD`.
    Keystore {
        /// The keystore's file.
        path: PathBuf,
        /// Its password.
        password: Secret<String>,
    },
}

const WEI_PER_GWEI: u128 = 1_000_000_000;

/// Where proofs go.
pub(super) fn proof(args: &ProofArgs, env: Env<'_>) -> Result<ProofConfig, ConfigError> {
    match args.proof {
        ProofTarget::Ledger => Ok(ProofConfig::Ledger),
        ProofTarget::Chain => Ok(ProofConfig::Chain(Box::new(chain(args, env)?))),
    }
}

fn chain(args: &ProofArgs, env: Env<'_>) -> Result<ChainConfig, ConfigError> {
    let (contract, rpc_url, key) = (&args.proof_chain_address, env("MB_RPC_URL"), key(env)?);
    let (Some(contract), Some(rpc_url), Some(key)) = (contract, &rpc_url, &key) else {
        let missing = [
            (contract.is_none(), "the contract (--proof-chain-address)"),
            (rpc_url.is_none(), "the chain's RPC (variable MB_RPC_URL)"),
            (
                key.is_none(),
                "the key (variable MB_PRIVATE_KEY, or MB_KEYSTORE_PATH with MB_KEYSTORE_PWD)",
            ),
        ];
        let missing: Vec<_> =
            missing.iter().filter_map(|(is_missing, what)| is_missing.then_some(*what)).collect();
        return Err(ConfigError::ChainIncomplete { missing: missing.join(", ") });
    };
    Ok(ChainConfig {
        contract: address(contract)?,
        rpc_url: http_url("MB_RPC_URL", rpc_url)?,
        key: key.clone(),
        max_in_flight: at_least("--proof-max-in-flight", args.proof_max_in_flight, 1)?,
        confirmations: args.proof_confirmations,
        max_fee_per_gas: u128::from(at_least("--proof-max-fee-gwei", args.proof_max_fee_gwei, 1)?)
            * WEI_PER_GWEI,
        resubmit_after: Duration::from_secs(at_least(
            "--proof-resubmit-secs",
            args.proof_resubmit_secs,
            1,
        )?),
        deadline: Duration::from_secs(at_least(
            "--proof-deadline-secs",
            args.proof_deadline_secs,
            1,
        )?),
        balance_alarm: args.balance_alarm,
    })
}

fn address(text: &str) -> Result<Address, ConfigError> {
    let address: Address = text.trim().parse().map_err(|_| ConfigError::ContractAddress)?;
    if address.is_zero() { Err(ConfigError::ContractAddress) } else { Ok(address) }
}

/// The key. `MB_PRIVATE_KEY` comes first, as it is the only one that bsp-agent v1.9.2 uses where
/// both are set.
fn key(env: Env<'_>) -> Result<Option<KeyConfig>, ConfigError> {
    if let Some(key) = env("MB_PRIVATE_KEY") {
        return Ok(Some(KeyConfig::Private(Secret::new(key))));
    }
    let Some(path) = env("MB_KEYSTORE_PATH") else {
        return Ok(None);
    };
    let password = env("MB_KEYSTORE_PWD").ok_or(ConfigError::KeystorePassword)?;
    let path = PathBuf::from(path);
    // A file, or a folder that holds one.
    if let Err(source) = std::fs::metadata(&path) {
        return Err(ConfigError::File { setting: "MB_KEYSTORE_PATH", path, source });
    }
    Ok(Some(KeyConfig::Keystore { path, password: Secret::new(password) }))
}
